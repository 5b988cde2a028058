"""Worker processes: their results, their errors and their end."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence import ListReader, make_entry
from support.scans import END, START
from support.waiting import poll

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis import calls, scan_data, workers
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._analysis.workers import ScannedInput, scan_inputs
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.otlp import Otlp

SOURCE = str(Path(workers.__file__).parents[3])
ENDED = "cannot be read: the process that read it ended unexpectedly"


def request(start: int = START, end: int = END) -> ScanRequest:
    metadata = {"aliases": ["gpt-*"], "n": [1, 2.5, None, "\u2028"], "deprecation_date": "2026-01-05"}
    return ScanRequest(start, end, 10**9, 0, [make_entry(metadata=metadata)], ("my.model",), "x")


@pytest.fixture
def readers(tmp_path: Path, otlp: Otlp) -> list[FileReader]:
    """Give four files, one with a name that is no Unicode, one of them cut off."""
    made = []
    for number, name in enumerate([b"a.jsonl", b"b.jsonl.gz", b"c\xff.jsonl", b"d.jsonl.gz"]):
        event = otlp.lifecycle_event(START + 5)
        spans = [otlp.span(model, START + number) for model in ("gpt-1", "x", None) for _ in range(number + 1)]
        content = otlp.line(*spans, otlp.span() | {"events": [event]}) + b'\n{"resourceSpans":\n'
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
    """Records the processes that are started: up to two, for files of any size."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        popen = subprocess.Popen

        def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
            process = popen(*args, **kwargs)
            self.processes.append(process)
            return process

        monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 0)
        monkeypatch.setattr(workers, "_count_cores", lambda: 2)
        monkeypatch.setattr(workers.subprocess, "Popen", start)

    def gone(self) -> bool:
        """Check that all have ended and were waited for: a zombie still has a number."""
        for process in self.processes:
            assert process.returncode is not None
            with pytest.raises(ProcessLookupError):
                os.kill(process.pid, 0)
        return bool(self.processes)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Use processes for any two files; they must be gone in the end."""
    known = Started(monkeypatch)
    threads = threading.active_count()
    yield known
    assert known.gone()
    assert threading.active_count() == threads


def summarize(reads: list[ScannedInput]) -> list[Any]:
    return [(*(getattr(read, field) for field in read.__struct_fields__[:-1]), repr(read.result)) for read in reads]


def take_ids(folder: str) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    for name in found:
        os.unlink(os.path.join(folder, name))
    return found


@pytest.mark.slow
def test_processes_give_equal_results(readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes give the same results and ids as this process, in the order of the files."""
    monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 10**9)
    expected, spilled = summarize(scan_inputs(readers, request(), folder)), take_ids(folder)
    assert [read[0] for read in expected] == ["n0", "n1", "n2", "n3"]
    assert [bool(read[4]) for read in expected] == [True] * 4
    started = Started(monkeypatch)
    assert summarize(scan_inputs(readers, request(), folder)) == expected
    assert take_ids(folder) == spilled
    assert len(started.processes) == 2
    assert started.gone()


@pytest.mark.slow
@pytest.mark.parametrize("least", [0, 10**9], ids=["processes", "this process"])
def test_reports_of_progress(
    tmp_path: Path, folder: str, otlp: Otlp, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """The bytes read so far are reported for each input, at most about once per MiB."""
    line = otlp.line(otlp.span("gpt", padding="x" * 100_000)) + b"\n"
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(line * 35)
    monkeypatch.setattr(workers, "_count_cores", lambda: 2)
    monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", least)
    reported: dict[int, list[int]] = {0: [], 1: []}
    readers = [FileReader(str(tmp_path / name)) for name in ("a", "b")]
    scan_inputs(readers, request(), folder, lambda number, size: reported[number].append(size))
    for sizes in reported.values():
        assert 2 <= len(sizes) <= 4
        assert sizes == sorted(sizes)
        assert 2**20 <= sizes[-1] <= 35 * len(line)


@pytest.mark.slow
@pytest.mark.usefixtures("started")
def test_long_period(readers: list[FileReader], folder: str) -> None:
    """A period may begin with the first year, and end with the last one."""
    found = scan_inputs(readers, request(to_nanos("0001-01-01"), to_nanos("9999-12-31")), folder)
    assert [read.result.spans - read.result.spans_outside for read in found] == [4, 7, 10, 13]


@pytest.mark.slow
def test_other_readers_are_read_in_this_process(readers: list[FileReader], folder: str, started: Started) -> None:
    """A reader of another type is read in this process, and its result keeps its place."""
    other = ListReader([b'{"resourceSpans":[]}'], name="other", kind="own", limits=("l",))
    scanned = scan_inputs([readers[0], other, readers[1]], request(), folder)
    assert [(one.name, one.kind) for one in scanned] == [("n0", "otlp_json"), ("other", "own"), ("n1", "otlp_json")]
    assert len(started.processes) == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["otlp_json", "own"])
def test_subclass_of_a_reader_is_read_in_this_process(
    readers: list[FileReader], folder: str, otlp: Otlp, started: Started, kind: str
) -> None:
    """A subclass is read in this process, because another process would make its base class without its options."""

    class Doubling(FileReader):
        def __init__(self, path: str, times: int) -> None:
            super().__init__(path)
            self.kind = kind
            self.times = times

        def requests(self) -> Iterator[bytes]:
            yield from super().requests()
            for _ in range(self.times):
                yield otlp.line(otlp.span("gpt"))

    expected = scan_inputs([readers[0]], request(), folder)[0].result.spans + 5
    scanned = scan_inputs([readers[1], Doubling(readers[0].path, 5), readers[2]], request(), folder)
    names = [("n1", "otlp_json"), (readers[0].path, kind), ("n2", "otlp_json")]
    assert [(one.name, one.kind) for one in scanned] == names
    assert scanned[1].result.spans == expected
    assert len(started.processes) == 2


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        (workers, "PARALLEL_MIN_BYTES", 10_000_000),
        (workers, "_count_cores", lambda: 1),
        (sys, "executable", ""),
        (sys, "frozen", True),
    ],
    ids=["small files", "one core", "no executable", "frozen"],
)
def test_no_process_is_started(  # noqa: PLR0913 - the case and its surroundings
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, target: Any, name: str, value: Any
) -> None:
    """Small files, one core, no executable and a frozen application start no process."""
    started = Started(monkeypatch)
    monkeypatch.setattr(target, name, value, raising=False)
    assert len(scan_inputs(readers, request(), folder)) == len(readers)
    assert started.processes == []


def test_one_file_starts_no_process(readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single file is read in this process."""
    started = Started(monkeypatch)
    assert len(scan_inputs(readers[:1], request(), folder)) == 1
    assert started.processes == []


@pytest.mark.slow
@pytest.mark.usefixtures("started")
def test_error_in_a_process_is_raised(readers: list[FileReader], folder: str, tmp_path: Path) -> None:
    """A file that cannot be read is the same error as in this process, even if its name is not Unicode."""
    os.mkfifo(tmp_path / "pipe")
    missing = os.fsdecode(os.fsencode(tmp_path) + b"/gone\xff")
    for path, reason in ((missing, "cannot be read: No such file or directory"), (str(tmp_path / "pipe"), "is not a")):
        with pytest.raises(TelemetryError) as caught:
            scan_inputs([*readers, FileReader(path)], request(), folder)
        assert caught.value.source == path
        assert caught.value.reason.startswith(reason)


@pytest.mark.slow
@pytest.mark.usefixtures("started")
def test_missing_extra_in_a_process_is_raised(
    readers: list[FileReader], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that needs an extra raises the same error as this process."""
    (tmp_path / "without" / "backports" / "zstd").mkdir(parents=True)
    (tmp_path / "without" / "backports" / "zstd" / "__init__.py").write_text("raise ImportError")
    (tmp_path / "without" / "backports" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "without")
    (tmp_path / "z.zst").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(MissingExtraError, match="compliance"):
        scan_inputs([*readers, FileReader(str(tmp_path / "z.zst"))], request(), folder)


@pytest.fixture
def endless(tmp_path: Path, otlp: Otlp) -> list[FileReader]:
    """Give two files that take long to read: a gibibyte each when they are decompressed."""
    block = gzip.compress((otlp.line(*(otlp.span("gpt") for _ in range(50))) + b"\n") * 500)
    for name in "ab":
        (tmp_path / name).write_bytes(block * 100)
    return [FileReader(str(tmp_path / name)) for name in "ab"]


def count_written(folder: str) -> int:
    """Return the number of bytes in the files of a folder."""
    return sum(path.stat().st_size for path in Path(folder).iterdir())


def assert_cut_short(folder: str) -> None:
    """Assert that ids were written, and that neither endless file was read to its end: an id takes 32 bytes."""
    assert 0 < count_written(folder) < 100 * 500 * 50 * 32


def run_when(action: Callable[[], object], ready: Callable[[], bool]) -> threading.Thread:
    """Run an action in another thread when a condition holds."""

    def wait() -> None:
        poll(ready, seconds=30, interval=0.01)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.slow
def test_killed_process_is_an_error(endless: list[FileReader], folder: str, started: Started) -> None:
    """If a process is killed, the error names its file, and the other process ends at once."""
    thread = run_when(lambda: [process.kill() for process in started.processes[1:]], lambda: count_written(folder) > 0)
    with pytest.raises(TelemetryError) as caught:
        scan_inputs(endless, request(), folder)
    thread.join()
    assert_cut_short(folder)
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
def test_process_that_ends_early_is_an_error(
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """If a process ends before its result is complete, the error names a file."""
    monkeypatch.setattr(workers, "_CHILD", code)
    with pytest.raises(TelemetryError) as caught:
        scan_inputs(readers, request(), folder)
    assert caught.value.source in {reader.path for reader in readers}
    assert caught.value.reason == ENDED


def test_failed_start_ends_other_processes(
    readers: list[FileReader], folder: str, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    """If a process cannot be started, those that were started are ended."""
    popen = workers.subprocess.Popen

    def start(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        if started.processes:
            raise BlockingIOError
        return popen(*args, **kwargs)

    monkeypatch.setattr(workers.subprocess, "Popen", start)
    with pytest.raises(BlockingIOError):
        scan_inputs(readers, request(), folder)
    assert len(started.processes) == 1


@pytest.mark.slow
def test_several_threads_scan_at_once(readers: list[FileReader], folder: str, tmp_path: Path, started: Started) -> None:
    """Several threads may scan at once."""
    (tmp_path / "more").mkdir()
    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(scan_inputs, readers, request(), where) for where in (folder, str(tmp_path / "more"))]
        assert summarize(found[0].result()) == summarize(found[1].result())
    assert len(started.processes) == 4


SCRIPT = """
import os, sys, pathlib
{before}
sys.path.insert(0, {source!r})
from spanforge.model_registry.compliance._analysis import workers
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._sources.files import FileReader
workers.PARALLEL_MIN_BYTES, os.sched_getaffinity = 0, lambda _: {{0, 1}}
readers = [FileReader(path) for path in {paths!r}]
found = workers.scan_inputs(readers, ScanRequest({start}, {end}, 10**9, 0, []), {folder!r})
assert "multiprocessing" not in sys.modules
sys.stderr.write(f"spans: {{[read.result.spans for read in found]}}\\n")
"""


def write_script(readers: list[FileReader], folder: str, before: str = "") -> str:
    """Write a script that scans the first two files, and return its path."""
    path, paths = Path(folder).parent / "script.py", [reader.path for reader in readers[:2]]
    path.write_text(SCRIPT.format(before=before, source=SOURCE, paths=paths, start=START, end=END, folder=folder))
    return str(path)


ODD_ENTRIES = "[pathlib.Path('x'), b'x', None, ''] * 2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "options"),
    [
        ("sys.stdin.close(); sys.stdout = None", ("-I", "-X", "dev", "-W", "error")),
        ("os.close(0); os.close(1); import signal; signal.signal(signal.SIGCHLD, lambda *_: None)", ()),
        (f"os.close(0); sys.path[:0] = ['', '/dev/null', 'caf\\u00e9']; sys.path += {ODD_ENTRIES}", ()),
    ],
)
def test_scan_from_a_script(readers: list[FileReader], folder: str, before: str, options: tuple[str, ...]) -> None:
    """A script needs no ``__main__`` guard, standard streams or tidy path, and nothing warns."""
    command = [sys.executable, *options, write_script(readers, folder, before)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == "spans: [4, 7]\n"
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_interrupt_at_the_terminal(endless: list[FileReader], folder: str) -> None:
    """Ctrl-C ends the processes, and none of them prints a traceback."""
    command = [sys.executable, write_script(endless, folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        run_when(lambda: os.killpg(process.pid, signal.SIGINT), lambda: count_written(folder) > 0).join()
        output = process.communicate(timeout=30)[1]
    assert process.returncode == -signal.SIGINT
    assert output.count("KeyboardInterrupt") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


SHORT = st.text(max_size=3)
TIMES = st.integers(0, 10**30)
NAMES = st.builds(calls.SpanNames, SHORT, st.sampled_from(["", "form"]), st.booleans(), SHORT, st.none() | SHORT)
SENDER_NAMES = st.sampled_from(["", *SENDERS])
CALLS = st.builds(
    calls.Call,
    st.sampled_from(["call", "agent", "other"]),
    st.none() | SHORT,
    *(SHORT, SHORT, st.none() | st.just("active"), st.booleans(), st.booleans(), st.booleans()),
    *(NAMES, SENDER_NAMES, st.booleans()),
)
SAMPLES = st.lists(st.builds(scan_data.SpanRef, st.integers(1), SHORT, SHORT), max_size=2)
PAIRS = st.tuples(st.integers(0), st.integers(0))
STRETCHES = st.dictionaries(st.integers(-(10**20), 10**20), PAIRS, max_size=3)
DATES = st.lists(st.tuples(SHORT, TIMES), max_size=2).map(tuple)
EVENTS = st.sets(st.builds(scan_data.SeenEvent, TIMES, SHORT, SHORT, SHORT, DATES), max_size=3)
MARKS = st.text("0123456789abcdef", min_size=6, max_size=6)
RESULTS = st.builds(
    scan_data.ScanResult,
    lines=TIMES,
    has_marks=st.booleans(),
    stretches=st.dictionaries(
        SENDER_NAMES, st.dictionaries(st.integers(-(10**20), 10**20), PAIRS, max_size=3), max_size=3
    ),
    events=st.dictionaries(SENDER_NAMES, EVENTS, max_size=3),
    lost_events=st.dictionaries(SENDER_NAMES, TIMES, max_size=3),
    groups=st.lists(st.builds(scan_data.CallGroup, CALLS, MARKS, samples=SAMPLES), max_size=3),
)


@settings(max_examples=50, deadline=None)
@given(RESULTS)
def test_results_pass_through_the_pipe(result: scan_data.ScanResult) -> None:
    """A result equals what is read from its JSON, in which a process sends it."""
    scanned = ScannedInput("n", "otlp_json", 10**20, "ab", ["l"], result)
    assert msgspec.json.decode(msgspec.json.encode(scanned), type=ScannedInput) == scanned
