"""The usage of models: the calls in telemetry, by kind of finding and model, and by service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._cli.finding_kinds import AGENT_ONLY, KIND_OF_EXCEPTION, MATCHED, SUBSTITUTED
from spanforge.model_registry.compliance._analysis.copies import list_exceptions
from spanforge.model_registry.compliance._analysis.model_totals import Counts
from spanforge.model_registry.compliance._analysis.senders import COUNTED
from spanforge.model_registry.compliance._analysis.totals import ServiceModel
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from spanforge.model_registry.compliance._analysis.calls import Call
    from spanforge.model_registry.compliance._analysis.model_totals import GroupSpans
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup


class UsageKey(NamedTuple):
    """The calls of a model that are a finding of one kind.

    Attributes:
        kind: The kind.
        model_id: The id of the model's entry; ``None`` if it has no entry. If another model answered, it is the entry
            of the request model.
        name: The name of a model that is not registered, the response model, or the name that matched; else empty.
        detail: The rule by which a name matched, or the id of the response model's entry; else empty.
    """

    kind: str
    model_id: str | None
    name: str = ""
    detail: str = ""


@dataclass(slots=True)
class Usage:
    """The calls of a model.

    Attributes:
        calls: Their number; for models that only agents name, the number of spans.
        services: The number by service.
        senders: The number by sender.
        days: The days on which the provider stops serving the model.
        first: The start of the first call, in nanoseconds since the epoch.
        last: The start of the last call, likewise.
    """

    calls: int = 0
    services: Counts[str] = field(default_factory=Counts)
    senders: Counts[str] = field(default_factory=Counts)
    days: set[str] = field(default_factory=set)
    first: int = MAX_TIME
    last: int = 0

    def add(self, group: CallGroup, calls: int) -> None:
        """Add calls of a group."""
        call = group.call
        self.calls += calls
        self.services[call.service] += calls
        self.senders[call.sender] += calls
        if call.shutdown.sunset:
            self.days.add(call.shutdown.sunset)
        self.first, self.last = min(self.first, group.first), max(self.last, group.last)


def merge_usage(parts: Iterable[Usage]) -> Usage:
    """Return the usage of a model that has several names."""
    merged = Usage()
    for part in parts:
        merged.calls += part.calls
        merged.days |= part.days
        merged.first, merged.last = min(merged.first, part.first), max(merged.last, part.last)
        _add_counts(merged.services, part.services)
        _add_counts(merged.senders, part.senders)
    return merged


def _add_counts(counts: Counts[str], more: Counts[str]) -> None:
    for key, number in more.items():
        counts[key] += number


@dataclass(slots=True)
class ServiceUsage:
    """The calls of a service: their number, and the ids and names of the models."""

    calls: int = 0
    model_ids: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


class UsageTotals(NamedTuple):
    """The usage of all models.

    Attributes:
        all: All calls.
        by_key: The calls of each kind and model.
        by_service: The calls of each service.
    """

    all: Usage
    by_key: dict[UsageKey, Usage]
    by_service: dict[str, ServiceUsage]


def total_usage(groups: Iterable[tuple[CallGroup, GroupSpans]], agent_only: Collection[ServiceModel]) -> UsageTotals:
    """Return the usage of models by trusted and unknown senders.

    Args:
        groups: The groups of calls, each with the spans that count.
        agent_only: The models that agents of a service name, and that no call of the service has.
    """
    totals = UsageTotals(Usage(), {}, {})
    for group, spans in groups:
        call = group.call
        if not spans.number or call.sender not in COUNTED:
            continue
        if call.kind == "call":
            _add_calls(totals, group, spans.number)
        elif call.kind == "agent" and ServiceModel(call.model_id, call.name, call.service) in agent_only:
            key = UsageKey(AGENT_ONLY, call.model_id, call.name)
            totals.by_key.setdefault(key, Usage()).add(group, spans.number)
    return totals


def _add_calls(totals: UsageTotals, group: CallGroup, calls: int) -> None:
    call = group.call
    totals.all.add(group, calls)
    service = totals.by_service.setdefault(call.service, ServiceUsage())
    service.calls += calls
    if call.model_id is None:
        service.names.add(call.name)
    else:
        service.model_ids.add(call.model_id)
    for key in _list_usage_keys(call):
        totals.by_key.setdefault(key, Usage()).add(group, calls)


def _list_usage_keys(call: Call) -> Iterator[UsageKey]:
    """Yield the findings that a call belongs to."""
    for exception in list_exceptions(call):
        if exception in KIND_OF_EXCEPTION:
            yield UsageKey(KIND_OF_EXCEPTION[exception], call.model_id, call.name)
    names = call.names
    if names.served and names.requested_id is None:
        yield UsageKey(SUBSTITUTED, call.model_id, names.served)
    elif names.served:
        yield UsageKey(SUBSTITUTED, names.requested_id, names.served, call.model_id or "")
    if names.rule:
        yield UsageKey(MATCHED, call.model_id, names.matched, names.rule)
