"""Places in JSON texts: the line and column of an item of an array, or of a member of that item."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_raw_decode = json.JSONDecoder().raw_decode


def find_json_place(text: str, index: int, member: str | None = None) -> tuple[int, int]:
    """Return the line and column, from 1, of an item of the array that a valid JSON text is.

    Args:
        text: The text.
        index: The number of the item, from 0.
        member: The key of a member of the item. If the item has it, the place is that of the last such key.
    """
    position = _skip(text, 0, "[")
    for _ in range(index):
        position = _skip(text, _decode_at(text, position)[1], ",")
    found = position if member is None else _find_member(text, position, member)
    return text.count("\n", 0, found) + 1, found - text.rfind("\n", 0, found)


def _find_member(text: str, position: int, member: str) -> int:
    found = position
    if text[position] != "{":
        return found
    position = _skip(text, position, "{")
    while text[position] == '"':
        key, end = _decode_at(text, position)
        if key == member:
            found = position
        position = _skip(text, _decode_at(text, _skip(text, end, ":"))[1], ",")
    return found


def _decode_at(text: str, position: int) -> tuple[Any, int]:
    value, end = _raw_decode(text, position)
    return value, end


def _skip(text: str, position: int, mark: str) -> int:
    """Return the position after white space, an optional mark and more white space."""
    position = _end_of_space(text, position)
    if text.startswith(mark, position):
        position = _end_of_space(text, position + 1)
    return position


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()
