"""The totals of findings: calls and spans that break a rule, by model, service and kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry.compliance._analysis.copies import CLAIMED_KINDS, DIFFERING_COPIES, list_exceptions
from spanforge.model_registry.compliance._analysis.differences import NO_DIFFERENCE, Difference
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._analysis.calls import Call
    from spanforge.model_registry.compliance._analysis.model_totals import GroupSpans
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup, SpanRef

REPEATED_ATTRIBUTES: Final = "repeated_attributes"
ANSWERED_BY_UNREGISTERED: Final = "answered_by_unregistered"
DISAGREEING: Final = "disagreeing"
_NO_FINDINGS: Final = frozenset({"in_calendar", "past_unknown_shutdown", "while_deprecated", *CLAIMED_KINDS.values()})
"""The kinds of ``copies.EXCEPTIONS`` that break no rule. Checks count them for their notes and populations."""


class FindingKey(NamedTuple):
    """The facts by which findings are counted.

    Attributes:
        kind: The kind of ``copies.EXCEPTIONS``, or ``DIFFERING_COPIES``.
        model_id: The id of the model's entry; ``None`` if it has no entry, or if the span names no model.
        name: The name of a model without an entry; empty for other spans.
        service: The service; empty for spans that name no model.
        is_call: ``True`` if the spans are calls.
        served: The response model, if a model that is not registered answered; else empty.
        difference: The attributes on the spans that were not in force, if the kind is ``DISAGREEING``.
    """

    kind: str
    model_id: str | None
    name: str
    service: str
    is_call: bool
    served: str = ""
    difference: Difference = NO_DIFFERENCE


@dataclass(slots=True)
class FindingTotals:
    """The spans of one finding.

    Attributes:
        occurrences: Their number.
        first: The start of the first one, in nanoseconds since the epoch.
        last: The start of the last one, likewise.
        samples: Some of them.
    """

    occurrences: int = 0
    first: int = MAX_TIME
    last: int = 0
    samples: set[SpanRef] = field(default_factory=set)

    def add(self, number: int, samples: Iterable[SpanRef], bounds: tuple[int, int]) -> None:
        """Add spans; ``bounds`` are the start of the first and the last of them."""
        self.occurrences += number
        self.first = min(self.first, bounds[0])
        self.last = max(self.last, bounds[1])
        self.samples.update(samples)


def count_findings(findings: dict[FindingKey, FindingTotals], group: CallGroup, spans: GroupSpans) -> None:
    """Add the findings of a group to totals."""
    bounds = group.first, group.last
    for key in _list_finding_keys(group.call):
        findings.setdefault(key, FindingTotals()).add(spans.number, spans.samples, bounds)
    if spans.with_differences:
        key = _make_key(group.call, DIFFERING_COPIES)
        findings.setdefault(key, FindingTotals()).add(spans.with_differences, spans.difference_samples, bounds)


def _list_finding_keys(call: Call) -> Iterator[FindingKey]:
    if call.kind != "call":
        if call.is_ambiguous:
            yield _make_key(call, REPEATED_ATTRIBUTES)
        return
    for kind in list_exceptions(call):
        if kind not in _NO_FINDINGS:
            key = _make_key(call, kind)
            if kind == ANSWERED_BY_UNREGISTERED:
                key = key._replace(served=call.names.served)
            yield key._replace(difference=call.difference) if kind == DISAGREEING else key


def _make_key(call: Call, kind: str) -> FindingKey:
    return FindingKey(kind, call.model_id, call.name, call.service, call.kind == "call")
