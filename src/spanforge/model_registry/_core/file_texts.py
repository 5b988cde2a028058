"""The text of a registry file, and the place of the first fault in it."""

from __future__ import annotations

import codecs
import re
from typing import Final

Place = tuple[int, int]
"""Line and column, from 1."""

_BREAK: Final = re.compile("\r\n|[\n\r]")


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
    bits = 16 if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 8
    encoding = "utf-16" if bits == 16 else "utf-8-sig"  # noqa: PLR2004 - its name
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "ignore")
        raise FaultError(find_end(before), f"is not valid {form}: it is not UTF-{bits}: {error.reason}") from None


def find_end(text: str) -> Place:
    """Return the place after a text at the start of the file."""
    lines = split_lines(text)
    return len(lines), len(lines[-1]) + 1


def split_lines(text: str) -> list[str]:
    """Return the lines of a text, without their ends."""
    return _BREAK.split(text)


def get_line(text: str, number: int) -> str:
    """Return a line of a text, counted from 1, without its end; an empty text for a place after the last line."""
    lines = split_lines(text)
    return lines[number - 1] if number <= len(lines) else ""
