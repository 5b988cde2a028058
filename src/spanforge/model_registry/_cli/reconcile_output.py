"""What ``reconcile`` prints: text for people, JSON and CSV."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from spanforge.model_registry._cli.csv_output import format_csv
from spanforge.model_registry._cli.finding_kinds import AGENT_ONLY, FINDING_KINDS, NEVER_CALLED, UNREGISTERED_KIND
from spanforge.model_registry._cli.terminal import count_things, escape_controls, open_console
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.scan_data import MAX_CALL_GROUPS
from spanforge.model_registry.compliance._analysis.senders import COUNTED, UNTRUSTED
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._limits import list_harmless_faults, list_reading_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._cli.finding_kinds import FindingKind
    from spanforge.model_registry._cli.findings import Finding, Findings
    from spanforge.model_registry._cli.scanning import Observed
    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_TABLE_ROWS: Final = 10
"""The limit of rows of each table, unless all are wanted."""
_MAX_CELL_ITEMS: Final = 3
"""The limit of services and names that a cell lists."""
_MAX_WIDTH: Final = 120
"""The limit of columns of a table. Longer lines are hard to follow on a wide screen."""
_NARROW: Final = 64
"""The columns of a terminal below which services and days are on a line of their own."""
_MAX_SHOWN_NAME: Final = 120
"""The limit of characters of a name. An ARN has about 100. JSON and CSV have the whole name."""
_CALLS_WIDTH: Final = 9
_DAY_WIDTH: Final = len("2026-01-01")
_CSV_COLUMNS: Final = (
    "kind", "model_id", "name", "owner", "calls", "services", "first", "last", "senders", "names", "served_id", "rule",
    "day", "near", "note",
)  # fmt: skip


def summarize_telemetry(observed: Observed, findings: Findings) -> dict[str, Any]:
    """Return the summary of telemetry, for JSON."""
    totals, usage = observed.totals, findings.usage
    has_calls = usage.all.calls > 0
    return {
        "calls": usage.all.calls,
        "spans": totals.spans,
        "log_calls": totals.log_calls,
        "agent_spans": totals.agent_spans,
        "copies": totals.copies,
        "first": format_nanos(usage.all.first) if has_calls else None,
        "last": format_nanos(usage.all.last) if has_calls else None,
        "services": len(usage.by_service),
        "models_registered": len(observed.request.entries),
        "models_called": len(totals.models),
        "findings": findings.count_kinds(),
        "senders": {sender: totals.by_sender[sender].calls for sender in SENDERS if totals.by_sender[sender].calls},
        "inputs": len(observed.inputs),
    }


def list_scan_limits(observed: Observed) -> list[str]:
    """Return a sentence for each part of the telemetry that could not be read or told apart."""
    inputs, totals = observed.inputs, observed.totals
    limits = [*list_reading_limits(inputs), *list_harmless_faults(inputs)]
    if any(OTHERS_NAME in model.services for model in totals.all_called):
        limits.append(
            f"an input has more than {MAX_CALL_GROUPS:,} combinations of model, service and state; further calls are "
            "counted under (others)"
        )
    untrusted = totals.by_sender[UNTRUSTED].calls
    if untrusted:
        limits.append(f"calls of untrusted senders, which are not in any other number: {untrusted:,}")
    return limits


def make_document(observed: Observed, findings: Findings) -> dict[str, Any]:
    """Return everything, for JSON."""
    return {
        "summary": summarize_telemetry(observed, findings),
        "findings": [row.to_dict() for row in findings.rows],
        "services": list(list_services(findings, observed.request.entries)),
        "limits": list_scan_limits(observed),
    }


def list_services(findings: Findings, entries: Iterable[ModelRegistryEntry]) -> Iterator[dict[str, Any]]:
    """Yield the services with their calls, models and the owners of these, the service with most calls first."""
    owners = {entry.model_id: entry.owner for entry in entries}
    by_service = findings.usage.by_service
    for name in sorted(by_service, key=lambda each: (-by_service[each].calls, each)):
        usage = by_service[name]
        yield {
            "service": "(others)" if name == OTHERS_NAME else name or "(no service)",
            "calls": usage.calls,
            "models": sorted(usage.model_ids),
            "unregistered_names": len(usage.names),
            "owners": sorted({owners[model_id] for model_id in usage.model_ids if model_id in owners}),
        }


def render_findings_csv(findings: Findings) -> str:
    """Return the findings as CSV."""
    return format_csv(_CSV_COLUMNS, ([getattr(row, column) for column in _CSV_COLUMNS] for row in findings.rows))


def print_findings(observed: Observed, findings: Findings, limit: int | None) -> None:
    """Print the findings as tables.

    Args:
        observed: The telemetry.
        findings: The findings.
        limit: The limit of rows of a table; ``None`` for all.
    """
    console = open_console()
    for line in _list_lines(observed, findings, limit, min(console.width, _MAX_WIDTH)):
        console.print(line, soft_wrap="\n" in line.plain or line.cell_len <= console.width)


def _list_lines(observed: Observed, findings: Findings, limit: int | None, width: int) -> Iterator[Text]:
    yield from _list_summary_lines(summarize_telemetry(observed, findings))
    for kind, row in FINDING_KINDS.items():
        rows = [each for each in findings.rows if each.kind == kind]
        if rows:
            yield from (Text(), _make_heading(row, rows))
            table = _list_never_called_lines if kind == NEVER_CALLED else _list_call_lines
            yield from table(rows[:limit], width)
            yield from _list_rest(rows[:limit], rows)
    yield from _list_mixed_services(observed, findings, limit, width)
    limits = list_scan_limits(observed)
    if limits:
        yield from (Text(), Text("Limits", "warning"))
        yield from (_make_paragraph(f"- {escape_controls(each)}", width) for each in limits)


def _list_summary_lines(summary: Mapping[str, Any]) -> Iterator[Text]:
    if summary["calls"]:
        calls, services = count_things(summary["calls"], "call"), count_things(summary["services"], "service")
        models = count_things(summary["models_called"] + summary["findings"].get(UNREGISTERED_KIND, 0), "model")
        days = f"{summary['first'][:_DAY_WIDTH]} to {summary['last'][:_DAY_WIDTH]}"
        yield Text(f"{calls} of {models} by {services}, {days}", "name")
    else:
        yield Text("no call of a model in the telemetry", "warning")
    for kind, number in summary["findings"].items():
        yield Text.assemble((f"{number:>6,} ", FINDING_KINDS[kind].style), FINDING_KINDS[kind].short)
    if set(summary["senders"]) & {COUNTED[0], UNTRUSTED}:
        senders = ", ".join(f"{sender} {calls:,}" for sender, calls in summary["senders"].items())
        yield Text(f"calls by sender: {senders}", "weak")


def _make_heading(row: FindingKind, rows: Sequence[Finding]) -> Text:
    calls = sum(each.calls for each in rows)
    counted = f": {count_things(len(rows), 'model')}{f', {count_things(calls, _name_unit(rows))}' if calls else ''}"
    return Text.assemble((row.title, row.style), (counted, "weak"))


def _name_unit(rows: Sequence[Finding]) -> str:
    """Return the unit of a table's numbers."""
    return "span" if rows[0].kind == AGENT_ONLY else "call"


def _make_unit_cell(rows: Sequence[Finding]) -> str:
    return f"{_name_unit(rows)}s".rjust(_CALLS_WIDTH)


def _list_call_lines(rows: Sequence[Finding], width: int) -> Iterator[Text]:
    """Yield a line for each model, and a line with its owner and a note."""
    if width < _NARROW:
        yield from _list_narrow_lines(rows, width)
        return
    rest = width - _CALLS_WIDTH - 2 * _DAY_WIDTH - 4
    widths = (rest * 4 // 7, _CALLS_WIDTH, rest - rest * 4 // 7, _DAY_WIDTH, _DAY_WIDTH)
    yield join_cells(("model", _make_unit_cell(rows), "services", "first", "last"), widths, "weak")
    for row in rows:
        days = [(each or "")[:_DAY_WIDTH] for each in (row.first, row.last)]
        cells = (row.model_id or row.name, f"{row.calls:>{_CALLS_WIDTH},}", _list_first(row.services), *days)
        yield join_cells(cells, widths)
        note = _make_note(row)
        if note:
            yield _make_paragraph(f"  {note}", width, "weak")


def _list_narrow_lines(rows: Sequence[Finding], width: int) -> Iterator[Text]:
    """Yield a line for each model with its calls, and lines with all else."""
    widths = (width - _CALLS_WIDTH - 1, _CALLS_WIDTH)
    yield join_cells(("model", _make_unit_cell(rows)), widths, "weak")
    for row in rows:
        yield join_cells((row.model_id or row.name, f"{row.calls:>{_CALLS_WIDTH},}"), widths)
        days = " to ".join(each[:_DAY_WIDTH] for each in (row.first, row.last) if each)
        facts = (_list_first(row.services), days, _make_note(row))
        yield _make_paragraph(f"  {'; '.join(filter(None, facts))}", width, "weak")


def _make_note(row: Finding) -> str:
    names = {} if row.names.keys() <= {row.name} else row.names
    notes = (row.note, f"called as {_list_first(names)}" if names else "", f"owner {row.owner}" if row.owner else "")
    return "; ".join(escape_controls(note) for note in notes if note)


def _list_never_called_lines(rows: Iterable[Finding], width: int) -> Iterator[Text]:
    rest = width - _DAY_WIDTH - 2
    widths = (rest // 2, rest - rest // 2, _DAY_WIDTH)
    yield join_cells(("model", "owner", "status"), widths, "weak")
    yield from (join_cells((row.model_id or "", row.owner or "", row.note), widths) for row in rows)


def _list_mixed_services(observed: Observed, findings: Findings, limit: int | None, width: int) -> Iterator[Text]:
    """Yield the services that call models of several owners."""
    services = [each for each in list_services(findings, observed.request.entries) if len(each["owners"]) > 1]
    if not services:
        return
    title = "Services that call models of several owners"
    yield from (Text(), Text.assemble((title, "note"), (f": {len(services):,}", "weak")))
    rest = width - _CALLS_WIDTH - 2
    widths = (rest // 2, _CALLS_WIDTH, rest - rest // 2)
    yield join_cells(("service", f"{'calls':>{_CALLS_WIDTH}}", "owners"), widths, "weak")
    for each in services[:limit]:
        yield join_cells((each["service"], f"{each['calls']:>{_CALLS_WIDTH},}", ", ".join(each["owners"])), widths)
    if limit is not None and len(services) > limit:
        yield Text(f"and {len(services) - limit:,} more; --all shows them", "weak")


def _list_first(items: Mapping[str, int]) -> str:
    shown = ", ".join(map(_shorten_name, islice(items, _MAX_CELL_ITEMS)))
    rest = len(items) - _MAX_CELL_ITEMS
    return shown if rest <= 0 else f"{shown} and {rest:,} more"


def _list_rest(shown: Sequence[Finding], rows: Sequence[Finding]) -> Iterator[Text]:
    rest = len(rows) - len(shown)
    if rest > 0:
        calls = sum(row.calls for row in rows[len(shown) :])
        counted = f" with {count_things(calls, _name_unit(rows))}" if calls else ""
        yield Text(f"and {rest:,} more{counted}; --all shows them", "weak")


def _shorten_name(name: str) -> str:
    return escape_controls(name if len(name) <= _MAX_SHOWN_NAME else f"{name[:_MAX_SHOWN_NAME]}…")


def join_cells(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    """Return a row of a table, of one or more lines. Building a table of rich takes ten times as long.

    Args:
        cells: The texts.
        widths: The columns that each text has; longer texts continue on the next line.
        style: The style; by default, the first cell is a name.
    """
    folded = [_fold(_shorten_name(cell), width) for cell, width in zip(cells, widths, strict=True)]
    row = Text(style=style)
    for number in range(max(map(len, folded))):
        parts = [lines[number] if number < len(lines) else "" for lines in folded]
        first, *others = (set_cell_size(part, width) for part, width in zip(parts, widths, strict=True))
        row.append("\n" if number else "").append(first, style or "name").append(f" {' '.join(others)}".rstrip())
    return row


def _make_paragraph(text: str, width: int, style: str = "") -> Text:
    return Text("\n  ".join(_fold(text, width - 2)), style)


def _fold(text: str, width: int) -> list[str]:
    """Return the lines of a text; it is cut between words if possible."""
    if cell_len(text) <= width:  # most texts
        return [text]
    lines: list[str] = []
    line = ""
    for word in re.findall(r"\S+|\s+", text):
        if line.strip() and cell_len(line + word) > width:
            lines.append(line.rstrip())
            line = ""
        *whole, line = chop_cells(line + word if line or not lines else word.lstrip(), width) or [""]
        lines += whole
    return [*lines, line]
