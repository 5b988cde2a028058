"""The lifecycle changes of a period, as the registry records them, and the events that confirm them."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from spanforge.model_registry._core.entry import list_status_dates
from spanforge.model_registry._core.timestamps import DAY_NANOS, format_nanos, to_nanos
from spanforge.model_registry.compliance._attestation_parts import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus
    from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest, SeenEvent
    from spanforge.model_registry.compliance._attestation_parts import Emission


class LifecycleChange(NamedTuple):
    """A change of an entry.

    Attributes:
        at: The time of the change, in nanoseconds since the epoch; for a date, its first instant.
        model_id: The model.
        status: The status after the change.
        date: The same time as ``at``, as the entry's text.
        source: ``history`` if the entry has a record of the change, ``dates`` if it has only a date.
        reason: The reason, if one was given.
        actor: The actor, if one was given.
    """

    at: int
    model_id: str
    status: ModelStatus
    date: str
    source: Literal["history", "dates"]
    reason: str | None = None
    actor: str | None = None

    def find_emission_times(self, delay: int) -> range:
        """Return the times at which the change's own event is expected: within ``delay``, or on the day of a date."""
        is_day = "T" not in self.date.upper() and " " not in self.date
        return range(self.at - delay, self.at + max(delay + 1, DAY_NANOS if is_day else 0))


def list_changes(entries: Iterable[ModelRegistryEntry], request: ScanRequest) -> list[LifecycleChange]:
    """Return the changes in the period, oldest first, from history records and from dates of statuses without one."""
    changes = (change for entry in entries for change in _list_entry_changes(entry))
    in_period = (change for change in changes if request.start <= change.at < request.end)
    return sorted(in_period, key=lambda change: (change.at, change.model_id))


def _list_entry_changes(entry: ModelRegistryEntry) -> Iterator[LifecycleChange]:
    history = entry.metadata.get("history", ())
    for record in history:
        at, given = record["at"], (record.get("reason"), record.get("actor"))
        yield LifecycleChange(to_nanos(at), entry.model_id, record["status"], at, "history", *given)
    recorded_statuses = {record["status"] for record in history}
    for status, date in list_status_dates(entry):
        if status not in recorded_statuses:
            yield LifecycleChange(to_nanos(date), entry.model_id, status, date, "dates")


def match_events(changes: Sequence[LifecycleChange], events: Iterable[SeenEvent], delay: int) -> list[SeenEvent | None]:
    """Return the event that confirms each change; ``None`` if there is none. An event confirms at most one change.

    An event confirms a change if model and status are equal, and one of these holds. They apply in this order:

    1. It has the exact time of the change, as the library's own events have.
    2. It carries the date of the change. It may have announced the change, or be late.
    3. It was emitted within ``delay`` of the change, or on that day.
    """
    matching = _Matching(changes, sorted(events))
    matching.match_keys(lambda event: [(event.model_id, event.status, event.at)])
    matching.match_keys(lambda event: [(event.model_id, status, date) for status, date in event.dates])
    matching.match_times(delay)
    return matching.found


class _Matching:
    """The events that were matched with changes so far. An event counts once: see ``SeenEvent.identity``.

    Attributes:
        found: The event of each change.
    """

    def __init__(self, changes: Sequence[LifecycleChange], events: Sequence[SeenEvent]) -> None:
        self.found: list[SeenEvent | None] = [None] * len(changes)
        self._changes = changes
        self._events = events
        self._used: set[tuple[int | str, str, str]] = set()

    def match_keys(self, list_keys: Callable[[SeenEvent], list[tuple[str, str, int]]]) -> None:
        """Match each event with a change that has one of its keys: a model, a status and a time."""
        places: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
        for place in self._list_open():
            change = self._changes[place]
            places[change.model_id, change.status, change.at].append(place)
        for event in self._events:
            for key in list_keys(event):
                if places.get(key) and self._use(places[key][0], event):
                    places[key].pop(0)

    def match_times(self, delay: int) -> None:
        """Match each event, oldest first, with the change whose time for an event ends first.

        No other order matches more changes.
        """
        waiting: defaultdict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
        for place in self._list_open():
            change = self._changes[place]
            times = change.find_emission_times(delay)
            waiting[change.model_id, change.status].append((times.start, times.stop, place))
        for changes in waiting.values():
            changes.sort(reverse=True)
        begun: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for event in self._events:
            key = event.model_id, event.status
            not_begun, open_ = waiting.get(key, []), begun[key]
            while not_begun and not_begun[-1][0] <= event.at:
                heapq.heappush(open_, not_begun.pop()[1:])
            while open_ and open_[0][0] <= event.at:
                heapq.heappop(open_)
            if open_ and self._use(open_[0][1], event):
                heapq.heappop(open_)

    def _list_open(self) -> list[int]:
        return [place for place, event in enumerate(self.found) if event is None]

    def _use(self, place: int, event: SeenEvent) -> bool:
        """Match a change with an event, unless the event is used; return ``True`` if it was not."""
        if event.identity in self._used:
            return False
        self._used.add(event.identity)
        self.found[place] = event
        return True


def describe_changes(
    entries: Iterable[ModelRegistryEntry], request: ScanRequest, events: Iterable[SeenEvent]
) -> list[Change]:
    """Return the changes in the period as they are in an attestation, with the events that confirm them."""
    changes = list_changes(entries, request)
    matched = match_events(changes, events, request.delay)
    return [_describe_change(change, event, request.delay) for change, event in zip(changes, matched, strict=True)]


def _describe_change(change: LifecycleChange, event: SeenEvent | None, delay: int) -> Change:
    return Change(
        model_id=change.model_id,
        at=change.date,
        status=change.status,
        reason=change.reason,
        actor=change.actor,
        source=change.source,
        event="not_recorded" if event is None else "recorded",
        event_at=None if event is None else format_nanos(event.at),
        emitted=None if event is None else _time_event(event.at, change.find_emission_times(delay)),
        source_revision=event.source_revision or None if event is not None else None,
    )


def _time_event(at: int, expected: range) -> Emission:
    if at < expected.start:
        return "early"
    return "in_time" if at < expected.stop else "late"
