"""``JaegerReader``: its requests, and odd responses. Tests with a real Jaeger are in ``tests/e2e``."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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
    """A response; the server waits ``pause`` seconds between the parts of the body."""

    body: bytes = NOTHING
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    pause: float = 0
    parts: int = 1


class JaegerServer:
    """An HTTP server on loopback with given responses.

    Attributes:
        at: Host and port.
        asked: Path and query of each request.
        headers: Those of the last request.
    """

    def __init__(self, answer: Callable[[str, dict[str, str]], Reply]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
                server.asked.append((parts.path, query))
                server.headers = dict(self.headers)
                reply = answer(parts.path, query)
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                size = -(-len(reply.body) // reply.parts) or 1
                with suppress(OSError):  # the reader may close the connection
                    for begin in range(0, len(reply.body), size):
                        self.wfile.write(reply.body[begin : begin + size])
                        time.sleep(reply.pause)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.at = f"127.0.0.1:{self.http.server_port}"

    @contextmanager
    def running(self) -> Iterator[JaegerServer]:
        """Run the server in a thread."""
        with self.http, ThreadPoolExecutor(1) as threads:
            threads.submit(self.http.serve_forever, 0.01)
            try:
                yield self
            finally:
                self.http.shutdown()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(jaeger, "RETRY_PAUSES", (0, 0))


def services(*names: str) -> Reply:
    return Reply(json.dumps({"services": names}).encode())


def always(reply: Reply, *names: str) -> Callable[[str, dict[str, str]], Reply]:
    """Return one response to each search; there is one service if none is named."""
    return lambda path, _: services(*(names or ("shop",))) if path.endswith("/services") else reply


def instead(reply: Reply) -> Callable[[str, dict[str, str]], Reply]:
    """Return one response to every request."""
    return lambda *_: reply


def read(server: JaegerServer, start: int = START, end: int = END) -> tuple[JaegerReader, list[Any]]:
    with server.running():
        reader = JaegerReader(f"http://{server.at}", start, end)
        return reader, [json.loads(document) for document in reader.requests()]


def reason(server: JaegerServer, prefix: str = "", path: str = "") -> str:
    """Return the reason of the error of a reading, whose source is the address without the user."""
    with server.running():
        reader = JaegerReader(f"http://{prefix}{server.at}{path}", START, END)
        with pytest.raises(TelemetryError) as caught:
            list(reader.requests())
    assert caught.value.source == f"http://{server.at}{path}"
    return caught.value.reason


def nanoseconds(date: str) -> int:
    moment = datetime.fromisoformat(date.replace("Z", "+00:00")) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (moment.days * 86_400 + moment.seconds) * 10**9 + moment.microseconds * 1_000


def interval(query: dict[str, str]) -> tuple[int, int]:
    """Return the interval of a search, in microseconds after ``START``."""
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
    """Return responses to searches as Jaeger with storage in memory does: the newest traces, whole."""

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


def searches(server: JaegerServer) -> list[tuple[int, int]]:
    return [interval(query) for path, query in server.asked if path.endswith("/traces")]


def test_requests_to_jaeger() -> None:
    """The reader requests the services, then each service once, from a microsecond before the period."""
    server = JaegerServer(always(Reply(), "b", "a", "b"))
    reader, documents = read(server, START + 1, END + 1)
    assert documents == reader.limits == []
    query = {
        "query.start_time_min": "2025-12-31T23:59:59.999999Z",
        "query.start_time_max": "2026-01-01T00:00:00.001001Z",
        "query.num_traces": "1000",
        "query.search_depth": "1000",
        "query.raw_traces": "true",
    }
    asked = [("/api/v3/traces", {"query.service_name": name, **query}) for name in "ab"]
    assert server.asked == [("/api/v3/services", {}), *asked]
    assert server.headers["Accept"] == "application/json"
    assert "Authorization" not in server.headers


@pytest.mark.parametrize("name", ["a/b", "a b", "a&b=c", "ü✓", "%41+#?", "", '"\\\n'])
def test_names_of_services(name: str) -> None:
    """Any name of a service is sent unchanged."""
    server = JaegerServer(always(Reply(), name))
    read(server)
    assert [query["query.service_name"] for _, query in server.asked[1:]] == [name]


def test_period_is_limited_to_times_of_jaeger() -> None:
    """A period is cut to the times that Jaeger can compute with."""
    server = JaegerServer(always(Reply()))
    read(server, -(10**18), 2**70)
    query = server.asked[1][1]
    assert query["query.start_time_min"] == "1970-01-01T00:00:00.000000Z"
    assert query["query.start_time_max"] == "2262-04-11T23:47:16.854775Z"
    server = JaegerServer(always(Reply()))
    assert read(server, 2**70, 2**71)[1] == []
    assert len(server.asked) == 1


def test_documents_are_unchanged() -> None:
    """Documents have the bytes of the responses, and size and digest are those of all responses."""
    body = b'{"result": {"resourceSpans": [{"x": 1.50, "y":"\\u0026"}]}}'
    with JaegerServer(always(Reply(body), "a", "b")).running() as server:
        reader = JaegerReader(f"http://{server.at}/", START, END)
        everything = services("a", "b").body + body + body
        for _ in range(2):
            assert list(reader.requests()) == [b'{"resourceSpans": [{"x": 1.50, "y":"\\u0026"}]}'] * 2
            assert reader.size == len(everything)
            assert reader.sha256 == hashlib.sha256(everything).hexdigest()
        assert (reader.name, reader.kind) == (f"http://{server.at}/", "jaeger")


def test_response_with_several_lines() -> None:
    """Each line of a response is a document, and a line without spans is left out."""
    lines = [answer_of((1, 10)), NOTHING, answer_of((2, 20))]
    _, documents = read(JaegerServer(always(Reply(b"\n".join(lines) + b"\n"))))
    assert len(documents) == 2
    assert spans_in(documents) == {(1, 10), (2, 20)}


def test_full_interval_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a response has as many traces as the limit, both halves of its interval are requested instead."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(1, 2), (2, 5), (3, 9), (4, 11)]
    server = JaegerServer(storage(*spans, limit=2))
    reader, documents = read(server, START + 1_000, START + 12_000)
    assert searches(server) == [(0, 12), (0, 6), (0, 3), (3, 6), (6, 12), (6, 9), (9, 12), (9, 10), (10, 12)]
    assert spans_in(documents) == set(spans)
    assert len(documents) == 5  # the third span lies on an end
    assert reader.limits == []


@pytest.mark.slow
def test_number_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few responses are discarded: intervals are halved without a request if many traces are likely in them."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 20)
    spans = [(number, 3 * number) for number in range(1, 2_001)]
    server = JaegerServer(storage(*spans, limit=20))
    _, documents = read(server, START + 1_000, START + 6_100_000)
    assert spans_in(documents) == set(spans)
    assert len(documents) <= len(searches(server)) < 1.2 * len(documents)


@pytest.mark.parametrize("most", [100, 29])
def test_limit_of_traces_grows(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A full response leads to a higher limit. If Jaeger refuses it, the first one is used again."""
    monkeypatch.setattr(jaeger, "FIRST_TRACES", 10)
    monkeypatch.setattr(jaeger, "MAX_TRACES", 30)
    spans = [(number, 3 * number) for number in range(1, 101)]

    def answer(path: str, query: dict[str, str]) -> Reply:
        if path.endswith("/services"):
            return services("shop")
        limit = int(query["query.search_depth"])
        return storage(*spans, limit=limit)(path, query) if limit <= most else Reply(b"search depth", 500)

    server = JaegerServer(answer)
    reader, documents = read(server, START + 1_000, START + 302_000)
    assert (spans_in(documents), reader.limits) == (set(spans), [])
    limits = list(dict.fromkeys(query["query.num_traces"] for _, query in server.asked[1:]))
    assert limits == ["10", "20", "30"]
    assert len(set(searches(server)[:3])) == 1
    assert server.asked[-1][1]["query.num_traces"] == ("30" if most == 100 else "10")


def test_interval_with_many_spans_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval in which as many spans start as the limit is halved; other spans of its traces do not count."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 3)
    spans = [(1, 1), (1, 3), (1, 5), (1, 50), (1, 60), (1, 70)]
    server = JaegerServer(storage(*spans, limit=3))
    reader, documents = read(server, START + 1_000, START + 8_000)
    assert searches(server) == [(0, 8), (0, 4), (4, 8)]
    assert len(documents) == 2
    assert spans_in(documents) == set(spans)
    assert reader.limits == []


def test_trace_that_began_before_the_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace is found by the one span that it has in the period."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(0xAB, -9_000), (0xAB, 15), (8, 4), (9, 6)]
    _, documents = read(JaegerServer(storage(*spans, limit=2)), START, START + 16_000)
    assert spans_in(documents) == set(spans)


def test_full_microsecond_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a microsecond is full, the spans that Jaeger returns are read, and the gap is a limit."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 2)
    spans = [(1, 5), (2, 5), (3, 5), (4, 8)]
    server = JaegerServer(storage(*spans, limit=2))
    reader, documents = read(server, START + 1_000, START + 8_000)
    assert spans_in(documents) == {(2, 5), (3, 5), (4, 8)}
    assert searches(server) == [*((0, 8), (0, 4), (4, 8), (4, 6), (4, 5), (5, 6), (6, 8))]
    (limit,) = reader.limits
    assert limit == (
        "service 'shop': 2 intervals of a microsecond could not be read completely, the first from "
        "2026-01-01T00:00:00.000004Z: 2 spans or more begin in each, or their traces have more than 67,108,864 bytes"
    )


def test_large_response_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A response beyond the limit is halved; a trace that alone is too large is missing, which is a limit."""
    monkeypatch.setattr(jaeger, "MAX_RESPONSE", 1_000)
    monkeypatch.setattr(jaeger, "_READ_BYTES", 100)
    small = [(1, 1), (2, 7)]
    reader, documents = read(JaegerServer(storage(*small, limit=10, more="x" * 600)), START + 1_000, START + 8_000)
    assert spans_in(documents) == set(small)
    assert reader.limits == []
    server = JaegerServer(storage((1, 2), limit=10, more="x" * 100_000))
    reader, documents = read(server, START + 1_000, START + 8_000)
    assert documents == []
    assert reader.limits[0].startswith("service 'shop': 2 intervals of a microsecond could not be read completely")
    assert reader.size <= len(services("shop").body) + 1_100 * (len(server.asked) - 1)


def test_jaeger_without_services() -> None:
    """A Jaeger without services has no documents, in any form of its response."""
    for body in (b"{}", b'{"services":null}', b'{"services":[]}'):
        server = JaegerServer(instead(Reply(body)))
        reader, documents = read(server)
        assert documents == []
        assert len(server.asked) == 1
        assert reader.sha256 == hashlib.sha256(body).hexdigest()


def test_404_of_newer_versions_means_no_traces() -> None:
    """Newer versions respond with 404 if an interval has no traces."""
    body = b'{"error":{"httpCode":404,"message":"No traces found"}}\n'
    reader, documents = read(JaegerServer(always(Reply(body, 404))))
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
def test_errors_are_short_and_hide_passwords(answer: Callable[[str, dict[str, str]], Reply], expected: str) -> None:
    """Any other response is one short error without the password."""
    found = reason(JaegerServer(answer), "someone:secret@")
    assert found.startswith(expected)
    assert len(found) < 300
    assert "secret" not in found


def test_503_is_retried_twice() -> None:
    """A request is repeated twice after a 503, and not after other errors."""
    replies = [services("a"), Reply(b"", 503), Reply(b"", 503), Reply(answer_of((1, 1)))]
    _, documents = read(JaegerServer(lambda *_: replies.pop(0)))
    assert spans_in(documents) == {(1, 1)}
    for status, times in ((503, 3), (500, 1), (429, 1)):
        server = JaegerServer(instead(Reply(b"", status)))
        assert reason(server).startswith(f"responded with HTTP {status}: ")
        assert len(server.asked) == times


def test_redirects_stay_on_the_server() -> None:
    """A redirect within the server is followed; one to another port or host is not, as that would get the password."""
    moved = "/jaeger/ui/api/v3/services"
    server = JaegerServer(lambda path, _: Reply(b"{}") if path == moved else Reply(b"", 302, {"Location": moved}))
    assert read(server)[1] == []
    assert [path for path, _ in server.asked] == ["/api/v3/services", moved]
    with JaegerServer(instead(Reply(b"{}"))).running() as other:
        target = {"Location": f"http://someone@{other.at}/"}
        expected = "redirects to another server, 'http://127.0.0.1', perhaps for a login"
        assert reason(JaegerServer(instead(Reply(b"", 302, target))), "a:b@") == expected
    assert other.asked == []
    reply = Reply(b"", 302, {"Location": "https://other.invalid/api/v3/services"})
    assert reason(JaegerServer(instead(reply))) == expected.replace("http://127.0.0.1", "https://other.invalid")


def test_user_and_path_of_the_address() -> None:
    """User and password are sent and never shown; the path stays, and the query is dropped."""
    with JaegerServer(instead(Reply(b"{}"))).running() as server:
        url = f"http://us%40er:pa%3Ass%C3%BC@{server.at}/jäger/ui/?token=1#x"
        reader = JaegerReader(url, START, END)
        assert list(reader.requests()) == []
    assert reader.name == f"http://{server.at}/jäger/ui/"
    assert server.asked == [("/j%C3%A4ger/ui/api/v3/services", {})]
    token = base64.b64encode("us@er:pa:ssü".encode()).decode()
    assert server.headers["Authorization"] == f"Basic {token}"
    assert "ss" not in repr(reader)


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:16686", "ftp://u:secret@host/", "file:///etc/passwd", "https://", "http://u:secret@/"),
        *("http://u:secret@[::1", "http://u:secret@host:99999", "http://u:secret/x@host"),
    ],
)
def test_invalid_address_is_not_shown(url: str) -> None:
    """The error for an invalid address shows nothing of it, because part of it may be secret."""
    with pytest.raises(TelemetryError) as caught:
        JaegerReader(url, START, END)
    assert str(caught.value) == "Jaeger's address: must have http:// or https://, a host, and an optional path"


@pytest.mark.parametrize("host", ["no-such-host.invalid", f"{'x' * 64}.invalid", "a b"])
def test_unknown_hosts(host: str) -> None:
    """A host that does not exist, or cannot exist, is one error."""
    with pytest.raises(TelemetryError) as caught:
        list(JaegerReader(f"http://u:secret@{host}:1", START, END).requests())
    assert str(caught.value).startswith(f"http://{host}:1: cannot be reached: ")
    assert "secret" not in str(caught.value)


def test_refused_connection() -> None:
    """The error for a closed port has the reason."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(TelemetryError, match=r"cannot be reached: .*refused"):
            list(JaegerReader(url, START, END).requests())


@pytest.mark.parametrize(("pause", "parts"), [(0.3, 1), (0.03, 20)])
def test_slow_responses_time_out(monkeypatch: pytest.MonkeyPatch, pause: float, parts: int) -> None:
    """A response that does not start in time is an error, and so is one that trickles."""
    monkeypatch.setattr(jaeger, "TIMEOUT", 0.1)

    def late(*_: Any) -> Reply:
        if parts == 1:
            time.sleep(pause)
        return Reply(b" " * 98 + b"{}", pause=pause, parts=parts)

    assert reason(JaegerServer(late)) == "did not respond within 0.1 s"


@contextmanager
def endless_server(first: bytes, again: bytes) -> Iterator[str]:
    """Run a server that sends bytes again and again, and return its address."""

    def send(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(10_000)
            connection.sendall(first)
            while True:
                connection.sendall(again)
                time.sleep(0.01)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=send, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as threads:
        threads.submit(accept)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 ", b"2"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 99999\r\n\r\n", b"x"),
    ],
)
def test_endless_responses_time_out(monkeypatch: pytest.MonkeyPatch, first: bytes, again: bytes) -> None:
    """A response whose status, header or body never ends is an error after the timeout."""
    monkeypatch.setattr(jaeger, "TIMEOUT", 0.2)
    with endless_server(first, again) as url:
        begin = time.monotonic()
        with pytest.raises(TelemetryError, match=r"did not respond within 0\.2 s"):
            list(JaegerReader(url, START, END).requests())
        assert time.monotonic() - begin < 5


@pytest.mark.parametrize(("requests", "seconds"), [(30, 1_000.0), (10**6, 0.2)])
def test_reading_is_bounded(monkeypatch: pytest.MonkeyPatch, requests: int, seconds: float) -> None:
    """Any number of full responses ends after a number of requests or a time, with one limit that says so."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 1)
    monkeypatch.setattr(jaeger, "MAX_REQUESTS", requests)
    monkeypatch.setattr(jaeger, "MAX_SECONDS", seconds)
    full = Reply(answer_of((1, START // 1_000)))
    server = JaegerServer(always(full, *map(str, range(100))))
    begin = time.monotonic()
    reader, _ = read(server, START, START + 86_400 * 10**9)
    assert time.monotonic() - begin < 10
    assert len(server.asked) <= requests
    stopped = f"reading stopped after {requests:,} requests or {seconds:g} s, at service '0'; choose a shorter period, "
    assert reader.limits[-1] == stopped + "or read the Collector's archive"
