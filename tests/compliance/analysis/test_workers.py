"""Files read in processes of their own: the same figures, clear errors, and nothing left behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis import calls, scan_data, workers
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._analysis.workers import ScannedInput, scan_inputs
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Otlp  # type: ignore[import-not-found]

START, END = to_nanos("2026-01-01"), to_nanos("2026-02-01")
SOURCE = str(Path(workers.__file__).parents[3])
ENDED = "cannot be read: the process that read it ended unexpectedly"


def request(start: int = START, end: int = END) -> ScanRequest:
    metadata = {"aliases": ["gpt-4o-*"], "n": [1, 2.5, None, "\u2028"], "deprecation_date": "2026-01-05"}
    entry = ModelRegistryEntry("gpt-4o", "N", "1", "low", "team", "test", metadata=metadata)
    return ScanRequest(start, end, 10**9, 0, [entry], ("my.model",), "x")


@pytest.fixture
def readers(tmp_path: Path, otlp: Otlp) -> list[FileReader]:
    """Give four files, one with a name that is no Unicode, one of them cut off."""
    made = []
    for number, name in enumerate([b"a.jsonl", b"b.jsonl.gz", b"c\xff.jsonl", b"d.jsonl.gz"]):
        event = otlp.event("model_registry.retired", START + 5, **{"model_registry.model_id": "gpt-4o"})
        spans = [otlp.span(model, START + number) for model in ("gpt-4o-1", "x", None) for _ in range(number + 1)]
        content = otlp.line(*spans, otlp.span() | {"events": [event]}) + b"\n[]\n"
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(gzip.compress(content)[:-4] if name.endswith(b".gz") else content)
        made.append(FileReader(os.fsdecode(path), f"n{number}"))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "ids").mkdir()
    return str(tmp_path / "ids")


class Started:
    """The processes that were started, instead of what they would be by default."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        popen = subprocess.Popen

        def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
            process = popen(*args, **kwargs)
            self.processes.append(process)
            return process

        monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 0)
        monkeypatch.setattr(workers, "_count_cores", lambda: 3)
        monkeypatch.setattr(workers.subprocess, "Popen", start)

    def gone(self) -> bool:
        """Tell whether all have ended and were waited for: a zombie still has a number."""
        for process in self.processes:
            assert process.returncode is not None
            with pytest.raises(ProcessLookupError):
                os.kill(process.pid, 0)
        return bool(self.processes)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Have every two files read by processes, three at a time; they must be gone in the end."""
    known = Started(monkeypatch)
    threads = threading.active_count()
    yield known
    assert known.gone()
    assert threading.active_count() == threads


def told(reads: list[ScannedInput]) -> list[Any]:
    return [(*(getattr(read, field) for field in read.__struct_fields__[:-1]), repr(read.result)) for read in reads]


def ids(folder: str) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    for name in found:
        os.unlink(os.path.join(folder, name))
    return found


def test_the_same_in_processes(readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes give what workers without them gives, in the order of the files, and leave the same ids."""
    monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 10**9)
    expected, spilled = told(scan_inputs(readers, request(), folder)), ids(folder)
    assert [read[0] for read in expected] == ["n0", "n1", "n2", "n3"]
    assert [bool(read[4]) for read in expected] == [True] * 4
    started = Started(monkeypatch)
    assert told(scan_inputs(readers, request(), folder)) == expected
    assert ids(folder) == spilled
    assert len(started.processes) == 3
    assert started.gone()


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(("start", "end"), [("0001-01-01", "2026-02-01"), ("2026-01-01", "9999-12-31")])
def test_long_periods(readers: list[FileReader], folder: str, start: str, end: str) -> None:
    """A period may begin with the first year, and end with the last one."""
    found = scan_inputs(readers, request(to_nanos(start), to_nanos(end)), folder)
    assert [read.result.spans - read.result.spans_outside for read in found] == [4, 7, 10, 13]


def test_times_of_events(tmp_path: Path, otlp: Otlp, folder: str, started: Started) -> None:
    """An event whose time is beyond all bounds is no trouble."""
    event = otlp.event("model_registry.retired", 10**25, **{"model_registry.model_id": "gpt-4o"})
    for name in "ab":
        (tmp_path / name).write_bytes(otlp.line(otlp.span() | {"events": [event], "endTimeUnixNano": 10**25}))
    found = scan_inputs([FileReader(str(tmp_path / name)) for name in "ab"], request(end=10**26), folder)
    assert [len(read.result.events) for read in found] == [1, 1]
    assert len(started.processes) == 2


def test_other_readers_are_read_here(readers: list[FileReader], folder: str, started: Started) -> None:
    """A reader of another type is read in this process, in its place among the files."""

    class Other:
        name, kind, size, sha256 = "other", "own", 0, ""
        limits: tuple[str, ...] = ("l",)

        def requests(self) -> Iterator[bytes]:
            yield b'{"resourceSpans":[]}'

    scanned = scan_inputs([readers[0], Other(), readers[1]], request(), folder)  # type: ignore[list-item]
    assert [(one.name, one.kind) for one in scanned] == [("n0", "otlp_json"), ("other", "own"), ("n1", "otlp_json")]
    assert len(started.processes) == 2


@pytest.mark.parametrize("kind", ["otlp_json", "own"])
def test_a_subclass_of_a_reader_is_read_as_itself(
    readers: list[FileReader], folder: str, otlp: Otlp, started: Started, kind: str
) -> None:
    """Another process would take it for its base class, and lose its options; so it is read in this process."""

    class Doubling(FileReader):
        def __init__(self, path: str, times: int) -> None:
            super().__init__(path)
            self.kind = kind
            self.times = times

        def requests(self) -> Iterator[bytes]:
            yield from super().requests()
            for _ in range(self.times):
                yield otlp.line(otlp.span("gpt-4o"))

    expected = scan_inputs([readers[0]], request(), folder)[0].result.spans + 5
    scanned = scan_inputs([readers[1], Doubling(readers[0].path, 5), readers[2]], request(), folder)
    assert [(one.name, one.kind) for one in scanned] == [
        ("n1", "otlp_json"),
        (readers[0].path, kind),
        ("n2", "otlp_json"),
    ]
    assert scanned[1].result.spans == expected
    assert len(started.processes) == 2


@pytest.mark.parametrize("change", ["small", "one core", "one file", "no executable", "frozen"])
def test_when_no_process_is_started(
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Little to read, one core, one file, or a program that is not Python itself: all is read here."""
    started = Started(monkeypatch)
    if change == "small":
        monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 10_000_000)
    elif change == "one core":
        monkeypatch.setattr(workers, "_count_cores", lambda: 1)
    elif change == "no executable":
        monkeypatch.setattr(sys, "executable", "")
    elif change == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    chosen = readers[:1] if change == "one file" else readers
    assert len(scan_inputs(chosen, request(), folder)) == len(chosen)
    assert started.processes == []


@pytest.mark.usefixtures("started")
def test_errors_in_a_process(readers: list[FileReader], folder: str, tmp_path: Path) -> None:
    """A file that cannot be read is the same error as without processes, also one whose name is no Unicode."""
    os.mkfifo(tmp_path / "pipe")
    missing = os.fsdecode(os.fsencode(tmp_path) + b"/gone\xff")
    for path, reason in ((missing, "cannot be read: No such file or directory"), (str(tmp_path / "pipe"), "is not a")):
        with pytest.raises(TelemetryError) as caught:
            scan_inputs([*readers, FileReader(path)], request(), folder)
        assert caught.value.source == path
        assert caught.value.reason.startswith(reason)


@pytest.mark.usefixtures("started")
def test_a_folder_for_ids_that_is_gone(readers: list[FileReader], folder: str) -> None:
    """Ids that cannot be written are an error that says so, not one of the file."""
    os.rmdir(folder)
    with pytest.raises(TelemetryError, match=r"ids/.*: the ids of spans cannot be written: No such file"):
        scan_inputs(readers, request(), folder)


@pytest.mark.usefixtures("started")
def test_a_missing_extra(
    readers: list[FileReader], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extra that a process misses is the error that it would be here."""
    (tmp_path / "without" / "backports" / "zstd").mkdir(parents=True)
    (tmp_path / "without" / "backports" / "zstd" / "__init__.py").write_text("raise ImportError")
    (tmp_path / "without" / "backports" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "without")
    (tmp_path / "z.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(MissingExtraError, match="compliance"):
        scan_inputs([*readers, FileReader(str(tmp_path / "z.zst"))], request(), folder)


def children() -> list[int]:
    """Return the numbers of this process's children."""
    tasks = Path("/proc/self/task").iterdir()
    return [int(number) for task in tasks for number in (task / "children").read_text().split()]


@pytest.fixture
def endless(tmp_path: Path, otlp: Otlp) -> list[FileReader]:
    """Give two files that take long to read: a gibibyte each when they are decompressed."""
    block = gzip.compress((otlp.line(*(otlp.span("gpt-4o") for _ in range(50))) + b"\n") * 500)
    for name in "ab":
        (tmp_path / name).write_bytes(block * 100)
    return [FileReader(str(tmp_path / name)) for name in "ab"]


def soon(action: Callable[[], object], ready: Callable[[], bool]) -> threading.Thread:
    """Do something as soon as a condition holds, in another thread."""

    def wait() -> None:
        deadline = time.monotonic() + 30
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_process_that_is_killed(endless: list[FileReader], folder: str, started: Started) -> None:
    """A process that somebody kills while it reads is an error that names the file; the others end at once."""
    thread = soon(lambda: [process.kill() for process in started.processes[1:]], lambda: bool(os.listdir(folder)))
    begun = time.monotonic()
    with pytest.raises(TelemetryError) as caught:
        scan_inputs(endless, request(), folder)
    thread.join()
    assert time.monotonic() - begun < 20
    assert caught.value.source in {reader.path for reader in endless}
    assert caught.value.reason == ENDED


@pytest.mark.parametrize(
    "code",
    [
        "import os; os._exit(3)",
        "import sys; sys.stdin.buffer.read(8); sys.exit()",
        "import sys; sys.stdout.buffer.write((100).to_bytes(8, 'big') + b'half'); sys.stdout.flush()",
        "import sys; sys.stdout.buffer.write(b'half'); sys.stdout.flush(); sys.stdin.buffer.read(30)",
    ],
)
@pytest.mark.usefixtures("started")
def test_a_process_that_ends_early(
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """A process that ends before it has answered in full, at whatever point, is an error that names a file."""
    monkeypatch.setattr(workers, "_CHILD", code)
    with pytest.raises(TelemetryError) as caught:
        scan_inputs(readers, request(), folder)
    assert caught.value.source in {reader.path for reader in readers}
    assert caught.value.reason == ENDED


def test_a_process_that_does_not_start(
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    """If a process cannot be started, those that were are ended."""
    popen = workers.subprocess.Popen

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        if len(started.processes) == 2:
            raise BlockingIOError
        return popen(*args, **kwargs)

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    with pytest.raises(BlockingIOError):
        scan_inputs(readers, request(), folder)
    assert len(started.processes) == 2


def test_an_interrupt(endless: list[FileReader], folder: str, started: Started) -> None:
    """Who interrupts workers ends the processes with it."""
    thread = soon(lambda: os.kill(os.getpid(), signal.SIGINT), lambda: bool(os.listdir(folder)))
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        scan_inputs(endless, request(), folder)
    thread.join()
    assert time.monotonic() - begun < 20
    assert len(started.processes) == 2
    assert children() == []


def test_other_threads(readers: list[FileReader], folder: str, tmp_path: Path, started: Started) -> None:
    """Several threads may read at once, while others hold locks."""
    (tmp_path / "more").mkdir()
    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(scan_inputs, readers, request(), where) for where in (folder, str(tmp_path / "more"))]
        assert told(found[0].result()) == told(found[1].result())
    assert len(started.processes) == 6


SCRIPT = """
import sys, pathlib
{before}
sys.path.insert(0, {source!r})
from spanforge.model_registry.compliance._analysis import workers
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._sources.files import FileReader
workers.PARALLEL_MIN_BYTES, workers._count_cores = 0, lambda: 2
readers = [FileReader(path) for path in {paths!r}]
found = workers.scan_inputs(readers, ScanRequest({start}, {end}, 10**9, 0, []), {folder!r})
assert "multiprocessing" not in sys.modules
sys.stderr.write(f"spans: {{[read.result.spans for read in found]}}\\n")
"""


def run_script(readers: list[FileReader], folder: str, before: str, *options: str) -> subprocess.CompletedProcess[str]:
    paths = [reader.path for reader in readers[:2]]
    script = SCRIPT.format(before=before, source=SOURCE, paths=paths, start=START, end=END, folder=folder)
    (Path(folder).parent / "script.py").write_text(script)
    command = [sys.executable, *options, str(Path(folder).parent / "script.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("before", "options"),
    [
        ("", ()),
        ("", ("-W", "error")),
        ("", ("-I", "-X", "dev", "-W", "error")),
        ("import os; os.close(0)", ()),
        ("import os; os.close(0); os.close(1)", ()),
        ("import os; sys.stdin.close(); sys.stdout = None", ()),
        ("sys.path[:0] = ['', 'no such place', '/dev/null', 'caf\\u00e9']; sys.path.append(sys.path[-1])", ()),
        ("sys.path += [pathlib.Path('x'), b'x', None]", ()),
        ("import signal; signal.signal(signal.SIGCHLD, lambda *_: None)", ()),
    ],
)
def test_from_a_script(readers: list[FileReader], folder: str, before: str, options: tuple[str, ...]) -> None:
    """A script needs no guard around its main part, no standard streams, and no tidy path; nothing warns."""
    done = run_script(readers, folder, before, *options)
    assert done.stderr == "spans: [4, 7]\n"
    assert (done.returncode, done.stdout) == (0, "")


def test_an_interrupt_at_the_terminal(endless: list[FileReader], folder: str) -> None:
    """Ctrl-C reaches the processes as well: they leave it to their parent, and none prints a traceback of its own."""
    paths = [reader.path for reader in endless]
    script = SCRIPT.format(before="", source=SOURCE, paths=paths, start=START, end=END, folder=folder)
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        soon(lambda: os.killpg(process.pid, signal.SIGINT), lambda: bool(os.listdir(folder))).join()
        said = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGINT
    assert said.count("KeyboardInterrupt") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.builds(
        scan_data.ScanResult,
        lines=st.integers(0, 10**30),
        stretches=st.dictionaries(
            st.integers(-(10**20), 10**20), st.tuples(st.integers(0), st.integers(0)), max_size=3
        ),
        events=st.sets(
            st.builds(scan_data.SeenEvent, st.integers(0, 10**30), st.text(max_size=3), st.text(max_size=3)),
            max_size=3,
        ),
        groups=st.lists(
            st.builds(
                scan_data.CallGroup,
                st.builds(
                    calls.Call,
                    st.sampled_from(["call", "agent", "other"]),
                    st.none() | st.text(max_size=3),
                    st.text(max_size=3),
                    st.text(max_size=3),
                    st.none() | st.just("active"),
                    st.booleans(),
                    st.booleans(),
                    st.booleans(),
                    st.lists(st.text(max_size=3), max_size=2).map(tuple),
                ),
                st.text("0123456789abcdef", min_size=6, max_size=6),
                samples=st.lists(
                    st.builds(scan_data.SpanRef, st.integers(1), st.text(max_size=3), st.text(max_size=3)), max_size=2
                ),
            ),
            max_size=3,
        ),
    )
)
def test_what_a_process_answers(result: scan_data.ScanResult) -> None:
    """Whatever was seen comes over the pipe as it is."""
    done = workers._Done(ScannedInput("n", "otlp_json", 10**20, "ab", ["l"], result))
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as receiving, open(write_end, "wb") as sending:
        workers._send_message(sending, done)
        sending.close()
        assert workers._receive_message(receiving, workers._result_decoder) == done
        assert workers._receive_message(receiving, workers._result_decoder) is None
