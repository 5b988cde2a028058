"""Faults of servers of registry files: each has one line, and the last valid version stays in force."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.registry_server import DAY, JSON, Authority, RegistryServer, Reply, make_etag, serving_registry
from support.watching import Watched, cannot_load, content, put, valid_again

from spanforge.model_registry._core import http_requests
from spanforge.model_registry._core.errors import MissingExtraError
from spanforge.model_registry._core.settings import MAX_FILE_SIZE

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    from spanforge.model_registry.watch import FileWatcher

UNTIL_LOADED = "its models show as unregistered until it can be loaded"
PAGE = Path(__file__).parents[2] / "docs" / "registry-server-faults.md"
SECONDS = 0.3
"""The limit of a request in these tests."""
LENGTH = {"Content-Type": JSON, "Content-Length": "1000"}
CHUNKED = {"Content-Type": JSON, "Transfer-Encoding": "chunked"}
SLOW = f"did not answer completely within {SECONDS:g} seconds"


class Fault(NamedTuple):
    """A fault: what the server answers, and the end of the line about it."""

    reply: Callable[[], Reply]
    reason: str


def until_closed(write: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a body that is written until the client ends the connection."""

    def stream(file: Any) -> None:
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                write(file)

    return stream


_pause = threading.Event()


def drip(file: Any) -> None:
    """Write a byte at a time, each in time."""
    file.write(b" ")
    _pause.wait(SECONDS / 10)


def drip_chunk(file: Any) -> None:
    file.write(b"1\r\n \r\n")
    _pause.wait(SECONDS / 10)


def drip_header(file: Any) -> None:
    file.write(b"X-Header: 1\r\n")
    _pause.wait(SECONDS / 10)


def html() -> Reply:
    return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in</html>")


TOO_LARGE = "is larger than 2,048 bytes; to read it, raise OTEL_PYTHON_MODEL_REGISTRY_MAX_FILE_SIZE"
HTML = "has the content type 'text/html', not that of JSON or YAML; it may be the page of a login or of an error"
NO_REDIRECT = "redirects are not followed, so use the final address"
FAULTS = {
    "slow": Fault(lambda: Reply(200, LENGTH, stream=until_closed(drip)), SLOW),
    "slow chunks": Fault(lambda: Reply(200, CHUNKED, stream=until_closed(drip_chunk)), SLOW),
    "endless": Fault(
        lambda: Reply(200, CHUNKED, stream=until_closed(lambda file: file.write(b"400\r\n%s\r\n" % (b"x" * 1024)))),
        TOO_LARGE,
    ),
    "too large": Fault(lambda: Reply(200, {"Content-Type": JSON}, b"x" * 3_000), TOO_LARGE),
    "bomb": Fault(
        lambda: Reply(200, {"Content-Type": JSON, "Content-Encoding": "gzip"}, gzip.compress(b" " * 1_000_000)),
        TOO_LARGE,
    ),
    "redirect": Fault(
        lambda: Reply(302, {"Location": "https://user:s3cret@example.com/models.json"}),
        f"redirects to 'https://example.com/models.json'; {NO_REDIRECT}",
    ),
    "redirect to nothing": Fault(lambda: Reply(301), f"redirects to ''; {NO_REDIRECT}"),
    "wrong type": Fault(html, HTML),
    "half a body": Fault(
        lambda: Reply(200, LENGTH, stream=lambda file: file.write(content("b"))), "sent only a part of the file"
    ),
    "half a chunk": Fault(
        lambda: Reply(200, CHUNKED, stream=lambda file: file.write(b"400\r\n[")), "sent only a part of the file"
    ),
    "chunks without an end": Fault(
        lambda: Reply(200, CHUNKED, stream=lambda file: file.write(b"2\r\n[]\r\n")), "sent only a part of the file"
    ),
    "half a gzip": Fault(
        lambda: Reply(200, {"Content-Type": JSON, "Content-Encoding": "gzip"}, gzip.compress(content("b"))[:-9]),
        "sent only a part of the file",
    ),
    "no gzip": Fault(
        lambda: Reply(200, {"Content-Type": JSON, "Content-Encoding": "gzip"}, content("b")),
        "sent a file that is not valid gzip",
    ),
    "unknown length": Fault(
        lambda: Reply(200, {"Content-Type": JSON}, stream=lambda file: file.write(content("b"))),
        "does not state the length of the file, so a missing part would not be noticed",
    ),
    "other encoding": Fault(
        lambda: Reply(200, {"Content-Type": JSON, "Content-Encoding": "br"}, b"x"),
        "has the content encoding 'br'; only gzip is allowed",
    ),
    "forbidden": Fault(lambda: Reply(403), "answers 403 Forbidden"),
    "gone": Fault(lambda: Reply(404), "answers 404 Not Found"),
    "a part": Fault(lambda: Reply(206, {}, content("b")), "answers 206 Partial Content"),
    "unknown status": Fault(lambda: Reply(599), "answers 599"),
    "unavailable": Fault(lambda: Reply(503, {"Retry-After": "120"}), "answers 503 Service Unavailable"),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be small."""
    monkeypatch.setenv(MAX_FILE_SIZE.variable, "2048")


@contextlib.contextmanager
def hurrying(reason: str = SLOW) -> Iterator[None]:
    """Let requests end soon if the fault is a slow answer. Good answers may take longer on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        if reason == SLOW:
            patch.setattr(http_requests, "REQUEST_TIMEOUT", SECONDS)
        yield


def follow(watched: Watched, server: RegistryServer) -> FileWatcher:
    """Follow the file of a server."""
    return watched.follow(server.url())  # type: ignore[arg-type] # an address


def check_one_line(watched: Watched, watcher: FileWatcher, url: str, reason: str) -> None:
    """Look several times: the fault has one line, and the last valid version stays in force."""
    for _ in range(3):
        watcher.look()
    assert watched.lines() == [cannot_load(url, f": {reason}")]
    assert watched.owners == {"m": "a"}
    (state,) = watcher.states()
    assert (state.failures, state.error, state.models) == (1, f"{url}: {reason}", 1)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_of_an_answer(watched: Watched, server: RegistryServer, name: str) -> None:
    """A wrong answer has one line, and the last valid version stays in force until there is a good answer."""
    watcher, fault = follow(watched, server), FAULTS[name]
    server.reply = lambda _request: fault.reply()
    with hurrying(fault.reason):
        check_one_line(watched, watcher, server.url(), fault.reason)
    server.reply, server.files["/models.json"] = None, content("b")
    watcher.look()
    assert watched.owners == {"m": "b"}
    assert watched.lines() == [valid_again(server.url())]


@pytest.mark.parametrize("name", ["slow", "endless", "redirect", "wrong type", "half a body", "forbidden"])
def test_fault_at_the_start(watched: Watched, server: RegistryServer, name: str) -> None:
    """A wrong answer at the start has one line, and the models come with the first good answer."""
    fault = FAULTS[name]
    server.reply = lambda _request: fault.reply()
    with hurrying(fault.reason):
        watcher = follow(watched, server)
        watcher.look()
    assert watched.lines() == [cannot_load(server.url(), f": {fault.reason}", UNTIL_LOADED)]
    assert (watched.owners, watcher.lacks_files) == ({}, True)
    server.reply = None
    watcher.look()
    assert (watched.owners, watcher.lacks_files) == ({"m": "a"}, False)
    assert watched.lines() == [valid_again(server.url())]


def test_slow_headers(watched: Watched, server: RegistryServer) -> None:
    """Headers that never end are given up too, although each of them comes in time."""
    watcher = follow(watched, server)

    def answer(file: Any) -> None:
        file.write(b"HTTP/1.1 200 OK\r\n")
        until_closed(drip_header)(file)

    server.raw = answer
    with hurrying():
        check_one_line(watched, watcher, server.url(), SLOW)


def test_slow_handshake(watched: Watched, server: RegistryServer) -> None:
    """A server that accepts connections and never answers is given up."""
    watcher = follow(watched, server)
    server.stop()
    with socket.create_server(("127.0.0.1", server.port)), hurrying():
        check_one_line(watched, watcher, server.url(), SLOW)


def test_down_at_the_start_and_later(watched: Watched, authority: Authority, server: RegistryServer) -> None:
    """A server that is away has one line at the start, and one in a process that had its file."""
    with serving_registry(authority.issue()) as other:
        url = other.url()
    watcher = watched.follow(url)  # type: ignore[arg-type]
    watcher.look()
    down = ": cannot be reached: Connection refused"
    assert watched.lines() == [cannot_load(url, down, UNTIL_LOADED)]
    with serving_registry(authority.issue(), other.port) as other:
        other.files["/models.json"] = content("a")
        watcher.look()
        assert watched.owners == {"m": "a"}
        assert watched.lines() == [valid_again(url)]
    watched.caplog.clear()
    later = follow(watched, server)
    assert watched.owners == {"m": "a"}
    server.stop()
    check_one_line(watched, later, server.url(), down[2:])


def test_unknown_host(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an address has a line without the resolver's numbers."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CACHE", "none")
    url = "https://registry.invalid/models.json"
    watched.follow(url)  # type: ignore[arg-type]
    reason = ": cannot be reached: the name of the host is not known"
    assert watched.lines() == [cannot_load(url, reason, UNTIL_LOADED)]


@pytest.mark.parametrize(
    ("times", "reason"),
    [((-3 * DAY, -DAY), "certificate has expired"), ((DAY, 3 * DAY), "certificate is not yet valid")],
    ids=["expired", "clock set back"],
)
def test_certificate_that_is_not_valid_now(
    watched: Watched, authority: Authority, server: RegistryServer, times: tuple[dt.timedelta, ...], reason: str
) -> None:
    """A certificate that has expired, or that is not valid yet because this clock was set back, is refused."""
    watcher = follow(watched, server)
    server.files["/models.json"] = content("b")
    server.use_certificate(authority.issue(begins=times[0], ends=times[1]))
    check_one_line(watched, watcher, server.url(), f"has a certificate that is not accepted: {reason}")
    server.use_certificate(authority.issue())
    watcher.look()
    assert watched.owners == {"m": "b"}


def test_clock_set_back(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set back changes neither the times of requests nor the age, and nothing is logged."""
    watcher = follow(watched, server)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86_400)
    server.files["/models.json"] = content("b")
    watcher.look()
    assert watched.owners == {"m": "b"}
    again = follow(watched, server)
    monkeypatch.setattr(time, "time", now)
    again.look()
    assert watched.lines() == []
    assert all(0 <= state.age < 60 for state in (*watcher.states(), *again.states()))


def test_clock_set_back_by_years(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """urllib3 warns about a clock from before its release. If Python turns warnings into errors, there is one line."""
    watcher = follow(watched, server)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    watcher.look()
    watcher.look()
    (line,) = watched.lines()
    assert ": cannot be asked: System time is way off" in line
    assert watched.owners == {"m": "a"}


def test_certificate_of_another_authority(
    watched: Watched, authority: Authority, server: RegistryServer, tmp_path: Path
) -> None:
    """A certificate of an unknown authority, or for another host, is refused."""
    watcher = follow(watched, server)
    server.use_certificate(Authority(tmp_path / "other").issue())
    reason = "has a certificate that is not accepted: unable to get local issuer certificate"
    check_one_line(watched, watcher, server.url(), reason)
    server.use_certificate(authority.issue(host="other.example"))
    watcher.look()
    (line,) = watched.lines()
    assert "has a certificate that is not accepted: IP address mismatch" in line


def test_certificates_that_change(
    watched: Watched, authority: Authority, server: RegistryServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the file of trusted certificates changes, the next request uses the new ones."""
    path = tmp_path / "roots.pem"
    path.write_bytes(authority.root.read_bytes())
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CERTIFICATE", str(path))
    watcher = follow(watched, server)
    other = Authority(tmp_path / "other")
    put(path, other.root.read_bytes())
    watcher.look()
    assert "has a certificate that is not accepted" in (watcher.states()[0].error or "")
    server.use_certificate(other.issue())
    watcher.look()
    assert watcher.states()[0].error is None


def test_certificates_that_cannot_be_read(
    watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If the file of trusted certificates is missing or wrong, no other certificate is trusted instead."""
    (tmp_path / "wrong.pem").write_text("no certificate")
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CACHE", "none")
    for name, reason in {"none.pem": "No such file or directory", "wrong.pem": "has no certificates in PEM"}.items():
        path = tmp_path / name
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CERTIFICATE", str(path))
        follow(watched, server)
        text = f": cannot be asked: the certificates in {path} cannot be read: {reason}"
        assert watched.lines() == [cannot_load(server.url(), text, UNTIL_LOADED)]


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"X" * 70_000])
def test_server_that_does_not_speak_http(watched: Watched, server: RegistryServer, raw: bytes) -> None:
    """Bytes that are no HTTP have one line."""
    watcher = follow(watched, server)
    server.raw = lambda file: file.write(raw)
    watcher.look()
    watcher.look()
    (line,) = watched.lines()
    assert line.endswith("; its previous entries stay in force")
    assert "does not answer in HTTP" in line or "ended the connection" in line
    assert watched.owners == {"m": "a"}


def test_older_version_again(watched: Watched, server: RegistryServer) -> None:
    """A version that is older by ``Last-Modified`` is refused with one line; the same version may be older."""

    def serve(owner: str, hour: int) -> None:
        server.files["/models.json"] = content(owner)
        server.headers["Last-Modified"] = f"Mon, 02 Nov 2026 {hour:02}:00:00 GMT"

    serve("a", 12)
    watcher = follow(watched, server)
    serve("b", 11)
    reason = (
        "serves an older version again, of Mon, 02 Nov 2026 11:00:00 GMT; to go back to it, give it a new Last-Modified"
    )
    check_one_line(watched, watcher, server.url(), reason)
    serve("a", 10)
    server.files["/models.json"] = content("a")
    watcher.look()
    assert watched.lines() == [valid_again(server.url())]
    serve("b", 13)
    watcher.look()
    assert (watched.owners, watched.lines()) == ({"m": "b"}, [])


def test_invalid_content(watched: Watched, server: RegistryServer) -> None:
    """An invalid file has one line, and is not sent again while it is the same."""
    watcher = follow(watched, server)
    server.files["/models.json"] = b"[{}]"
    check_one_line_of_content(watched, watcher)
    assert [request.headers.get("if-none-match") for request in server.requests[-2:]] == [make_etag(b"[{}]")] * 2
    server.reply = lambda _request: Reply(500)
    watcher.look()
    server.reply = None
    watcher.look()
    (state,) = watcher.states()
    assert "field 'model_id': is missing" in (state.error or "")
    server.files["/models.json"] = content("a")
    watched.lines()
    watcher.look()
    assert watched.lines() == [valid_again(server.url())]


def check_one_line_of_content(watched: Watched, watcher: FileWatcher) -> None:
    for _ in range(3):
        watcher.look()
    (line,) = watched.lines()
    assert ", line 1, column " in line
    assert line.endswith("its previous entries stay in force; spanforge-models check lists all faults")
    assert watched.owners == {"m": "a"}


@pytest.mark.parametrize(
    ("url", "reason"),
    {
        "http://registry.example/m.json": "must begin with https://, because http would let anyone on the way change "
        "the models",
        "s3://bucket/m.json": "must begin with https://",
        "file:///etc/m.json": "must begin with https://; for a file, pass its path",
        "https://": "is not a valid address; characters other than ASCII and blanks are written as %XX",
        "https://host:99999/m.json": "is not a valid address",
        "https://host/a b.json": "is not a valid address; characters other than ASCII and blanks are written as %XX",
    }.items(),
)
def test_address_that_cannot_be_used(watched: Watched, url: str, reason: str) -> None:
    """An address that cannot be used has one line, and other files are followed."""
    watcher = watched.follow(url, watched.path)  # type: ignore[arg-type]
    watcher.look()
    assert watched.lines() == [cannot_load(url, f": {reason}", UNTIL_LOADED)]
    assert watched.owners == {"m": "a"}


def test_page_lists_the_faults() -> None:
    """The page of faults has the reason in each line that a server can cause, and the line of the missing extra."""
    page = PAGE.read_text("utf-8")
    names = ("slow", "endless", "redirect", "wrong type", "half a body", "unavailable")
    for name in names:
        words = FAULTS[name].reason.replace(f"{SECONDS:g}", "10").replace("2,048", "67,108,864")
        assert words.partition(";")[0].partition("'https:")[0] in page, name
    assert str(MissingExtraError("registry files at addresses", "http")) in page
