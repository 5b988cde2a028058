"""The attestation and the CSV files of a period, from totals, changes and checks."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.timestamps import format_nanos, to_nanos
from spanforge.model_registry._core.values import quote
from spanforge.model_registry._core.warning_texts import NOT_REGISTERED, warn_of_model
from spanforge.model_registry.compliance import _attestation_parts as parts
from spanforge.model_registry.compliance import _name_lists as name_lists
from spanforge.model_registry.compliance._analysis.calls import NO_NAME, OTHERS_NAME
from spanforge.model_registry.compliance._analysis.check_results import run_checks
from spanforge.model_registry.compliance._analysis.checks import CheckInput
from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.senders import UNKNOWN, UNTRUSTED
from spanforge.model_registry.compliance._attestation import Attestation
from spanforge.model_registry.compliance._attestation_parts import worst_status
from spanforge.model_registry.compliance._evidence_csv import render_csv
from spanforge.model_registry.compliance._evidence_request import (
    EvidenceFacts,
    EvidenceRequest,
    collect_facts,
)
from spanforge.model_registry.compliance._figures import list_call_figures, list_inventory_cuts, list_model_figures
from spanforge.model_registry.compliance._findings import FindingList, list_findings
from spanforge.model_registry.compliance._inventory import list_inventory
from spanforge.model_registry.compliance._limits import LIMITS, list_limits, list_reading_limits
from spanforge.model_registry.compliance._model_call_facts import list_model_calls
from spanforge.model_registry.compliance._name_lists import list_names
from spanforge.model_registry.compliance._sender_figures import (
    build_sender_figures,
    build_untrusted_copies,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._core.lifecycle import ModelStatus, RiskTier
    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._attestation_parts import EvidenceStatus, Sender
    from spanforge.model_registry.compliance._frameworks.framework import Framework, FrameworkClause
    from spanforge.model_registry.compliance._inventory import EntryState, InventoryRow
    from spanforge.model_registry.compliance._model_calls import ModelCalls


class Evidence(NamedTuple):
    """The content of a package that is made from the telemetry.

    Attributes:
        attestation: The attestation.
        evidence_csv: The inventory, in CSV.
        findings_csv: The findings, in CSV.
        model_calls: The models that were called.
    """

    attestation: Attestation
    evidence_csv: bytes
    findings_csv: bytes
    model_calls: tuple[ModelCalls, ...]


def build_evidence(request: EvidenceRequest, totals: CallTotals, inputs: Sequence[ScannedInput]) -> Evidence:
    """Return the attestation and the CSV files of a period."""
    facts = collect_facts(request, totals, inputs)
    rows = _list_rows(facts)
    findings = list_findings(facts, _name_checks(request.framework))
    attestation = _build_attestation(facts, rows, findings)
    return Evidence(attestation, render_csv(rows), findings.to_csv(), list_model_calls(facts))


def _build_attestation(facts: EvidenceFacts, rows: Sequence[InventoryRow], findings: FindingList) -> Attestation:
    request = facts.request
    framework = request.framework
    checks = _run_framework_checks(facts)
    coverage = _build_coverage(facts)
    clauses = tuple(_build_clause(row, checks, coverage) for row in framework.clauses)
    owner, risk_tier, status = _read_model_state(request, facts.states)
    names = list_names(facts.about)
    return Attestation(
        generator=parts.Generator(name="spanforge-model-registry", version=__version__, schema_sha256=_digest_schema()),
        generated_at=format_nanos(to_nanos(request.generated_at)),
        framework=framework.id,
        framework_name=framework.name,
        framework_source=framework.source,
        framework_checked=framework.checked,
        model_id=request.model_id,
        model_owner=owner,
        model_risk_tier=risk_tier,
        model_status=status,
        model_warnings=_list_warnings(request, facts.states, facts.about),
        period=_build_period(request.scan),
        arguments=request.arguments,
        overall_status=worst_status([clause.status for clause in clauses if clause.checks]),
        clauses=clauses,
        checks=tuple(checks),
        changes=tuple(facts.changes[: name_lists.MAX_ITEMS]),
        population=_build_population(facts),
        coverage=coverage,
        unregistered_names=tuple(names.unregistered_names[: name_lists.MAX_ITEMS]),
        senders=build_sender_figures(facts, [check.check for check in checks]),
        untrusted_copies=build_untrusted_copies(facts),
        matched_names=tuple(names.matched_names[: name_lists.MAX_ITEMS]),
        substitutions=tuple(names.substitutions[: name_lists.MAX_ITEMS]),
        agent_only_models=tuple(names.agent_only_models[: name_lists.MAX_ITEMS]),
        registry=request.registry,
        inputs=tuple(map(_build_input, facts.inputs)),
        limits=(*LIMITS, *list_limits(facts, names), *findings.list_cuts(), *list_inventory_cuts(rows)),
        findings=findings.select_attested(),
        inventory=tuple(list_model_figures(rows)),
        inventory_count=sum(row.sender != UNTRUSTED for row in rows),
        call_figures=tuple(list_call_figures(rows)),
    )


@functools.cache
def _digest_schema() -> str:
    schema = resources.files("spanforge.model_registry.compliance") / "attestation.schema.json"
    return hashlib.sha256(schema.read_bytes()).hexdigest()


def _list_rows(facts: EvidenceFacts) -> list[InventoryRow]:
    """Return the rows of the inventory. A name that is not registered has one even if it was not called."""
    request, about = facts.request, facts.about
    by_sender: dict[Sender, CallTotals] = {sender: about.by_sender[sender] for sender in parts.SENDERS}
    if request.model_name is not None and not request.entries and not about.unregistered:
        by_sender[UNKNOWN] = replace(by_sender[UNKNOWN], unregistered={request.model_name: ModelTotals()})
    return list(list_inventory(facts.states, by_sender, request.list_shutdown_days()))


def _name_checks(framework: Framework) -> set[str]:
    return {name for clause in framework.clauses for name in clause.check_names}


def _run_framework_checks(facts: EvidenceFacts) -> list[parts.CheckResult]:
    request = facts.request
    given = CheckInput(
        facts.about,
        request.entries,
        facts.changes,
        has_telemetry=facts.all.spans + facts.all.log_calls + facts.events > 0,
        has_calendar=request.calendar is not None,
        archive=facts.archive,
        parameters=request.parameters,
    )
    return run_checks(_name_checks(request.framework), given)


def _read_model_state(
    request: EvidenceRequest, states: Sequence[EntryState]
) -> tuple[str | None, RiskTier | None, ModelStatus | None]:
    """Return owner, risk tier and status of the one model that the evidence is about; ``None`` if there is none."""
    state = states[0][1] if request.model_name is not None and states else None
    return (None, None, None) if state is None else (state.owner, state.risk_tier, state.status)


def _build_period(scan: ScanRequest) -> parts.Period:
    return parts.Period(from_date=format_nanos(scan.start), to_date=format_nanos(scan.end))


def _build_coverage(facts: EvidenceFacts) -> parts.Coverage:
    reasons = tuple(_list_coverage_reasons(facts))
    gaps = facts.all.gaps
    return parts.Coverage(
        status="incomplete" if reasons else "complete",
        gaps=tuple(
            parts.Gap(from_date=format_nanos(start), to_date=format_nanos(end), seconds=(end - start) // 10**9)
            for start, end in gaps[: name_lists.MAX_ITEMS]
        ),
        gap_count=len(gaps),
        reasons=reasons[: name_lists.MAX_ITEMS],
    )


def _list_coverage_reasons(facts: EvidenceFacts) -> Iterator[str]:
    """Yield the reasons why the telemetry does not cover the period."""
    if not facts.all.spans + facts.all.log_calls:
        nothing = "the period has no span and no call in a log record from a trusted or unknown sender"
        yield nothing if facts.inputs else "no telemetry was given"
    if to_nanos(facts.request.generated_at) < facts.request.scan.end:
        yield "the period had not ended when the evidence was generated"
    if facts.all.gaps:
        yield f"gaps that are longer than max_gap_seconds: {len(facts.all.gaps)}"
    yield from list_reading_limits(facts.inputs)


def _build_clause(row: FrameworkClause, checks: Iterable[parts.CheckResult], coverage: parts.Coverage) -> parts.Clause:
    statuses: list[EvidenceStatus] = [
        check.status for check in checks if check.check in row.check_names and check.status != "not_applicable"
    ]
    if statuses and coverage.status == "incomplete":
        statuses.append("incomplete")
    return parts.Clause(
        clause=row.id,
        title=row.title,
        asks=row.text,
        status=worst_status(statuses),
        checks=row.check_names,
        not_shown=row.not_covered,
        applies_from=row.applies_from,
        source=row.source,
        checked=row.checked,
    )


def _list_warnings(request: EvidenceRequest, states: Sequence[EntryState], about: CallTotals) -> tuple[str, ...]:
    """Return the warnings that a call of the model gets then, or those of all models that were called."""
    if request.model_name is not None and not states:
        return (NOT_REGISTERED % quote(request.model_name),)
    warnings = [
        warning
        for entry, state in states
        if state is not None and (request.model_name is not None or entry.model_id in about.models)
        for warning in warn_of_model(entry.model_id, state.status)
    ]
    names = sorted(about.unregistered.keys() - {NO_NAME, OTHERS_NAME})
    limit = name_lists.MAX_ITEMS
    unregistered = [NOT_REGISTERED % quote(name) for name in names[:limit]]
    return tuple([*warnings, *unregistered][:limit])


def _build_population(facts: EvidenceFacts) -> parts.Population:
    totals, about = facts.all, facts.about
    return parts.Population(
        spans=totals.spans,
        calls=about.calls,
        log_calls=sum(model.from_logs for model in about.all_called),
        agent_spans=totals.agent_spans,
        other_spans=totals.spans + totals.log_calls - totals.calls - totals.agent_spans,
        copies=totals.copies,
        differing_copies=totals.differing_copies,
        models=len(facts.request.entries),
        models_called=len(about.models) + len(about.unregistered),
        lifecycle_events=facts.events,
    )


def _build_input(scanned: ScannedInput) -> parts.Input:
    result = scanned.result
    return parts.Input(
        name=scanned.name,
        kind=scanned.kind,
        size=scanned.size,
        sha256=scanned.sha256,
        lines=result.lines,
        bad_lines=result.bad_lines,
        faults=tuple(result.faults),
        spans=result.spans,
        spans_outside=result.spans_outside,
        first=format_nanos(result.first) if result.spans else None,
        last=format_nanos(result.last) if result.spans else None,
        limits=tuple(scanned.limits),
    )
