"""The findings of a period: the exceptions of each check, by model, service and sender."""

from __future__ import annotations

from heapq import nsmallest
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.timestamps import format_nanos, to_nanos
from spanforge.model_registry._core.values import quote
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS
from spanforge.model_registry.compliance._analysis.copies import DIFFERING_COPIES
from spanforge.model_registry.compliance._analysis.finding_totals import (
    ANSWERED_BY_UNREGISTERED,
    DISAGREEING,
    REPEATED_ATTRIBUTES,
)
from spanforge.model_registry.compliance._analysis.retention import (
    list_missing_days,
    measure_retention,
)
from spanforge.model_registry.compliance._analysis.samples import build_samples, select_samples
from spanforge.model_registry.compliance._analysis.senders import UNTRUSTED
from spanforge.model_registry.compliance._attestation_figures import AttestedFinding
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._csv_cells import escape_cell, write_rows
from spanforge.model_registry.compliance._sender_figures import CHECKS_OF_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.checks import CheckRow
    from spanforge.model_registry.compliance._analysis.finding_totals import FindingKey
    from spanforge.model_registry.compliance._analysis.scan_data import SpanRef
    from spanforge.model_registry.compliance._attestation_parts import Sender
    from spanforge.model_registry.compliance._evidence_request import EvidenceFacts, EvidenceRequest

MAX_ATTESTED: Final = 100
"""The limit of findings of each check in an attestation."""
MAX_WRITTEN: Final = 1_000
"""The limit of findings of each check in ``findings.csv``, so that hostile telemetry cannot make it too large."""
SAMPLES_ATTESTED: Final = 3
"""The limit of spans of a finding in an attestation."""
SAMPLES_WRITTEN: Final = 5
"""The limit of spans of a finding in ``findings.csv``."""

FINDING_COLUMNS: Final = (
    "check",
    "model",
    "service",
    "sender",
    "time",
    "trace_id",
    "span_id",
    "owner",
    "reason",
    "occurrences",
)

_STATUS_REASONS: Final = {
    row.finding: f"called while it was {status}" for status, row in LIFECYCLE.items() if row.finding is not None
}
_REASONS: Final[Mapping[str, str]] = {
    **_STATUS_REASONS,
    "unregistered": "not registered",
    "before_deployment": "called before its deployment date",
    ANSWERED_BY_UNREGISTERED: "answered by a model that is not registered",
    "past_sunset": "called on or after its sunset date",
    "past_provider_shutdown": "called on or after its provider's shutdown day",
    "not_enriched": "the span does not have the registry's status",
    DIFFERING_COPIES: "copies of the span differ",
    REPEATED_ATTRIBUTES: "an attribute occurs twice on the span, with different values",
}
"""The reason of each kind of finding, in words."""


class FindingList(NamedTuple):
    """The findings of an attestation, those of each check together.

    Attributes:
        findings: The first ``MAX_WRITTEN`` findings of each check, and as many of untrusted senders, each with up to
            ``SAMPLES_WRITTEN`` spans.
        numbers: The number of all findings of each check without untrusted senders.
    """

    findings: Sequence[AttestedFinding]
    numbers: Mapping[str, int]

    def select_attested(self) -> tuple[AttestedFinding, ...]:
        """Return the first findings of each check, with fewer spans."""
        by_check = groupby(self.findings, lambda finding: (finding.check, finding.sender == UNTRUSTED))
        return tuple(_limit_samples(each) for _, group in by_check for each in islice(group, MAX_ATTESTED))

    def list_cuts(self) -> Iterator[str]:
        """Yield a sentence for each list of findings that is not complete."""
        for check, number in self.numbers.items():
            if number > MAX_ATTESTED:
                written = min(number, MAX_WRITTEN)
                yield (
                    f"The list `findings` has the first {MAX_ATTESTED:,} of {number:,} items of the check `{check}`. "
                    f"The file `findings.csv` has {'all' if written == number else f'the first {written:,}'}."
                )

    def to_csv(self) -> bytes:
        """Return ``findings.csv`` in UTF-8: a row for each span, or one for a finding without spans.

        Only the first row of a finding has the number of its occurrences, so that the sum of the column is right.
        """
        rows = (row for finding in self.findings for row in _list_span_rows(finding))
        return write_rows(FINDING_COLUMNS, rows).encode()


def _limit_samples(finding: AttestedFinding) -> AttestedFinding:
    return msgspec.structs.replace(finding, samples=finding.samples[:SAMPLES_ATTESTED])


def _list_span_rows(finding: AttestedFinding) -> Iterator[list[str | int]]:
    facts = _to_cells(finding.check, finding.name, finding.service, finding.sender)
    rest = _to_cells(finding.owner, finding.reason)
    spans = [_to_cells(each.start, each.trace_id, each.span_id) for each in finding.samples]
    occurrences: str | int = finding.occurrences
    for span in spans or [_to_cells(finding.first, None, None)]:
        yield [*facts, *span, *rest, occurrences]
        occurrences = ""


def _to_cells(*texts: str | None) -> list[str]:
    return [escape_cell(text or "") for text in texts]


class _Candidate(NamedTuple):
    """A finding that is not built yet, because hostile telemetry can have very many: its fields, in order of rank."""

    number: int
    name: str
    service: str
    reason: str
    sender: Sender | None
    model_id: str | None
    bounds: tuple[int, int] | None
    samples: Collection[SpanRef] = ()

    @property
    def rank(self) -> tuple[object, ...]:
        """The key by which the findings of a check are sorted: the most frequent first."""
        return -self.number, self.name, self.service, self.reason, self.sender or "", self.bounds


def list_findings(facts: EvidenceFacts, checks: Iterable[str]) -> FindingList:
    """Return the findings of the named checks: by check, those of untrusted senders last, the most frequent first."""
    chosen = set(checks)
    owners = _Owners(facts.request)
    numbers = dict[str, int]()
    found = list[AttestedFinding]()
    for row in EVIDENCE_CHECKS:
        if row.check not in chosen:
            continue
        others = _OTHER_LISTS.get(row.check, _list_none)
        candidates = [*_list_calls(facts, row), *others(facts)]
        for is_untrusted in (False, True):
            listed = [each for each in candidates if (each.sender == UNTRUSTED) is is_untrusted]
            first = nsmallest(MAX_WRITTEN, listed, key=lambda each: each.rank)
            found += [_build_finding(row.check, each, owners) for each in first]
            numbers.setdefault(row.check, len(listed))
    return FindingList(found, numbers)


class _Owners:
    """The owners of models at the moment that the evidence shows."""

    def __init__(self, request: EvidenceRequest) -> None:
        self._at = request.shown_at
        self._entries = {entry.model_id: entry for entry in request.scan.entries}

    def find(self, model_id: str | None) -> str | None:
        """Return the owner of a model; ``None`` if it has no entry."""
        entry = None if model_id is None else self._entries.get(model_id)
        if entry is None:
            return None
        state = entry.as_of(self._at)
        return entry.owner if state is None else state.owner


def _build_finding(check: str, found: _Candidate, owners: _Owners) -> AttestedFinding:
    samples = select_samples(found.samples)
    bounds = found.bounds
    is_model = found.sender is None
    has_service = not is_model and found.service not in ("", OTHERS_NAME)
    return AttestedFinding(
        check=check,
        model_id=found.model_id,
        name=None if found.name == OTHERS_NAME else found.name,
        owner=owners.find(found.model_id),
        service=found.service if has_service else None,
        sender=found.sender,
        reason=found.reason,
        occurrences=found.number,
        first=None if bounds is None else format_nanos(bounds[0]),
        last=None if bounds is None else format_nanos(bounds[1]),
        samples=build_samples(samples, SAMPLES_WRITTEN),
    )


def _list_calls(facts: EvidenceFacts, row: CheckRow) -> Iterator[_Candidate]:
    """Yield the exceptions of a check of calls or other spans."""
    for sender in SENDERS:
        if sender == UNTRUSTED and row.check in CHECKS_OF_CLAIMS:
            continue
        for key, totals in facts.about.by_sender[sender].findings.items():
            if key.kind in row.kinds:
                # The bounds of a group are not those of its spans that have differing copies.
                bounds = None if key.kind == DIFFERING_COPIES else (totals.first, totals.last)
                name = key.name if key.model_id is None else key.model_id
                counted = totals.occurrences, name, key.service, _state_reason(key)
                yield _Candidate(*counted, sender, key.model_id, bounds, totals.samples)


def _state_reason(key: FindingKey) -> str:
    """Return the reason of a finding, in words."""
    if key.kind == DISAGREEING:
        return key.difference.describe()
    reason = _REASONS[key.kind]
    return f"{reason}: {quote(key.served)}" if key.served not in ("", OTHERS_NAME) else reason


def _list_none(_facts: EvidenceFacts) -> Iterator[_Candidate]:
    """Yield nothing."""
    yield from ()


def _list_unaccountable(facts: EvidenceFacts) -> Iterator[_Candidate]:
    """Yield the called models without an entry. An entry always has an owner, a risk tier and a purpose."""
    for name, totals in facts.about.unregistered.items():
        reason = f"{_REASONS['unregistered']}, so nobody is accountable"
        yield _Candidate(1, name, "", reason, None, None, (totals.first, totals.last))


def _list_unrecorded(facts: EvidenceFacts) -> Iterator[_Candidate]:
    """Yield the changes without an event."""
    for change in facts.changes:
        if change.event == "not_recorded":
            at = to_nanos(change.at)
            reason = f"the change to {change.status} has no event"
            yield _Candidate(1, change.model_id, "", reason, None, change.model_id, (at, at))


def _list_unreached(facts: EvidenceFacts) -> Iterator[_Candidate]:
    """Yield the required days before the earliest record, as one finding about no model."""
    if facts.archive is None:
        return
    retention = measure_retention(facts.archive, facts.request.parameters["retention"]["days"])
    days = list_missing_days(retention)
    if days is not None:
        reason = f"no record on the required days from {days[0]} to {days[1]}"
        yield _Candidate(retention.missing, "", "", reason, None, None, None)


_OTHER_LISTS: Final[Mapping[str, Callable[[EvidenceFacts], Iterator[_Candidate]]]] = {
    "accountable": _list_unaccountable,
    "changes_recorded": _list_unrecorded,
    "retention": _list_unreached,
}
"""The functions that list the exceptions of checks whose units are no calls."""
