"""Tables of many rows: they print fast, fit the terminal, and break long names where they can be read."""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, chop_cells
from rich.text import Text

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import Styled, escape_controls, open_console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

_COLUMN_GAP: Final = "  "
_MIN_COLUMN: Final = 6
"""The columns of the terminal that a column of a table has at least."""
_MAX_UNBROKEN: Final = 36
"""The columns up to which the names in the first column are not broken into lines."""
_BREAK_AFTER: Final = re.compile(r"(?<=[/:.\-_ ])")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Sequence[str] = ()) -> None:
    """Print a table. A cell that is too wide for its column continues on the next lines.

    Args:
        columns: The headings.
        rows: The cells of each row: values, or texts with a style of their own.
        styles: The styles of the first columns.

    Raises:
        UsageError: There are more columns than fit.
    """
    console = open_console()
    limit = (console.width + len(_COLUMN_GAP)) // (_MIN_COLUMN + len(_COLUMN_GAP))
    if len(columns) > limit:
        msg = f"{len(columns)} columns do not fit in a line; choose at most {limit}, or another format"
        raise UsageError(msg)
    console.print(make_table(console, columns, rows, styles), soft_wrap=True)


def make_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    styles: Sequence[str] = (),
    indent: int = 0,
) -> Text:
    """Return the table that ``print_table`` prints, with blanks before each line."""
    lines = [list(map(_make_styled, row, chain(styles, repeat("")))) for row in rows]
    widths = _fit_widths([max(map(cell_len, texts)) for texts in _transpose(columns, lines)], console.width - indent)
    heading = [Styled(column, "name") for column in columns]
    dash = "─" if console.encoding.startswith("utf") else "-"
    rule = [Styled(dash * width, "weak") for width in widths]
    table = Text()
    for row in (heading, rule, *lines):
        _append_row(table, row, widths, " " * indent)
    table.right_crop()  # the last line feed, which the console adds
    return table


def _make_styled(cell: object, style: str) -> Styled:
    text, style = cell if isinstance(cell, Styled) else (str(cell), style)
    return Styled(escape_controls(text), style)


def _transpose(columns: Sequence[str], rows: Iterable[Sequence[Styled]]) -> Iterator[list[str]]:
    """Return the texts of each column, beginning with its heading."""
    texts = [[cell.text for cell in row] for row in rows]
    return (list(column) for column in zip(columns, *texts, strict=True))


def _fit_widths(widths: list[int], available: int) -> list[int]:
    """Return the widths of columns that fit the terminal. The first column, with the names, is kept if possible."""
    first, *others = widths
    rest = available - first - len(_COLUMN_GAP)
    if first <= _MAX_UNBROKEN and rest >= len(others) * (_MIN_COLUMN + len(_COLUMN_GAP)):
        return [first, *_shrink_widths(others, rest)]
    return _shrink_widths(widths, available)


def _shrink_widths(widths: list[int], available: int) -> list[int]:
    """Return the widths of columns that fit: the widest column is made narrower first."""
    excess = sum(widths) + len(_COLUMN_GAP) * (len(widths) - 1) - available
    while excess > 0 and max(widths) > _MIN_COLUMN:
        widest = widths.index(max(widths))
        others = [width for width in widths if width < widths[widest]]
        step = max(1, min(excess, widths[widest] - max(others, default=_MIN_COLUMN)))
        widths[widest] = max(_MIN_COLUMN, widths[widest] - step)
        excess = sum(widths) + len(_COLUMN_GAP) * (len(widths) - 1) - available
    return widths


def _append_row(table: Text, row: Sequence[Styled], widths: Sequence[int], margin: str) -> None:
    parts = [_break_text(cell.text, width) for cell, width in zip(row, widths, strict=True)]
    for number in range(max(map(len, parts))):
        padding = margin
        for cell, width, lines in zip(row, widths, parts, strict=True):
            text = lines[number] if number < len(lines) else ""
            if text:
                table.append(padding).append(text, cell.style)
                padding = ""
            padding += " " * (width - cell_len(text)) + _COLUMN_GAP
        table.append("\n")


def _break_text(text: str, width: int) -> list[str]:
    """Return the lines of a text in a column, broken behind a separator if there is one."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for part in _BREAK_AFTER.split(text):
        if cell_len(lines[-1]) + cell_len(part) <= width:
            lines[-1] += part
        else:
            lines += chop_cells(part, width)
    return [line for line in lines if line]
