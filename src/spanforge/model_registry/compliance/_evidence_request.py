"""The evidence that was asked for, and the facts that it is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from spanforge.model_registry._core.provider_calendar import list_entry_shutdowns
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry.compliance._analysis.changes import describe_changes
from spanforge.model_registry.compliance._analysis.retention import find_archive_days
from spanforge.model_registry.compliance._analysis.seen_events import drop_repeats
from spanforge.model_registry.compliance._analysis.senders import COUNTED
from spanforge.model_registry.compliance._attestation_parts import SENDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.provider_calendar import Calendar
    from spanforge.model_registry.compliance._analysis.retention import ArchiveDays
    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest, SeenEvent
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._attestation_parts import Change
    from spanforge.model_registry.compliance._attestation_request import Arguments, AttestedRegistry
    from spanforge.model_registry.compliance._frameworks.framework import Framework
    from spanforge.model_registry.compliance._inventory import EntryState

_TotalsKey = TypeVar("_TotalsKey")
_Totals = TypeVar("_Totals")


class EvidenceRequest(NamedTuple):
    """The request for an evidence package.

    Attributes:
        framework: The framework.
        parameters: The parameters of each of its checks that has some, by their names.
        entry: The entry of the model that the evidence is about; ``None`` if there is no entry.
        scan: The request of the scan, with the name of the model that the evidence is about.
        generated_at: The time of generation.
        arguments: The arguments, as the attestation states them.
        registry: The registry, as the attestation states it.
        calendar: The provider calendar; ``None`` if there is none.
    """

    framework: Framework
    parameters: Mapping[str, Mapping[str, int]]
    entry: ModelRegistryEntry | None
    scan: ScanRequest
    generated_at: datetime
    arguments: Arguments
    registry: AttestedRegistry
    calendar: Calendar | None = None

    @property
    def model_name(self) -> str | None:
        """The name of the model that the evidence is about; ``None`` for the whole inventory."""
        return self.scan.model_name

    @property
    def model_id(self) -> str | None:
        """The id of the model that the evidence is about, or its name if it has no entry."""
        return self.model_name if self.entry is None else self.entry.model_id

    @property
    def entries(self) -> Sequence[ModelRegistryEntry]:
        """The entries that the evidence is about."""
        if self.model_name is None:
            return self.scan.entries
        return [] if self.entry is None else [self.entry]

    @property
    def shown_at(self) -> datetime:
        """The moment of the states that the evidence shows: the period's last one, or generation if that is earlier."""
        return min(self.generated_at, from_nanos(self.scan.end) - timedelta(microseconds=1))

    def list_states(self) -> list[EntryState]:
        """Return the entries that the evidence is about, each with its state at ``shown_at``."""
        return [(entry, entry.as_of(self.shown_at)) for entry in self.entries]

    def list_shutdown_days(self) -> dict[str, list[str]]:
        """Return the days on which providers stop serving these entries, by model id."""
        calendar = self.calendar
        if calendar is None:
            return {}
        found = {entry.model_id: list_entry_shutdowns(calendar, entry) for entry in self.entries}
        return {model_id: [str(each.shutdown_on) for each in shutdowns] for model_id, shutdowns in found.items()}


class EvidenceFacts(NamedTuple):
    """The facts from which an attestation is built.

    Attributes:
        request: The request for the evidence package.
        inputs: The inputs, each with the result of its scan.
        all: The totals of all models.
        about: The totals of the models that the evidence is about.
        changes: The lifecycle changes of these models in the period.
        events: The number of lifecycle events in the period, of trusted and unknown senders.
        events_by_sender: The number of lifecycle events in the period of each sender.
        states: The entries that the evidence is about, each with its state at ``shown_at``.
        archive: The days of all records that were given; ``None`` if no check needs them.
    """

    request: EvidenceRequest
    inputs: Sequence[ScannedInput]
    all: CallTotals
    about: CallTotals
    changes: Sequence[Change]
    events: int
    events_by_sender: Mapping[str, int]
    states: Sequence[EntryState]
    archive: ArchiveDays | None


def select_totals(request: EvidenceRequest, totals: CallTotals) -> CallTotals:
    """Return the totals of the models that the evidence is about."""
    if request.model_name is None:
        return totals
    by_sender = {sender: select_totals(request, each) for sender, each in totals.by_sender.items()}
    totals = replace(totals, by_sender=by_sender)
    if request.entry is None:
        name = request.model_name
        return replace(
            totals,
            models={},
            unregistered=_select(totals.unregistered, lambda key: key == name),
            substitutions=_select(totals.substitutions, lambda key: key.served == name and key.served_id is None),
            agent_only=_select(totals.agent_only, lambda key: key.model_id is None and key.name == name),
            findings=_select(totals.findings, lambda key: not key.is_call or name in (key.name, key.served)),
        )
    model_id = request.entry.model_id
    return replace(
        totals,
        models=_select(totals.models, lambda key: key == model_id),
        unregistered={},
        substitutions=_select(totals.substitutions, lambda key: model_id in (key.requested_id, key.served_id)),
        agent_only=_select(totals.agent_only, lambda key: key.model_id == model_id),
        findings=_select(totals.findings, lambda key: not key.is_call or key.model_id == model_id),
    )


def _select(items: Mapping[_TotalsKey, _Totals], applies: Callable[[_TotalsKey], bool]) -> dict[_TotalsKey, _Totals]:
    return {key: value for key, value in items.items() if applies(key)}


def collect_facts(request: EvidenceRequest, totals: CallTotals, inputs: Sequence[ScannedInput]) -> EvidenceFacts:
    """Return the facts from which the attestation of a period is built."""
    events: dict[str, set[SeenEvent]] = {
        sender: drop_repeats(event for scanned in inputs for event in scanned.result.events.get(sender, ()))
        for sender in SENDERS
    }
    counted = drop_repeats(event for sender in COUNTED for event in events[sender])
    changes = describe_changes(request.entries, request.scan, counted)
    by_sender = {sender: _count_in_period(request.scan, found) for sender, found in events.items()}
    about = select_totals(request, totals)
    archive = find_archive_days(inputs, to_nanos(request.generated_at)) if request.scan.keeps_days else None
    number = _count_in_period(request.scan, counted)
    states = request.list_states()
    return EvidenceFacts(request, inputs, totals, about, changes, number, by_sender, states, archive)


def _count_in_period(scan: ScanRequest, events: Iterable[SeenEvent]) -> int:
    """Return the number of events in the period; an event in several signals or inputs counts once."""
    return len({event.identity for event in events if scan.start <= event.at < scan.end})
