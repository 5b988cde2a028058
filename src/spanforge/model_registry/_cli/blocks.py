"""Blocks: a report as headings, facts, tables and lists, for a terminal and as Markdown."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from spanforge.model_registry._cli.terminal import Cell, Styled, escape_controls, open_console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

MAX_CELL: Final = 1_000
"""The limit of characters of a text in a report. Texts of packages and telemetry can be of any length."""
MAX_UNBROKEN: Final = 36
"""The columns up to which the names in a table's first column are not broken into lines."""
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
    """Print a report on standard output. In a pipe or a file, no line ends with blanks."""
    console = open_console()
    for block in blocks:
        if console.is_terminal:
            console.print(_render(block))
            continue
        with console.capture() as captured:
            console.print(_render(block))
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def render_markdown(blocks: Iterable[Block]) -> str:
    """Return a report in Markdown. No text in it is read as Markdown or HTML."""
    return "\n".join(_render_as_markdown(block) for block in blocks)


def shorten_cell(text: object) -> str:
    """Return a text on one line: control characters are escaped, and a long text is cut off."""
    shown = str(text)
    return escape_controls(shown if len(shown) <= MAX_CELL else f"{shown[:MAX_CELL]}…")


def _read_cell(cell: Cell) -> str:
    return shorten_cell(cell.text if isinstance(cell, Styled) else cell)


def _style(cell: Cell) -> Text:
    return Text(_read_cell(cell), cell.style if isinstance(cell, Styled) else "")


def _render(block: Block) -> RenderableType:
    match block:
        case Heading(text):
            return Text(f"\n{shorten_cell(text)}", "name")
        case Paragraph(cell):
            return _style(cell)
        case FactList(rows):
            return _render_grid(rows)
        case ItemList(items):
            return _render_grid([("-", item) for item in items], gap=1)
        case CellTable(columns, rows):
            return Padding(_render_table(columns, rows), (0, 0, 0, 2))


def _render_grid(rows: Iterable[tuple[str, Cell]], gap: int = 2) -> RenderableType:
    """Return two columns without lines: labels and cells."""
    grid = Table.grid(padding=(0, gap, 0, 0))
    grid.add_column(style="weak", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, cell in rows:
        grid.add_row(shorten_cell(label), _style(cell))
    return Padding(grid, (0, 0, 0, 2))


def _render_table(columns: Iterable[str], rows: Iterable[Sequence[Cell]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    cells = [list(map(_style, row)) for row in rows]
    for number, column in enumerate(columns):
        texts = [row[number] for row in cells]
        longest = max((text.cell_len for text in texts), default=0)
        are_numbers = all(text.plain.replace(",", "").isdigit() for text in texts)
        table.add_column(
            shorten_cell(column),
            overflow="fold",
            no_wrap=number == 0 and longest <= MAX_UNBROKEN,
            justify="right" if are_numbers else "left",
        )
    for row in cells:
        table.add_row(*row)
    return table


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
    escaped = _MARKDOWN.sub(r"\\\g<0>", _read_cell(cell).strip())
    return _LIST_NUMBER.sub(r"\1\\\2", escaped)
