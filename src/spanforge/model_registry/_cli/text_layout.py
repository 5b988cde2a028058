"""The layout of a registry file: where in its text the values of an entry are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_END: Final = re.compile(r"\r?\n|\Z")


class TextMember(NamedTuple):
    """A member of a mapping.

    Attributes:
        start: The offset of the key.
        key_end: The offset after the key.
        part: The value.
    """

    start: int
    key_end: int
    part: Part

    @property
    def end(self) -> int:
        """The offset after the value."""
        return self.part.end


@dataclass(slots=True)
class Part:
    """A value in the text.

    Attributes:
        start: The offset of its first character, after an anchor or a tag.
        end: The offset after its last character. Comments that follow do not count.
        kind: A scalar, a list, a mapping, or an alias of a value at another place.
        is_flow: ``True`` for a list or mapping in brackets.
        items: The items of a list.
        members: The members of a mapping, without those that ``<<`` adds.
    """

    start: int
    end: int
    kind: Literal["scalar", "list", "mapping", "alias"] = "scalar"
    is_flow: bool = False
    items: list[Part] = field(default_factory=list)
    members: dict[str, TextMember] = field(default_factory=dict)

    @property
    def children(self) -> Sequence[Part | TextMember]:
        """The items or members."""
        return self.items or list(self.members.values())


class FileLayout(NamedTuple):
    """The places of the entries of a file.

    Attributes:
        root: The list of entries. Only the wanted item has an end and inner parts.
        item: The wanted item; ``None`` if the list is empty.
    """

    root: Part
    item: Part | None


def find_line_start(text: str, offset: int) -> int:
    """Return the offset of the line's first character."""
    return text.rfind("\n", 0, offset) + 1


def find_line_end(text: str, offset: int) -> int:
    """Return the offset of the end of the line, before its line break."""
    match = _LINE_END.search(text, offset)
    return match.start() if match else len(text)


def find_column(text: str, offset: int) -> int:
    """Return the number of characters before an offset in its line."""
    return offset - find_line_start(text, offset)


def find_indentation(text: str, offset: int) -> str:
    """Return the white space at the start of a line."""
    start = find_line_start(text, offset)
    line = text[start : find_line_end(text, offset)]
    return line[: len(line) - len(line.lstrip())]


def find_newline(text: str) -> str:
    """Return the line break of the first line; a line feed if there is none."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
