"""The report on an evidence package for people: its facts, clauses, checks, findings, changes, names and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.blocks import CellTable, FactList, Heading, ItemList, Paragraph
from spanforge.model_registry._cli.evidence_findings import (
    show_check_findings,
    show_model_name,
    show_plain_name,
    show_time,
    tabulate_samples,
)
from spanforge.model_registry._cli.terminal import Styled
from spanforge.model_registry.compliance._attestation_parts import ABOUT_ARCHIVE
from spanforge.model_registry.compliance._packages.derived_files import REPORT
from spanforge.model_registry.compliance._packages.files import TIME_STAMP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry._cli.terminal import Cell
    from spanforge.model_registry.compliance import Attestation, TimeStamp
    from spanforge.model_registry.compliance._attestation_figures import AttestedFinding
    from spanforge.model_registry.compliance._attestation_parts import Change, CheckResult
    from spanforge.model_registry.compliance._attestation_request import CalendarFile, RegistryFile

_STATUS_STYLES: Final = {
    "findings": "error",
    "no_evidence": "warning",
    "incomplete": "warning",
    "supported": "good",
    "not_applicable": "weak",
}
MAX_REPORT_ROWS: Final = 500
"""The limit of rows of a table. A terminal takes seconds for more, and nobody reads them."""
NOT_PROVED: Final = (
    "that the telemetry and the registry are genuine and complete: the limits list what the evidence does not show",
    "that there are no findings: read the result",
    "that the time of generation is right: the signer states it",
    "that this is the signer's latest package: pass the facts that you expect with --expect",
    "who holds the key: get the public key from the organisation by a separate channel, and compare the key id",
)
"""The facts that a successful verification does not prove."""
NOT_PROVED_BY_STAMP: Final = (
    "when the package was made: a time stamp shows only that the signature existed at this time, so it may be older"
)
"""The fact that a verified time stamp does not prove."""


def style_status(status: str) -> Styled:
    """Return a status in its colour."""
    return Styled(status, _STATUS_STYLES.get(status, ""))


def show_facts(attestation: Attestation) -> list[tuple[str, Cell]]:
    """Return the facts that identify the evidence, with its result."""
    revision = attestation.registry.source_revision
    return [
        ("result", style_status(attestation.overall_status)),
        ("framework", attestation.framework_name),
        ("about", _describe_subject(attestation)),
        ("period", f"from {show_time(attestation.period.from_date)} until {show_time(attestation.period.to_date)}"),
        ("made", describe_making(attestation)),
        ("telemetry", _count_telemetry(attestation)),
        ("coverage", _describe_coverage(attestation)),
        ("commit", "not stated" if revision is None else f"{revision}, as the maker states"),
    ]


def show_report_file(files: Collection[str]) -> list[tuple[str, Cell]]:
    """Return the fact that a package has a report for people; nothing for packages of older versions."""
    return [("report", f"{REPORT} in the package, for any browser")] if REPORT in files else []


def show_stamp_file(files: Collection[str]) -> list[tuple[str, Cell]]:
    """Return the fact that a package has a time stamp, which is not verified."""
    text = f"{TIME_STAMP} in the package, not verified; verify it with evidence verify --timestamp-cert"
    return [("time stamp", text)] if TIME_STAMP in files else []


def describe_making(attestation: Attestation) -> str:
    """Return the time of generation, and who states it."""
    is_given = attestation.arguments.generated_at == "given"
    claim = "as the maker set it" if is_given else "by the clock of the maker's machine"
    return f"{show_time(attestation.generated_at)}, {claim}; nobody else confirms this time"


def describe_time_stamp(stamp: TimeStamp) -> str:
    """Return the time of a time stamp, with its accuracy and its authority, and what it shows."""
    accuracy = "" if stamp.accuracy_seconds is None else f" ± {stamp.accuracy_seconds:g} s"
    return f"{show_time(stamp.time)}{accuracy}, by {stamp.authority}; the signature existed at this time"


def show_clauses(attestation: Attestation) -> Iterator[Block]:
    """Yield the results of the clauses."""
    yield Heading("Clauses")
    yield CellTable(
        ("clause", "result", "asks"),
        [(clause.clause, style_status(clause.status), clause.asks) for clause in attestation.clauses],
    )


def show_findings(attestation: Attestation) -> Iterator[Block]:
    """Yield a sentence for each check with exceptions, and the reasons for incomplete coverage."""
    found = [check for check in attestation.checks if check.exceptions or check.status == "findings"]
    yield Heading("Findings")
    yield ItemList(
        [f"{check.check}: {_count_exceptions(check)} {_describe_fault(check)}: {check.title}" for check in found]
    )
    if not found:
        is_empty = attestation.overall_status == "no_evidence"
        yield Paragraph("  none, but no evidence is not a pass" if is_empty else "  none")
    if attestation.coverage.reasons:
        yield Heading("Coverage is incomplete")
        yield ItemList(attestation.coverage.reasons)


def show_limits(attestation: Attestation) -> Iterator[Block]:
    """Yield the limits of the evidence."""
    yield Heading("Limits")
    yield ItemList(attestation.limits)


def show_checks(attestation: Attestation) -> Iterator[Block]:
    """Yield the results of the checks."""
    yield Heading("Checks")
    rows = [(check.check, style_status(check.status), _count_exceptions(check)) for check in attestation.checks]
    yield CellTable(("check", "result", "exceptions"), rows)


def show_check(check: CheckResult, findings: Iterable[AttestedFinding]) -> Iterator[Block]:
    """Yield the details of a check: its rule, its figures, its notes, and its first findings with examples."""
    yield Heading(check.check)
    yield FactList(
        [
            ("result", style_status(check.status)),
            ("rule", check.title),
            ("exceptions", _count_exceptions(check)),
            *((each.name, f"{each.value:,}") for each in check.parameters),
            *(("note", note) for note in check.notes),
        ]
    )
    yield from show_check_findings(check, findings)


def show_details(attestation: Attestation, inventory: Sequence[Mapping[str, str]]) -> Iterator[Block]:
    """Yield all that a package contains after its facts, the longest lists last."""
    yield from show_findings(attestation)
    yield from show_clauses(attestation)
    yield from show_checks(attestation)
    for check in attestation.checks:
        if check.exceptions:
            yield from show_check(check, attestation.findings)
    yield Heading("Not shown by this evidence")
    yield ItemList([f"{clause.clause}: {part}" for clause in attestation.clauses for part in clause.not_shown])
    yield from show_limits(attestation)
    yield from _show_files(attestation)
    yield from _show_optional_tables(attestation)
    columns = ("model", "status", "tier", "owner", "calls", "sender")
    fields = ("model_id", "status", "risk_tier", "owner", "calls", "sender")
    called_first = sorted(inventory, key=lambda row: row["calls"] in ("", "0"))
    yield from _show_table("Models", columns, [[row[field] for field in fields] for row in called_first])


def _show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[Block]:
    """Yield a table with a heading. A long one is cut off, and a sentence states the number of the other rows."""
    yield Heading(title)
    yield CellTable(columns, rows[:MAX_REPORT_ROWS])
    if len(rows) > MAX_REPORT_ROWS:
        yield Paragraph(f"  and {len(rows) - MAX_REPORT_ROWS:,} more, which --format json lists")


def _show_files(attestation: Attestation) -> Iterator[Block]:
    """Yield the digests of the files that were read, as ``sha256sum`` prints them."""
    calendar = attestation.arguments.calendar
    files: list[RegistryFile | CalendarFile] = [*attestation.registry.files]
    files += [] if calendar is None else [calendar]
    yield Heading("Registry files, as sha256sum prints them")
    yield from (Paragraph(f"  {file.sha256}  {file.name}") for file in files)
    if not attestation.registry.files:
        yield Paragraph(f"  {attestation.registry.sha256}  registry.json")
    framework = attestation.arguments.framework
    yield Heading("Framework's file, as sha256sum prints it")
    yield Paragraph(f"  {framework.sha256}  {framework.name or framework.file}")
    yield Heading("Telemetry, as sha256sum prints it")
    for each in attestation.inputs:
        yield Paragraph(f"  {each.sha256}  {each.name}")
        notes = [*each.faults, *each.limits]
        if notes:
            yield ItemList(notes)


def _show_optional_tables(attestation: Attestation) -> Iterator[Block]:
    """Yield the tables that have rows."""
    for title, columns, rows in (
        ("Days from which clauses apply", ("clause", "from", "applies to", "checked"), _tabulate_dates(attestation)),
        ("Changes", ("at", "model", "status", "event", "reason", "actor"), _tabulate_changes(attestation)),
        ("Gaps", ("from", "until", "hours"), _tabulate_gaps(attestation)),
        ("Names that are not registered", ("name", "calls"), _tabulate_unregistered(attestation)),
        ("Names that matched by form or glob", ("name", "model", "rule", "calls"), _tabulate_matched(attestation)),
        ("Models that answered for another", ("requested", "answered", "calls"), _tabulate_substitutions(attestation)),
        ("Models that only agents name", ("model", "service", "spans"), _tabulate_agent_only(attestation)),
        ("Senders", ("sender", "spans", "calls", "models called"), _tabulate_senders(attestation)),
    ):
        if rows:
            yield from _show_table(title, columns, rows)
    if attestation.untrusted_copies.spans:
        yield Heading(f"Copies by untrusted senders: {attestation.untrusted_copies.spans:,}")
        yield tabulate_samples(attestation.untrusted_copies.samples)


def _tabulate_dates(attestation: Attestation) -> list[Sequence[Cell]]:
    dates = [(clause.clause, each) for clause in attestation.clauses for each in clause.applies_from]
    return [(clause, each.date, each.scope, each.checked) for clause, each in dates]


def _tabulate_changes(attestation: Attestation) -> list[Sequence[Cell]]:
    return [
        (each.at, each.model_id, each.status, _describe_change_event(each), each.reason or "", each.actor or "")
        for each in attestation.changes
    ]


def _describe_change_event(change: Change) -> Cell:
    if change.event != "recorded":
        return Styled("no event", "error")
    return (change.emitted or change.event).replace("_", " ")


def _tabulate_gaps(attestation: Attestation) -> list[Sequence[Cell]]:
    gaps = attestation.coverage.gaps
    return [(show_time(gap.from_date), show_time(gap.to_date), f"{gap.seconds / 3600:,.1f}") for gap in gaps]


def _tabulate_unregistered(attestation: Attestation) -> list[Sequence[Cell]]:
    return [(show_model_name(each.name), f"{each.calls:,}") for each in attestation.unregistered_names]


def _tabulate_matched(attestation: Attestation) -> list[Sequence[Cell]]:
    names = attestation.matched_names
    return [(show_model_name(each.name), each.model_id, each.rule, f"{each.calls:,}") for each in names]


def _tabulate_substitutions(attestation: Attestation) -> list[Sequence[Cell]]:
    return [
        (each.requested_model_id, each.served_model_id or _show_unregistered(each.served_name), f"{each.calls:,}")
        for each in attestation.substitutions
    ]


def _tabulate_agent_only(attestation: Attestation) -> list[Sequence[Cell]]:
    return [
        (each.model_id or _show_unregistered(each.name), show_model_name(each.service), f"{each.spans:,}")
        for each in attestation.agent_only_models
    ]


def _tabulate_senders(attestation: Attestation) -> list[Sequence[Cell]]:
    used = [each for each in attestation.senders if each.spans or each.calls]
    return [(each.sender, f"{each.spans:,}", f"{each.calls:,}", f"{each.models_called:,}") for each in used]


def _show_unregistered(name: str | None) -> str:
    return f"{show_plain_name(name)} (not registered)"


def _count_exceptions(check: CheckResult) -> str:
    return f"{check.exceptions:,} of {check.population:,} {check.unit}"


def _describe_fault(check: CheckResult) -> str:
    return "are missing" if check.check in ABOUT_ARCHIVE else "break the rule"


def _describe_subject(attestation: Attestation) -> str:
    if attestation.model_id is None:
        return f"all models of the registry: {attestation.population.models:,}"
    state = ", ".join(filter(None, (attestation.model_status, attestation.model_risk_tier, attestation.model_owner)))
    return f"model {attestation.model_id} ({state or 'not registered'})"


def _count_telemetry(attestation: Attestation) -> str:
    population = attestation.population
    return (
        f"calls: {population.calls:,}, models called: {population.models_called:,}, spans: {population.spans:,}, "
        f"inputs: {len(attestation.inputs):,}"
    )


def _describe_coverage(attestation: Attestation) -> Cell:
    coverage = attestation.coverage
    return "complete" if coverage.status == "complete" else Styled("incomplete", "warning")
