"""Files that change while workers of gunicorn follow them, and processes that end while they follow a file.

Run as a program, this file is such a process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.live_updates import DEADLINE, WITHIN, Held, content, owner, settings
from support.processes import SECONDS, end_within, program_command
from support.registry_server import Authority, Reply, serving_registry
from support.servers import get
from support.waiting import poll, wait_until
from support.watching import put

from spanforge.model_registry._core.settings import CACHE, CERTIFICATE
from spanforge.model_registry.watch import follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 3
MANY = 10_000


def end(path: Path, way: str, big: Path) -> None:
    """End in some way, while the thread waits for its next look, or is loading a big file."""
    held = Held()
    put(path, content("a"))
    threading.setprofile(held)
    held.at("_release_save")
    follow_settings()
    threading.setprofile(None)
    assert held.reached.wait(SECONDS / 4)
    held.let_go.set()
    if way.startswith("loading"):
        held.at("parse_entries")
        put(path, big.read_bytes())
        assert held.reached.wait(SECONDS / 4)
        held.let_go.set()
    sys.stdout.write(f"{time.time()}\n")
    sys.stdout.flush()
    ways[way.rsplit(maxsplit=1)[-1]](path)


def exit_with_a_code(_path: Path) -> None:
    sys.exit(3)


def fail(_path: Path) -> None:
    raise ZeroDivisionError


def wait_for_a_signal(_path: Path) -> None:
    time.sleep(SECONDS)


def have_a_child_end(_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(7)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def leave_a_thread(path: Path) -> None:
    """Leave the process to another thread, for which the file is followed still."""

    def go_on() -> None:
        threading.main_thread().join()
        put(path, content("late"))
        seen = poll(lambda: owner() == "owner-late")
        sys.stdout.write(f"{time.time()}\n{seen}\n")

    threading.Thread(target=go_on).start()


ways: dict[str, Callable[[Path], None]] = {
    "return": lambda _path: None,
    "exit": exit_with_a_code,
    "exception": fail,
    "signal": wait_for_a_signal,
    "child": have_a_child_end,
    "thread": leave_a_thread,
}
CODES = {"return": 0, "exit": 3, "exception": 1, "signal": -signal.SIGTERM, "child": 7, "thread": 0}

APPLICATION = """
import json, os, time
from opentelemetry.sdk.trace import TracerProvider
from spanforge.model_registry import get_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

provider = TracerProvider()
provider.add_span_processor(ModelRegistrySpanProcessor())

def answer():
    time.sleep(0.02)  # for the other workers to have their turn
    return json.dumps([os.getpid(), get_model("model-0").owner]).encode()

def wsgi(environ, start_response):
    start_response("200 OK", [("content-type", "application/json")])
    return [answer()]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer()})
"""


class Gunicorn:
    """A gunicorn with several workers on a free port of loopback."""

    def __init__(self, folder: Path, file: Path | str, *arguments: str, **variables: str) -> None:
        (folder / "application.py").write_text(APPLICATION)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", f"--workers={WORKERS}", "--bind=127.0.0.1:0", *arguments],
                cwd=folder,
                env={**settings(file), **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.url = self._ready()

    def _ready(self) -> str:
        pattern = re.compile(r"Listening at: (http://127\.0\.0\.1:\d+)")
        wait_until(lambda: self.log.read_text().count("Booting worker") == WORKERS)
        found = pattern.search(self.log.read_text())
        assert found
        return found.group(1)

    def ask(self) -> list[Any]:
        found: list[Any] = json.loads(get(self.url))
        return found

    def owners(self, awaited: str = "") -> dict[int, set[str]]:
        """Return the model's owners in each worker, once all have answered, with the awaited owner alone."""
        found: dict[int, set[str]] = {}

        def ask_all() -> None:
            if awaited:
                found.clear()
            for worker, owner_ in pool.map(lambda _: self.ask(), range(4 * WORKERS)):
                found.setdefault(worker, set()).add(owner_)

        def is_complete(_: None) -> bool:
            return len(found) == WORKERS and (not awaited or set().union(*found.values()) == {awaited})

        with ThreadPoolExecutor(2 * WORKERS) as pool:
            poll(ask_all, is_complete, seconds=DEADLINE)
        return found

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(SECONDS / 4) == 0, self.log.read_text()


UVICORN = "--worker-class=uvicorn_worker.UvicornWorker"


@pytest.mark.e2e
@pytest.mark.parametrize(
    "arguments",
    [["application:wsgi", "--preload"], ["application:asgi", UVICORN]],
    ids=["wsgi preloaded", "asgi"],
)
def test_every_worker_of_gunicorn(tmp_path: Path, path: Path, arguments: list[str]) -> None:
    """A change is in force in every worker soon; the last good entries stay in force if the file becomes bad."""
    put(path, content("a"))
    gunicorn = Gunicorn(tmp_path, path, *arguments)
    following = WORKERS + ("--preload" in arguments)
    bad = "must be a JSON array of entries; got null; its previous entries stay in force"
    try:
        said = {"a": gunicorn.owners()}
        path.write_bytes(content("b"))
        said["b"] = gunicorn.owners("owner-b")
        path.write_bytes(b"null")
        wait_until(lambda: gunicorn.log.read_text().count(bad) == following, seconds=DEADLINE)
        said["bad"] = gunicorn.owners()
        path.write_bytes(content("c"))
        said["c"] = gunicorn.owners("owner-c")
    finally:
        gunicorn.stop()
    assert [len(found) for found in said.values()] == [WORKERS] * 4
    assert len({worker for found in said.values() for worker in found}) == WORKERS
    owners = {name: set().union(*found.values()) for name, found in said.items()}
    assert owners == {"a": {"owner-a"}, "b": {"owner-b"}, "bad": {"owner-b"}, "c": {"owner-c"}}
    log = gunicorn.log.read_text()
    assert "Traceback" not in log
    assert log.count(bad) == following


@pytest.mark.e2e
def test_every_worker_of_gunicorn_follows_an_address(tmp_path: Path) -> None:
    """A change on a server is in force in every worker soon; each worker asks the server itself."""
    authority = Authority(tmp_path / "authority")
    variables = {CERTIFICATE.variable: str(authority.root), CACHE.variable: str(tmp_path / "cache")}
    variables["NO_PROXY"] = "127.0.0.1"
    with serving_registry(authority.issue()) as server:
        server.files["/models.json"] = content("a")
        gunicorn = Gunicorn(tmp_path, server.url(), "application:wsgi", "--preload", **variables)
        failing = "answers 500 Internal Server Error; its previous entries stay in force"
        try:
            assert set().union(*gunicorn.owners("owner-a").values()) == {"owner-a"}
            server.files["/models.json"] = content("b")
            assert set().union(*gunicorn.owners("owner-b").values()) == {"owner-b"}
            wait_until(lambda: len(server.sent) == 1 + WORKERS + 1, seconds=DEADLINE)
            server.reply = lambda _request: Reply(500)
            wait_until(lambda: gunicorn.log.read_text().count(failing) == WORKERS + 1, seconds=DEADLINE)
            assert set().union(*gunicorn.owners().values()) == {"owner-b"}
        finally:
            gunicorn.stop()
    log = gunicorn.log.read_text()
    assert "Traceback" not in log
    assert log.count(failing) == WORKERS + 1


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of 10,000 models."""
    path = tmp_path_factory.mktemp("big") / "models.json"
    path.write_bytes(content("big", MANY))
    return path


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("what", "way"),
    [*(("waiting", way) for way in ways), *(("loading", way) for way in ("return", "signal", "child", "thread"))],
)
def test_a_process_ends(path: Path, big: Path, what: str, way: str) -> None:
    """A process ends as if it followed no file: at once although the interval is long, with its own code, quietly."""
    process = subprocess.Popen(
        program_command(__file__, "end", path, f"{what} {way}", big),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings(path, WITHIN if "loading" in what or way == "thread" else SECONDS),
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    if way == "signal":
        process.terminate()
    out, err = process.communicate(timeout=SECONDS)
    ended = time.time()
    assert process.returncode == CODES[way], err
    if way == "exception":
        assert err.count("Traceback") == 1
        assert err.endswith("\nZeroDivisionError\n")
    else:
        assert err == ""
    began, *more = (first + out).split()[-2:] if way == "thread" else [first]
    assert more == (["True"] if way == "thread" else [])
    assert ended - float(began) < SECONDS / 4


if __name__ == "__main__":
    end_within(SECONDS)
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # about threads: that is what is tested
    end(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
