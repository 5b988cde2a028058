"""``evidence.csv``: a row for each model, those that nobody registered included."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.totals import ModelFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf

COLUMNS: Final = (
    "model_id",
    "name",
    "version",
    "owner",
    "risk_tier",
    "status",
    "purpose",
    "calls",
    "calls_while_deprecated",
    "calls_after_retirement",
    "services",
    "first_call",
    "last_call",
)
_FORMULA: Final = re.compile(r"(^|;)(\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - some programs read full-width signs as these
"""What begins a formula, also where a spreadsheet of another country splits at semicolons."""
_NONE: Final = ModelFacts()

State = tuple["ModelRegistryEntry", "StateAsOf | None"]


def table(states: Iterable[State], models: Mapping[str, ModelFacts], unregistered: Mapping[str, ModelFacts]) -> bytes:
    """Return the table as CSV: UTF-8, a header, lines that end in a line feed.

    Args:
        states: The entries, each with what was in force when the evidence was made or the period ended.
        models: By model id, what calls there were.
        unregistered: By name, those of models that nobody registered.
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry, state in states:
        owner, tier, status = (
            (state.owner, state.risk_tier, state.status) if state else (entry.owner, entry.risk_tier, "")
        )
        said = [entry.model_id, entry.name, entry.version, owner, tier, status, entry.purpose]
        writer.writerow(_row(said, models.get(entry.model_id, _NONE)))
    for name in sorted(unregistered):
        writer.writerow(_row([name, "", "", "", "", UNREGISTERED, ""], unregistered[name]))
    return written.getvalue().encode()


def _row(said: Sequence[str], facts: ModelFacts) -> list[str | int]:
    counts = facts.calls, facts.kinds["while_deprecated"], facts.kinds["after_retirement"]
    services = ";".join(cell(service.replace(";", ",")) for service in sorted(facts.services))
    times = (format_nanos(facts.first), format_nanos(facts.last)) if facts.calls else ("", "")
    return [*map(cell, said), *counts, services, *times]


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, on one line: an apostrophe before what begins like one."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return _FORMULA.sub(r"\1\2'", shown)
