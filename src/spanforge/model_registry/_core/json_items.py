"""``JsonArray``: the items of the JSON array that a file is, read one by one, with the place of each fault.

A file of a few megabytes can have millions of values. Decoding them all takes a hundred times its size, and holds
Python's interpreter lock for seconds. Here, one call of the decoder handles one ``SLICE`` of the file, or one item
within the limits. A fault is found before anything behind it is read.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.file_hints import MAX_READ
from spanforge.model_registry._core.file_texts import (
    MAX_ITEM_VALUES,
    SLICE,
    FaultError,
    decode_slice,
    find_place,
    find_slice_end,
)
from spanforge.model_registry._core.json_places import list_children
from spanforge.model_registry._core.json_texts import (
    NESTED_TOO_DEEPLY,
    decode_json_items,
    decode_json_text,
    explain_json_error,
    json_decoder,
    refuse_root,
    refuse_text,
)
from spanforge.model_registry._core.validation import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

MAX_STRING_BYTES: Final = 12 * MAX_SIZE
"""The limit of bytes in one string of an entry. It has at most ``MAX_SIZE`` characters, and a character has at most 12
bytes, as two escapes."""
MAX_ITEM_BYTES: Final = 17 * 1024 * 1024
"""The limit of bytes of an entry in a file. One call decodes an entry, so other threads wait for it.

The texts of an entry have at most 4.2 MiB, and three times as many if characters beyond ASCII are escapes. White space
has at most 4 MiB, with 100,000 values in deeply indented lines."""

_WHITE_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_STRUCTURE: Final = re.compile(rb'["\[\]{},]')
_LONG_VALUES: Final[Mapping[bytes, Any]] = {
    b"[": [],
    b'"': "",
    **dict.fromkeys((b"-", *b"0 1 2 3 4 5 6 7 8 9".split()), 0),
}
"""A plain value of the type of an item that is no object, by the first byte of the item."""
_MAX_BYTES: Final = 4
"""The limit of bytes of a character."""


class JsonArray:
    """The items of the JSON array that a file is. ``find_next`` moves to the next item, and ``read`` returns it.

    Attributes:
        content: The file in UTF-8, without byte order mark.
        position: The position of the current item; after ``read``, the position behind it.
        index: The number of the current item, from 0.
        is_cut_off: ``True`` if an item was not read to its end, because it is no object. Nothing behind it is read.

    Args:
        name: The path of the file, for errors.
        content: The file.

    Raises:
        RegistryFileError: The file is not an array. The methods raise this error for content that is not valid.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.content = content
        self.index = -1
        self.is_cut_off = False
        self._name = name
        self._item_start = 0
        # A part of the file as text, its start and end in the file, and the place in it that is at ``position``.
        self._text, self._text_start, self._text_end, self._at = "", 0, 0, 0
        start = _skip_blanks(content, 0)
        if content[start : start + 1] != b"[":
            self._refuse_root(start)
        self.position = start + 1

    def find_next(self) -> bool:
        """Move to the next item, and return whether there is one. If not, the rest of the file was checked."""
        position = _skip_blanks(self.content, self.position)
        byte = self.content[position : position + 1]
        if byte == b"]":
            self._check_end(position + 1)
            return False
        if self.index >= 0:
            if byte != b",":
                self._refuse("Expecting ',' delimiter", position)
            position = _skip_blanks(self.content, position + 1)
            if self.content[position : position + 1] == b"]":
                self._refuse("Expecting value", position)
        self._at += position - self.position
        self.position = position
        self.index += 1
        return True

    def _check_end(self, position: int) -> None:
        end = _skip_blanks(self.content, position)
        if end < len(self.content):
            self._refuse("Extra data", end)

    def skip(self, end: int, number: int) -> None:
        """Move behind the current item and others, which were read in another way."""
        self.position = end
        self.index += number - 1
        self._text, self._at = "", 0

    def read(self) -> Any:
        """Return the current item, and move behind it."""
        item, end = self._decode_item()
        text = self._text[self._at : end]
        self._item_start = self.position
        self.position += len(text if text.isascii() else text.encode())
        self._at = end
        return item

    def get_text(self) -> str:
        """Return the text of the item that was read last."""
        return self.content[self._item_start : self.position].decode()

    def locate(self, text: str) -> tuple[int, int]:
        """Return the line and column behind a text with which the item that was read last begins."""
        return find_place(self.content, self._item_start + len(text.encode()))

    def _decode_item(self) -> tuple[Any, int]:
        """Return the current item, and its end in the text."""
        if self._at >= len(self._text):
            self._read_text(find_slice_end(self.content, self.position))
        decoded = self._decode_if_whole()
        if decoded is None and self._at:
            self._read_text(find_slice_end(self.content, self.position))
            decoded = self._decode_if_whole()
        return self._decode_long_item() if decoded is None else decoded

    def _decode_if_whole(self) -> tuple[Any, int] | None:
        """Return the current item and its end in the text; ``None`` if the text may end in the item."""
        if self._text_end == len(self.content):
            return self._decode()
        try:
            item, end = self._decode_unlocated()
        except json.JSONDecodeError:
            return None
        return None if end == len(self._text) else (item, end)

    def _decode_long_item(self) -> tuple[Any, int]:
        """Return an item that does not end in a slice. One that is no object is a plain value of the same type."""
        first = self._text[:1].encode()
        if first in _LONG_VALUES:
            self.is_cut_off = True
            return _LONG_VALUES[first], len(self._text)
        if first == b"{":
            self._read_text(self._find_item_end())
        return self._decode()

    def _decode(self) -> tuple[Any, int]:
        """Return the current item, which the text contains, and its end in the text."""
        try:
            return self._decode_unlocated()
        except json.JSONDecodeError as error:
            self._refuse(error.msg, self._text_start + len(self._text[: error.pos].encode()))

    def _decode_unlocated(self) -> tuple[Any, int]:
        try:
            return json_decoder.raw_decode(self._text, self._at)
        except json.JSONDecodeError:
            raise
        except RecursionError:
            raise RegistryFileError(self._name, NESTED_TOO_DEEPLY) from None
        except ValueError as error:
            raise RegistryFileError(self._name, f"is not valid JSON: {error}") from None

    def _find_item_end(self) -> int:
        """Return the end of the current object, or of the file, after checking the limits of an item."""
        content, position = self.content, self.position
        depth = values = 0
        while position < len(content):
            match = _STRUCTURE.search(content, position, position + SLICE)
            if position - self.position > MAX_ITEM_BYTES:
                self._refuse_item(f"has more than {MAX_ITEM_BYTES:,} bytes in one entry")
            if match is None:
                position += SLICE
                continue
            mark, position = match[0], match.end()
            if mark == b'"':
                position = self._find_string_end(position)
            elif mark in b"]}":
                depth -= 1
                if depth == 0:
                    return position
            else:
                depth += mark != b","
                values += 1
            if values > MAX_ITEM_VALUES:
                self._refuse_item(f"has more than {MAX_ITEM_VALUES:,} values in one entry")
        return len(content)

    def _find_string_end(self, position: int) -> int:
        """Return the end of the string that begins before a position."""
        start, content = position, self.content
        while True:
            position = content.find(b'"', position, start + MAX_STRING_BYTES) + 1
            if position == 0 and start + MAX_STRING_BYTES < len(content):
                self._refuse_item(f"has a string of more than {MAX_SIZE:,} characters")
            if position == 0:
                return len(content)
            escape = position - 2
            while content[escape : escape + 1] == b"\\":
                escape -= 1
            if (position - escape) % 2 == 0:
                return position

    def _refuse_item(self, problem: str) -> NoReturn:
        raise RegistryFileError(self._name, problem, self.index, None, None, *find_place(self.content, self.position))

    def _refuse_root(self, start: int) -> NoReturn:
        """Refuse a file that is no array. Of a large file, only the start is read."""
        if len(self.content) <= SLICE:
            decode_json_items(self._name, decode_json_text(self._name, self.content))
        text = self._decode_text(start, find_slice_end(self.content, start))
        first = text[:1].encode()
        if first != b"{" and first not in _LONG_VALUES:
            self._refuse("Expecting value", start)
        keys: list[str] = []
        lists: list[str] = []
        with suppress(ValueError, IndexError, RecursionError):  # the text is cut off
            for step, child in list_children(text, 0):
                keys.append(step[1:])
                lists += [step[1:]] if text[child] == "[" else []
        raise refuse_root(self._name, _LONG_VALUES.get(first, {}), keys, lists)

    def _refuse(self, message: str, position: int) -> NoReturn:
        """Refuse content that is not JSON from a position on."""
        content, size = self.content, _MAX_BYTES * MAX_READ
        pieces = content[:size], content[max(position - size, 0) : position], content[position : position + size]
        start, before, rest = (piece.decode(errors="ignore") for piece in pieces)
        reason = explain_json_error(message, start, before, rest)
        line, column = find_place(content, position)
        raise RegistryFileError(self._name, reason, line=line, column=column)

    def _read_text(self, end: int) -> None:
        """Read the text from the current item to an end."""
        self._text, self._at = self._decode_text(self.position, end), 0
        self._text_start, self._text_end = self.position, end

    def _decode_text(self, start: int, end: int) -> str:
        try:
            return decode_slice(self.content, start, end, "JSON")
        except FaultError as fault:
            raise refuse_text(self._name, fault) from None


def _skip_blanks(content: bytes, position: int) -> int:
    """Return the position after white space."""
    while True:
        match = _WHITE_SPACE.match(content, position, position + SLICE)
        end = position if match is None else match.end()
        if end < position + SLICE:
            return end
        position = end
