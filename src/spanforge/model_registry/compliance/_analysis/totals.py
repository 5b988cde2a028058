"""The totals of all inputs: calls by model, with each span counted once, and the gaps without spans."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.duplicates import find_copies, pack_ids
from spanforge.model_registry.compliance._analysis.gaps import find_gaps
from spanforge.model_registry.compliance._analysis.log_calls import find_joined_calls
from spanforge.model_registry.compliance._analysis.scan_data import OTHERS_NAME
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.calls import Call
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
    "not_enriched": lambda call: not call.enriched and not call.from_log,
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
        matched: The names that matched by form or by glob, each with its rule and its number of calls.
        with_response: The number of calls with a request model and a response model.
        from_logs: The number of calls that log records alone report.
        first: The start of the first call, in nanoseconds since the epoch.
        last: The start of the last call, in nanoseconds since the epoch.
        samples: Some of the calls' spans, for each kind of ``EXCEPTIONS``.
    """

    calls: int = 0
    exceptions: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    matched: Counter[tuple[str, str]] = field(default_factory=Counter)
    with_response: int = 0
    from_logs: int = 0
    first: int = MAX_TIME
    last: int = 0
    samples: defaultdict[str, set[SpanRef]] = field(default_factory=lambda: defaultdict(set))

    def add(self, group: CallGroup, calls: int, samples: Iterable[SpanRef]) -> None:
        """Add calls of a group, and some of their spans."""
        self.calls += calls
        self.services.add(group.call.service)
        names = group.call.names
        if names.rule:
            self.matched[names.matched, names.rule] += calls
        self.with_response += calls if names.has_response else 0
        self.from_logs += calls if group.call.from_log else 0
        self.first = min(self.first, group.first)
        self.last = max(self.last, group.last)
        for kind, applies in EXCEPTIONS.items():
            if applies(group.call):
                self.exceptions[kind] += calls
                self.samples[kind].update(samples)


class SubstitutionKey(NamedTuple):
    """A model that answered calls of another model.

    Attributes:
        requested_id: The id of the request model's entry.
        served: The response model.
        served_id: The id of the response model's entry; ``None`` if it has none.
    """

    requested_id: str
    served: str
    served_id: str | None

    @property
    def counted_under(self) -> str:
        """The id of the entry under which the calls are counted."""
        return self.requested_id if self.served_id is None else self.served_id


@dataclass
class SubstitutedCalls:
    """The calls of one substitution: their number, and some of their spans."""

    calls: int = 0
    samples: set[SpanRef] = field(default_factory=set)


class ServiceModel(NamedTuple):
    """A model in one service: the id of its entry, or ``None`` and its name."""

    model_id: str | None
    name: str
    service: str


@dataclass
class CallTotals:
    """The totals of a period.

    Attributes:
        models: The calls of registered models, by model id.
        unregistered: The calls of models that are not registered, by name.
        spans: The number of spans, each counted once.
        agent_spans: The number of spans of agents that name a model.
        copies: The number of spans that were read again.
        differing_copies: The number of copies whose content differs.
        gaps: The start and end of each stretch without any span that is longer than allowed, in nanoseconds since the
            epoch.
        substitutions: The calls that another model answered than the one requested.
        agent_only: The models that spans of agents name and no call of the same service has, with the number of spans.
        log_calls: The number of calls that log records alone report.
    """

    models: dict[str, ModelTotals]
    unregistered: dict[str, ModelTotals]
    spans: int
    agent_spans: int
    copies: int
    differing_copies: int
    gaps: list[tuple[int, int]]
    substitutions: dict[SubstitutionKey, SubstitutedCalls] = field(default_factory=dict)
    agent_only: dict[ServiceModel, int] = field(default_factory=dict)
    log_calls: int = 0

    @property
    def all_called(self) -> list[ModelTotals]:
        """The totals of all models and names that were called."""
        return [*self.models.values(), *self.unregistered.values()]

    @property
    def substituted_calls(self) -> int:
        """The number of calls that another model answered than the one requested."""
        return sum(calls.calls for calls in self.substitutions.values())

    @property
    def comparable_calls(self) -> int:
        """The number of registered calls with a request model and a response model.

        Totals of one model include its calls that count under the model that answered.
        """
        elsewhere = sum(
            calls.calls for key, calls in self.substitutions.items() if key.counted_under not in self.models
        )
        return elsewhere + sum(model.with_response for model in self.models.values())

    @property
    def incomparable_calls(self) -> int:
        """The number of registered calls whose request model or response model is missing."""
        return sum(model.calls - model.with_response for model in self.models.values())


_FROM_LOG: Final = "log"
_GroupKey = tuple[int, str]
"""The number of an input, and the mark of a group in it."""


class _Corrections(NamedTuple):
    """The corrections of the groups, because copies of spans must not count.

    Attributes:
        copies: The number of copies that each group counted.
        differing: The number of copies in each group whose first span was counted under another call.
        wrong_samples: The samples of each group that are differing copies, or calls that a span reports.
        joined: The number of calls in log records of each group that a span reports too.
    """

    copies: Counter[_GroupKey]
    differing: Counter[_GroupKey]
    wrong_samples: defaultdict[_GroupKey, set[SpanRef]]
    joined: Counter[_GroupKey]


def total_calls(inputs: Sequence[ScannedInput], request: ScanRequest, folder: str) -> CallTotals:
    """Return the totals of inputs that were read; the inputs do not change.

    Args:
        inputs: The inputs, each with the result of its scan.
        request: The request of the scan.
        folder: The folder with the ids of their spans.
    """
    groups = {(number, group.mark): group for number, one in enumerate(inputs) for group in one.result.groups}
    joined = list(find_joined_calls(folder, len(inputs), {key: group.call for key, group in groups.items()}))
    corrections = _find_corrections(groups, find_copies(folder, len(inputs)), joined)
    tally = _Tally()
    for key, group in groups.items():
        calls = group.calls - corrections.copies[key] - corrections.joined[key]
        if calls:
            tally.add(group, calls, [s for s in group.samples if s not in corrections.wrong_samples[key]])
    return CallTotals(
        models=dict(tally.models),
        unregistered=dict(tally.unregistered),
        spans=tally.spans.total() - tally.spans[_FROM_LOG],
        agent_spans=tally.spans["agent"],
        copies=corrections.copies.total(),
        differing_copies=corrections.differing.total(),
        gaps=list(find_gaps(inputs, request)),
        substitutions=dict(tally.substitutions),
        agent_only=tally.select_agent_only(),
        log_calls=tally.spans[_FROM_LOG],
    )


class _Tally:
    """The sums over groups.

    Attributes:
        spans: The number of spans of each kind.
        models: The calls of registered models, by model id.
        unregistered: The calls of models that are not registered, by name.
        substitutions: The calls that another model answered than the one requested.
    """

    def __init__(self) -> None:
        self.spans = Counter[str]()
        self.models: defaultdict[str, ModelTotals] = defaultdict(ModelTotals)
        self.unregistered: defaultdict[str, ModelTotals] = defaultdict(ModelTotals)
        self.substitutions: defaultdict[SubstitutionKey, SubstitutedCalls] = defaultdict(SubstitutedCalls)
        self._named_by_agents = Counter[ServiceModel]()
        self._called: set[ServiceModel] = set()

    def add(self, group: CallGroup, spans: int, samples: list[SpanRef]) -> None:
        """Add spans of a group, and samples of them."""
        call = group.call
        self.spans[_FROM_LOG if call.from_log else call.kind] += spans
        if call.kind == "agent":
            self._named_by_agents[ServiceModel(call.model_id, call.name, call.service)] += spans
        elif call.kind == "call":
            model = self.unregistered[call.name] if call.model_id is None else self.models[call.model_id]
            model.add(group, spans, samples)
            self._called.add(ServiceModel(call.model_id, call.name, call.service))
            self._add_substitution(call, spans, samples)

    def _add_substitution(self, call: Call, calls: int, samples: list[SpanRef]) -> None:
        names = call.names
        if not names.served or call.model_id is None:
            return
        if names.requested_id is None:
            substitution = SubstitutionKey(call.model_id, names.served, None)
        else:
            substitution = SubstitutionKey(names.requested_id, names.served, call.model_id)
            self._called.add(ServiceModel(names.requested_id, "", call.service))
        self.substitutions[substitution].calls += calls
        self.substitutions[substitution].samples.update(samples)

    def select_agent_only(self) -> dict[ServiceModel, int]:
        """Return the models that agents name and no call of the same service has.

        A model with calls whose service is not known is not among them.
        """
        called = self._called
        return {
            model: spans
            for model, spans in self._named_by_agents.items()
            if model not in called and model._replace(service=OTHERS_NAME) not in called
        }


def _find_corrections(
    groups: Mapping[_GroupKey, CallGroup], copies: Iterable[SpanCopy], joined: Iterable[tuple[_GroupKey, bytes]]
) -> _Corrections:
    """Return the corrections with which each span counts once.

    The first and last start of a group need no correction: copies of a span have the same start, unless one is forged.
    """
    corrections = _Corrections(Counter(), Counter(), defaultdict(set), Counter())
    for key, ids in joined:
        corrections.joined[key] += 1
        corrections.wrong_samples[key].update(_pick_samples(groups[key], ids))
    for copy in copies:
        key = copy.input_number, copy.mark
        group = groups[key]
        corrections.copies[key] += 1
        if group.call != groups[copy.first_input_number, copy.first_mark].call:
            corrections.differing[key] += 1
            corrections.wrong_samples[key].update(_pick_samples(group, copy.ids))
    return corrections


def _pick_samples(group: CallGroup, ids: bytes) -> set[SpanRef]:
    """Return the samples of a group that have these ids."""
    return {sample for sample in group.samples if pack_ids(sample.trace_id, sample.span_id) == ids}
