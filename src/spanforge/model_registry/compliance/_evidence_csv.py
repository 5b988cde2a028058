"""``evidence.csv``: a row for each sender of each model and name, and for each model without calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.calls import LISTED_RULES, NO_NAME, OTHERS_NAME
from spanforge.model_registry.compliance._analysis.model_totals import Counts
from spanforge.model_registry.compliance._csv_cells import escape_cell, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry.compliance._inventory import InventoryRow

_FINDINGS: Final = tuple(row.finding for row in LIFECYCLE.values() if row.finding is not None)
"""The findings of the statuses whose calls have a separate column."""

COLUMNS: Final = (
    "model_id",
    "name",
    "version",
    "owner",
    "risk_tier",
    "status",
    "purpose",
    "calls",
    *(f"calls_{finding}" for finding in _FINDINGS),
    *(f"calls_by_{rule}" for rule in LISTED_RULES),
    "provider_sunset_date",
    "services",
    "first_call",
    "last_call",
    "sender",
)
_OTHERS_TEXT: Final = "(others)"
_PLACEHOLDER_TEXTS: Final = {NO_NAME: "(no name)", OTHERS_NAME: _OTHERS_TEXT}
"""The texts for calls without a name, and for names that are counted together. Rows of real names have a model id."""


def render_csv(rows: Iterable[InventoryRow]) -> bytes:
    """Return the CSV of an inventory in UTF-8, with a header and line feeds as line ends."""
    return write_rows(COLUMNS, map(_make_row, rows)).encode()


def _make_row(row: InventoryRow) -> list[str | int]:
    totals = row.totals
    by_rule = Counts[str]()
    for (_, rule), calls in totals.matched.items():
        by_rule[rule] += calls
    counts = [totals.calls, *(totals.exceptions[finding] for finding in _FINDINGS)]
    counts += [by_rule[rule] for rule in LISTED_RULES]
    services = ";".join(map(_show_service, sorted(totals.services)))
    times = (format_nanos(totals.first), format_nanos(totals.last)) if totals.calls else ("", "")
    sunsets = ";".join(sorted(totals.sunsets))
    return [*_list_facts(row), *counts, sunsets, services, *times, row.sender or ""]


def _list_facts(row: InventoryRow) -> list[str]:
    """Return the first cells of a row, which describe the model."""
    entry, state = row.entry, row.state
    if entry is None:
        name = row.name
        ids = ("", _PLACEHOLDER_TEXTS[name]) if name in _PLACEHOLDER_TEXTS else (escape_cell(name), "")
        return [*ids, "", "", "", UNREGISTERED, ""]
    shown = (entry.owner, entry.risk_tier, "") if state is None else (state.owner, state.risk_tier, state.status)
    return [*map(escape_cell, (entry.model_id, entry.name, entry.version, *shown, entry.purpose))]


def _show_service(service: str) -> str:
    """Return a service for a cell with several. An apostrophe precedes the name of a real service ``(others)``."""
    if service == OTHERS_NAME:
        return _OTHERS_TEXT
    shown = escape_cell(service.replace(";", ","))
    return f"'{shown}" if shown == _OTHERS_TEXT else shown
