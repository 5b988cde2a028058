"""Places in JSON texts: the line and column of an item of an array, or of a member of that item."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_raw_decode = json.JSONDecoder().raw_decode


def find_json_place(text: str, index: int, member: str | None = None) -> tuple[int, int]:
    """Return the line and column, from 1, of an item of the array that a valid JSON text is.

    Args:
        text: The text.
        index: The number of the item, from 0.
        member: The key of a member of the item. If the item has it, the place is that of the last such key.
    """
    position = _find_item(text, index)
    return _find_place_of(text, position if member is None else find_key_position(text, position, member))


def find_json_value(text: str, index: int, path: str | None) -> tuple[int, int]:
    """Return the line and column, from 1, of a value in an item of the array that a valid JSON text is.

    Args:
        text: The text.
        index: The number of the item, from 0.
        path: The path of the value in the item, such as ``metadata.aliases[0]``. It is followed as far as possible;
            ``None`` for the item itself.
    """
    position = _find_item(text, index)
    return _find_place_of(text, find_value_position(text, position, path))


def find_value_position(text: str, position: int, path: str | None) -> int:
    """Return the position of a value in the item at a position; see ``find_json_value``."""
    return position if path is None else _follow_path(text, position, f".{path}")[1]


def find_json_member(text: str, path: str, key: str | None = None) -> tuple[int, int]:
    """Return the line and column, from 1, of a value in a valid JSON text, or of a key in it.

    Args:
        text: The text.
        path: The path of the value, such as ``clauses[0].id``. It is followed as far as possible; empty for the whole.
        key: The key whose place is meant, if the value is an object with it. The last such key counts.
    """
    position = _follow_path(text, _end_of_space(text, 0), f".{path}" if path else "")[1]
    return _find_place_of(text, position if key is None else find_key_position(text, position, key))


def _find_item(text: str, index: int) -> int:
    position = _skip(text, 0, "[")
    for _ in range(index):
        position = _skip(text, _decode_at(text, position)[1], ",")
    return position


def _find_place_of(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _follow_path(text: str, position: int, path: str) -> tuple[str, int]:
    """Follow a path as far as possible, and return the rest of the path and the position of the last value.

    Keys may contain dots and brackets, so several members may match. The correct one leaves the shortest rest. Of two
    members with the same key, the last one counts.
    """
    best = path, position
    for step, child in list_children(text, position) if path else ():
        if path.startswith(step):
            end = _follow_path(text, child, path[len(step) :])
            best = min(end, best, key=lambda pair: len(pair[0]))
    return best


def list_children(text: str, position: int) -> Iterator[tuple[str, int]]:
    """Yield the steps from a list or mapping to its values, such as ``[0]`` or ``.aliases``, and their positions."""
    opening = text[position]
    if opening not in "[{":
        return
    position = _skip(text, position, opening)
    number = 0
    while text[position] not in "]}":
        step = f"[{number}]"
        if opening == "{":
            key, end = _decode_at(text, position)
            step, position = f".{key}", _skip(text, end, ":")
        yield step, position
        position = _skip(text, _decode_at(text, position)[1], ",")
        number += 1


def find_key_position(text: str, position: int, member: str) -> int:
    """Return the position of the last key of this name in the item at a position; that of the item if it has none."""
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
