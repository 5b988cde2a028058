"""The layout of a JSON file that the library can read."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from spanforge.model_registry._cli.text_layout import FileLayout, Part, TextMember

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_decode_any = json.JSONDecoder().raw_decode


def scan_json(text: str, index: int) -> FileLayout:
    """Return the layout of a JSON file.

    Args:
        text: The text, without a byte order mark. It is the text of a valid registry file.
        index: The number of the item whose parts are wanted.
    """
    start = _skip_space(text, 0)
    root = Part(start, start, "list", is_flow=True)
    position = _skip_space(text, start + 1)
    while text[position] != "]":
        _, end = _decode_any(text, position)
        root.items.append(Part(position, end))
        position = _skip_comma(text, end)
    root.end = position + 1
    return FileLayout(root, _scan_value(text, root.items[index].start) if root.items else None)


def _scan_value(text: str, start: int) -> Part:
    if text[start] == "{":
        return _scan_object(text, start)
    if text[start] == "[":
        return _scan_array(text, start)
    return Part(start, _decode_any(text, start)[1])


def _scan_array(text: str, start: int) -> Part:
    part = Part(start, start, "list", is_flow=True)
    position = _skip_space(text, start + 1)
    while text[position] != "]":
        part.items.append(_scan_value(text, position))
        position = _skip_comma(text, part.items[-1].end)
    part.end = position + 1
    return part


def _scan_object(text: str, start: int) -> Part:
    part = Part(start, start, "mapping", is_flow=True)
    position = _skip_space(text, start + 1)
    while text[position] != "}":
        key: Any
        key, key_end = _decode_any(text, position)
        colon = _skip_space(text, key_end)
        member = TextMember(position, key_end, _scan_value(text, _skip_space(text, colon + 1)))
        part.members[key] = member
        position = _skip_comma(text, member.end)
    part.end = position + 1
    return part


def _skip_comma(text: str, position: int) -> int:
    position = _skip_space(text, position)
    return _skip_space(text, position + 1) if text[position] == "," else position


def _skip_space(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position
