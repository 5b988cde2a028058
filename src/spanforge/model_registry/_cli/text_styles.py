"""How new values are written: as the rest of the file is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from spanforge.model_registry._cli.text_layout import find_column, find_indentation, find_newline
from spanforge.model_registry._cli.yaml_scalars import is_plain_scalar, quote_scalar
from spanforge.model_registry._core.validation import DATE_FIELDS, RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry._cli.text_layout import FileLayout, Part

_LONGEST_FLOW: Final = 100
"""The limit of characters of a new list in brackets. A longer one has a line for each item."""
_DAY_TEXT: Final = re.compile(r"\d{4}-\d\d-\d\d")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ][\d:.]+(?:[Zz]|[+-]\d\d:\d\d)?)?")
_DAY_KEYS: Final = ("version", *DATE_FIELDS, *(key for key, row in RESERVED.items() if row.kind == "date"))
"""The fields and keys whose values are often days."""
_UNQUOTED_DAY: Final = re.compile(r":[ \t]+\d{4}-\d\d-\d\d[ \t\r]*$", re.MULTILINE)


class Style(Protocol):
    """A way of writing values."""

    @property
    def newline(self) -> str:
        """The line break."""

    @property
    def comma(self) -> str:
        """The text between two items in one line."""

    def write_member(self, key: str, text: str) -> str:
        """Return a member of a mapping in brackets, whose value is written already."""

    def write_flow(self, value: Any, old: str = "", base: str | None = None) -> str:
        """Return a value for a place inside brackets, or a scalar for any place.

        Args:
            value: The value.
            old: The text of the value that it replaces.
            base: The indentation of the line, if the value may have several lines.
        """

    def write_block(self, key: str, value: Any, column: int) -> str:
        """Return a member of a mapping outside of brackets; ``column`` is that of the key."""

    def write_item(self, value: Any, column: int, *, in_lines: bool) -> str:
        """Return an item of a list outside of brackets; ``column`` is that of its dash."""

    def write_only_item(self, value: Any) -> str:
        """Return the list of a file with one item."""


@dataclass(frozen=True, slots=True)
class JsonStyle:
    """The style of a JSON file.

    Attributes:
        newline: The line break.
        indent: The white space of one level; ``None`` if the file has one line.
        comma: The text between two items in one line.
        colon: The text between a key and its value.
        ascii_only: ``True`` if the file writes all other characters as escapes.
    """

    newline: str
    indent: str | None
    comma: str
    colon: str
    ascii_only: bool

    def write_member(self, key: str, text: str) -> str:
        """Return a member of an object."""
        return f"{json.dumps(key, ensure_ascii=self.ascii_only)}{self.colon}{text}"

    def write_flow(self, value: Any, old: str = "", base: str | None = None) -> str:  # noqa: ARG002 - as ``Style`` has it
        """Return a value, with lines if ``base`` is given and the file has lines."""
        if base is None or self.indent is None:
            return json.dumps(value, ensure_ascii=self.ascii_only, separators=(self.comma, self.colon))
        text = json.dumps(value, ensure_ascii=self.ascii_only, indent=self.indent, separators=(",", self.colon))
        return text.replace("\n", self.newline + base)

    def write_block(self, key: str, value: Any, column: int) -> str:
        """Raise an error: JSON has brackets everywhere."""
        raise NotImplementedError

    def write_item(self, value: Any, column: int, *, in_lines: bool) -> str:
        """Raise an error: JSON has brackets everywhere."""
        raise NotImplementedError

    def write_only_item(self, value: Any) -> str:
        """Return the list of a file with one item, as ``save`` writes it."""
        return json.dumps([value], ensure_ascii=False, indent=2).replace("\n", self.newline)


@dataclass(frozen=True, slots=True)
class YamlStyle:
    """The style of a YAML file.

    Attributes:
        newline: The line break.
        quote: The quotes of texts that need some.
        has_plain_days: ``True`` if the file writes days without quotes, in the fields that have days.
        step: The further indentation of a mapping in a mapping.
        list_step: The further indentation of the dashes of a list in a mapping.
        dash: A dash and the space after it.
        comma: The text between two items in one line.
    """

    newline: str
    quote: str
    has_plain_days: bool
    step: int = 2
    list_step: int = 2
    dash: str = "- "
    comma: str = ", "

    def write_member(self, key: str, text: str) -> str:
        """Return a member of a mapping in braces."""
        return f"{self._write_text(key)}: {text}"

    def write_flow(self, value: Any, old: str = "", base: str | None = None) -> str:  # noqa: ARG002 - as ``Style`` has it
        """Return a value in one line."""
        if isinstance(value, str):
            return self._write_text(value, old)
        if isinstance(value, list):
            return f"[{', '.join(map(self.write_flow, value))}]"
        if isinstance(value, dict):
            members = (self.write_member(key, self.write_flow(item)) for key, item in value.items())
            return f"{{{', '.join(members)}}}"
        return json.dumps(value)

    def write_block(self, key: str, value: Any, column: int) -> str:
        """Return a member of a mapping outside of brackets."""
        return f"{self._write_text(key)}:{self._write_block_value(key, value, column)}"

    def _write_block_value(self, key: str, value: Any, column: int) -> str:
        if isinstance(value, dict) and value:
            inner = column + self.step
            return "".join(f"{self.newline}{' ' * inner}{text}" for text in self._write_members(value, inner))
        if isinstance(value, list) and self._needs_lines(value):
            inner = column + self.list_step
            start = self.newline + " " * inner
            return "".join(start + self.write_item(item, inner, in_lines=False) for item in value)
        is_plain_day = self.has_plain_days and key in _DAY_KEYS and _DAY_TEXT.fullmatch(str(value))
        return f" {value if is_plain_day else self.write_flow(value)}"

    def _needs_lines(self, value: list[Any]) -> bool:
        """Check whether a list has mappings, or is too long for one line."""
        return any(isinstance(item, dict) for item in value) or len(self.write_flow(value)) > _LONGEST_FLOW

    def write_item(self, value: Any, column: int, *, in_lines: bool) -> str:
        """Return an item of a list, a mapping with a line for each key if ``in_lines``."""
        if not (in_lines and isinstance(value, dict) and value):
            return self.dash + self.write_flow(value)
        inner = column + len(self.dash)
        return self.dash + f"{self.newline}{' ' * inner}".join(self._write_members(value, inner))

    def write_only_item(self, value: Any) -> str:
        """Return the list of a file with one item."""
        return self.write_item(value, 0, in_lines=True)

    def _write_members(self, value: Mapping[str, Any], column: int) -> Iterator[str]:
        for key, item in value.items():
            yield self.write_block(key, item, column)

    def _write_text(self, text: str, old: str = "") -> str:
        """Return a text, with the quotes of the text that it replaces, or with quotes if it needs some."""
        quote = old[:1] if old[:1] in ("'", '"') else ""
        if not quote and (is_plain_scalar(text) or (_DATE.fullmatch(old) and _DATE.fullmatch(text))):
            return text
        if (quote or self.quote) == "'" and text.isprintable():
            return "'" + text.replace("'", "''") + "'"
        return quote_scalar(text)


def find_json_style(text: str, layout: FileLayout) -> JsonStyle:
    """Return the style of a JSON file."""
    root = layout.root
    has_lines = bool(root.items) and "\n" in text[root.start : root.items[0].start]
    indent = find_indentation(text, root.items[0].start) if has_lines else None
    first = next(iter(layout.item.members.values()), None) if layout.item else None
    between = text[first.key_end : first.part.start] if first else ": "
    comma = "," if between == ":" else ", "
    return JsonStyle(find_newline(text), indent, comma, between, text.isascii() and "\\u" in text)


def find_yaml_style(text: str, layout: FileLayout) -> YamlStyle:
    """Return the style of a YAML file."""
    quote = "'" if text.count(" '") > text.count(' "') else '"'
    style = YamlStyle(find_newline(text), quote, _UNQUOTED_DAY.search(text) is not None)
    item = layout.item
    if item is None or item.is_flow or layout.root.is_flow:
        return style
    dash = text[text.rfind("-", 0, item.start) : item.start]
    steps = dict(_list_indentations(text, item))
    return replace(
        style,
        step=steps.get("mapping", style.step),
        list_step=steps.get("list", style.list_step),
        dash=dash if dash.strip() == "-" and "\n" not in dash else style.dash,
    )


def _list_indentations(text: str, part: Part) -> Iterator[tuple[str, int]]:
    """Yield the kinds and further indentations of the mappings and lists in a mapping."""
    for member in part.members.values():
        if member.part.is_flow or not member.part.children:
            continue
        yield member.part.kind, find_column(text, member.part.start) - find_column(text, member.start)
        yield from _list_indentations(text, member.part)
