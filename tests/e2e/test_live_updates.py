"""Files that change under load, through mounts, in forked workers, and at exit. Run as a program, this file is these.

A process that hangs is a failure too: it ends itself, and says where every thread stands.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import json
import logging
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import urllib.request
import warnings
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from spanforge.model_registry import ModelRegistry, get_default_registry, get_model
from spanforge.model_registry._core.values import Metadata
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

THREADS = 8
REPLACEMENTS = 1_000
MODELS = 50
INTERVAL = 0.01
"""Seconds within which a change is to be in force while there are 1,000 of them."""
BUSY = 0.5
"""Seconds that 8 busy threads may keep another one from its turn: far fewer in general."""
FORKS = 50
WORKERS = 3
MANY = 50_000
WITHIN = 0.2
"""Seconds within which processes are to follow."""
SLACK = 0.5
"""Seconds that a busy machine may be late."""
SECONDS = 60


def content(stamp: object, models: int = 1) -> bytes:
    """Return a file of models that all say the same: which version of it they are of."""
    before = {"name": "N", "version": f"{stamp}", "risk_tier": "low", "owner": f"owner-{stamp}", "purpose": "test"}
    after = {"status": "active", "deployment_date": None, "decommission_date": None}
    return json.dumps(
        [
            {"model_id": f"model-{number}", **before, **after, "metadata": {"aliases": [f"alias-{number}"]}}
            for number in range(models)
        ]
    ).encode()


def put(path: Path, data: bytes) -> None:
    """Have a file hold something all at once: by another file that takes its place."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def owner() -> str | None:
    entry = get_model("model-0")
    return None if entry is None else entry.owner


def wait_until(condition: Callable[[], Any], seconds: float = SECONDS / 4) -> bool:
    """Wait for something to become true; tell whether it has."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Exporter(SpanExporter):
    """Checks each span at once, and keeps of it when it was and which version it shows; without a lock."""

    def __init__(self) -> None:
        self.spans = [array("q") for _ in range(THREADS)]
        self.wrong: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            found: dict[str, Any] = dict(span.attributes or {})
            version = found.get("model_registry.version", "")
            expected = {
                "model_registry.model_id": found["app.model"],
                "model_registry.owner": f"owner-{version}",
                "model_registry.status": "active",
                "model_registry.risk_tier": "low",
            }
            if expected.items() <= found.items() and span.start_time and span.end_time:
                self.spans[found["app.thread"]].extend((span.start_time, span.end_time, int(version)))
            else:
                self.wrong.append(found)
        return SpanExportResult.SUCCESS


class Load:
    """Threads that call models and look at the registry, until they are told to stop."""

    def __init__(self) -> None:
        self.exporter, self.done = Exporter(), threading.Event()
        self.registry = get_default_registry()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        provider.add_span_processor(ModelRegistrySpanProcessor())
        self.tracer = provider.get_tracer("app")
        self.torn: list[int] = []
        self.opened: list[str] = []
        self.threads = [threading.Thread(target=self.call, args=(name,), name="app") for name in range(THREADS)]
        sys.addaudithook(self.observe)

    def observe(self, event: str, facts: tuple[Any, ...]) -> None:
        if event == "open" and threading.current_thread() in self.threads:
            self.opened.append(str(facts[0]))

    def call(self, name: int) -> None:
        choice = random.Random(name)
        while not self.done.is_set():
            number = choice.randrange(MODELS)
            model = choice.choice(["model", "alias"])
            with self.tracer.start_as_current_span("chat", attributes={"app.model": f"model-{number}"}) as span:
                span.set_attributes({"app.thread": name, "gen_ai.request.model": f"{model}-{number}"})
                time.sleep(0.002)
            entries = self.registry.list_all()
            if len(entries) != MODELS or len({entry.owner for entry in entries}) != 1:
                self.torn.append(len(entries))


def memory() -> tuple[int, int]:
    """Return how many entries' metadata there are in this process, and the kilobytes that it has in memory."""
    gc.collect()
    entries = sum(type(each) is Metadata for each in gc.get_objects())
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return entries, pages * os.sysconf("SC_PAGE_SIZE") // 1_024


def replace_under_load(path: Path) -> dict[str, Any]:
    lines = Lines().lines
    put(path, content(0, MODELS))
    watcher = FileWatcher(get_default_registry(), [str(path)], reload_interval=int(INTERVAL * 1_000))
    watcher.start()
    load, choice = Load(), random.Random(0)
    for thread in load.threads:
        thread.start()
    replaced = [(0, 0)]
    memories = []
    for version in range(1, REPLACEMENTS + 1):
        data = content(version, MODELS)
        time.sleep(choice.uniform(0, INTERVAL))
        before = time.time_ns()
        put(path, data)
        replaced.append((before, time.time_ns()))
        if version % 200 == 0:
            memories.append(memory())
    caught_up = wait_until(lambda: owner() == f"owner-{REPLACEMENTS}")
    time.sleep(0.05)
    load.done.set()
    for thread in load.threads:
        thread.join()
    return {
        **judged(load.exporter, replaced),
        "wrong": load.exporter.wrong[:3],
        "torn": load.torn[:3],
        "opened": load.opened[:3],
        "lines": lines,
        "caught up": caught_up,
        "memory": memories,
    }


def judged(exporter: Exporter, replaced: list[tuple[int, int]]) -> dict[str, Any]:
    """Compare the version that each span shows with those that were on the disk before it ended.

    A version is there from the moment before it took its place, at the earliest, to the moment after the next one did.
    How late a span is, is how long it began after that.
    """
    late, early, back, seen = [], 0, 0, set()
    for spans in exporter.spans:
        last = 0
        for start, end, version in zip(*[iter(spans)] * 3, strict=True):
            early += end < replaced[version][0]
            gone = replaced[version + 1][1] if version < REPLACEMENTS else end
            late.append(max(0, start - gone))
            back += version < last
            last = version
            seen.add(version)
    late.sort()
    middle, latest = late[len(late) // 2] / 1e9, late[-1] / 1e9
    return {"spans": len(late), "seen": len(seen), "early": early, "back": back, "middle": middle, "latest": latest}


def follow_mounts(folder: Path) -> dict[str, Any]:
    """Follow a file and a folder that are mounted elsewhere, and a folder whose clock is coarse."""
    folder.mkdir()
    there, here = folder / "there", folder / "here"
    for each in (there, here, here / "folder", here / "coarse"):
        each.mkdir()
    file, mounted = there / "models.json", here / "models.json"
    file.write_bytes(content("a"))
    mounted.touch()
    for source, target in ((file, mounted), (there, here / "folder")):
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
    subprocess.run(["mount", "-t", "ramfs", "ramfs", str(here / "coarse")], check=True)
    one, two = ModelRegistry(auto_emit=False), ModelRegistry(auto_emit=False)
    for registry, path in ((one, mounted), (two, here / "folder" / "models.json")):
        FileWatcher(registry, [str(path)], reload_interval=int(WITHIN * 1_000)).start()

    def found() -> list[str]:
        return [entry.owner for registry in (one, two) for entry in registry]

    report: dict[str, Any] = {"at first": found()}
    file.write_bytes(content("b"))
    time.sleep(WITHIN + SLACK)
    report["written in its place"] = found()
    put(file, content("c"))
    time.sleep(WITHIN + SLACK)
    report["replaced"] = found()
    coarse, three = here / "coarse" / "models.json", ModelRegistry(auto_emit=False)
    coarse.write_bytes(content("x"))
    watcher = FileWatcher(three, [str(coarse)], reload_interval=0)
    watcher.start()
    hidden = missed = 0
    for name in "yz" * 50:
        before = coarse.stat()
        coarse.write_bytes(content(name))
        hidden += coarse.stat() == before
        for _ in range(2):
            watcher.look()
        missed += [entry.owner for entry in three] != [f"owner-{name}"]
    return {**report, "hidden": hidden, "missed": missed}


def end_within(seconds: int) -> None:
    """Have this process end and say where its threads are, if it has not ended by itself; a child has its own time."""
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(seconds)


def sees(expected: str) -> bool:
    """Tell whether this process follows the file to that owner, within the interval."""
    return wait_until(lambda: owner() == expected, WITHIN + SLACK)


def child_of_multiprocessing(ready: Any, changed: Any) -> None:
    """Be an application, which sets up the processor; in a forked one that has happened."""
    end_within(SECONDS // 4)
    ModelRegistrySpanProcessor()
    was = owner()
    ready.release()
    changed.wait()
    sys.exit(0 if (was, sees("owner-b")) == ("owner-a", True) else 1)


def children_follow(path: Path) -> dict[str, Any]:
    put(path, content("a"))
    ModelRegistrySpanProcessor()
    report: dict[str, Any] = {}
    for method in ("fork", "spawn", "forkserver"):
        if method not in multiprocessing.get_all_start_methods():
            continue
        put(path, content("a"))
        wait_until(lambda: owner() == "owner-a")
        context: Any = multiprocessing.get_context(method)
        ready, changed = context.Semaphore(0), context.Event()
        children = [context.Process(target=child_of_multiprocessing, args=(ready, changed)) for _ in range(2)]
        for child in children:
            child.start()
        for _ in children:
            ready.acquire(timeout=SECONDS / 4)
        put(path, content("b"))
        changed.set()
        for child in children:
            child.join()
        report[method] = [child.exitcode for child in children]
    return report


STEPS = (
    "_read_together",
    "_read",
    "parse_entries",
    "_publish",
    "replace_file_entries",
    "_log_change",
    "info",
    "emit",
    "_release_save",
)
"""Functions at whose beginning the thread is held while the process forks; in the last one it is about to wait."""


class Held:
    """Holds the thread that looks where it calls a function, once, until it is let go; set as its profile function."""

    def __init__(self) -> None:
        self.step = ""
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self, frame: Any, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name == self.step:
            self.step = ""
            self.reached.set()
            self.let_go.wait(SECONDS / 4)

    def at(self, step: str) -> None:
        self.reached.clear()
        self.let_go.clear()
        self.step = step


class Lines(logging.Handler):
    """Keeps what the library logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        logger = logging.getLogger("spanforge.model_registry")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def code_of(child: Callable[[], bool]) -> int:
    """Fork, and return the exit code of a child that tells whether all is well."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            end_within(SECONDS // 4)
            code = 0 if child() else 2
        except BaseException:  # noqa: BLE001 - the parent gets the code, the reader the text
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def follows_and_forks(path: Path) -> bool:
    """Do in a child what can be done: look at once, follow, have a child that follows, stop, and start again."""
    watcher = follow_settings()
    assert watcher is not None
    watcher.look()
    assert owner() == "owner-good"

    def follows(stamp: str) -> bool:
        put(path, content(stamp))
        return sees(f"owner-{stamp}")

    assert follows("child")
    assert code_of(lambda: follows("grandchild")) == 0
    assert sees("owner-grandchild")
    watcher.stop()
    put(path, content("nobody"))
    time.sleep(WITHIN)
    assert owner() == "owner-grandchild"
    watcher.start()
    return follows("again")


def fork_in_a_look(path: Path) -> dict[str, Any]:
    """Fork while the thread is in the middle of a look, wherever that is; a look that makes a bad file good again."""
    held, lines = Held(), Lines().lines
    threading.setprofile(held)
    put(path, content("good"))
    held.at("_read_together")
    starting = threading.Thread(target=follow_settings)
    starting.start()
    report: dict[str, Any] = {"start": [held.reached.wait(SECONDS / 4), code_of(lambda: follows_and_forks(path))]}
    held.let_go.set()
    starting.join()
    for number, step in enumerate(STEPS):
        put(path, b" " * number)
        assert wait_until(lambda: "Expecting value" in lines[-1] if lines else False)
        held.at(step)
        put(path, content("good"))
        reached = held.reached.wait(SECONDS / 4)
        report[step] = [reached, code_of(lambda: follows_and_forks(path))]
        held.let_go.set()
        assert wait_until(lambda: "is valid again" in lines[-1])
    return report


def fork_while_busy(path: Path) -> dict[str, Any]:
    """Fork again and again while the thread does nothing but look, at a file that changes all the time."""
    put(path, content("first", MODELS))
    watcher = FileWatcher(get_default_registry(), [str(path)], reload_interval=1)
    watcher.start()
    done = threading.Event()

    def replace() -> None:
        for number in itertools.count():
            if done.is_set():
                return
            put(path, content(number, MODELS))
            time.sleep(0.003)

    def follows() -> bool:
        was = {entry.owner for entry in get_default_registry()}
        assert len(was) == 1
        watcher.look()
        return wait_until(lambda: {entry.owner for entry in get_default_registry()} != was, SECONDS / 8)

    thread = threading.Thread(target=replace)
    thread.start()
    codes = [code_of(follows) for _ in range(FORKS)]
    done.set()
    thread.join()
    return {"codes": codes}


def end(path: Path, way: str, big: Path) -> None:
    """End in some way, while the thread waits for its next look, or is loading a big file."""
    held, loading = Held(), way.startswith("loading")
    put(path, content("a"))
    threading.setprofile(held)
    follow_settings()
    threading.setprofile(None)
    if loading:
        held.at("parse_entries")
        put(path, big.read_bytes())
        assert held.reached.wait(SECONDS / 4)
        held.let_go.set()
    else:
        time.sleep(0.1)
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
        seen = wait_until(lambda: owner() == "owner-late")
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

    def __init__(self, folder: Path, file: Path, *arguments: str) -> None:
        (folder / "application.py").write_text(APPLICATION)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", f"--workers={WORKERS}", "--bind=127.0.0.1:0", *arguments],
                cwd=folder,
                env=environment(file),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.url = self._ready()

    def _ready(self) -> str:
        pattern = re.compile(r"Listening at: (http://127\.0\.0\.1:\d+)")
        assert wait_until(lambda: self.log.read_text().count("Booting worker") == WORKERS), self.log.read_text()
        found = pattern.search(self.log.read_text())
        assert found
        return found.group(1)

    def ask(self) -> list[Any]:
        with _direct.open(self.url, timeout=10) as answer:
            found: list[Any] = json.loads(answer.read())
        return found

    def owners(self) -> dict[int, set[str]]:
        """Return what each worker says whose the model is, once all of them have said something."""
        found: dict[int, set[str]] = {}
        end = time.monotonic() + SECONDS / 4
        with ThreadPoolExecutor(2 * WORKERS) as pool:
            while len(found) < WORKERS and time.monotonic() < end:
                for worker, owner_ in pool.map(lambda _: self.ask(), range(4 * WORKERS)):
                    found.setdefault(worker, set()).add(owner_)
        return found

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(SECONDS / 4) == 0, self.log.read_text()


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment(file: Path) -> dict[str, str]:
    """Return what a process has that follows a file by setting, whatever these tests are run with."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {
        **clean,
        "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(file),
        "OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL": str(int(WITHIN * 1_000)),
    }


def command(mode: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", __file__, mode, *map(str, arguments)]


def run(mode: str, path: Path, *before: str) -> dict[str, Any]:
    run = subprocess.run(
        [*before, *command(mode, path)],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
        env=environment(path),
    )
    assert (run.returncode, run.stderr) == (0, "")
    report: dict[str, Any] = json.loads(run.stdout)
    return report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a registry file."""
    return tmp_path / "models.json"


@pytest.mark.e2e
def test_a_thousand_replacements_under_load(path: Path, record_property: Callable[[str, object], None]) -> None:
    """Spans of 8 threads show one whole version each that was in force during them; the memory is the same after."""
    report = run("load", path)
    record_property("live updates", report)
    assert (report["wrong"], report["torn"], report["lines"]) == ([], [], [])
    assert report["opened"] == []  # a thread of the application opens no file: what is asked of a disk may take long
    assert (report["early"], report["back"]) == (0, 0)
    assert report["latest"] <= INTERVAL + BUSY, report
    assert report["caught up"]
    assert report["seen"] > REPLACEMENTS / 5, report
    assert report["spans"] > REPLACEMENTS
    entries, kilobytes = zip(*report["memory"], strict=True)
    # A version is in force, one may be being read, and each thread may still hold the one that it has listed last.
    assert max(entries) <= (THREADS + 2) * MODELS + 10, entries
    # Versions take 40 kB each, and what is kept of spans 500 kB: were a fourth of all versions kept, it would show.
    assert kilobytes[-1] - kilobytes[0] < 4_000, kilobytes


@pytest.mark.e2e
def test_mounts(tmp_path: Path) -> None:
    """Files written in their places are followed through mounts of the file and of the folder; renamed, of the latter.

    On a disk whose clock is coarse, a change that moves no time is found as well.
    """
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    tried = "mkdir here; mount --bind here here"
    try:
        may = subprocess.run([*alone, "sh", "-c", tried], cwd=tmp_path, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program unshare, to mount in a namespace of its own")
    if may.returncode != 0:
        pytest.skip(f"this process may not mount: {may.stderr.decode(errors='replace').strip()}")
    report = run("mounts", tmp_path / "mounts", *alone)
    assert report["at first"] == ["owner-a", "owner-a"]
    assert report["written in its place"] == ["owner-b", "owner-b"]
    assert report["replaced"] == ["owner-b", "owner-c"]  # a mount of a file is a mount of that file
    assert report["hidden"] > 0
    assert report["missed"] == 0


@pytest.mark.e2e
def test_children_of_multiprocessing(path: Path) -> None:
    """Children follow the file, however they are started."""
    report = run("children", path)
    assert report.keys() >= {"spawn"}
    assert all(codes == [0, 0] for codes in report.values()), report


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forking_in_the_middle_of_a_look(path: Path) -> None:
    """Wherever the thread is when the process forks, the child can do everything at once, and follows."""
    assert run("looks", path) == {step: [True, 0] for step in ("start", *STEPS)}


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fifty_forks_while_the_file_changes(path: Path) -> None:
    """Each of 50 children has one whole version at once, and follows; none hangs."""
    assert run("busy", path)["codes"] == [0] * FORKS


@pytest.mark.e2e
@pytest.mark.parametrize(
    "arguments",
    [
        ["application:wsgi"],
        ["application:wsgi", "--preload"],
        ["application:asgi", "--worker-class=uvicorn_worker.UvicornWorker"],
        ["application:asgi", "--worker-class=uvicorn_worker.UvicornWorker", "--preload"],
    ],
    ids=["wsgi", "wsgi preloaded", "asgi", "asgi preloaded"],
)
def test_every_worker_of_gunicorn(tmp_path: Path, path: Path, arguments: list[str]) -> None:
    """A change is in force in every worker within the interval; what was last good stays when the file goes bad."""
    put(path, content("a"))
    gunicorn = Gunicorn(tmp_path, path, *arguments)
    try:
        said = {}
        for name, data in (("a", None), ("b", content("b")), ("bad", b"null"), ("c", content("c"))):
            if data is not None:
                path.write_bytes(data)
                time.sleep(WITHIN + SLACK)
            said[name] = gunicorn.owners()
    finally:
        gunicorn.stop()
    assert [len(found) for found in said.values()] == [WORKERS] * 4
    assert len({worker for found in said.values() for worker in found}) == WORKERS
    owners = {name: set().union(*found.values()) for name, found in said.items()}
    assert owners == {"a": {"owner-a"}, "b": {"owner-b"}, "bad": {"owner-b"}, "c": {"owner-c"}}
    log = gunicorn.log.read_text()
    assert "Traceback" not in log
    following = WORKERS + ("--preload" in arguments)
    assert log.count("must be a JSON array of entries; got null; its previous entries stay in force") == following


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of 50,000 models."""
    path = tmp_path_factory.mktemp("big") / "models.json"
    path.write_bytes(content("big", MANY))
    return path


@pytest.mark.e2e
@pytest.mark.parametrize("way", ways)
@pytest.mark.parametrize("what", ["waiting", "loading"])
def test_a_process_ends(path: Path, big: Path, what: str, way: str) -> None:
    """A process ends as if nobody followed a file: at once, with its own code, and nothing to say."""
    process = subprocess.Popen(
        command("end", path, f"{what} {way}", big),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(path),
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
    assert ended - float(began) < (1 if what == "waiting" else 3)


@pytest.mark.e2e
def test_nothing_is_read_any_more_at_exit(path: Path) -> None:
    """The thread has ended when the handlers run that the application has registered for its exit."""
    put(path, content("a"))
    script = """
        import atexit, threading, time
        def report():
            time.sleep(0.1)
            print([thread.name for thread in threading.enumerate()])
        atexit.register(report)
        from spanforge.model_registry.watch import follow_settings
        assert follow_settings() and threading.active_count() == 2
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env=environment(path),
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "['MainThread']\n", "")


if __name__ == "__main__":
    end_within(SECONDS)
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # about threads: that is what is tested
    if sys.argv[1] == "end":
        end(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    else:
        modes: dict[str, Callable[[Path], dict[str, Any]]] = {
            "load": replace_under_load,
            "mounts": follow_mounts,
            "children": children_follow,
            "looks": fork_in_a_look,
            "busy": fork_while_busy,
        }
        json.dump(modes[sys.argv[1]](Path(sys.argv[2])), sys.stdout)
