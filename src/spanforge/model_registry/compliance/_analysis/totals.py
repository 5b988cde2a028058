"""The totals of all inputs: calls by model, with each span counted once, and the gaps without spans."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.counted_groups import BesideTrusted, CountedGroups, count_once
from spanforge.model_registry.compliance._analysis.finding_totals import FindingKey, FindingTotals, count_findings
from spanforge.model_registry.compliance._analysis.gaps import find_gaps
from spanforge.model_registry.compliance._analysis.model_totals import Counts, GroupSpans, ModelTotals
from spanforge.model_registry.compliance._analysis.senders import COUNTED
from spanforge.model_registry.compliance._attestation_parts import SENDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.calls import Call
    from spanforge.model_registry.compliance._analysis.scan_data import (
        CallGroup,
        ScannedInput,
        ScanRequest,
        SpanRef,
    )


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
    """The totals of a period, of trusted and unknown senders.

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
        other_findings: The spans that are no calls and whose copies or repeated attributes differ.
        by_sender: The totals of each sender. Those of untrusted senders count nowhere else.
        beside_trusted: The spans of untrusted senders that a trusted or unknown sender sent too.
        log_calls: The number of calls that log records alone report.
        findings: The calls and other spans that break a rule, by model, service and kind.
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
    other_findings: ModelTotals = field(default_factory=ModelTotals)
    by_sender: Mapping[str, CallTotals] = field(default_factory=dict)
    beside_trusted: BesideTrusted = field(default_factory=lambda: BesideTrusted(0, ()))
    log_calls: int = 0
    findings: Mapping[FindingKey, FindingTotals] = field(default_factory=dict)

    @property
    def all_called(self) -> list[ModelTotals]:
        """The totals of all models and names that were called."""
        return [*self.models.values(), *self.unregistered.values()]

    @cached_property
    def calls(self) -> int:
        """The number of calls of all models and names."""
        return sum(model.calls for model in self.all_called)

    @cached_property
    def exceptions(self) -> Counts[str]:
        """The number of calls of each kind of ``copies.EXCEPTIONS``."""
        numbers = Counts[str]()
        for model in self.all_called:
            for kind, calls in model.exceptions.items():
                numbers[kind] += calls
        return numbers

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


def total_calls(inputs: Sequence[ScannedInput], request: ScanRequest, folder: str) -> CallTotals:
    """Return the totals of inputs that were read; the inputs do not change.

    Args:
        inputs: The inputs, each with the result of its scan.
        request: The request of the scan.
        folder: The folder with the ids of their spans.
    """
    return total_groups(count_once(inputs, folder), list(find_gaps(inputs, request)))


def total_groups(counted: CountedGroups, gaps: list[tuple[int, int]]) -> CallTotals:
    """Return the totals of groups in which each span counts once.

    Args:
        counted: The groups.
        gaps: The stretches of the period without any span.
    """
    tallies: dict[str, _Tally] = {sender: _Tally() for sender in SENDERS}
    for group, spans in counted.groups:
        tallies[group.call.sender].add(group, spans)
    by_sender = {sender: tally.to_totals([]) for sender, tally in tallies.items()}
    totals = _total_counted(counted, tallies).to_totals(gaps)
    return replace(totals, by_sender=by_sender, beside_trusted=counted.beside_trusted)


def _total_counted(counted: CountedGroups, tallies: Mapping[str, _Tally]) -> _Tally:
    """Return the sums of all senders that count. Mostly there is only one."""
    senders = {group.call.sender for group, _ in counted.groups}.intersection(COUNTED)
    if len(senders) == 1:
        return tallies[senders.pop()]
    tally = _Tally()
    for group, spans in counted.groups:
        if group.call.sender in senders:
            tally.add(group, spans)
    return tally


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
        self._other_findings = ModelTotals()
        self._findings: dict[FindingKey, FindingTotals] = {}
        self._copies = self._differing_copies = 0

    def add(self, group: CallGroup, spans: GroupSpans) -> None:
        """Add the spans of a group that count, and the number of their copies."""
        self._copies += spans.copies
        self._differing_copies += spans.differing_copies
        if spans.number:
            self._add_spans(group, spans)

    def _add_spans(self, group: CallGroup, spans: GroupSpans) -> None:
        call = group.call
        self.spans[_FROM_LOG if call.from_log else call.kind] += spans.number
        count_findings(self._findings, group, spans)
        if call.kind == "call":
            model = self.unregistered[call.name] if call.model_id is None else self.models[call.model_id]
            model.add(group, spans)
            self._called.add(ServiceModel(call.model_id, call.name, call.service))
            self._add_substitution(call, spans.number, spans.samples)
            return
        if call.kind == "agent":
            self._named_by_agents[ServiceModel(call.model_id, call.name, call.service)] += spans.number
        self._other_findings.add_differing_copies(spans)
        if call.is_ambiguous:
            self._other_findings.exceptions["repeated_attributes"] += spans.number
            self._other_findings.samples["repeated_attributes"].update(spans.samples)

    def _add_substitution(self, call: Call, calls: int, samples: Iterable[SpanRef]) -> None:
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

    def to_totals(self, gaps: list[tuple[int, int]]) -> CallTotals:
        """Return the sums."""
        return CallTotals(
            models=dict(self.models),
            unregistered=dict(self.unregistered),
            spans=self.spans.total() - self.spans[_FROM_LOG],
            agent_spans=self.spans["agent"],
            copies=self._copies,
            differing_copies=self._differing_copies,
            gaps=gaps,
            substitutions=dict(self.substitutions),
            agent_only=self._select_agent_only(),
            other_findings=self._other_findings,
            log_calls=self.spans[_FROM_LOG],
            findings=self._findings,
        )

    def _select_agent_only(self) -> dict[ServiceModel, int]:
        """Return the models that agents name and no call of the same service has.

        A model with calls whose service is not known is not among them.
        """
        called = self._called
        return {
            model: spans
            for model, spans in self._named_by_agents.items()
            if model not in called and model._replace(service=OTHERS_NAME) not in called
        }
