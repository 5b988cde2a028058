"""Spans that were written twice, by a retry: found with their ids on disk, in memory that has a limit."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import TelemetryError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ID: Final = 48
"""Hexadecimal digits of a trace id and a span id."""
_TRACE: Final = 32
_SPAN: Final = _ID - _TRACE
_MARK: Final = 6
_RECORD: Final = _ID + _MARK
_DIGITS: Final = "0123456789abcdef"
_PLACES: Final = (*range(32, _ID), *range(32))
"""Where in a record its digits stand, those of the span id first: unlike those of some trace ids, they are random."""

_BUFFERED: Final = 10_000
"""Records that wait in memory until they are written."""
_TOGETHER: Final = 600_000
"""Records that are compared at once, which takes about 100 MB."""
_READ: Final = 20_000
"""Records that are read at once."""


class Copy(NamedTuple):
    """A span that was read before.

    Attributes:
        trace_id: Its trace.
        span_id: Its id.
        source: Number of the input that has the copy.
        mark: What the copy was counted under there.
        first_source: Number of the input that was first to have it.
        first_mark: What it was counted under there.
    """

    trace_id: str
    span_id: str
    source: int
    mark: str
    first_source: int
    first_mark: str


class Spill:
    """Where the ids of one input's spans go: a file for each hexadecimal digit that a span id can begin with.

    Args:
        folder: The folder of the files.
        source: Number of the input.
    """

    def __init__(self, folder: str, source: int) -> None:
        self._folder = folder
        self._source = source
        self._waiting = 0
        self.buckets: defaultdict[str, list[str]] = defaultdict(list)
        """First digit of a span id to records: trace id, span id, and the mark of what the span was counted under."""

    @staticmethod
    def mark(number: int) -> str:
        """Return the mark that stands for a number."""
        return f"{number:0{_MARK}x}"

    def added(self, count: int) -> None:
        """Write what waits, if that is much; raises as ``flush`` does."""
        self._waiting += count
        if self._waiting >= _BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            TelemetryError: The disk is full, or the folder is not there.
        """
        for digit, records in self.buckets.items():
            part = _DIGITS.find(digit.lower()) % len(_DIGITS)  # what is no digit goes to the last one
            data = "".join(records).encode("ascii", "replace").lower()  # in this order, it stays as long as it is
            _append(_file(self._folder, part, self._source), data)
        self.buckets.clear()
        self._waiting = 0


def _file(folder: str, part: int, source: int) -> str:
    return os.path.join(folder, f"{part:x}-{source}")


def _append(path: str, data: bytes) -> None:
    try:
        with open(path, "ab") as file:
            file.write(data)
    except OSError as error:
        raise TelemetryError(path, f"the ids of spans cannot be written: {error.strerror or error}") from error


def copies(folder: str, sources: int) -> Iterator[Copy]:
    """Yield the spans that were read before; the first copy, in the order of the inputs, is the one that counts.

    Args:
        folder: The folder of the files.
        sources: How many inputs there are.
    """
    for part in range(len(_DIGITS)):
        files = [(source, _file(folder, part, source)) for source in range(sources)]
        yield from _among([(source, file) for source, file in files if os.path.exists(file)], _PLACES[1:])


def _among(files: list[tuple[int, str]], places: tuple[int, ...]) -> Iterator[Copy]:
    """Yield the copies among the records of files, which are removed; ``places`` are where records may differ."""
    if sum(os.path.getsize(file) for _, file in files) > _TOGETHER * _RECORD and places:
        for part in _split(files, places[0]):
            yield from _among(part, places[1:])
        return
    repeated = _repeated(files)
    if repeated:
        yield from _later(files, repeated)
    for _, file in files:
        os.unlink(file)


def _split(files: list[tuple[int, str]], place: int) -> list[list[tuple[int, str]]]:
    """Spread the records of files, which are removed, over one file for each digit at a place."""
    parts: list[list[tuple[int, str]]] = [[] for _ in _DIGITS]
    for source, file in files:
        for _, data in _read([(source, file)]):
            spread: defaultdict[int, list[bytes]] = defaultdict(list)
            for record in _records(data):
                spread[record[place] % len(_DIGITS)].append(record)
            for digit, chosen in spread.items():
                target = source, f"{file}.{digit:x}"  # no other input has such a name
                if target not in parts[digit]:
                    parts[digit].append(target)
                _append(target[1], b"".join(chosen))
        os.unlink(file)
    return parts


def _read(files: list[tuple[int, str]]) -> Iterator[tuple[int, bytes]]:
    for source, file in files:
        with open(file, "rb") as opened:
            while data := opened.read(_READ * _RECORD):
                yield source, data


def _records(data: bytes) -> Iterator[bytes]:
    return (data[place : place + _RECORD] for place in range(0, len(data), _RECORD))


def _keys(data: bytes) -> list[int]:
    """Return a number for each record, the same for the same span id.

    Digit by digit of all records at once, and eight bytes instead of sixteen digits: this is where the time goes.
    """
    count = len(data) // _RECORD
    digits = bytearray(count * _SPAN)
    for place in range(_SPAN):
        digits[place::_SPAN] = data[_TRACE + place :: _RECORD]
    try:
        packed = bytes.fromhex(digits.decode("ascii"))
    except ValueError:
        packed = b""
    if len(packed) != count * _SPAN // 2:  # some id has something else than digits
        packed = b"".join(_packed(bytes(digits[place : place + _SPAN])) for place in range(0, len(digits), _SPAN))
    return array("Q", packed).tolist()


def _packed(span_id: bytes) -> bytes:
    try:
        packed = bytes.fromhex(span_id.decode("ascii"))
    except ValueError:
        packed = b""
    return packed if len(packed) == _SPAN // 2 else hashlib.blake2b(span_id, digest_size=_SPAN // 2).digest()


def _repeated(files: list[tuple[int, str]]) -> set[int]:
    """Return the keys that more than one record has."""
    seen: set[int] = set()
    repeated: set[int] = set()
    for _, data in _read(files):
        keys = _keys(data)
        fresh = set(keys)
        repeated |= fresh & seen
        if len(fresh) < len(keys):
            repeated.update(known for known, count in Counter(keys).items() if count > 1)
        seen |= fresh
    return repeated


def _later(files: list[tuple[int, str]], repeated: set[int]) -> Iterator[Copy]:
    """Yield the records with one of these keys whose ids an earlier one has."""
    first: dict[bytes, tuple[int, str]] = {}
    for source, data in _read(files):
        for number in [number for number, key in enumerate(_keys(data)) if key in repeated]:
            record = data[number * _RECORD : (number + 1) * _RECORD]
            known, mark = record[:_ID], record[_ID:].decode()
            if known in first:
                yield Copy(known[:_TRACE].decode(), known[_TRACE:].decode(), source, mark, *first[known])
            else:
                first[known] = source, mark
