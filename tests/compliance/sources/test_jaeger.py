"""Reading from Jaeger: what is asked, and what becomes of odd answers. The real one is in ``tests/e2e``."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
import urllib.parse
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance._sources import jaeger
from spanforge.model_registry.compliance._sources.jaeger import JaegerReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 1_767_225_600_000_000_000
"""2026-01-01, in nanoseconds."""
END = START + 1_000_000
NOTHING = b'{"result":{"resourceSpans":[]}}'


class Reply(NamedTuple):
    """What a server answers; ``pause`` seconds lie between the parts of the body."""

    body: bytes = NOTHING
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    pause: float = 0
    parts: int = 1


class StandIn:
    """An HTTP server on loopback that answers as it is told.

    Attributes:
        at: Host and port.
        asked: Path and query of each request.
        headers: Those of the last request.
    """

    def __init__(self, answer: Callable[[str, dict[str, str]], Reply]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
                outer.asked.append((parts.path, query))
                outer.headers = dict(self.headers)
                self.reply(answer(parts.path, query))

            def reply(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                size = -(-len(reply.body) // reply.parts) or 1
                for begin in range(0, len(reply.body), size):
                    try:
                        self.wfile.write(reply.body[begin : begin + size])
                    except OSError:  # who asked has had enough
                        return
                    time.sleep(reply.pause)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.at = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[StandIn]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(jaeger, "RETRY_PAUSES", (0, 0))


def services(*names: str) -> Reply:
    return Reply(json.dumps({"services": names}).encode())


def always(reply: Reply, *names: str) -> Callable[[str, dict[str, str]], Reply]:
    """Answer each search with the same; there is one service if none is named."""
    return lambda path, _: services(*(names or ("shop",))) if path.endswith("/services") else reply


def instead(reply: Reply) -> Callable[[str, dict[str, str]], Reply]:
    """Answer everything with the same."""
    return lambda *_: reply


def read(stand_in: StandIn, start: int = START, end: int = END) -> tuple[JaegerReader, list[Any]]:
    with stand_in.running():
        reader = JaegerReader(f"http://{stand_in.at}", start, end)
        return reader, [json.loads(document) for document in reader.requests()]


def reason(stand_in: StandIn, prefix: str = "", path: str = "") -> str:
    """Return the reason of the error that reading ends in, which names the server and no more."""
    with stand_in.running():
        reader = JaegerReader(f"http://{prefix}{stand_in.at}{path}", START, END)
        with pytest.raises(TelemetryError) as caught:
            list(reader.requests())
    assert caught.value.source == f"http://{stand_in.at}{path}"
    return caught.value.reason


def nanoseconds(date: str) -> int:
    moment = datetime.fromisoformat(date.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (moment.days * 86_400 + moment.seconds) * 10**9 + moment.microseconds * 1_000


def interval(query: dict[str, str]) -> tuple[int, int]:
    """Return what a search asks for, in microseconds after ``START``."""
    low, high = (nanoseconds(query[f"query.start_time_{end}"]) for end in ("min", "max"))
    return (low - START) // 1_000, (high - START) // 1_000


def answer_of(*spans: tuple[int, int], more: str = "") -> bytes:
    """Return an answer with spans, given as number of the trace and microsecond after ``START``."""
    if not spans:
        return NOTHING
    found = [
        {"traceId": f"{trace:032x}", "startTimeUnixNano": str(START + at * 1_000), "name": more} for trace, at in spans
    ]
    return json.dumps({"result": {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}}).encode()


def storage(*spans: tuple[int, int], limit: int, more: str = "") -> Callable[[str, dict[str, str]], Reply]:
    """Answer searches as Jaeger does whose storage is in memory: the newest traces, whole."""

    def find(_: str, query: dict[str, str]) -> Reply:
        low, high = interval(query)
        traces = dict.fromkeys(trace for trace, at in spans if low <= at <= high)
        newest = list(traces)[-limit:]
        return Reply(answer_of(*(span for span in spans if span[0] in newest), more=more))

    return lambda path, query: services("shop") if path.endswith("/services") else find(path, query)


def spans_in(documents: list[Any]) -> set[tuple[int, int]]:
    return {
        (int(span["traceId"], 16), (int(span["startTimeUnixNano"]) - START) // 1_000)
        for document in documents
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


def searches(stand_in: StandIn) -> list[tuple[int, int]]:
    return [interval(query) for path, query in stand_in.asked if path.endswith("/traces")]


def test_what_is_asked() -> None:
    """The services are asked for first, then each once for the period, a microsecond before it included."""
    stand_in = StandIn(always(Reply(), "b", "a", "b"))
    reader, documents = read(stand_in, START + 1, END + 1)
    assert documents == reader.limits == []
    query = {
        "query.start_time_min": "2025-12-31T23:59:59.999999Z",
        "query.start_time_max": "2026-01-01T00:00:00.001001Z",
        "query.num_traces": "1000",
        "query.search_depth": "1000",
        "query.raw_traces": "true",
    }
    asked = [("/api/v3/traces", {"query.service_name": name, **query}) for name in "ab"]
    assert stand_in.asked == [("/api/v3/services", {}), *asked]
    assert stand_in.headers["Accept"] == "application/json"
    assert "Authorization" not in stand_in.headers


@pytest.mark.parametrize("name", ["a/b", "a b", "a&b=c", "ü✓", "%41+#?", "", '"\\\n'])
def test_names_of_services(name: str) -> None:
    """A service is asked for by its name, whatever is in it."""
    stand_in = StandIn(always(Reply(), name))
    read(stand_in)
    assert [query["query.service_name"] for _, query in stand_in.asked[1:]] == [name]


def test_times_that_jaeger_cannot_tell() -> None:
    """A period that is longer than what Jaeger can compute with is cut to that."""
    stand_in = StandIn(always(Reply()))
    read(stand_in, -(10**18), 2**70)
    query = stand_in.asked[1][1]
    assert query["query.start_time_min"] == "1970-01-01T00:00:00.000000Z"
    assert query["query.start_time_max"] == "2262-04-11T23:47:16.854775Z"
    stand_in = StandIn(always(Reply()))
    assert read(stand_in, 2**70, 2**71)[1] == []
    assert len(stand_in.asked) == 1


def test_documents_come_as_they_are() -> None:
    """What is passed on is what was received, byte for byte, and size and digest are those of all answers."""
    body = b'{"result": {"resourceSpans": [{"x": 1.50, "y":"\\u0026"}]}}'
    with StandIn(always(Reply(body), "a", "b")).running() as stand_in:
        reader = JaegerReader(f"http://{stand_in.at}/", START, END)
        assert list(reader.requests()) == [b'{"resourceSpans": [{"x": 1.50, "y":"\\u0026"}]}'] * 2
        everything = services("a", "b").body + body + body
        assert reader.size == len(everything)
        assert reader.sha256 == hashlib.sha256(everything).hexdigest()
        list(reader.requests())  # once more
        assert reader.size == len(everything)
        assert reader.sha256 == hashlib.sha256(everything).hexdigest()
        assert (reader.name, reader.kind) == (f"http://{stand_in.at}/", "jaeger")


def test_answers_in_several_lines() -> None:
    """Each line of an answer is a document, and one without spans is left out."""
    lines = [answer_of((1, 10)), NOTHING, answer_of((2, 20))]
    _, documents = read(StandIn(always(Reply(b"\n".join(lines) + b"\n"))))
    assert len(documents) == 2
    assert spans_in(documents) == {(1, 10), (2, 20)}


def test_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that holds as many traces as were asked for is discarded, and both halves of its interval read."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(1, 2), (2, 5), (3, 9), (4, 11)]
    stand_in = StandIn(storage(*spans, limit=2))
    reader, documents = read(stand_in, START + 1_000, START + 12_000)
    assert searches(stand_in) == [(0, 12), (0, 6), (0, 3), (3, 6), (6, 12), (6, 9), (9, 12), (9, 10), (10, 12)]
    assert spans_in(documents) == set(spans)
    assert len(documents) == 5  # the third span lies on an end
    assert reader.limits == []


def test_limits_that_count_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval in which too many spans of few traces begin is halved too; spans outside of it do not count."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 3)
    spans = [(1, 1), (1, 3), (1, 5), (1, 50), (1, 60), (1, 70)]
    stand_in = StandIn(storage(*spans, limit=3))
    reader, documents = read(stand_in, START + 1_000, START + 8_000)
    assert searches(stand_in) == [(0, 8), (0, 4), (4, 8)]
    assert len(documents) == 2
    assert spans_in(documents) == set(spans)
    assert reader.limits == []


def test_a_trace_that_began_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace is found by the one span that it has in the period, in whichever half that is."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(0xAB, -9_000), (0xAB, 15), (8, 4), (9, 6)]
    _, documents = read(StandIn(storage(*spans, limit=2)), START, START + 16_000)
    assert spans_in(documents) == set(spans)


def test_a_moment_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where even a microsecond is full, what there is of it is read, and that it is incomplete is said."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(1, 5), (2, 5), (3, 5), (4, 8)]
    stand_in = StandIn(storage(*spans, limit=2))
    reader, documents = read(stand_in, START + 1_000, START + 8_000)
    assert spans_in(documents) == {(2, 5), (3, 5), (4, 8)}
    assert searches(stand_in) == [
        *((0, 8), (0, 4), (4, 8), (4, 6), (4, 5), (5, 6), (6, 8)),
    ]
    (limit,) = reader.limits
    assert limit == (
        "service 'shop': 2 intervals of a microsecond could not be read completely, the first from "
        "2026-01-01T00:00:00.000004Z: 2 spans or more begin in each, or their traces have more than 67,108,864 bytes"
    )


def test_answers_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is read up to the limit only and halved; a trace that alone is too large is missing, which is said."""
    monkeypatch.setattr(jaeger, "MAX_RESPONSE", 1_000)
    monkeypatch.setattr(jaeger, "_READ_BYTES", 100)
    small = [(1, 1), (2, 7)]
    reader, documents = read(StandIn(storage(*small, limit=10, more="x" * 600)), START + 1_000, START + 8_000)
    assert spans_in(documents) == set(small)
    assert reader.limits == []
    stand_in = StandIn(storage((1, 2), limit=10, more="x" * 100_000))
    reader, documents = read(stand_in, START + 1_000, START + 8_000)
    assert documents == []
    assert reader.limits[0].startswith("service 'shop': 2 intervals of a microsecond could not be read completely")
    assert reader.size <= len(services("shop").body) + 1_100 * (len(stand_in.asked) - 1)


def test_an_empty_jaeger() -> None:
    """A Jaeger without services has nothing, in either way to say so."""
    for body in (b"{}", b'{"services":null}', b'{"services":[]}'):
        stand_in = StandIn(instead(Reply(body)))
        reader, documents = read(stand_in)
        assert documents == []
        assert len(stand_in.asked) == 1
        assert reader.sha256 == hashlib.sha256(body).hexdigest()


def test_nothing_found_in_newer_versions() -> None:
    """Newer versions answer with 404 where there is nothing in an interval."""
    body = b'{"error":{"httpCode":404,"message":"No traces found"}}\n'
    reader, documents = read(StandIn(always(Reply(body, 404))))
    assert documents == reader.limits == []


NO_API = "no Jaeger with the HTTP API v3 (1.54 or newer) responds here"
NOT_OTLP = "the response is not OTLP JSON (Jaeger 1.54 or newer is required): "
HTML = Reply(b"\n<!DOCTYPE html><p>UI", headers={"Content-Type": "text/html"})
BASE64 = answer_of((1, 1)).replace(b"0" * 31 + b"1", b"AAAAAAAAAAAAAAAAAAAAAQ==")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (instead(HTML), NO_API),
        (instead(Reply(b"404 page not found", 404)), NO_API),
        (instead(Reply(b'{"error":{"httpCode":404,"message":"m"}}', 404)), NO_API),
        (always(Reply(b'{"message":"no route"}', 404)), NO_API),
        (instead(Reply(b'{"status":"up"}')), NOT_OTLP),
        (always(Reply(b'{"error":{"message":"m"}}', 404)), NO_API),
        (instead(Reply(b'{"services":[1]}')), NOT_OTLP),
        (instead(Reply(b"")), NOT_OTLP),
        (always(Reply(b"{}")), NOT_OTLP),
        (always(Reply(b'{"result":')), NOT_OTLP),
        (always(Reply(b'{"result":[]}')), NOT_OTLP),
        (always(Reply(BASE64)), NOT_OTLP),
        (always(Reply(b'{"error":{"message":"late\\u001b"}}')), r"Jaeger reports 'late\x1b'"),
        (always(Reply(b'{"error":{"httpCode":400,"message":"bad"}}', 400)), "responded with HTTP 400: 'bad'"),
        (
            always(Reply(b'{"error":{"httpCode":500,"message":"' + b"x" * 9_999 + b'"}}', 500)),
            "responded with HTTP 500: 'xxx",
        ),
        (instead(Reply(b"<html>secret", 401)), "responded with HTTP 401: Unauthorized"),
        (instead(Reply(b"", 204)), "responded with HTTP 204: No Content"),
        (instead(Reply(b"{}", 599)), "responded with HTTP 599: unknown"),
        (always(Reply(b"", 503)), "responded with HTTP 503: Service Unavailable"),
        (
            instead(Reply(b"", 302, {"Location": "http://elsewhere.example/login?next=x"})),
            "redirects to another server",
        ),
        (instead(Reply(b"", 302)), "responded with HTTP 302: invalid redirect"),
        (instead(Reply(b"", 302, {"Location": "/api/v3/services"})), "responded with HTTP 302: invalid redirect"),
        (instead(Reply(b"", 302, {"Location": "http://[x/"})), "cannot be reached: "),
        (always(Reply(NOTHING + b"\n", headers={"Content-Length": "99"})), "cannot be reached: IncompleteRead"),
    ],
)
def test_errors(answer: Callable[[str, dict[str, str]], Reply], expected: str) -> None:
    """Whatever else is answered is one error, which says what it is in few words."""
    found = reason(StandIn(answer), "someone:secret@")
    assert found.startswith(expected)
    assert len(found) < 300
    assert "secret" not in found


def test_503_is_tried_again() -> None:
    """A server that is not available is asked twice more, no other error again."""
    replies = [services("a"), Reply(b"", 503), Reply(b"", 503), Reply(answer_of((1, 1)))]
    _, documents = read(StandIn(lambda *_: replies.pop(0)))
    assert spans_in(documents) == {(1, 1)}
    for status, times in ((503, 3), (500, 1), (429, 1)):
        stand_in = StandIn(instead(Reply(b"", status)))
        assert reason(stand_in).startswith(f"responded with HTTP {status}: ")
        assert len(stand_in.asked) == times


def test_redirects() -> None:
    """A redirect within the server is followed, one to another port is not: it would be sent the password."""
    moved = "/jaeger/ui/api/v3/services"
    stand_in = StandIn(
        lambda path, _: Reply(b"{}") if path == moved else Reply(b"", 302, {"Location": moved}),
    )
    assert read(stand_in)[1] == []
    assert [path for path, _ in stand_in.asked] == ["/api/v3/services", moved]
    with StandIn(instead(Reply(b"{}"))).running() as other:
        target = {"Location": f"http://someone@{other.at}/"}
        expected = "redirects to another server, 'http://127.0.0.1', perhaps for a login"
        assert reason(StandIn(instead(Reply(b"", 302, target))), "a:b@") == expected
    assert other.asked == []


def test_users_and_paths() -> None:
    """User and password are sent and never shown; the path is that of a proxy, and anything after it is dropped."""
    with StandIn(instead(Reply(b"{}"))).running() as stand_in:
        url = f"http://us%40er:pa%3Ass%C3%BC@{stand_in.at}/jäger/ui/?token=1#x"
        reader = JaegerReader(url, START, END)
        assert list(reader.requests()) == []
    assert reader.name == f"http://{stand_in.at}/jäger/ui/"
    assert stand_in.asked == [("/j%C3%A4ger/ui/api/v3/services", {})]
    token = base64.b64encode("us@er:pa:ssü".encode()).decode()
    assert stand_in.headers["Authorization"] == f"Basic {token}"
    assert "ss" not in repr(reader)


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:16686", "ftp://u:secret@host/", "file:///etc/passwd", "https://", "http://u:secret@/"),
        *("http://u:secret@[::1", "http://u:secret@host:99999", "http://u:secret/x@host"),
    ],
)
def test_what_is_no_address(url: str) -> None:
    """What is no address is an error that shows nothing of it: part of it may be secret."""
    with pytest.raises(TelemetryError) as caught:
        JaegerReader(url, START, END)
    assert str(caught.value) == "Jaeger's address: must have http:// or https://, a host, and an optional path"


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'x' * 64}.invalid", "a b"])
def test_hosts_that_are_not_there(host: str) -> None:
    """A host that nobody knows, or that cannot be one, is one error."""
    with pytest.raises(TelemetryError) as caught:
        list(JaegerReader(f"http://u:secret@{host}:1", START, END).requests())
    assert str(caught.value).startswith(f"http://{host}:1: cannot be reached: ")
    assert "secret" not in str(caught.value)


def test_nobody_listens() -> None:
    """Where nobody listens, the error says so."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(TelemetryError, match=r"cannot be reached: .*refused"):
            list(JaegerReader(url, START, END).requests())


@pytest.mark.parametrize(("pause", "parts"), [(0.3, 1), (0.03, 20)])
def test_timeouts(monkeypatch: pytest.MonkeyPatch, pause: float, parts: int) -> None:
    """An answer that does not begin in time is an error, and so is one that trickles."""
    monkeypatch.setattr(jaeger, "TIMEOUT", 0.1)

    def late(*_: Any) -> Reply:
        if parts == 1:
            time.sleep(pause)
        return Reply(b" " * 98 + b"{}", pause=pause, parts=parts)

    assert reason(StandIn(late)) == "did not respond within 0.1 s"
