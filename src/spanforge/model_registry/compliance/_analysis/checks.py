"""The checks of the evidence: each tests one fact on all calls or changes, and counts the exceptions."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.copies import CLAIMED_KINDS, DIFFERING_COPIES
from spanforge.model_registry.compliance._analysis.retention import list_retention_notes, measure_retention
from spanforge.model_registry.compliance._analysis.samples import select_samples
from spanforge.model_registry.compliance._status_checks import STATUS_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus
    from spanforge.model_registry.compliance._analysis.retention import ArchiveDays
    from spanforge.model_registry.compliance._analysis.scan_data import SpanRef
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._attestation_parts import Change

MAX_RETENTION_DAYS: Final = 36_525
"""The limit of the days that the check ``retention`` requires: a century."""


class CheckInput(NamedTuple):
    """The input of the checks.

    Attributes:
        totals: The calls of the models that the evidence is about.
        entries: The registry's entries that the evidence is about, at generation. A check that reads one of their
            fields, such as the risk tier, gets the current value, not the one in force when a call started.
        changes: The lifecycle changes of these entries in the period.
        has_telemetry: ``True`` if the period has any span or lifecycle event.
        has_calendar: ``True`` if there is a provider calendar.
        archive: The days of all records that were given; ``None`` if no check needs them.
        parameters: The parameters of each check that has some, by their names.
    """

    totals: CallTotals
    entries: Sequence[ModelRegistryEntry]
    changes: Sequence[Change]
    has_telemetry: bool
    has_calendar: bool = False
    archive: ArchiveDays | None = None
    parameters: Mapping[str, Mapping[str, int]] = MappingProxyType({})

    @property
    def calls(self) -> int:
        """The number of calls."""
        return self.totals.calls

    @property
    def span_calls(self) -> int:
        """The number of calls that spans report. Nothing enriches log records."""
        return self.totals.calls - sum(model.from_logs for model in self.totals.all_called)

    @property
    def registered_calls(self) -> int:
        """The number of calls of registered models on or after their deployment; before it, nothing is in force."""
        return sum(model.calls - model.exceptions["before_deployment"] for model in self.totals.models.values())

    def count(self, *kinds: str) -> int:
        """Return the number of calls of these kinds of ``totals.EXCEPTIONS``."""
        return sum(self.totals.exceptions[kind] for kind in kinds)

    def list_samples(self, *kinds: str) -> list[SpanRef]:
        """Return the sample spans of such calls; see ``select_samples``."""
        if not self.count(*kinds):
            return []
        return select_samples(
            span for model in self.totals.all_called for kind in kinds for span in model.samples.get(kind, ())
        )


class Outcome(NamedTuple):
    """The figures of one check.

    Attributes:
        population: The number of units that the check examined.
        exceptions: The number of those units for which the title is false.
        notes: Additional facts, one text each.
        samples: Exceptions that are spans.
        may_be_empty: ``True`` if an empty population is normal, such as a period without changes. The check is then
            ``not_applicable``. Otherwise an empty population is ``no_evidence``, for the clauses of the check too.
    """

    population: int
    exceptions: int
    notes: Sequence[str] = ()
    samples: Sequence[SpanRef] = ()
    may_be_empty: bool = False


class CheckParameter(NamedTuple):
    """A parameter of a check: its name, its lowest and highest value, and its meaning."""

    name: str
    least: int
    most: int
    note: str


class CheckRow(NamedTuple):
    """One check.

    Attributes:
        check: The name of the check.
        title: The fact that the check tests.
        unit: The unit of its population.
        look: The function that counts the population and the exceptions.
        kinds: The kinds of calls, and of other spans, that are its exceptions.
        parameters: The parameters that a framework sets. Each is a whole number.
    """

    check: str
    title: str
    unit: str
    look: Callable[[CheckInput], Outcome]
    kinds: tuple[str, ...] = ()
    parameters: Sequence[CheckParameter] = ()


def _check_registered(given: CheckInput) -> Outcome:
    names, early = len(given.totals.unregistered), given.count("before_deployment")
    notes = [f"unregistered names: {names}"] if names else []
    notes += [f"calls before the model's deployment date: {early}"] if early else []
    exceptions = given.count("unregistered") + early
    return Outcome(given.calls, exceptions, notes, given.list_samples("unregistered", "before_deployment"))


def _check_served(given: CheckInput) -> Outcome:
    substitutions = given.totals.substitutions
    unregistered = [calls for key, calls in substitutions.items() if key.served_id is None]
    exceptions = sum(calls.calls for calls in unregistered)
    counts = {
        "models that answered and are not registered": len({key.served for key in substitutions if not key.served_id}),
        "calls answered by a registered model other than the requested one": given.totals.substituted_calls
        - exceptions,
        "registered calls whose request model or response model is missing": given.totals.incomparable_calls,
    }
    notes = [f"{words}: {count}" for words, count in counts.items() if count]
    samples = select_samples(span for calls in unregistered for span in calls.samples)
    # Calls without a response model are normal: some instrumentations write none.
    is_normal = bool(given.totals.models)
    return Outcome(given.totals.comparable_calls, exceptions, notes, samples, may_be_empty=is_normal)


def _check_accountable(given: CheckInput) -> Outcome:
    """Count the called models without an entry. An entry always has an owner, a risk tier and a purpose."""
    unregistered = len(given.totals.unregistered)
    return Outcome(len(given.totals.models) + unregistered, unregistered)


def _count_calls_of_kind(given: CheckInput, kind: str, words: str) -> Outcome:
    models = sum(bool(model.exceptions[kind]) for model in given.totals.all_called)
    notes = [f"models called {words}: {models}"] if models else []
    return Outcome(given.registered_calls, given.count(kind), notes, given.list_samples(kind))


def _make_status_check(check: str, status: ModelStatus) -> CheckRow:
    """Return the check that no model was called while it had a status."""
    words = _STATUS_WORDS.get(status, f"while they were {status}")
    kind = LIFECYCLE[status].finding
    assert kind is not None, status  # noqa: S101 - STATUS_CHECKS has no other
    title = f"No model was called while it was {status}."

    def look(given: CheckInput) -> Outcome:
        outcome, claimed = _count_calls_of_kind(given, kind, words), given.count(CLAIMED_KINDS[status])
        note = f"calls not examined, because the model has no entry; their spans have the status {status}: {claimed}"
        return outcome._replace(notes=[*outcome.notes, note]) if claimed else outcome

    return CheckRow(check, title, "calls of registered models", look, (kind,))


_STATUS_WORDS: Final[dict[str, str]] = {"retired": "after their retirement"}


def _check_sunset(given: CheckInput) -> Outcome:
    outcome = _count_calls_of_kind(given, "past_sunset", "on or after their sunset date")
    deprecated = given.count(LIFECYCLE["deprecated"].finding or "")
    notes = [f"calls of deprecated models, exceptions included: {deprecated}"] if deprecated else []
    return outcome._replace(notes=[*outcome.notes, *notes])


def _check_provider_shutdown(given: CheckInput) -> Outcome:
    """Examine the calls of models with a shutdown day in the calendar, on the day of the call as it was known then."""
    if not given.has_calendar:
        return Outcome(0, 0, ["no provider calendar was given"], may_be_empty=True)
    listed, kind = given.count("in_calendar"), "past_provider_shutdown"
    counts = {
        "models called on or after the day on which their provider stopped serving them": sum(
            bool(model.exceptions[kind]) for model in given.totals.all_called
        ),
        "calls on or after a shutdown day that was not known when they started": given.count("past_unknown_shutdown"),
        "calls of models without a shutdown day in the calendar": given.calls - listed,
    }
    notes = [f"{words}: {count}" for words, count in counts.items() if count]
    return Outcome(listed, given.count(kind), notes, given.list_samples(kind), may_be_empty=True)


def _check_changes(given: CheckInput) -> Outcome:
    missing = sum(change.event == "not_recorded" for change in given.changes)
    timings = Counter(change.emitted for change in given.changes)
    counts = {"early, before the change": timings["early"], "late, after the change": timings["late"]}
    notes = [f"events that were emitted {words}: {count}" for words, count in counts.items() if count]
    # Without an entry, changes may exist that the registry does not know.
    return Outcome(len(given.changes), missing, notes, may_be_empty=bool(given.entries))


def _check_enriched(given: CheckInput) -> Outcome:
    return Outcome(given.span_calls, given.count("not_enriched"), (), given.list_samples("not_enriched"))


def _check_agreement(given: CheckInput) -> Outcome:
    enriched = given.span_calls - given.count("not_enriched")
    return Outcome(enriched, given.count("disagreeing"), (), given.list_samples("disagreeing"))


def _check_unambiguous(given: CheckInput) -> Outcome:
    others = given.totals.other_findings.exceptions
    counts = {kind: given.count(kind) + others[kind] for kind in _AMBIGUITIES}
    notes = [f"{_AMBIGUITIES[kind]}: {count}" for kind, count in counts.items() if count]
    found = [*given.totals.all_called, given.totals.other_findings]
    samples = select_samples(
        span for model in found for kind in _AMBIGUITIES for span in model.samples.get(kind, ()) if notes
    )
    return Outcome(given.calls + sum(others.values()), sum(counts.values()), notes, samples)


def _check_retention(given: CheckInput) -> Outcome:
    if given.archive is None:
        return Outcome(0, 0)
    retention = measure_retention(given.archive, given.parameters["retention"]["days"])
    notes = list(list_retention_notes(retention, given.entries))
    return Outcome(retention.required, retention.missing, notes)


_AMBIGUITIES: Final = {
    DIFFERING_COPIES: "spans with copies that differ",
    "repeated_attributes": "spans in which an attribute occurs twice with different values",
}

EVIDENCE_CHECKS: Final = (
    CheckRow(
        "calls_registered",
        "Every model that was called is registered.",
        "calls",
        _check_registered,
        ("unregistered", "before_deployment"),
    ),
    CheckRow(
        "served_as_requested",
        "If a model other than the requested one answered a call, the answering model is registered.",
        "registered calls with a request model and a response model",
        _check_served,
        ("answered_by_unregistered",),
    ),
    CheckRow(
        "accountable",
        "Every model that was called has an owner, a risk tier and a purpose.",
        "models",
        _check_accountable,
    ),
    *(_make_status_check(check, status) for check, status in STATUS_CHECKS.items()),
    CheckRow(
        "no_calls_past_sunset",
        "No deprecated model was called on or after its sunset date.",
        "calls of registered models",
        _check_sunset,
        ("past_sunset",),
    ),
    CheckRow(
        "no_calls_past_provider_shutdown",
        "No model was called on or after its provider's shutdown day, if that day was known when the call started.",
        "calls of models with a shutdown day",
        _check_provider_shutdown,
        ("past_provider_shutdown",),
    ),
    CheckRow(
        "changes_recorded",
        "Every lifecycle change in the registry has a matching event in the telemetry.",
        "changes",
        _check_changes,
    ),
    CheckRow(
        "spans_enriched",
        "Every span of a call has the model's status from the registry.",
        "calls that spans report",
        _check_enriched,
        ("not_enriched",),
    ),
    CheckRow(
        "registry_and_spans_agree",
        "The registry's attributes on the span of each call agree with the registry's state at the time of the call.",
        "enriched calls",
        _check_agreement,
        ("disagreeing",),
    ),
    CheckRow(
        "spans_unambiguous",
        "Copies of a span, and repeated attributes of a span, agree in every fact that the evidence uses.",
        "calls",
        _check_unambiguous,
        tuple(_AMBIGUITIES),
    ),
    CheckRow(
        "retention",
        "The telemetry that was given reaches back over the required number of days.",
        "days of the required period",
        _check_retention,
        parameters=(CheckParameter("days", 1, MAX_RETENTION_DAYS, "the days that the telemetry must reach back"),),
    ),
)
"""All checks, in the order of the documentation."""
