"""``TextEdits``: changes of single values in a text. Everything else in the text stays as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.text_layout import (
    find_column,
    find_indentation,
    find_line_end,
    find_line_start,
)
from spanforge.model_registry._core.values import make_json_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from spanforge.model_registry._cli.text_layout import Part, TextMember
    from spanforge.model_registry._cli.text_styles import Style

_ALIGNED_COMMENT: Final = re.compile(r" {3,}(?=#)")
"""The spaces before a comment that is aligned with others. One or two spaces are no alignment."""


class SharedValueError(Exception):
    """The value is an alias or comes from a merge key, so other entries may have it too."""


class TextEdits:
    """Collects edits of a text.

    Args:
        text: The text.
        style: The way of writing new values.
    """

    def __init__(self, text: str, style: Style) -> None:
        self._text = text
        self._style = style
        self._edits: list[tuple[int, int, str]] = []

    def apply(self) -> str:
        """Return the text after the edits."""
        pieces: list[str] = []
        position = 0
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2]):
            pieces += self._text[position:start], new
            position = end
        return "".join((*pieces, self._text[position:]))

    def change_mapping(
        self, part: Part, old: Mapping[str, Any], new: Mapping[str, Any], order: Sequence[str] = ()
    ) -> None:
        """Change the members of a mapping that differ.

        Args:
            part: The mapping.
            old: The values before.
            new: The values after.
            order: The order of the keys; a new key is put behind those before it, otherwise at the end.

        Raises:
            SharedValueError: A changed value has inner parts that are written at another place.
        """
        kept = [key for key in part.members if key not in old or key in new]
        for key in kept:
            if key in old and make_json_key(new[key]) != make_json_key(old[key]):
                self._change_value(part, key, old[key], new[key])
        self._remove(part, [key not in kept for key in part.members])
        self._add_members(part, kept, old, new, order)

    def _add_members(
        self, part: Part, kept: list[str], old: Mapping[str, Any], new: Mapping[str, Any], order: Sequence[str]
    ) -> None:
        for key in [each for each in new if each not in part.members]:
            if key in old and make_json_key(new[key]) == make_json_key(old[key]):
                continue
            if isinstance(new[key], dict) and old.get(key):
                raise SharedValueError
            before = _find_key_before(key, kept, order)
            self._insert_member(part, key, new[key], None if before is None else part.members[before])

    def append_item(self, part: Part, value: Any, *, in_lines: bool = False, after_blank_line: bool = False) -> None:
        """Add an item at the end of a list that has items.

        Args:
            part: The list.
            value: The item.
            in_lines: ``True`` to write a mapping with a line for each key.
            after_blank_line: ``True`` to put a blank line before it.
        """
        self._append(part, part.items[-1], value, in_lines=in_lines, after_blank_line=after_blank_line)

    def replace(self, part: Part, text: str) -> None:
        """Replace a value by a text."""
        self._edits.append((part.start, part.end, text))

    def _change_value(self, owner: Part, key: str, old: Any, new: Any) -> None:
        part = owner.members[key].part
        is_container = isinstance(new, (dict, list))
        if is_container and part.kind == "alias":
            raise SharedValueError
        if self._change_inside(part, old, new):
            return
        if is_container or part.kind in ("list", "mapping"):
            self._rewrite_member(owner, key, new)
            return
        written = self._style.write_flow(new, self._text[part.start : part.end])
        self.replace(part, written if part.end > part.start else f" {written}")
        self._keep_comment_column(part.end, len(written) - (part.end - part.start))

    def _keep_comment_column(self, end: int, growth: int) -> None:
        """Keep a comment behind a changed value in its column, if it is aligned with spaces and there is room."""
        match = _ALIGNED_COMMENT.match(self._text, end)
        if match is not None:
            gap = match.end() - match.start()
            self._edits.append((end, match.end(), " " * max(gap - growth, 1)))

    def _change_inside(self, part: Part, old: Any, new: Any) -> bool:
        """Change the items of a list, or the members of a mapping; ``False`` if it has to be written anew."""
        if isinstance(old, dict) and isinstance(new, dict):
            keeps_some = any(key in new or key not in old for key in part.members)
            if keeps_some:
                self.change_mapping(part, old, new)
            return keeps_some
        return isinstance(old, list) and isinstance(new, list) and self._change_list(part, old, new)

    def _change_list(self, part: Part, old: Sequence[Any], new: Sequence[Any]) -> bool:
        """Remove items and add some at the end; ``False`` if this does not lead to the new list."""
        old_keys, new_keys = [*map(make_json_key, old)], [*map(make_json_key, new)]
        known = frozenset(new_keys)
        kept = [number for number, key in enumerate(old_keys) if key in known]
        if len(part.items) != len(old) or not kept or [old_keys[number] for number in kept] != new_keys[: len(kept)]:
            return False
        self._remove(part, [number not in kept for number in range(len(old))])
        last = part.items[kept[-1]]
        for value in new[len(kept) :]:
            self._append(part, last, value, in_lines=last.kind == "mapping" and not last.is_flow)
        return True

    def _rewrite_member(self, owner: Part, key: str, new: Any) -> None:
        """Replace the whole value of a member by one of another kind."""
        member = owner.members[key]
        if owner.is_flow:
            base = find_indentation(self._text, member.start) if self._has_lines(owner) else None
            self.replace(member.part, self._style.write_flow(new, base=base))
            return
        text = self._style.write_block(key, new, find_column(self._text, member.start))
        self._edits.append((member.start, member.end, text))

    def _insert_member(self, part: Part, key: str, value: Any, after: TextMember | None) -> None:
        if not part.is_flow and after is not None:
            column = find_column(self._text, part.start)
            self._insert_line(after.end, column, self._style.write_block(key, value, column))
            return
        has_lines = self._has_lines(part)
        base = find_indentation(self._text, part.children[0].start) if has_lines else None
        text = self._style.write_member(key, self._style.write_flow(value, base=base))
        self._insert_in_flow(after.end if after else part.start + 1, text, base, is_first=after is None)

    def _append(self, part: Part, last: Part, value: Any, *, in_lines: bool, after_blank_line: bool = False) -> None:
        if part.is_flow:
            base = find_indentation(self._text, part.items[0].start) if self._has_lines(part) else None
            self._insert_in_flow(last.end, self._style.write_flow(value, base=base), base)
            return
        column = find_column(self._text, part.start)
        text = self._style.write_item(value, column, in_lines=in_lines)
        self._insert_line(self._find_end_with_comments(last.end, column), column, text, blank=after_blank_line)

    def _insert_line(self, end: int, column: int, text: str, *, blank: bool = False) -> None:
        position = find_line_end(self._text, end)
        start = self._style.newline * (2 if blank else 1) + " " * column
        self._edits.append((position, position, start + text))

    def _insert_in_flow(self, position: int, text: str, base: str | None, *, is_first: bool = False) -> None:
        comma = self._style.comma if base is None else f",{self._style.newline}{base}"
        self._edits.append((position, position, text if is_first else comma + text))

    def _find_end_with_comments(self, end: int, column: int) -> int:
        """Return the end of the comments that follow a value and are further to the right than a column."""
        position = find_line_end(self._text, end)
        following = position
        while following < len(self._text):
            start = self._text.find("\n", following) + 1
            following = find_line_end(self._text, start) if start else len(self._text)
            line = self._text[start:following] if start else "-"
            if line.strip() and not (line.lstrip(" ").startswith("#") and len(line) - len(line.lstrip(" ")) > column):
                break
            position = following if line.strip() else position
        return position

    def _has_lines(self, part: Part) -> bool:
        """Check whether the items of a flow list, or the members of a flow mapping, have lines of their own."""
        return bool(part.children) and "\n" in self._text[part.start : part.children[0].start]

    def _remove(self, part: Part, removed: Collection[bool]) -> None:
        """Remove items or members: lines of a block, and with a comma from brackets."""
        children = part.children
        for number, (child, is_removed) in enumerate(zip(children, removed, strict=True)):
            if not is_removed:
                continue
            following = children[number + 1].start if number + 1 < len(children) else child.end
            if not part.is_flow:
                self._edits.append(self._find_removed_lines(part, child, following))
            elif all(list(removed)[:number]):
                self._edits.append((child.start, following, ""))
            else:
                self._edits.append((children[number - 1].end, child.end, ""))

    def _find_removed_lines(self, part: Part, child: Part | TextMember, following: int) -> tuple[int, int, str]:
        start = find_line_start(self._text, child.start)
        if self._text[start : child.start].strip() not in ("", "-" if part.kind == "list" else ""):
            return child.start, following, ""
        end = find_line_end(self._text, child.end)
        after = self._text.find("\n", end) + 1
        return start, after or len(self._text), ""


def _find_key_before(key: str, keys: Sequence[str], order: Sequence[str]) -> str | None:
    """Return the last key that is before a new one in the order, or else the last key."""
    ranks = dict(zip(order, range(len(order)), strict=True))
    rank = ranks.get(key, len(order) + 1)
    before = [name for name in keys if ranks.get(name, len(order)) < rank] or keys
    return before[-1] if before else None
