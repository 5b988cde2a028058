"""``evidence.csv``: a row for each sender of each model and name, and for each model without calls."""

from __future__ import annotations

import csv
import io
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.calls import LISTED_RULES, NO_NAME, OTHERS_NAME
from spanforge.model_registry.compliance._analysis.model_totals import Counts, ModelTotals
from spanforge.model_registry.compliance._analysis.senders import COUNTED, UNTRUSTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf
    from spanforge.model_registry.compliance._analysis.totals import CallTotals

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
_FORMULA: Final = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - some programs read full-width signs as these
"""The beginnings of formulas. A formula can follow a semicolon, where spreadsheets of some locales split cells."""
_OTHERS_TEXT: Final = "(others)"
_PLACEHOLDER_TEXTS: Final = {NO_NAME: "(no name)", OTHERS_NAME: _OTHERS_TEXT}
"""The texts for calls without a name, and for names that are counted together. Rows of real names have a model id."""

EntryState = tuple["ModelRegistryEntry", "StateAsOf | None"]


def render_csv(
    states: Sequence[EntryState],
    by_sender: Mapping[str, CallTotals],
    shutdown_days: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> bytes:
    """Return the CSV in UTF-8, with a header and line feeds as line ends.

    Each model and each name has a row for each sender of its calls. The rows of untrusted senders come last, so that
    the rows before them are the same without these senders.

    Args:
        states: The entries, each with the state that its rows show.
        by_sender: The totals of each sender.
        shutdown_days: The days on which providers stop serving the models, by model id, for models without calls.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for senders in (COUNTED, (UNTRUSTED,)):
        chosen: dict[str, CallTotals] = {sender: by_sender[sender] for sender in senders}
        writer.writerows(_list_model_rows(states, chosen, None if UNTRUSTED in senders else shutdown_days))
        writer.writerows(_list_name_rows(chosen))
    return buffer.getvalue().encode()


def _list_model_rows(
    states: Iterable[EntryState],
    by_sender: Mapping[str, CallTotals],
    shutdown_days: Mapping[str, Collection[str]] | None,
) -> Iterator[list[str | int]]:
    """Yield the rows of models; with ``shutdown_days`` also those of models without calls."""
    called = {sender: totals.models for sender, totals in by_sender.items()}
    for entry, state in states:
        shown = (entry.owner, entry.risk_tier, "") if state is None else (state.owner, state.risk_tier, state.status)
        texts = (entry.model_id, entry.name, entry.version, *shown, entry.purpose)
        fields = [*map(escape_cell, texts)]
        rows = _select_called(called, entry.model_id)
        if shutdown_days is not None and not rows:
            rows = {"": ModelTotals(sunsets=set(shutdown_days.get(entry.model_id, ())))}
        for sender, totals in rows.items():
            yield _make_row(fields, sender, totals)


def _list_name_rows(by_sender: Mapping[str, CallTotals]) -> Iterator[list[str | int]]:
    """Yield the rows of names that are not registered."""
    called = {sender: totals.unregistered for sender, totals in by_sender.items()}
    for name in sorted({name for names in called.values() for name in names}):
        ids = ("", _PLACEHOLDER_TEXTS[name]) if name in _PLACEHOLDER_TEXTS else (escape_cell(name), "")
        for sender, totals in _select_called(called, name).items():
            yield _make_row([*ids, "", "", "", UNREGISTERED, ""], sender, totals)


def _select_called(by_sender: Mapping[str, Mapping[str, ModelTotals]], key: str) -> dict[str, ModelTotals]:
    """Return the totals of a model, or of a name, by sender."""
    return {sender: totals[key] for sender, totals in by_sender.items() if key in totals}


def _make_row(fields: Sequence[str], sender: str, totals: ModelTotals) -> list[str | int]:
    """Return a row; ``fields`` are its first cells, escaped."""
    by_rule = Counts[str]()
    for (_, rule), calls in totals.matched.items():
        by_rule[rule] += calls
    counts = [totals.calls, *(totals.exceptions[finding] for finding in _FINDINGS)]
    counts += [by_rule[rule] for rule in LISTED_RULES]
    services = ";".join(map(_show_service, sorted(totals.services)))
    times = (format_nanos(totals.first), format_nanos(totals.last)) if totals.calls else ("", "")
    sunsets = ";".join(sorted(totals.sunsets))
    return [*fields, *counts, sunsets, services, *times, sender if totals.calls else ""]


def _show_service(service: str) -> str:
    """Return a service for a cell with several. An apostrophe precedes the name of a real service ``(others)``."""
    if service == OTHERS_NAME:
        return _OTHERS_TEXT
    shown = escape_cell(service.replace(";", ","))
    return f"'{shown}" if shown == _OTHERS_TEXT else shown


def escape_cell(text: str) -> str:
    """Return a text on one line that no spreadsheet reads as a formula: an apostrophe precedes such a beginning."""
    shown = text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return _FORMULA.sub(r"\1\2'", shown)
