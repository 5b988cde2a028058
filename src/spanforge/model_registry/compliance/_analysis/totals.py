"""The totals of all inputs: calls by model, with each span counted once, and the gaps without spans."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.calls import AGENT, Call
from spanforge.model_registry.compliance._analysis.duplicates import find_copies, pack_ids
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.duplicates import SpanCopy
    from spanforge.model_registry.compliance._analysis.scan_data import (
        CallGroup,
        ScannedInput,
        ScanRequest,
        SpanRef,
    )


def _make_status_exceptions() -> dict[str, Callable[[Call], bool]]:
    """Return an exception for each status of ``LIFECYCLE`` that has a finding."""

    def has_status(status: str) -> Callable[[Call], bool]:
        return lambda call: call.status == status

    return {row.finding: has_status(status) for status, row in LIFECYCLE.items() if row.finding is not None}


EXCEPTIONS: Final[Mapping[str, Callable[[Call], bool]]] = {
    "unregistered": lambda call: call.model_id is None,
    "before_deployment": lambda call: call.status is None,
    **_make_status_exceptions(),
    "past_sunset": lambda call: call.past_sunset,
    "not_enriched": lambda call: not call.enriched,
    "disagreeing": lambda call: call.enriched and not call.agrees,
}
"""The kinds of calls that checks count, by name."""


@dataclass
class ModelTotals:
    """The calls of one model, or of one name that is not registered.

    Attributes:
        calls: The number of calls.
        exceptions: The number of calls of each kind of ``EXCEPTIONS``.
        services: The services that called.
        uncovered: Response models that have no entry, with their number of calls.
        first: The start of the first call, in nanoseconds since the epoch.
        last: The start of the last call, in nanoseconds since the epoch.
        samples: Some of the calls' spans, for each kind of ``EXCEPTIONS``.
    """

    calls: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    uncovered: Counter[str] = field(default_factory=Counter)
    first: int = MAX_TIME
    last: int = 0
    samples: defaultdict[str, set[SpanRef]] = field(default_factory=lambda: defaultdict(set))

    def add(self, group: CallGroup, calls: int, samples: Iterable[SpanRef]) -> None:
        """Add calls of a group, and some of their spans."""
        self.calls += calls
        self.services.add(group.call.service)
        self.uncovered.update(dict.fromkeys(group.call.uncovered, calls))
        self.first = min(self.first, group.first)
        self.last = max(self.last, group.last)
        for kind, applies in EXCEPTIONS.items():
            if applies(group.call):
                self.exceptions[kind] += calls
                self.samples[kind].update(samples)


@dataclass
class CallTotals:
    """The totals of a period.

    Attributes:
        models: The calls of registered models, by model id.
        unregistered: The calls of models that are not registered, by name.
        spans: The number of spans, each counted once.
        agent_spans: The number of spans that name a model without being a call.
        copies: The number of spans that were read again.
        differing_copies: The number of copies whose content differs.
        gaps: The start and end of each stretch without any span that is longer than allowed, in nanoseconds since the
            epoch.
    """

    models: dict[str, ModelTotals]
    unregistered: dict[str, ModelTotals]
    spans: int
    agent_spans: int
    copies: int
    differing_copies: int
    gaps: list[tuple[int, int]]

    @property
    def all_called(self) -> list[ModelTotals]:
        """The totals of all models and names that were called."""
        return [*self.models.values(), *self.unregistered.values()]


_GroupKey = tuple[int, str]
"""The number of an input, and the mark of a group in it."""


class _Corrections(NamedTuple):
    """The corrections of the groups, because copies of spans must not count.

    Attributes:
        copies: The number of copies that each group counted.
        differing: The number of copies in each group whose first span was counted under another call.
        wrong_samples: The samples of each group that are differing copies.
    """

    copies: Counter[_GroupKey]
    differing: Counter[_GroupKey]
    wrong_samples: defaultdict[_GroupKey, set[SpanRef]]


def total_calls(inputs: Sequence[ScannedInput], request: ScanRequest, folder: str) -> CallTotals:
    """Return the totals of inputs that were read; the inputs do not change.

    Args:
        inputs: The inputs, each with the result of its scan.
        request: The request of the scan.
        folder: The folder with the ids of their spans.
    """
    groups = {(number, group.mark): group for number, one in enumerate(inputs) for group in one.result.groups}
    corrections = _find_corrections(groups, find_copies(folder, len(inputs)))
    spans = Counter[str]()
    models: defaultdict[str, ModelTotals] = defaultdict(ModelTotals)
    unregistered: defaultdict[str, ModelTotals] = defaultdict(ModelTotals)
    for key, group in groups.items():
        calls = group.calls - corrections.copies[key]
        spans[group.call.kind] += calls
        if calls and group.call.kind == "call":
            model_id = group.call.model_id
            model = unregistered[group.call.name] if model_id is None else models[model_id]
            model.add(group, calls, [s for s in group.samples if s not in corrections.wrong_samples[key]])
    return CallTotals(
        models=dict(models),
        unregistered=dict(unregistered),
        spans=spans.total(),
        agent_spans=spans[AGENT.kind],
        copies=corrections.copies.total(),
        differing_copies=corrections.differing.total(),
        gaps=list(find_gaps(inputs, request)),
    )


def _find_corrections(groups: Mapping[_GroupKey, CallGroup], copies: Iterable[SpanCopy]) -> _Corrections:
    """Return the corrections with which each span counts once.

    The first and last start of a group need no correction: copies of a span have the same start, unless one is forged.
    """
    corrections = _Corrections(Counter(), Counter(), defaultdict(set))
    for copy in copies:
        key = copy.input_number, copy.mark
        group = groups[key]
        corrections.copies[key] += 1
        if group.call != groups[copy.first_input_number, copy.first_mark].call:
            corrections.differing[key] += 1
            corrections.wrong_samples[key].update(
                sample for sample in group.samples if pack_ids(sample.trace_id, sample.span_id) == copy.ids
            )
    return corrections


def find_gaps(inputs: Iterable[ScannedInput], request: ScanRequest) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the period that have no span and are longer than allowed.

    Each numbered stretch is as long as the longest gap that is allowed. A longer gap is therefore between the spans of
    two stretches, or at an end of the period.
    """
    stretches: dict[int, tuple[int, int]] = {}
    for scanned in inputs:
        for number, (first, last) in scanned.result.stretches.items():
            earliest, latest = stretches.get(number, (first, last))
            stretches[number] = min(earliest, first), max(latest, last)
    last_seen = request.start
    for number in sorted(stretches):
        first, last = stretches[number]
        if first - last_seen > request.max_gap:
            yield last_seen, first
        last_seen = last
    if request.end - last_seen > request.max_gap:
        yield last_seen, request.end
