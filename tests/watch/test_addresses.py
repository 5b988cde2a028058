"""Registry files at https:// addresses: requests, copies on disk, and what else a registry follows beside them."""

from __future__ import annotations

import email.utils
import gc
import gzip
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, is_instrumentation_enabled
from support.log_lines import LOGGER
from support.processes import program_environment
from support.registry_server import JSON, Reply, Request, make_etag, serving_proxy, serving_registry
from support.watching import (
    LONG,
    UNREGISTERED,
    Watched,
    cannot_load,
    content,
    owners,
    put,
    settle,
    threads,
    valid_again,
    wait_until,
)

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._core import http_requests
from spanforge.model_registry._core.address_answers import read_address
from spanforge.model_registry._core.polling import MAX_PAUSE, MAX_RETRY_AFTER
from spanforge.model_registry._core.settings import CACHE, CERTIFICATE, FILE, HEADERS
from spanforge.model_registry.otel import status
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry_server import Authority, RegistryServer

UNTIL_LOADED = "its models show as unregistered until it can be loaded"
DOWN = ": cannot be reached: Connection refused"


def follow(*sources: object, interval: int = 0, registry: ModelRegistry | None = None) -> FileWatcher:
    """Follow sources, with a new registry if none is given."""
    chosen = ModelRegistry(auto_emit=False) if registry is None else registry
    watcher = FileWatcher(chosen, map(str, sources), reload_interval=interval)
    _kept.append(chosen)
    watcher.start()
    return watcher


_kept: list[ModelRegistry] = []
"""Registries of these tests, because a watcher does not keep its registry alive."""


@pytest.fixture(autouse=True)
def _release() -> Any:
    yield
    _kept.clear()


def find_copies(folder: Path) -> list[Path]:
    """Return the copies in a folder."""
    return sorted(folder.glob("*.copy"))


# Requests


def test_requests(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has the headers of the setting, the user of the address, and the ``ETag`` of the last answer."""
    monkeypatch.setenv(HEADERS.variable, "X-Team=a%2Cb,user-agent=mine")
    watcher = follow(server.url(user="user:p%40ss@"), registry=watched.registry)
    watcher.look()
    server.files["/models.json"] = content("b")
    watcher.look()
    first, second, third = server.requests
    assert first.headers["authorization"] == "Basic dXNlcjpwQHNz"
    assert (first.headers["x-team"], first.headers["user-agent"]) == ("a,b", "mine")
    assert "if-none-match" not in first.headers
    assert [each.headers["if-none-match"] for each in (second, third)] == [make_etag(content("a"))] * 2
    assert watched.owners == {"m": "b"}
    assert [state.path for state in watcher.states()] == [server.url()]
    assert watched.lines() == []


def test_last_modified_without_an_etag(watched: Watched, server: RegistryServer) -> None:
    """Without an ``ETag``, the date of the file is sent back."""
    date = "Mon, 02 Nov 2026 12:00:00 GMT"

    def reply(request: Request) -> Reply:
        if request.headers.get("if-modified-since") == date:
            return Reply(304)
        return Reply(200, {"Content-Type": JSON, "Last-Modified": date}, content("b"))

    server.reply = reply
    watcher = follow(server.url(), registry=watched.registry)
    watcher.look()
    assert watched.owners == {"m": "b"}
    assert [request.headers.get("if-modified-since") for request in server.requests] == [None, date]
    assert (watched.lines(), watcher.states()[0].error) == ([], None)


@pytest.mark.parametrize(
    ("path", "kind", "is_yaml"),
    [
        ("/m.json", "", False),
        ("/m.json", "text/plain; charset=utf-8", False),
        ("/m.yml", "application/octet-stream", True),
        ("/m", "application/yaml", True),
        ("/m", "application/vnd.acme+yaml", True),
        ("/m", "application/vnd.acme+json", False),
        ("/m.json?ref=a.yaml", JSON, False),
        ("/m.yaml?ref=a.json", JSON, True),
    ],
)
def test_format(server: RegistryServer, path: str, kind: str, *, is_yaml: bool) -> None:
    """The ending of the path decides whether a file is YAML, or else the content type."""
    body = b"[{model_id: m, name: N, version: 1, risk_tier: low, owner: y, purpose: p}]" if is_yaml else content("j")
    server.reply = lambda _request: Reply(200, {"Content-Type": kind} if kind else {}, body)
    entries, source = read_address(server.url(path))
    assert [entry.owner for entry in entries] == ["y" if is_yaml else "j"]
    assert source.path.startswith(server.url(path.partition("?")[0]))


def test_compressed_answer(server: RegistryServer) -> None:
    """An answer may be compressed with gzip."""
    body = gzip.compress(content("b"))
    server.reply = lambda _request: Reply(200, {"Content-Type": JSON, "Content-Encoding": "GZIP"}, body)
    assert [entry.owner for entry in read_address(server.url())[0]] == ["b"]


def test_query_is_not_shown(server: RegistryServer) -> None:
    """Addresses that differ in the query only are different files; a query may have a token, so it is not shown."""
    server.files["/models.json"] = content("a")
    server.reply = lambda request: Reply(200, {"Content-Type": JSON}, content("a", request.path[-1]))
    watcher = follow(server.url("/models.json?token=s3cret&n=1"), server.url("/models.json?token=s3cret&n=2"))
    states = watcher.states()
    assert [state.models for state in states] == [1, 1]
    assert len({state.path for state in states}) == 2
    assert all(state.path.startswith(f"{server.url()}?…") for state in states)
    assert [request.path for request in server.requests] == [f"/models.json?token=s3cret&n={n}" for n in "12"]


def test_requests_make_no_spans(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instrumentations of HTTP clients make no spans for requests, also those that replace methods of urllib3."""
    seen: list[bool] = []
    original = urllib3.HTTPConnectionPool.urlopen

    def urlopen(*arguments: Any, **options: Any) -> Any:
        seen.extend((is_instrumentation_enabled(), is_http_instrumentation_enabled()))
        return original(*arguments, **options)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    read_address(server.url())
    assert seen == [False, False]
    assert is_instrumentation_enabled()


def test_certificates_of_the_environment(
    server: RegistryServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a setting, the authorities of the system are trusted, which ``SSL_CERT_FILE`` replaces."""
    monkeypatch.delenv(CERTIFICATE.variable)
    with pytest.raises(RegistryFileError, match="unable to get local issuer certificate"):
        read_address(server.url())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    assert len(read_address(server.url())[0]) == 1


def test_plain_http_on_loopback(watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On loopback, for example for a sidecar, http is enough."""
    monkeypatch.setenv(CACHE.variable, str(tmp_path / "cache"))
    with serving_registry() as server:
        server.files["/models.json"] = content("b")
        watcher = follow(server.url(), registry=watched.registry)
        assert watched.owners == {"m": "b"}
        assert watcher.states()[0].path.startswith("http://")


@pytest.mark.filterwarnings("ignore:.*closed:pytest.PytestUnraisableExceptionWarning")  # http.client of Python 3.10
def test_proxy(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the proxy of the environment, also one with a password, unless the host is excepted."""
    with serving_proxy("Basic dXNlcjpwQHNz") as (port, tunnels):
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:p%40ss@127.0.0.1:{port}")
        watcher = follow(server.url(), registry=watched.registry)
        assert (watched.owners, watched.lines()) == ({"m": "a"}, [])
        assert tunnels == [f"127.0.0.1:{server.port}"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        watcher.look()
        assert len(tunnels) == 1
        monkeypatch.delenv("NO_PROXY")
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{port}")
        watcher.look()
        failed = ": cannot be reached through the proxy: Tunnel connection failed: 407 Proxy Authentication Required"
        assert watched.lines() == [cannot_load(server.url(), failed)]
        gc.collect()
    watcher.look()
    failed = ": cannot be reached through the proxy: it cannot be reached: Connection refused"
    assert watched.lines() == [cannot_load(server.url(), failed)]


def test_no_proxy_for_plain_http(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to this machine over plain http never leave it through a proxy."""
    monkeypatch.setenv(CACHE.variable, "none")
    with serving_registry() as server, serving_proxy() as (port, tunnels):
        server.files["/models.json"] = content("b")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        follow(server.url(), registry=watched.registry)
        assert (watched.owners, tunnels) == ({"m": "b"}, [])


# Times


def test_thread_follows_an_address(watched: Watched, server: RegistryServer) -> None:
    """The thread asks the server, and a change is in force."""
    watcher = follow(server.url(), interval=100, registry=watched.registry)
    server.files["/models.json"] = content("b")
    watched.wait_for_owner("b")
    watcher.stop()
    assert watched.lines() == []


def test_times_of_requests(server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests come within the interval, later after each failure, and not before ``Retry-After``, within its limit."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watcher = follow(server.url(), interval=0)
    watcher.reload_interval = 10_000
    watcher._reset()

    def find_pause() -> float:
        watcher.look()
        (source,) = watcher._sources
        return source.due - now[0]  # type: ignore[union-attr]

    assert all(5 <= find_pause() <= 9.5 for _ in range(5))
    server.reply = lambda _request: Reply(503)
    pauses = [find_pause() for _ in range(10)]
    assert all(10 * 2**n <= pause <= 20 * 2**n for n, pause in enumerate(pauses[:4]))
    assert all(MAX_PAUSE / 2 <= pause <= MAX_PAUSE for pause in pauses[5:])
    for text, seconds in {"600": 600, "999999": MAX_RETRY_AFTER, "1": MAX_PAUSE / 2, "soon": MAX_PAUSE / 2}.items():
        server.reply = lambda _request, text=text: Reply(429, {"Retry-After": text})
        assert seconds <= find_pause() <= max(1.5 * seconds, MAX_PAUSE)
    # The server's clock is a day ahead.
    sent = time.time() + 86_400
    dates = {"Date": email.utils.formatdate(sent, usegmt=True), "Retry-After": email.utils.formatdate(sent + 900)}
    server.reply = lambda _request: Reply(503, {**dates, "Server": "clock"})
    assert 898 <= find_pause() <= 1_352
    server.reply = None
    assert 5 <= find_pause() <= 9.5


def test_thread_asks_only_when_it_is_time(server: RegistryServer) -> None:
    """Looks at files do not ask the server before its time."""
    watcher = follow(server.url(), interval=0)
    watcher.reload_interval = 60_000
    watcher._reset()
    for _ in range(5):
        watcher._check(asks_all=False)
    assert len(server.requests) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_child_after_a_fork(server: RegistryServer) -> None:
    """A child follows the address with requests of its own."""
    registry = ModelRegistry(auto_emit=False)
    watcher = follow(server.url(), interval=100, registry=registry)
    child = os.fork()
    if child == 0:
        deadline = time.monotonic() + LONG
        while owners(registry) != {"m": "b"} and time.monotonic() < deadline:
            time.sleep(0.01)
        os._exit(0 if owners(registry) == {"m": "b"} else 1)
    watcher.stop()
    before = len(server.requests)
    server.files["/models.json"] = content("b")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(server.requests) > before
    assert owners(registry) == {"m": "a"}


# The start


@pytest.fixture
def hanging(server: RegistryServer) -> Any:
    """Let requests wait until the event is set."""
    answers = threading.Event()

    def wait(_request: Request) -> None:
        answers.wait(LONG)

    server.reply = wait
    yield answers
    answers.set()


def test_slow_server_does_not_delay_the_start(
    watched: Watched, server: RegistryServer, hanging: threading.Event
) -> None:
    """The start waits a second for a server, other files are in force at once, and a late answer has one line."""
    start = time.monotonic()
    watcher = follow(server.url(), watched.path, registry=watched.registry)
    assert 1 <= time.monotonic() - start < LONG
    assert watched.owners == {"m": "a"}
    server.files["/models.json"] = content("b", "n")
    hanging.set()
    wait_until(lambda: watched.owners == {"m": "a", "n": "b"})
    wait_until(lambda: watcher._has_looked)
    (line,) = watched.lines()
    assert line.startswith(f"warning: model registry: registry file {server.url()} came ")
    assert line.endswith(" s after the start; until then its models were unregistered")
    watcher.stop()


def test_copy_while_the_server_hangs(watched: Watched, server: RegistryServer) -> None:
    """With a copy of an earlier process, the models are there at once, although the server does not answer."""
    follow(server.url())
    answers = threading.Event()
    seen: list[dict[str, str]] = []

    def wait(_request: Request) -> None:
        seen.append(watched.owners)
        answers.wait(LONG)

    server.reply = wait
    watcher = follow(server.url(), registry=watched.registry)
    answers.set()
    assert seen == [{"m": "a"}]
    wait_until(lambda: watcher._has_looked)
    assert watched.lines() == []


@pytest.mark.slow
def test_import_without_addresses() -> None:
    """Without addresses, neither the package nor the instrumentor imports urllib3 or cryptography."""
    script = (
        "import sys; from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor as I; "
        "I().instrument(); print([m for m in sys.modules if m.split('.')[0] in ('urllib3', 'cryptography')])"
    )
    environment = program_environment(**{FILE.variable: "/none.json"})
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_extra(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without urllib3, one line has the command that installs it, and other files are followed."""
    monkeypatch.setitem(sys.modules, "urllib3", None)
    monkeypatch.delitem(sys.modules, http_requests.__name__)
    monkeypatch.delattr("spanforge.model_registry._core.http_requests")
    watcher = follow(server.url(), watched.path, registry=watched.registry)
    settle(watcher)
    installed = "pip install '.[http]' in a clone, or 'spanforge-model-registry[http]' for a released version"
    text = f": registry files at addresses need the extra http: {installed}"
    assert watched.lines() == [cannot_load(server.url(), text, UNTIL_LOADED)]
    assert watched.owners == {"m": "a"}
    with pytest.raises(RegistryFileError, match="http"):
        read_address(server.url())


# Copies


def test_copy_is_private(server: RegistryServer, tmp_path: Path) -> None:
    """The copy and its folder are the user's alone, and the copy does not name the address."""
    follow(server.url(user="user:s3cret@"))
    (copy,) = find_copies(tmp_path / "cache")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert b"s3cret" not in copy.read_bytes()
    assert copy.read_bytes().endswith(content("a"))


def test_restart_while_the_server_is_away(watched: Watched, server: RegistryServer, tmp_path: Path) -> None:
    """A restart uses the copy, with one line; its age counts from the server's last answer."""
    follow(server.url())
    (copy,) = find_copies(tmp_path / "cache")
    hour_ago = time.time() - 3_600
    os.utime(copy, (hour_ago, hour_ago))
    url = server.url()
    server.stop()
    watcher = follow(url, registry=watched.registry)
    watcher.look()
    assert watched.owners == {"m": "a"}
    assert watched.lines() == [cannot_load(url, DOWN)]
    assert 3_600 <= watcher.states()[0].age < 3_700


def test_restart_asks_with_the_etag_of_the_copy(server: RegistryServer, tmp_path: Path) -> None:
    """After a restart, a server that has the same file does not send it again; the time of the copy is then new."""
    follow(server.url())
    (copy,) = find_copies(tmp_path / "cache")
    os.utime(copy, (1e9, 1e9))
    follow(server.url())
    assert server.requests[-1].headers["if-none-match"] == make_etag(content("a"))
    assert copy.stat().st_mtime > 1e9


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda copy: copy.write_bytes(copy.read_bytes()[:-3]), "is damaged"),
        (lambda copy: copy.write_bytes(copy.read_bytes() + b" "), "is damaged"),
        (lambda copy: copy.write_bytes(b"{}\n[]"), "is damaged"),
        (lambda copy: copy.write_bytes(b""), "is damaged"),
        (lambda copy: copy.write_bytes(copy.read_bytes().replace(b'"address":"', b'"address":"x')), "is damaged"),
        (lambda copy: copy.chmod(0o666), "is not used, because every user can change it"),
        (lambda copy: copy.parent.chmod(0o777), "is not used, because every user can change it"),
        (lambda copy: (copy.unlink(), copy.mkdir()), "cannot be read: Is a directory"),
    ],
)
def test_copy_that_is_not_used(
    watched: Watched, server: RegistryServer, tmp_path: Path, spoil: Any, reason: str
) -> None:
    """A copy that is damaged, or that others can change, is not used, and one line has the reason."""
    follow(server.url())
    (copy,) = find_copies(tmp_path / "cache")
    spoil(copy)
    server.reply = lambda _request: Reply(500)
    follow(server.url(), registry=watched.registry)
    assert watched.owners == {}
    text = f"warning: model registry: the copy of registry file {server.url()} is not used: {copy} {reason}"
    assert watched.lines() == [
        text,
        cannot_load(server.url(), ": answers 500 Internal Server Error", UNTIL_LOADED),
    ]


def test_folder_for_copies_that_cannot_be_written(
    watched: Watched, server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder for copies there is one line, and the file is followed."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE.variable, str(tmp_path / "file" / "cache"))
    watcher = follow(server.url(), registry=watched.registry)
    server.files["/models.json"] = content("b")
    settle(watcher)
    assert watched.owners == {"m": "b"}
    (line,) = watched.lines()
    begin = f"warning: model registry: no copy of registry file {server.url()} is kept for a restart: {tmp_path}/file"
    assert line.startswith(begin)
    assert line.endswith("cannot be written: Not a directory")


def test_folder_for_copies_that_others_can_change(watched: Watched, server: RegistryServer, tmp_path: Path) -> None:
    """No copy is written where other users could replace it, and one line has the reason."""
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(0o777)
    watcher = follow(server.url(), registry=watched.registry)
    server.files["/models.json"] = content("b")
    settle(watcher)
    (line,) = watched.lines()
    assert line.endswith(f"cannot be kept, because every user can change the folder {folder}")
    assert find_copies(folder) == []
    assert watched.owners == {"m": "b"}


def test_no_copies(server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the value ``none`` there are no copies."""
    monkeypatch.setenv(CACHE.variable, "none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    follow(server.url())
    assert list(tmp_path.glob("*/**/*.copy")) == []


def test_default_folder(server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, copies are in the user's cache folder."""
    monkeypatch.delenv(CACHE.variable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    follow(server.url())
    assert len(find_copies(tmp_path / "xdg" / "spanforge-model-registry" / "registry-copies")) == 1


def test_user_without_a_folder(watched: Watched, server: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in some containers, has no copies, and one line."""
    for name in (CACHE.variable, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    watcher = follow(server.url(), registry=watched.registry)
    server.files["/models.json"] = content("b")
    settle(watcher)
    assert watched.owners == {"m": "b"}
    (line,) = watched.lines()
    reason = f"the user has no cache folder; set {CACHE.variable} to a folder, or to none"
    assert line.endswith(f"registry file {server.url()} is kept for a restart: {reason}")


# Beside other sources


def test_addresses_beside_files(watched: Watched, server: RegistryServer, tmp_path: Path) -> None:
    """Files, folders and addresses are combined, each address is followed, and a model in two of them is an error."""
    teams = tmp_path / "teams"
    teams.mkdir()
    (teams / "t.json").write_bytes(content("t", "t"))
    server.files["/other.json"] = content("o", "o")
    text = f"{teams}{os.pathsep}{server.url(user='u:s3cret@')},{server.url('/other.json')}"
    watched.path.unlink()
    watcher = FileWatcher(watched.registry, text, reload_interval=0)
    watcher.start()
    assert watched.owners == {"t": "t", "m": "a", "o": "o"}
    put(teams / "t.json", content("u", "t"))
    server.files["/other.json"] = content("p", "o")
    watcher.look()
    assert watched.owners == {"t": "u", "m": "a", "o": "p"}
    server.files["/other.json"] = content("p", "o", "m")
    settle(watcher)
    assert watched.owners == {"t": "u", "m": "a", "o": "p"}
    (line,) = watched.lines()
    assert f"model 'm' is in both {server.url()} and {server.url('/other.json')}" in line


def test_same_address_twice(server: RegistryServer) -> None:
    """Addresses that differ only in the user are one file."""
    watcher = follow(server.url(), server.url(user="u@"))
    assert len(watcher.states()) == len(server.requests) == 1


def test_status_and_log_lines_have_no_secrets(
    server: RegistryServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither ``status()`` nor log lines, at any level, have the password, the query or the headers."""
    caplog.set_level(logging.DEBUG, LOGGER)
    monkeypatch.setenv(HEADERS.variable, "authorization=s3cret")
    monkeypatch.setenv(FILE.variable, server.url("/models.json?token=s3cret", user="user:s3cret@"))
    watcher = follow_settings(reload_interval=0)
    assert watcher is not None
    server.reply = lambda _request: Reply(302, {"Location": "https://u:s3cret@example.com/?token=s3cret"})
    settle(watcher)
    (state,) = status().files
    assert state.path.startswith(server.url())
    assert "s3cret" not in str(status())
    messages = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert messages
    assert "s3cret" not in "\n".join(messages)


def test_missing_file_beside_an_address(watched: Watched, server: RegistryServer) -> None:
    """A missing file has its line, and the address is followed."""
    watched.path.unlink()
    watcher = follow(watched.path, server.url(), registry=watched.registry)
    assert watched.owners == {"m": "a"}
    assert watched.lines() == [cannot_load(watched.path, ": no such file", UNREGISTERED)]
    put(watched.path, content("x", "x"))
    settle(watcher)
    assert watched.owners == {"m": "a", "x": "x"}
    assert watched.lines() == [valid_again(watched.path)]
    assert threads() == []
