"""The text of a registry file, and places in it: the whole text, or slices of it that leave other threads running."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Place = tuple[int, int]
"""Line and column, from 1."""

SLICE: Final = 65_536
"""The bytes of a file that are handled at once.

Python code lets other threads run, but a call of a C function does not. A call with this many bytes takes about a
millisecond at most.
"""

MAX_ITEM_VALUES: Final = 100_000
"""The limit of values in one item of a file, so that a hostile item is not built completely. The user's part of an
entry has at most 65,536, and the rest of it at most 20,000."""

CHECKED_ITEMS: Final = 5_000
"""The number of items after an invalid entry that are still read. If the text is not valid there, that is the error,
because it explains more."""

_BREAK: Final = re.compile("\r\n|[\n\r]")
_CONTINUATION: Final = bytes(range(0x80, 0xC0))
"""The bytes in UTF-8 that are not the first one of a character."""
_MAX_CONTINUED: Final = 3
"""The limit of such bytes in one character."""


class FaultError(Exception):
    """The structure of a file has a fault.

    Attributes:
        place: The place of the fault; ``None`` if it is not known.
        reason: The predicate of the sentence about the fault.
    """

    def __init__(self, place: Place | None, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


def decode_text(content: bytes, form: str) -> str:
    """Return a file's text: UTF-8, or UTF-16 with a byte order mark.

    Args:
        content: The bytes of the file.
        form: The name of the file's format.

    Raises:
        FaultError: The bytes are neither.
    """
    utf8 = convert_to_utf8(content, form)
    return "".join(decode_slice(utf8, start, end, form) for start, end in list_slices(utf8))


def convert_to_utf8(content: bytes, form: str) -> bytes:
    """Return a file's text in UTF-8, without byte order mark. Only UTF-16 is checked; see ``decode_slice``.

    Raises:
        FaultError: The bytes have the mark of UTF-16 and are not UTF-16.
    """
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.removeprefix(codecs.BOM_UTF8)
    decoder = codecs.getincrementaldecoder("utf-16")()
    converted = bytearray()
    for start in range(0, len(content), SLICE):
        piece = content[start : start + SLICE]
        try:
            converted += decoder.decode(piece, final=start + SLICE >= len(content)).encode()
        except UnicodeDecodeError as error:
            converted += error.object[: error.start].decode(_name_encoding(content, start), "ignore").encode()
            place = find_line_place(bytes(converted), len(converted))
            raise FaultError(place, f"is not valid {form}: it is not UTF-16: {error.reason}") from None
    return bytes(converted)


def _name_encoding(content: bytes, start: int) -> str:
    """Return the name of the encoding of a piece of UTF-16; only the first piece has the mark."""
    if start == 0:
        return "utf-16"
    return "utf-16-le" if content.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"


def list_slices(content: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yield the starts and ends of slices of a text in UTF-8. No slice ends in a character or in a line end of two."""
    while start < len(content):
        end = find_slice_end(content, start)
        yield start, end
        start = end


def find_slice_end(content: bytes, start: int) -> int:
    """Return the end of the slice that begins at a position."""
    end = start + SLICE
    while end < start + SLICE + _MAX_CONTINUED and content[end : end + 1] in _CONTINUATIONS:
        end += 1
    return min(end + (content[end - 1 : end + 1] == b"\r\n"), len(content))


_CONTINUATIONS: Final = frozenset(bytes([byte]) for byte in _CONTINUATION)


def decode_slice(content: bytes, start: int, end: int, form: str) -> str:
    """Return the text of a slice.

    Raises:
        FaultError: It is not UTF-8.
    """
    try:
        return content[start:end].decode()
    except UnicodeDecodeError as error:
        place = find_line_place(content, start + error.start)
        raise FaultError(place, f"is not valid {form}: it is not UTF-8: {error.reason}") from None


def find_place(content: bytes, position: int) -> Place:
    """Return the place of a position in a text, as JSON counts its lines: by line feeds only."""
    line = 1 + sum(content.count(b"\n", start, min(end, position)) for start, end in _list_until(content, position))
    return line, 1 + _count_characters(content, content.rfind(b"\n", 0, position) + 1, position)


def find_line_place(content: bytes, position: int) -> Place:
    """Return the place of a position in a text, whose lines end with a line feed, a carriage return or both."""
    line = 1 + sum(_count_breaks(content, start, min(end, position)) for start, end in _list_until(content, position))
    start = max(content.rfind(b"\n", 0, position), content.rfind(b"\r", 0, position)) + 1
    return line, 1 + _count_characters(content, start, position)


def read_line(content: bytes, line: int, column: int, size: int) -> str:
    """Return up to ``size`` characters of a text from a place on, up to the end of the line."""
    start = _skip_characters(content, _find_line(content, line), column - 1)
    text = content[start : start + 4 * size].decode(errors="ignore")
    return split_lines(text)[0][:size]


def _find_line(content: bytes, line: int) -> int:
    """Return the position of the start of a line."""
    left = line - 1
    for start, end in list_slices(content):
        breaks = _count_breaks(content, start, end)
        if left <= breaks:
            ends = [0, *(match.end() for match in _BREAK.finditer(content[start:end].decode("latin-1")))]
            return start + ends[left]
        left -= breaks
    return len(content)


def _skip_characters(content: bytes, position: int, number: int) -> int:
    """Return the position after a number of characters."""
    for start, end in list_slices(content, position):
        characters = _count_characters(content, start, end)
        if number <= characters:
            return start + len(content[start:end].decode(errors="replace")[:number].encode())
        number -= characters
    return len(content)


def _list_until(content: bytes, position: int) -> Iterator[tuple[int, int]]:
    for start, end in list_slices(content):
        if start >= position:
            return
        yield start, end


def _count_breaks(content: bytes, start: int, end: int) -> int:
    breaks = content.count(b"\n", start, end) + content.count(b"\r", start, end)
    return breaks - content.count(b"\r\n", start, end)


def _count_characters(content: bytes, start: int, end: int) -> int:
    pieces = (content[at : min(at + SLICE, end)] for at in range(start, end, SLICE))
    return sum(len(piece.translate(None, _CONTINUATION)) for piece in pieces)


def split_lines(text: str) -> list[str]:
    """Return the lines of a text, without their ends."""
    return _BREAK.split(text)
