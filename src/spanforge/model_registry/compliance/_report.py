"""From facts to what is stated: the attestation and its table."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.entry import warnings_of
from spanforge.model_registry._core.resolution import not_registered
from spanforge.model_registry._core.storage import content_of
from spanforge.model_registry._core.timestamps import format_nanos, from_nanos, to_nanos
from spanforge.model_registry.compliance import _attestation as stated
from spanforge.model_registry.compliance._analysis.changes import changes, recorded
from spanforge.model_registry.compliance._analysis.checks import Evidence, checked
from spanforge.model_registry.compliance._analysis.scan import MAX_EVENTS, MAX_TALLIES, REST, Plan
from spanforge.model_registry.compliance._analysis.totals import Facts, ModelFacts
from spanforge.model_registry.compliance._evidence_csv import table
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS, ClauseRow
from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.scan import SeenEvent
    from spanforge.model_registry.compliance._analysis.workers import Read
    from spanforge.model_registry.compliance._attestation import Framework, Status
    from spanforge.model_registry.compliance._evidence_csv import State

MAX_LISTED: Final = 1_000
"""Gaps, changes, names and warnings that an attestation lists of each; the counts are whole."""

_LIMITS: Final = (
    "Spans that a sampler drops in the application never reach the telemetry: all counts are of what was recorded.",
    "It is about the telemetry that was given: what was not instrumented, not sent or not archived is not in it.",
    "It does not show that the telemetry is genuine: whoever could write to it could write anything.",
    "It says nothing about what a provider does behind a model's name.",
    "Names, aliases, purposes and sunset dates are those at generation: the registry keeps no history of them.",
)


class Question(NamedTuple):
    """What was asked.

    Attributes:
        framework: The framework.
        asked: The name of the model that it is about; ``None``: the whole inventory.
        entry: The entry that stands for it, if one does.
        plan: What was counted.
        now: The time of generation.
    """

    framework: Framework
    asked: str | None
    entry: ModelRegistryEntry | None
    plan: Plan
    now: datetime

    @property
    def entries(self) -> Sequence[ModelRegistryEntry]:
        """The entries that it is about."""
        if self.asked is None:
            return self.plan.entries
        return [] if self.entry is None else [self.entry]

    @property
    def at(self) -> datetime:
        """The moment whose owner, tier and status are stated: the period's last, or now if that is earlier."""
        return min(self.now, from_nanos(self.plan.end) - timedelta(microseconds=1))


def package(question: Question, facts: Facts, reads: Sequence[Read]) -> EvidencePackage:
    """Return what was found, as it is stated."""
    about = _about(question, facts)
    events = {event for read in reads for event in read.seen.events}
    found = _changes(question, events)
    of_period = sum(question.plan.start <= event.at < question.plan.end for event in events)
    telemetry = facts.spans > 0 or of_period > 0
    framework = FRAMEWORKS[question.framework]
    names = {name for clause in framework.clauses for name in clause.checks}
    checks = checked(names, Evidence(about, question.entries, found, telemetry))
    coverage = _coverage(question, facts, reads)
    clauses = [_clause(row, checks, coverage) for row in framework.clauses]
    states = [(entry, entry.as_of(question.at)) for entry in question.entries]
    state = states[0][1] if question.asked is not None and states else None
    attestation = stated.Attestation(
        generator=stated.Generator(name="spanforge-model-registry", version=__version__),
        generated_at=format_nanos(to_nanos(question.now)),
        framework=question.framework,
        framework_name=framework.name,
        model_id=question.asked if question.entry is None else question.entry.model_id,
        model_owner=None if state is None else state.owner,
        model_risk_tier=None if state is None else state.risk_tier,
        model_status=None if state is None else state.status,
        model_warnings=_warnings(question, states, about),
        period=stated.Period(from_date=format_nanos(question.plan.start), to_date=format_nanos(question.plan.end)),
        overall_status=stated.worst(tuple(clause.status for clause in clauses)),
        clauses=tuple(clauses),
        checks=tuple(checks),
        changes=tuple(found[:MAX_LISTED]),
        population=_population(question, facts, about, of_period),
        coverage=coverage,
        unregistered_names=_names((name, None, model.calls) for name, model in about.unregistered.items()),
        uncovered_names=_names(_uncovered(question, facts, about)),
        registry=_digest(question.plan.entries),
        inputs=tuple(map(_input, reads)),
        limits=(*_LIMITS, *_further_limits(question, facts, about, len(found))),
    )
    unregistered = about.unregistered or ({} if question.asked is None or states else {question.asked: ModelFacts()})
    return EvidencePackage(attestation, table(states, about.models, unregistered))


def _about(question: Question, facts: Facts) -> Facts:
    """Return the facts about what was asked for."""
    if question.asked is None:
        return facts
    known = None if question.entry is None else question.entry.model_id
    models = {known: facts.models[known]} if known in facts.models else {}
    names = {question.asked: facts.unregistered[question.asked]} if question.asked in facts.unregistered else {}
    return replace(facts, models=models, unregistered={} if known is not None else names)


def _changes(question: Question, events: Iterable[SeenEvent]) -> list[stated.Change]:
    found = changes(question.entries, question.plan)
    told = recorded(found, events, question.plan.delay)
    return [
        stated.Change(
            model_id=change.model_id,
            at=change.date,
            status=change.status,
            reason=change.reason,
            actor=change.actor,
            source=change.source,
            event="recorded" if is_told else "not_recorded",
        )
        for change, is_told in zip(found, told, strict=True)
    ]


def _coverage(question: Question, facts: Facts, reads: Sequence[Read]) -> stated.Coverage:
    plan = question.plan
    bad = sum(read.seen.bad_lines for read in reads)
    lost = sum(read.seen.lost_events for read in reads)
    reasons = [] if facts.spans else ["there is no span in the period" if reads else "no telemetry was given"]
    reasons += ["the period was not over when this was made"] if to_nanos(question.now) < plan.end else []
    reasons += [f"stretches without any span that are longer than allowed: {len(facts.gaps)}"] if facts.gaps else []
    reasons += [f"{bad} lines, spans or log records could not be read"] if bad else []
    reasons += [f"{lost} lifecycle events beyond {MAX_EVENTS} of one input were left out"] if lost else []
    reasons += [f"{read.name}: {limit}" for read in reads for limit in read.limits]
    listed = [
        stated.Gap(from_date=format_nanos(start), to_date=format_nanos(end), seconds=(end - start) // 10**9)
        for start, end in facts.gaps[:MAX_LISTED]
    ]
    return stated.Coverage(
        status="incomplete" if reasons else "complete",
        max_gap_seconds=plan.max_gap // 10**9,
        gaps=tuple(listed),
        gap_count=len(facts.gaps),
        reasons=tuple(reasons[:MAX_LISTED]),
    )


def _clause(row: ClauseRow, checks: Iterable[stated.Check], coverage: stated.Coverage) -> stated.Clause:
    statuses: list[Status] = [
        check.status for check in checks if check.check in row.checks and check.status != "not_applicable"
    ]
    if statuses and coverage.status == "incomplete":
        statuses.append("incomplete")
    return stated.Clause(
        clause=row.clause,
        asks=row.asks,
        status=stated.worst(tuple(statuses)),
        checks=row.checks,
        not_shown=row.not_shown,
    )


def _warnings(question: Question, states: Sequence[State], about: Facts) -> tuple[str, ...]:
    """Return what someone who called the model then would be told, or any of those that were called."""
    if question.asked is not None and not states:
        return (not_registered(question.asked),)
    known = [
        warning
        for entry, state in states
        if state is not None and (question.asked is not None or entry.model_id in about.models)
        for warning in warnings_of(entry.model_id, state.status)
    ]
    return tuple([*known, *map(not_registered, sorted(about.unregistered))][:MAX_LISTED])


def _population(question: Question, facts: Facts, about: Facts, events: int) -> stated.Population:
    calls = sum(model.calls for model in facts.called)
    return stated.Population(
        spans=facts.spans,
        calls=sum(model.calls for model in about.called),
        agent_spans=facts.agent_spans,
        other_spans=facts.spans - calls - facts.agent_spans,
        copies=facts.copies,
        differing_copies=facts.differing_copies,
        models=len(question.entries),
        models_called=len(about.models) + len(about.unregistered),
        lifecycle_events=events,
    )


def _uncovered(question: Question, facts: Facts, about: Facts) -> Iterator[tuple[str, str | None, int]]:
    """Yield such names: of the models that it is about, or the very name that it is about if no entry stands for it."""
    itself = question.asked if question.entry is None else None
    for model_id, model in (about if itself is None else facts).models.items():
        for name, calls in model.uncovered.items():
            if itself in (None, name):
                yield name, model_id, calls


def _names(found: Iterable[tuple[str, str | None, int]]) -> tuple[stated.Name, ...]:
    """Return names with their calls, those with most calls first."""
    listed = sorted(found, key=lambda item: (-item[2], item[0], item[1] or ""))[:MAX_LISTED]
    return tuple(stated.Name(name=name, model_id=model_id, calls=calls) for name, model_id, calls in listed)


def _digest(entries: Sequence[ModelRegistryEntry]) -> stated.RegistryDigest:
    return stated.RegistryDigest(models=len(entries), sha256=hashlib.sha256(content_of(entries)).hexdigest())


def _input(read: Read) -> stated.Input:
    seen = read.seen
    return stated.Input(
        name=read.name,
        kind=read.kind,
        size=read.size,
        sha256=read.sha256,
        lines=seen.lines,
        bad_lines=seen.bad_lines,
        spans=seen.spans,
        spans_outside=seen.outside,
        first=format_nanos(seen.first) if seen.spans else None,
        last=format_nanos(seen.last) if seen.spans else None,
        limits=tuple(read.limits),
    )


def _further_limits(question: Question, facts: Facts, about: Facts, changed: int) -> list[str]:
    called = [entry for entry in question.entries if entry.model_id in about.models]
    undated = sum(_is_undated(entry, question.plan) for entry in called)
    listed = {
        "lifecycle changes": changed,
        "names that are not registered": len(about.unregistered),
        "names that no entry covers": sum(len(model.uncovered) for model in about.models.values()),
    }
    found = [f"Of {count} {what}, {MAX_LISTED} are listed." for what, count in listed.items() if count > MAX_LISTED]
    if undated:
        found.append(
            f"For {undated} of the models called, the registry's history does not reach back to the period's start, or "
            "to their deployment in it: before it, status is by their dates, owner and risk tier are the present ones."
        )
    if facts.differing_copies:
        found.append(
            f"{facts.differing_copies} spans were read twice with different content; the first copy was counted."
        )
    if REST in about.unregistered or any(REST in model.services for model in about.called):
        found.append(
            f"There were more than {MAX_TALLIES} groups of calls in one input: the rest is counted without service, "
            f"and as {REST} where the model is not registered."
        )
    return found


def _is_undated(entry: ModelRegistryEntry, plan: Plan) -> bool:
    """Tell whether only its dates say what an entry was at first in the period."""
    since = plan.start if entry.deployment_date is None else max(plan.start, to_nanos(entry.deployment_date))
    state = entry.as_of(from_nanos(since))
    return since < plan.end and state is not None and state.source == "dates"
