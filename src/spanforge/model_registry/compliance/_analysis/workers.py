"""Reads all inputs: each file in a process of its own, as many at a time as there are cores."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Lock
from typing import IO, TYPE_CHECKING, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry.compliance._analysis.duplicates import Spill
from spanforge.model_registry.compliance._analysis.scan import Plan, Scan, Seen
from spanforge.model_registry.compliance._sources.files import FileReader, TelemetryReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WORTH_IT: Final = 16 * 1024 * 1024
"""Bytes of all files from which on processes are started: reading them takes longer than Python does to start."""
_LENGTH: Final = 8
_CHILD: Final = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import child; child()"

_T = TypeVar("_T")


class Read(msgspec.Struct):
    """One input, and what it holds.

    Attributes:
        name: What the evidence calls it.
        kind: ``otlp_json`` or ``jaeger``.
        size: Bytes that were read.
        sha256: Their SHA-256, in hexadecimal.
        limits: What could not be read, a sentence each.
        seen: What it holds.
    """

    name: str
    kind: str
    size: int
    sha256: str
    limits: list[str]
    seen: Seen


class _Task(msgspec.Struct):
    path: bytes  # one that is no Unicode has no other form
    folder: bytes
    source: int


class _Failure(msgspec.Struct, tag=True):
    source: bytes
    reason: str


class _MissingExtra(msgspec.Struct, tag=True):
    purpose: str
    extra: str


class _Done(msgspec.Struct, tag=True):
    read: Read


_Answer = _Failure | _MissingExtra | _Done
_answer_decoder: Final = msgspec.json.Decoder(_Answer)  # JSON: MessagePack's integers end in the year 2554
_plan_decoder: Final = msgspec.json.Decoder(Plan)
_task_decoder: Final = msgspec.json.Decoder(_Task)


def read(reader: TelemetryReader, plan: Plan, folder: str, source: int) -> Read:
    """Return what one input holds; the ids of its spans go to files in a folder.

    Raises:
        TelemetryError: It cannot be read.
    """
    spill = Spill(folder, source)
    scan = Scan(plan, spill)
    whole = True
    for document in reader.requests():
        whole = scan.take(document)
    spill.flush()
    cut = [] if whole else ["the last line cannot be read: the file may be cut off"]
    return Read(reader.name, reader.kind, reader.size, reader.sha256, [*reader.limits, *cut], scan.seen)


def read_all(readers: Sequence[TelemetryReader], plan: Plan, folder: str) -> list[Read]:
    """Return what each input holds, in their order.

    Raises:
        TelemetryError: One cannot be read.
    """
    files = {source: reader for source, reader in enumerate(readers) if isinstance(reader, FileReader)}
    sizes = {source: _size(reader.path) for source, reader in files.items()}
    workers = min(len(files), _cores())
    alone = workers < 2 or sum(sizes.values()) < _WORTH_IT  # noqa: PLR2004 - two or more share work
    if alone or not sys.executable or hasattr(sys, "frozen"):  # a frozen application would start itself
        return [read(reader, plan, folder, source) for source, reader in enumerate(readers)]
    longest_first = sorted(files, key=lambda source: (-sizes[source], source))
    tasks = [_Task(os.fsencode(files[source].path), os.fsencode(folder), source) for source in longest_first]
    found = {source: read(reader, plan, folder, source) for source, reader in enumerate(readers) if source not in files}
    found.update(_in_processes(tasks, plan, workers))
    for source, reader in files.items():
        found[source].name = reader.name
    return [found[source] for source in range(len(readers))]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.path.getsize(path)
    return 0


def _in_processes(tasks: list[_Task], plan: Plan, workers: int) -> dict[int, Read]:
    """Return what each task gave, by the number of its input; a failure ends all."""
    waiting, lock, found = iter(tasks), Lock(), {}

    def work(process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101 - likewise
        with contextlib.suppress(BrokenPipeError):  # it has ended; that there is no answer says so
            _send(process.stdin, plan)
        while True:
            with lock:
                task = next(waiting, None)
            if task is None:
                return
            with contextlib.suppress(BrokenPipeError):
                _send(process.stdin, task)
            found[task.source] = _outcome(_receive(process.stdout, _answer_decoder), task)

    with _processes(workers) as processes, ThreadPoolExecutor(workers) as threads:
        try:
            for outcome in as_completed([threads.submit(work, process) for process in processes]):
                outcome.result()  # the first failure, whichever it is, ends all
        except BaseException:
            for process in processes:  # the other threads wait for them
                process.kill()
            raise
    return found


def _outcome(answer: _Answer | None, task: _Task) -> Read:
    if isinstance(answer, _Done):
        return answer.read
    if isinstance(answer, _MissingExtra):
        raise MissingExtraError(answer.purpose, answer.extra)
    if isinstance(answer, _Failure):
        raise TelemetryError(os.fsdecode(answer.source), answer.reason)
    raise TelemetryError(os.fsdecode(task.path), "cannot be read: the process that read it has ended")


@contextlib.contextmanager
def _processes(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start processes of their own: a fork would copy the application's threads' locks, and run its handlers.

    They have sessions of their own, for Ctrl-C at the terminal is up to the parent.
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


def child() -> None:
    """Read files, one after another, as the parent asks for them on standard input, until that ends."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    plan = _receive(stdin, _plan_decoder)
    while plan is not None and (task := _receive(stdin, _task_decoder)) is not None:
        _send(stdout, _answer(task, plan))


def _answer(task: _Task, plan: Plan) -> _Answer:
    try:
        return _Done(read(FileReader(os.fsdecode(task.path)), plan, os.fsdecode(task.folder), task.source))
    except TelemetryError as error:
        return _Failure(os.fsencode(error.source), error.reason)
    except MissingExtraError as error:
        return _MissingExtra(error.purpose, error.extra)


def _send(stream: IO[bytes], message: object) -> None:
    data = msgspec.json.encode(message)
    stream.write(len(data).to_bytes(_LENGTH, "big") + data)
    stream.flush()


def _receive(stream: IO[bytes], decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """Return the next message; ``None``: whoever sends them has ended, perhaps in the middle of one."""
    head = stream.read(_LENGTH)
    size = int.from_bytes(head, "big")
    data = stream.read(size) if len(head) == _LENGTH else b""
    return decoder.decode(data) if data and len(data) == size else None
