"""From totals, changes and checks to the attestation."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.entry import warnings_of
from spanforge.model_registry._core.resolution import not_registered
from spanforge.model_registry._core.storage import content_of
from spanforge.model_registry._core.timestamps import format_nanos, from_nanos, to_nanos
from spanforge.model_registry.compliance import _attestation as attestation
from spanforge.model_registry.compliance._analysis.changes import list_changes, match_events
from spanforge.model_registry.compliance._analysis.checks import CheckInput, run_checks
from spanforge.model_registry.compliance._analysis.scan_data import (
    MAX_CALL_GROUPS,
    MAX_SEEN_EVENTS,
    OTHERS_NAME,
    ScannedInput,
    ScanRequest,
    SeenEvent,
)
from spanforge.model_registry.compliance._analysis.totals import CallTotals, ModelTotals
from spanforge.model_registry.compliance._attestation import Attestation, worst_status
from spanforge.model_registry.compliance._evidence_csv import render_csv
from spanforge.model_registry.compliance._evidence_request import EvidenceFacts, EvidenceRequest, select_totals
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS, ClauseRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._attestation import EvidenceStatus
    from spanforge.model_registry.compliance._evidence_csv import EntryState

MAX_LISTED: Final = 1_000
"""Gaps, changes, names and warnings that an attestation lists of each; the counts are complete."""

_LIMITS: Final = (
    "Spans that a sampler drops in the application never reach the telemetry: all counts are of what was recorded.",
    "It is about the telemetry that was given: what was not instrumented, not sent or not archived is not in it.",
    "It does not show that the telemetry is genuine: whoever could write to it could write anything.",
    "It says nothing about what a provider does behind a model's name.",
    "Names, aliases, purposes and sunset dates are those at generation: the registry keeps no history of them.",
)


def build_attestation(request: EvidenceRequest, totals: CallTotals, inputs: Sequence[ScannedInput]) -> Attestation:
    """Return the attestation of a period."""
    events = {event for scanned in inputs for event in scanned.result.events}
    in_period = sum(request.scan.start <= event.at < request.scan.end for event in events)
    facts = EvidenceFacts(
        request, inputs, totals, select_totals(request, totals), _build_changes(request, events), in_period
    )
    framework = FRAMEWORKS[request.framework]
    names = {name for clause in framework.clauses for name in clause.checks}
    has_telemetry = totals.spans > 0 or in_period > 0
    checks = run_checks(names, CheckInput(facts.about, request.entries, facts.changes, has_telemetry))
    coverage = _build_coverage(facts)
    clauses = [_build_clause(row, checks, coverage) for row in framework.clauses]
    states = request.list_states()
    state = states[0][1] if request.model_name is not None and states else None
    unregistered = ((name, None, model.calls) for name, model in facts.about.unregistered.items())
    return Attestation(
        generator=attestation.Generator(name="spanforge-model-registry", version=__version__),
        generated_at=format_nanos(to_nanos(request.generated_at)),
        framework=request.framework,
        framework_name=framework.name,
        model_id=request.model_name if request.entry is None else request.entry.model_id,
        model_owner=None if state is None else state.owner,
        model_risk_tier=None if state is None else state.risk_tier,
        model_status=None if state is None else state.status,
        model_warnings=_list_warnings(request, states, facts.about),
        period=_build_period(request.scan),
        overall_status=worst_status(tuple(clause.status for clause in clauses)),
        clauses=tuple(clauses),
        checks=tuple(checks),
        changes=tuple(facts.changes[:MAX_LISTED]),
        population=_build_population(facts),
        coverage=coverage,
        unregistered_names=_sort_names(unregistered),
        uncovered_names=_sort_names(_list_uncovered(facts)),
        registry=_digest(request.scan.entries),
        inputs=tuple(map(_build_input, inputs)),
        limits=(*_LIMITS, *_list_limits(facts)),
    )


def build_csv(request: EvidenceRequest, totals: CallTotals) -> bytes:
    """Return ``evidence.csv`` of a period."""
    about = select_totals(request, totals)
    unregistered = about.unregistered
    if request.model_name is not None and not request.entries:
        unregistered = unregistered or {request.model_name: ModelTotals()}
    return render_csv(request.list_states(), about.models, unregistered)


def _build_changes(request: EvidenceRequest, events: Iterable[SeenEvent]) -> list[attestation.Change]:
    changes = list_changes(request.entries, request.scan)
    is_matched = match_events(changes, events, request.scan.delay)
    return [
        attestation.Change(
            model_id=change.model_id,
            at=change.date,
            status=change.status,
            reason=change.reason,
            actor=change.actor,
            source=change.source,
            event="recorded" if has_event else "not_recorded",
        )
        for change, has_event in zip(changes, is_matched, strict=True)
    ]


def _build_period(scan: ScanRequest) -> attestation.Period:
    return attestation.Period(from_date=format_nanos(scan.start), to_date=format_nanos(scan.end))


def _build_coverage(facts: EvidenceFacts) -> attestation.Coverage:
    reasons = tuple(_list_coverage_reasons(facts))
    gaps = facts.all.gaps
    return attestation.Coverage(
        status="incomplete" if reasons else "complete",
        max_gap_seconds=facts.request.scan.max_gap // 10**9,
        gaps=tuple(
            attestation.Gap(from_date=format_nanos(start), to_date=format_nanos(end), seconds=(end - start) // 10**9)
            for start, end in gaps[:MAX_LISTED]
        ),
        gap_count=len(gaps),
        reasons=reasons[:MAX_LISTED],
    )


def _list_coverage_reasons(facts: EvidenceFacts) -> Iterator[str]:
    """Yield why the telemetry does not cover the period."""
    if not facts.all.spans:
        yield "there is no span in the period" if facts.inputs else "no telemetry was given"
    if to_nanos(facts.request.generated_at) < facts.request.scan.end:
        yield "the period was not over when this was made"
    if facts.all.gaps:
        yield f"stretches without any span that are longer than allowed: {len(facts.all.gaps)}"
    bad = sum(scanned.result.bad_lines for scanned in facts.inputs)
    if bad:
        yield f"{bad} lines, spans or log records could not be read"
    lost = sum(scanned.result.lost_events for scanned in facts.inputs)
    if lost:
        yield f"{lost} lifecycle events beyond {MAX_SEEN_EVENTS} of one input were left out"
    for scanned in facts.inputs:
        for limit in scanned.limits:
            yield f"{scanned.name}: {limit}"


def _build_clause(
    row: ClauseRow, checks: Iterable[attestation.Check], coverage: attestation.Coverage
) -> attestation.Clause:
    statuses: list[EvidenceStatus] = [
        check.status for check in checks if check.check in row.checks and check.status != "not_applicable"
    ]
    if statuses and coverage.status == "incomplete":
        statuses.append("incomplete")
    return attestation.Clause(
        clause=row.clause,
        asks=row.asks,
        status=worst_status(tuple(statuses)),
        checks=row.checks,
        not_shown=row.not_shown,
    )


def _list_warnings(request: EvidenceRequest, states: Sequence[EntryState], about: CallTotals) -> tuple[str, ...]:
    """Return the warnings of a call of the model then, or of all models that were called."""
    if request.model_name is not None and not states:
        return (not_registered(request.model_name),)
    warnings = [
        warning
        for entry, state in states
        if state is not None and (request.model_name is not None or entry.model_id in about.models)
        for warning in warnings_of(entry.model_id, state.status)
    ]
    return tuple([*warnings, *map(not_registered, sorted(about.unregistered))][:MAX_LISTED])


def _build_population(facts: EvidenceFacts) -> attestation.Population:
    totals, about = facts.all, facts.about
    calls = sum(model.calls for model in totals.all_called)
    return attestation.Population(
        spans=totals.spans,
        calls=sum(model.calls for model in about.all_called),
        agent_spans=totals.agent_spans,
        other_spans=totals.spans - calls - totals.agent_spans,
        copies=totals.copies,
        differing_copies=totals.differing_copies,
        models=len(facts.request.entries),
        models_called=len(about.models) + len(about.unregistered),
        lifecycle_events=facts.events,
    )


def _list_uncovered(facts: EvidenceFacts) -> Iterator[tuple[str, str | None, int]]:
    """Yield the uncovered response models of the models that the evidence is about, with entry and calls.

    If it is about a name without an entry, yield that name, whatever model it was the response of.
    """
    name_itself = facts.request.model_name if facts.request.entry is None else None
    totals = facts.about if name_itself is None else facts.all
    for model_id, model in totals.models.items():
        for name, calls in model.uncovered.items():
            if name_itself in (None, name):
                yield name, model_id, calls


def _sort_names(names: Iterable[tuple[str, str | None, int]]) -> tuple[attestation.Name, ...]:
    """Return names with entry and calls, those with most calls first."""
    listed = sorted(names, key=lambda item: (-item[2], item[0], item[1] or ""))[:MAX_LISTED]
    return tuple(attestation.Name(name=name, model_id=model_id, calls=calls) for name, model_id, calls in listed)


def _digest(entries: Sequence[ModelRegistryEntry]) -> attestation.RegistryDigest:
    return attestation.RegistryDigest(models=len(entries), sha256=hashlib.sha256(content_of(entries)).hexdigest())


def _build_input(scanned: ScannedInput) -> attestation.Input:
    result = scanned.result
    return attestation.Input(
        name=scanned.name,
        kind=scanned.kind,
        size=scanned.size,
        sha256=scanned.sha256,
        lines=result.lines,
        bad_lines=result.bad_lines,
        spans=result.spans,
        spans_outside=result.spans_outside,
        first=format_nanos(result.first) if result.spans else None,
        last=format_nanos(result.last) if result.spans else None,
        limits=tuple(scanned.limits),
    )


def _list_limits(facts: EvidenceFacts) -> Iterator[str]:
    """Yield what these facts cannot show."""
    about = facts.about
    counts = {
        "lifecycle changes": len(facts.changes),
        "names that are not registered": len(about.unregistered),
        "names that no entry covers": sum(len(model.uncovered) for model in about.models.values()),
    }
    for what, count in counts.items():
        if count > MAX_LISTED:
            yield f"Of {count} {what}, {MAX_LISTED} are listed."
    called = [entry for entry in facts.request.entries if entry.model_id in about.models]
    undated = sum(_begins_by_dates(entry, facts.request.scan) for entry in called)
    if undated:
        yield (
            f"For {undated} of the models called, the registry's history does not reach back to the period's start, or "
            "to their deployment in it: before it, status is by their dates, owner and risk tier are the present ones."
        )
    if facts.all.differing_copies:
        yield (
            f"{facts.all.differing_copies} spans were read twice with different content; the first copy was counted."
        )
    if OTHERS_NAME in about.unregistered or any(OTHERS_NAME in model.services for model in about.all_called):
        yield (
            f"There were more than {MAX_CALL_GROUPS} groups of calls in one input: the rest is counted without "
            f"service, and as {OTHERS_NAME} where the model is not registered."
        )


def _begins_by_dates(entry: ModelRegistryEntry, scan: ScanRequest) -> bool:
    """Check whether an entry's first state in the period is known from its dates only."""
    since = scan.start if entry.deployment_date is None else max(scan.start, to_nanos(entry.deployment_date))
    state = entry.as_of(from_nanos(since))
    return since < scan.end and state is not None and state.source == "dates"
