"""Blocks: a report as headings, facts, tables and lists, for a terminal and as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.text import Text

from spanforge.model_registry._cli.field_lists import Field, list_field_lines, wrap_text
from spanforge.model_registry._cli.row_tables import make_table
from spanforge.model_registry._cli.terminal import Cell, Styled, escape_controls, open_console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

MAX_CELL: Final = 1_000
"""The limit of characters of a text in a report. Texts of packages and telemetry can be of any length."""
_BLOCK_INDENT: Final = 2
"""The blanks before each line of facts, lists and tables."""
_MARKDOWN: Final = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.|^[#+=-]")
"""The characters that mean something in Markdown, in HTML, or in the Markdown of GitHub."""
_LIST_NUMBER: Final = re.compile(r"^([0-9]{1,9})([.)])")
"""The beginning of a text that Markdown reads as an item of a list."""


class Heading(NamedTuple):
    """A heading."""

    text: str


class Paragraph(NamedTuple):
    """A paragraph."""

    cell: Cell


class FactList(NamedTuple):
    """Facts, each with a label."""

    rows: Sequence[tuple[str, Cell]]


class CellTable(NamedTuple):
    """A table with headings of its columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


class ItemList(NamedTuple):
    """Sentences or names, one in each item."""

    items: Sequence[str]


Block = Heading | Paragraph | FactList | CellTable | ItemList


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print a report on standard output."""
    console = open_console()
    for block in blocks:
        for line in _list_block_lines(console, block):
            line.rstrip()
            console.print(line, soft_wrap=True)


def render_markdown(blocks: Iterable[Block]) -> str:
    """Return a report in Markdown. No text in it is read as Markdown or HTML."""
    return "\n".join(_render_as_markdown(block) for block in blocks)


def shorten_cell(text: object) -> str:
    """Return a text on one line: control characters are escaped, and a long text is cut off."""
    shown = str(text)
    return escape_controls(shown if len(shown) <= MAX_CELL else f"{shown[:MAX_CELL]}…")


def _read_cell(cell: Cell) -> Styled:
    text, style = cell if isinstance(cell, Styled) else (cell, "")
    return Styled(shorten_cell(text), style)


def _list_block_lines(console: Console, block: Block) -> Iterable[Text]:
    match block:
        case Heading(text):
            return (Text(), *wrap_text(console, Text(shorten_cell(text), "name"), console.width))
        case Paragraph(cell):
            return wrap_text(console, Text(*_read_cell(cell)), console.width)
        case FactList(rows):
            fields = [Field(shorten_cell(label), *_read_cell(cell)) for label, cell in rows]
            return list_field_lines(console, fields, _BLOCK_INDENT)
        case ItemList(items):
            return list_field_lines(console, [Field("-", shorten_cell(item)) for item in items], _BLOCK_INDENT, gap=1)
        case CellTable(columns, rows):
            return _make_cell_table(console, columns, rows).split("\n", allow_blank=True)


def _make_cell_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Text:
    cells = [list(map(_read_cell, row)) for row in (columns, *rows)]
    heading, *others = zip(*map(_justify, zip(*cells, strict=True)), strict=True)
    return make_table(console, [cell.text for cell in heading], others, indent=_BLOCK_INDENT)


def _justify(column: Sequence[Styled]) -> Sequence[Styled]:
    """Return the heading and the cells of a column, justified at the right if all cells are numbers."""
    if not all(cell.text.replace(",", "").isdigit() for cell in column[1:]):
        return column
    width = max(len(cell.text) for cell in column)
    return [Styled(cell.text.rjust(width), cell.style) for cell in column]


def _render_as_markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_escape_markdown(text)}\n"
        case Paragraph(cell):
            return f"{_escape_markdown(cell)}\n"
        case FactList(rows):
            return _write_markdown_table(("", ""), rows)
        case ItemList(items):
            return "".join(f"- {_escape_markdown(item)}\n" for item in items)
        case CellTable(columns, rows):
            return _write_markdown_table(columns, rows)


def _write_markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    escaped = [[_escape_markdown(cell) for cell in row] for row in (columns, *rows)]
    lines = [escaped[0], ["---"] * len(columns), *escaped[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escape_markdown(cell: Cell) -> str:
    escaped = _MARKDOWN.sub(r"\\\g<0>", _read_cell(cell).text.strip())
    return _LIST_NUMBER.sub(r"\1\\\2", escaped)
