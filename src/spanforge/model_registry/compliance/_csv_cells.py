"""CSV files, with cells that spreadsheets do not execute."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.shown_values import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORMULA: Final = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - some programs read full-width signs as these
"""The beginnings of formulas. A formula can follow a semicolon, where spreadsheets of some locales split cells."""


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV, with a header and line feeds as line ends. Texts in them are escaped already."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def escape_cell(text: str) -> str:
    """Return a text on one line that no spreadsheet reads as a formula: an apostrophe precedes such a beginning."""
    return _FORMULA.sub(r"\1\2'", make_printable(text))
