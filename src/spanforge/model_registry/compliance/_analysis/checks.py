"""The checks: each looks for one fact, over all there is to look at, and says how many exceptions it found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._attestation import Check, CheckStatus, SampleSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.scan import Sample
    from spanforge.model_registry.compliance._analysis.totals import Facts
    from spanforge.model_registry.compliance._attestation import Change

MAX_SAMPLES: Final = 10
"""Spans that a check names."""
_IDS: Final = re.compile("[0-9A-Fa-f]{48}")


class Evidence(NamedTuple):
    """What checks look at.

    Attributes:
        facts: What the telemetry says.
        entries: The registry's entries that it is about.
        changes: Their changes in the period.
        telemetry: Whether there is any telemetry in the period.
    """

    facts: Facts
    entries: Sequence[ModelRegistryEntry]
    changes: Sequence[Change]
    telemetry: bool

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(model.calls for model in self.facts.called)

    @property
    def registered_calls(self) -> int:
        """Calls of models that were deployed then: of others nothing is known that could be in force."""
        return sum(model.calls - model.kinds["before_deployment"] for model in self.facts.models.values())

    def kinds(self, *kinds: str) -> int:
        """Return how many calls are of these kinds."""
        return sum(model.kinds[kind] for model in self.facts.called for kind in kinds)

    def samples(self, *kinds: str) -> list[Sample]:
        """Return spans of such calls, the earliest ones that are known and whose ids can be looked up."""
        spans = {span for model in self.facts.called for kind in kinds for span in model.samples[kind]}
        return sorted(span for span in spans if _IDS.fullmatch(f"{span.trace_id}{span.span_id}"))


class Outcome(NamedTuple):
    """What a check counted: population, exceptions, further facts, and exceptions that are spans."""

    population: int
    exceptions: int
    notes: Sequence[str] = ()
    samples: Sequence[Sample] = ()


class CheckRow(NamedTuple):
    """One check.

    Attributes:
        check: Its name.
        title: The fact that it looks for.
        unit: What it counts.
        look: Counts it.
    """

    check: str
    title: str
    unit: str
    look: Callable[[Evidence], Outcome]


def _calls_registered(evidence: Evidence) -> Outcome:
    names, early = len(evidence.facts.unregistered), evidence.kinds("before_deployment")
    notes = [f"{names} names of models that are not registered"] if names else []
    notes += [f"{early} calls before the model's deployment date"] if early else []
    exceptions = evidence.kinds("unregistered") + early
    return Outcome(evidence.calls, exceptions, notes, evidence.samples("unregistered", "before_deployment"))


def _accountable(evidence: Evidence) -> Outcome:
    called = len(evidence.facts.models) + len(evidence.facts.unregistered)
    known = {entry.model_id: entry for entry in evidence.entries}
    entries = [known[model_id] for model_id in evidence.facts.models if model_id in known]
    whole = sum(bool(entry.owner and entry.risk_tier and entry.purpose) for entry in entries)
    return Outcome(called, called - whole)


def _no_calls(kind: str, words: str) -> Callable[[Evidence], Outcome]:
    def look(evidence: Evidence) -> Outcome:
        models = sum(bool(model.kinds[kind]) for model in evidence.facts.called)
        notes = [f"{models} models were called {words}"] if models else []
        return Outcome(evidence.registered_calls, evidence.kinds(kind), notes, evidence.samples(kind))

    return look


def _no_calls_past_sunset(evidence: Evidence) -> Outcome:
    outcome = _no_calls("past_sunset", "past their sunset date")(evidence)
    deprecated = evidence.kinds("while_deprecated")
    note = f"{deprecated} calls of models that were deprecated at the time, which is allowed until their sunset date"
    return outcome._replace(notes=[*outcome.notes, note])


def _changes_recorded(evidence: Evidence) -> Outcome:
    missing = sum(change.event == "not_recorded" for change in evidence.changes)
    return Outcome(len(evidence.changes), missing)


def _spans_enriched(evidence: Evidence) -> Outcome:
    return Outcome(evidence.calls, evidence.kinds("not_enriched"), (), evidence.samples("not_enriched"))


def _registry_and_spans_agree(evidence: Evidence) -> Outcome:
    enriched = evidence.calls - evidence.kinds("not_enriched")
    return Outcome(enriched, evidence.kinds("disagreeing"), (), evidence.samples("disagreeing"))


CHECKS: Final = (
    CheckRow("calls_registered", "Every model that was called is registered.", "calls", _calls_registered),
    CheckRow(
        "accountable", "Every model that was called has an owner, a risk tier and a purpose.", "models", _accountable
    ),
    CheckRow(
        "no_calls_after_retirement",
        "No model was called that was retired at the time.",
        "calls of registered models",
        _no_calls("after_retirement", "after their retirement"),
    ),
    CheckRow(
        "no_calls_past_sunset",
        "No deprecated model was called past its sunset date.",
        "calls of registered models",
        _no_calls_past_sunset,
    ),
    CheckRow(
        "changes_recorded", "Every lifecycle change has its event in the telemetry.", "changes", _changes_recorded
    ),
    CheckRow("spans_enriched", "Every span of a call carries the registry's status.", "calls", _spans_enriched),
    CheckRow(
        "registry_and_spans_agree",
        "What spans of calls carry is what the registry had in force then.",
        "enriched calls",
        _registry_and_spans_agree,
    ),
)
"""Every check, in the order of the documentation."""


def checked(names: Iterable[str], evidence: Evidence) -> list[Check]:
    """Return what the checks of these names find, in the order of ``CHECKS``."""
    chosen = set(names)
    return [_checked(row, evidence) for row in CHECKS if row.check in chosen]


def _checked(row: CheckRow, evidence: Evidence) -> Check:
    population, exceptions, notes, samples = row.look(evidence)
    good = population - exceptions
    return Check(
        check=row.check,
        title=row.title,
        status=_status(row, evidence, population, exceptions),
        unit=row.unit,
        population=population,
        exceptions=exceptions,
        share=good * 10_000 // population / 10_000 if population else None,
        notes=tuple(notes),
        samples=tuple(_sample(sample) for sample in samples[:MAX_SAMPLES]),
    )


def _status(row: CheckRow, evidence: Evidence, population: int, exceptions: int) -> CheckStatus:
    if not evidence.telemetry:
        return "no_evidence"
    if exceptions:
        return "findings"
    if population:
        return "supported"
    return "not_applicable" if row.unit == "changes" and evidence.entries else "no_evidence"


def _sample(sample: Sample) -> SampleSpan:
    return SampleSpan(trace_id=sample.trace_id, span_id=sample.span_id, start=format_nanos(sample.start))
