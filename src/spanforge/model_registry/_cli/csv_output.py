"""Results as CSV, which spreadsheets can open without running what is in a cell."""

from __future__ import annotations

import csv
import io
import sys
from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._evidence_csv import escape_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as CSV in UTF-8, with a header. An apostrophe precedes a text that would be a formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([escape_cell(text) for text in row] for row in rows)
    sys.stdout.buffer.write(buffer.getvalue().encode("utf-8"))
