"""Copies of spans: span ids that more than one record has, found with files and bounded memory.

A span that a retry wrote twice must count once. The ids of all spans of a period do not fit into memory. Each scan of
an input therefore writes them to files, and the files are compared part by part.

Why not ``sqlite3``: for 2,000,000 spans in five inputs, it takes 6.8 s of processor time to write and find the ids.
That is with a database per input without journal and syncing, and a sorted ``INSERT OR IGNORE`` into a
``WITHOUT ROWID`` table. These files take 2.1 s, and 64 MB of disk instead of 144 MB. The complete evidence about so
many spans takes about 15 s.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.errors import TelemetryError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    InputFile = tuple[int, str]
    """The number of an input, and the path of a file with its records."""

_TRACE_ID_BYTES: Final = 16
_ID_BYTES: Final = 24
"""Bytes of a trace id and a span id."""
_MARK_BYTES: Final = 8
_RECORD_BYTES: Final = _ID_BYTES + _MARK_BYTES
_RECORD_WORDS: Final = _RECORD_BYTES // 8
"""64-bit words of a record: two for the trace id, one for the span id, one for the mark."""
_SPAN_WORD: Final = 2
_HEX_DIGITS: Final = "0123456789abcdef"
ID_FILES: Final = len(_HEX_DIGITS)
"""The number of files with the ids of one input."""
_SPLIT_BYTES: Final = (*range(_TRACE_ID_BYTES, _ID_BYTES), *range(_TRACE_ID_BYTES))
"""The bytes of a record by which files are split. Those of the span id come first, because they are random; those of
some trace ids are not."""

_BUFFERED_RECORDS: Final = 10_000
"""The number of records in memory at which they are written."""
_COMPARED_RECORDS: Final = 600_000
"""The limit of records that are compared at once, which takes about 100 MB."""
_READ_RECORDS: Final = 20_000
"""The number of records that are read at once."""


class RepeatedSpan(NamedTuple):
    """A span that was read more than once.

    Attributes:
        ids: Its trace id and span id, as ``pack_ids`` returns them.
        groups: For each time that it was read, in the order of the inputs, the number of the input and the mark of the
            call group that counted it there.
    """

    ids: bytes
    groups: list[tuple[int, str]]


class _Buckets(dict[str, list[str]]):
    """The unwritten records by the first character of the span id; a record is trace id, span id and mark as text.

    Characters of the same file share a list. The records of a span therefore keep their order, although some have
    its id in upper case.

    Attributes:
        files: The lists by the number of their file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: defaultdict[int, list[str]] = defaultdict(list)

    def __missing__(self, character: str) -> list[str]:
        # find() returns -1 for a character that is not a digit; its records go to the last file.
        part = _HEX_DIGITS.find(character.lower()) % len(_HEX_DIGITS)
        records = self[character] = self.files[part]
        return records

    def clear(self) -> None:
        super().clear()
        self.files.clear()


class SpanIdWriter:
    """Writes the ids of one input's spans, to a file for each hexadecimal digit that a span id can begin with.

    Args:
        folder: The folder of the files.
        input_number: The number of the input.
    """

    def __init__(self, folder: str, input_number: int) -> None:
        self.folder = folder
        self.input_number = input_number
        self._waiting = 0
        self.buckets = _Buckets()

    def add(self, trace_id: str, span_id: str, mark: str) -> None:
        """Add one record."""
        self.buckets[span_id[0]].append(f"{trace_id}{span_id}{mark}")
        self.note_added(1)

    @staticmethod
    def format_mark(number: int) -> str:
        """Return the mark of a call group: its number as hexadecimal digits."""
        return f"{number:0{2 * _MARK_BYTES}x}"

    def note_added(self, count: int) -> None:
        """Count new records, and write all of them if there are many; raise the errors of ``flush``."""
        self._waiting += count
        if self._waiting >= _BUFFERED_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write the records that are in memory.

        Raises:
            TelemetryError: The disk is full, or the folder is missing.
        """
        for part, records in self.buckets.files.items():
            append_records(_make_path(self.folder, part, self.input_number), _pack_records(records))
        self.buckets.clear()
        self._waiting = 0


def pack_ids(trace_id: str, span_id: str) -> bytes:
    """Return a trace id and a span id as bytes, the same for upper and lower case.

    If the ids are not hexadecimal digits, return a digest of them. No exporter writes such ids.
    """
    text = f"{trace_id}{span_id}".encode("ascii", "replace").lower()
    packed = _from_hex(text.decode())
    return packed if len(packed) == _ID_BYTES else hashlib.blake2b(text, digest_size=_ID_BYTES).digest()


def _pack_records(records: list[str]) -> bytes:
    packed = _from_hex("".join(records))  # all at once, because this is a hot spot
    if len(packed) == len(records) * _RECORD_BYTES:
        return packed
    digits = 2 * _ID_BYTES
    return b"".join(pack_ids(text[:32], text[32:digits]) + bytes.fromhex(text[digits:]) for text in records)


def _from_hex(text: str) -> bytes:
    """Return the bytes of hexadecimal digits: too few if there is white space, none if there are other characters."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _make_path(folder: str, part: int, input_number: int) -> str:
    return os.path.join(folder, f"{part:x}-{input_number}")


def find_part(ids: bytes) -> int:
    """Return the number of the file that has the records with these ids: the first digit of the span id."""
    return ids[_TRACE_ID_BYTES] >> 4


def find_records(
    folder: str, part: int, input_count: int, wanted: Collection[bytes]
) -> Iterator[tuple[bytes, tuple[int, str]]]:
    """Yield the records of one part that have one of these ids, each with its ids, input and mark; keep the files."""
    span_ids = set(array("Q", b"".join(ids[_TRACE_ID_BYTES:] for ids in wanted)))
    paths = [(number, _make_path(folder, part, number)) for number in range(input_count)]
    for number, data in _read_records([(number, path) for number, path in paths if os.path.exists(path)]):
        for place in [place for place, span_id in enumerate(_read_span_ids(data)) if span_id in span_ids]:
            record = data[place * _RECORD_BYTES : (place + 1) * _RECORD_BYTES]
            if record[:_ID_BYTES] in wanted:
                yield record[:_ID_BYTES], (number, record[_ID_BYTES:].hex())


def append_records(path: str, data: bytes | bytearray) -> None:
    """Append records to a file.

    Raises:
        TelemetryError: The disk is full, or the folder is missing.
    """
    try:
        with open(path, "ab") as file:
            file.write(data)
    except OSError as error:
        raise TelemetryError(path, f"the ids of spans cannot be written: {explain_os_error(error)}") from error


def find_repeated_spans(folder: str, input_count: int) -> Iterator[RepeatedSpan]:
    """Yield the spans that were read more than once, and remove the files.

    Args:
        folder: The folder of the files.
        input_count: The number of inputs.
    """
    for part in range(ID_FILES):
        paths = [(number, _make_path(folder, part, number)) for number in range(input_count)]
        yield from _compare([(number, path) for number, path in paths if os.path.exists(path)], _SPLIT_BYTES)


def _compare(files: list[InputFile], split_bytes: tuple[int, ...]) -> Iterator[RepeatedSpan]:
    """Yield the spans that more than one record of the files has, and remove the files.

    Files that are too large to compare are split first, by the value of one byte of their records. Equal ids stay
    together, because they have the same bytes. If the parts are still too large, the next byte splits them again.

    Args:
        files: The files.
        split_bytes: The positions of the bytes that have not split the files yet.
    """
    if sum(os.path.getsize(path) for _, path in files) > _COMPARED_RECORDS * _RECORD_BYTES and split_bytes:
        for part in _split_files(files, split_bytes[0]):
            yield from _compare(part, split_bytes[1:])
        return
    repeated = _find_repeated_span_ids(files)
    if repeated:
        yield from _group_records(files, repeated)
    for _, path in files:
        os.unlink(path)


def _split_files(files: list[InputFile], position: int) -> list[list[InputFile]]:
    """Split files by the value of one byte of their records, remove them, and return the parts with equal values."""
    parts: defaultdict[int, dict[InputFile, None]] = defaultdict(dict)
    for number, path in files:
        for _, data in _read_records([(number, path)]):
            spread: defaultdict[int, bytearray] = defaultdict(bytearray)
            for start in range(0, len(data), _RECORD_BYTES):
                spread[data[start + position]] += data[start : start + _RECORD_BYTES]
            for value, records in spread.items():
                target = f"{path}.{value:02x}"  # unique, because the path has the number of the input
                parts[value][number, target] = None
                append_records(target, records)
        os.unlink(path)
    return [list(part) for part in parts.values()]


def _read_records(files: list[InputFile]) -> Iterator[tuple[int, bytes]]:
    for number, path in files:
        with open(path, "rb") as file:
            while data := file.read(_READ_RECORDS * _RECORD_BYTES):
                yield number, data


def _read_span_ids(data: bytes) -> list[int]:
    """Return the span id of each record, as a number.

    Span ids alone exclude most records that are not copies. Numbers compare faster than bytes, and one slice reads
    them all.
    """
    return array("Q", data)[_SPAN_WORD::_RECORD_WORDS].tolist()


def _find_repeated_span_ids(files: list[InputFile]) -> set[int]:
    """Return the span ids that more than one record has."""
    seen: set[int] = set()
    repeated: set[int] = set()
    for _, data in _read_records(files):
        span_ids = _read_span_ids(data)
        fresh = set(span_ids)
        repeated |= fresh & seen
        if len(fresh) < len(span_ids):
            repeated.update(span_id for span_id, count in Counter(span_ids).items() if count > 1)
        seen |= fresh
    return repeated


def _group_records(files: list[InputFile], repeated: set[int]) -> Iterator[RepeatedSpan]:
    """Yield the spans with one of these span ids that more than one record has."""
    spans: defaultdict[bytes, list[tuple[int, str]]] = defaultdict(list)
    groups: dict[tuple[int, bytes], tuple[int, str]] = {}
    for number, data in _read_records(files):
        for place in [place for place, span_id in enumerate(_read_span_ids(data)) if span_id in repeated]:
            record = data[place * _RECORD_BYTES : (place + 1) * _RECORD_BYTES]
            key = number, record[_ID_BYTES:]
            group = groups.get(key)
            if group is None:
                group = groups[key] = number, key[1].hex()
            spans[record[:_ID_BYTES]].append(group)
    for ids, found in spans.items():
        if len(found) > 1:
            yield RepeatedSpan(ids, found)
