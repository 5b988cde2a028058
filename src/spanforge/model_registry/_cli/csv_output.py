"""Results as CSV, which spreadsheets can open without running what is in a cell."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from spanforge.model_registry.compliance._csv_cells import escape_cell, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def format_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV, with a header and semicolons between the items of a list.

    An apostrophe precedes a text that would be a formula.
    """
    return write_rows(columns, ([_make_cell(value) for value in row] for row in rows))


def _make_cell(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        return ";".join(escape_cell(str(each).replace(";", ",")) for each in value)
    return "" if value is None else escape_cell(str(value))


def print_csv(text: str) -> None:
    """Print CSV in UTF-8, whatever the encoding of the terminal is."""
    sys.stdout.buffer.write(text.encode())
