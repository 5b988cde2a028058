"""Cells of CSV files that spreadsheets do not execute."""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - some programs read full-width signs as these
"""The beginnings of formulas. A formula can follow a semicolon, where spreadsheets of some locales split cells."""


def escape_cell(text: str) -> str:
    """Return a text on one line that no spreadsheet reads as a formula: an apostrophe precedes such a beginning."""
    shown = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return _FORMULA.sub(r"\1\2'", shown)
