"""Worker processes: files are scanned in separate processes, as many at a time as there are cores."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from threading import Lock
from typing import IO, TYPE_CHECKING, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan import Scan
from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest
from spanforge.model_registry.compliance._analysis.senders import settle_senders
from spanforge.model_registry.compliance._analysis.table_scan import TableScan
from spanforge.model_registry.compliance._sources.faults import FaultLog
from spanforge.model_registry.compliance._sources.formats import file_kind, get_path, open_file, read_size
from spanforge.model_registry.compliance._sources.tables import TelemetryTables
from spanforge.model_registry.compliance._sources.wrong_files import SHOWN_BYTES, describe_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spanforge.model_registry.compliance._sources.files import TelemetryReader
    from spanforge.model_registry.compliance._sources.formats import TelemetryInput

PARALLEL_MIN_BYTES: Final = 16 * 1024 * 1024
"""The total bytes of files from which processes are started: reading them takes longer than starting Python."""
_LENGTH: Final = 8
_CHILD: Final = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import run_worker; run_worker()"
_PROGRESS_BYTES: Final = 1024 * 1024
"""The bytes of an input after which its progress is reported again."""
_CUT_OFF: Final = "the last line cannot be read: the file may be cut off"

_Message = TypeVar("_Message")


class _Task(msgspec.Struct):
    kind: str
    path: bytes  # a path that is not Unicode has no text form
    folder: bytes
    input_number: int


class _Failure(msgspec.Struct, tag=True):
    source: bytes
    reason: str


class _MissingExtra(msgspec.Struct, tag=True):
    purpose: str
    extra: str


class _Done(msgspec.Struct, tag=True):
    scanned: ScannedInput


class _Progress(msgspec.Struct, tag=True):
    size: int


_WorkerResult = _Failure | _MissingExtra | _Done
# JSON: MessagePack's integers end in the year 2554.
_message_decoder: Final = msgspec.json.Decoder(_WorkerResult | _Progress)
_request_decoder: Final = msgspec.json.Decoder(ScanRequest)
_task_decoder: Final = msgspec.json.Decoder(_Task)


def scan_input(
    reader: TelemetryReader,
    request: ScanRequest,
    folder: str,
    input_number: int,
    report: Callable[[int], None] | None = None,
) -> ScannedInput:
    """Scan one input, and write the ids of its spans to files in a folder.

    Args:
        reader: The reader of the input.
        request: The request of the scan.
        folder: The folder.
        input_number: The number of the input.
        report: A function that gets the number of bytes read so far, from time to time.

    Raises:
        TelemetryError: The input cannot be read, or has no request.
    """
    faults = FaultLog(lambda: getattr(reader, "place", ""))
    scan = Scan(request, SpanIdWriter(folder, input_number), faults)
    is_whole, start, reported = True, b"", 0
    for document in reader.requests():
        start = start or document[:SHOWN_BYTES]
        is_whole = scan.count_document(document)
        if report is not None and (position := getattr(reader, "position", reader.size)) >= reported + _PROGRESS_BYTES:
            reported = position
            report(position)
    if scan.result.lines and not scan.has_request:
        content = getattr(reader, "start", b"") or start
        raise TelemetryError(getattr(reader, "path", reader.name), describe_content(content))
    scan.flush()
    settle_senders(scan.result)
    is_cut_off = faults.ends_early and not is_whole
    limits = [*reader.limits, getattr(reader, "cut_off", _CUT_OFF)] if is_cut_off else [*reader.limits]
    return ScannedInput(reader.name, reader.kind, reader.size, reader.sha256, limits, scan.result)


def _scan_tables(
    tables: TelemetryTables, request: ScanRequest, folder: str, input_number: int, *, is_alone: bool
) -> ScannedInput:
    return TableScan(tables, request, SpanIdWriter(folder, input_number), is_alone=is_alone).run()


def scan_inputs(
    readers: Sequence[TelemetryInput],
    request: ScanRequest,
    folder: str,
    progress: Callable[[int, int], None] | None = None,
) -> list[ScannedInput]:
    """Scan inputs, and return their results in the same order.

    Args:
        readers: The readers of the inputs.
        request: The request of the scan.
        folder: The folder for the ids of spans.
        progress: A function that gets the number of an input and the number of its bytes read so far, from time to
            time. Several threads call it.

    Raises:
        TelemetryError: An input cannot be read.
    """
    report = progress or (lambda _number, _size: None)
    tasks = _make_tasks(readers, folder)
    workers = min(len(tasks), _count_cores())
    if not _can_share(tasks, workers):
        tasks = []
    elsewhere = {task.input_number for task in tasks}
    scanned = {
        number: _scan_tables(reader, request, folder, number, is_alone=len(readers) == 1)
        if isinstance(reader, TelemetryTables)
        else scan_input(reader, request, folder, number, partial(report, number))
        for number, reader in enumerate(readers)
        if number not in elsewhere
    }
    for number, result in _scan_in_processes(tasks, request, workers, report).items():
        scanned[number] = msgspec.structs.replace(result, name=readers[number].name)
    return [scanned[number] for number in range(len(readers))]


def _can_share(tasks: list[_Task], workers: int) -> bool:
    """Check whether processes can share these tasks, and save more time than their start takes."""
    is_little = sum(_get_size(task) for task in tasks) < PARALLEL_MIN_BYTES
    can_start = bool(sys.executable) and not hasattr(sys, "frozen")  # a frozen application would start itself again
    return workers >= 2 and can_start and not is_little  # noqa: PLR2004 - two or more share work


def _make_tasks(readers: Sequence[TelemetryInput], folder: str) -> list[_Task]:
    """Return a task for each reader that another process can open by its kind and path, the largest first."""
    tasks = []
    for number, reader in enumerate(readers):
        kind = file_kind(reader)
        if kind is not None:
            tasks.append(_Task(kind, os.fsencode(get_path(reader) or ""), os.fsencode(folder), number))
    return sorted(tasks, key=lambda task: (-_get_size(task), task.input_number))


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _get_size(task: _Task) -> int:
    return read_size(task.kind, os.fsdecode(task.path))


def _scan_in_processes(
    tasks: list[_Task], request: ScanRequest, workers: int, report: Callable[[int, int], None]
) -> dict[int, ScannedInput]:
    """Return the result of each task, by the number of its input. The first failure ends all processes."""
    results: dict[int, ScannedInput] = {}
    if not tasks:
        return results
    waiting, lock = iter(tasks), Lock()

    def drive(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101 - likewise
        with contextlib.suppress(BrokenPipeError):  # the process has ended; the missing result is an error below
            _send_message(process.stdin, request)
        while True:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            with contextlib.suppress(BrokenPipeError):
                _send_message(process.stdin, task)
            number = task.input_number
            results[number] = _unwrap(_receive_result(process.stdout, partial(report, number)), task)

    with _start_processes(workers) as processes, ThreadPoolExecutor(workers) as threads:
        try:
            for driver in as_completed([threads.submit(drive, process) for process in processes]):
                driver.result()  # raises the first failure
        except BaseException:
            for process in processes:  # the other threads wait for their processes
                process.kill()
            raise
    return results


def _unwrap(result: _WorkerResult | None, task: _Task) -> ScannedInput:
    if isinstance(result, _Done):
        return result.scanned
    if isinstance(result, _MissingExtra):
        raise MissingExtraError(result.purpose, result.extra)
    if isinstance(result, _Failure):
        raise TelemetryError(os.fsdecode(result.source), result.reason)
    raise TelemetryError(os.fsdecode(task.path), "cannot be read: the process that read it ended unexpectedly")


@contextlib.contextmanager
def _start_processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start Python processes, and end them afterwards.

    ``concurrent.futures.ProcessPoolExecutor`` is not suitable:

    - With ``spawn`` and ``forkserver`` it imports the application's ``__main__`` again. A script without a guard around
      its main part would run twice, and a script from standard input or a notebook would fail.
    - With ``fork`` it copies locks that other threads hold, and runs the application's fork handlers.
    - Its workers stay in the terminal's process group. Ctrl-C would reach them, and each would print a traceback.

    These processes import only this module. Each has a separate session, so only the parent receives Ctrl-C.
    """
    command = [sys.executable, "-I", "-c", _CHILD, *(entry for entry in sys.path if isinstance(entry, str))]
    started: list[subprocess.Popen[bytes]] = []
    try:
        while len(started) < count:
            started.append(
                subprocess.Popen(  # noqa: S603
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
                )
            )
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def run_worker() -> None:
    """Scan files one after another, for the tasks on standard input, until it ends."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    request = _receive_message(stdin, _request_decoder)
    while request is not None and (task := _receive_message(stdin, _task_decoder)) is not None:
        _send_message(stdout, _run_task(task, request, lambda size: _send_message(stdout, _Progress(size))))


def _run_task(task: _Task, request: ScanRequest, report: Callable[[int], None]) -> _WorkerResult:
    try:
        reader = open_file(task.kind, os.fsdecode(task.path))
        return _Done(scan_input(reader, request, os.fsdecode(task.folder), task.input_number, report))
    except TelemetryError as error:
        return _Failure(os.fsencode(error.source), error.reason)
    except MissingExtraError as error:
        return _MissingExtra(error.purpose, error.extra)


def _send_message(stream: IO[bytes], message: object) -> None:
    data = msgspec.json.encode(message)
    stream.write(len(data).to_bytes(_LENGTH, "big") + data)
    stream.flush()


def _receive_result(stream: IO[bytes], report: Callable[[int], None]) -> _WorkerResult | None:
    """Return the next result, after the reports of progress before it."""
    while isinstance(message := _receive_message(stream, _message_decoder), _Progress):
        report(message.size)
    return message


def _receive_message(stream: IO[bytes], decoder: msgspec.json.Decoder[_Message]) -> _Message | None:
    """Return the next message; ``None`` if the sender has ended, perhaps in the middle of a message."""
    head = stream.read(_LENGTH)
    size = int.from_bytes(head, "big")
    data = stream.read(size) if len(head) == _LENGTH else b""
    return decoder.decode(data) if data and len(data) == size else None
