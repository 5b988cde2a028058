"""The lifecycle changes of a period, as the registry records them, and the events that match them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.errors import InvalidValueError, TelemetryError, shorten
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS
from spanforge.model_registry._core.timestamps import DAY_NANOS, to_nanos
from spanforge.model_registry._core.values import check_text, parse_date
from spanforge.model_registry.compliance._analysis.calls import list_status_dates
from spanforge.model_registry.compliance._analysis.scan import LIFECYCLE_EVENT_NAMES
from spanforge.model_registry.compliance._analysis.scan_data import SeenEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus, OperationName
    from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest

_REGISTRATIONS = frozenset(name for name, kind in OPERATIONS.items() if kind.registers)


class LifecycleChange(NamedTuple):
    """A change of an entry.

    Attributes:
        at: The time of the change, in nanoseconds since the epoch; for a date, its first instant.
        model_id: The model.
        status: The status after the change.
        date: The same time as ``at``, as the entry's text.
        source: ``history`` if the entry has a record of the change, ``dates`` if it has only a date.
        events: The names of the events that such a change emits.
        reason: The reason, if one was given.
        actor: The actor, if one was given.
    """

    at: int
    model_id: str
    status: ModelStatus
    date: str
    source: Literal["history", "dates"]
    events: frozenset[str]
    reason: str | None = None
    actor: str | None = None

    def matches(self, event: SeenEvent, delay: int) -> bool:
        """Check whether an event may belong to this change.

        The two times must differ by at most ``delay``. If the change has only a date, the event must be on that day.
        """
        if event.name not in self.events:
            return False
        if "T" not in self.date.upper() and " " not in self.date:
            return self.at <= event.at < self.at + DAY_NANOS
        return abs(event.at - self.at) <= delay


def list_changes(entries: Iterable[ModelRegistryEntry], request: ScanRequest) -> list[LifecycleChange]:
    """Return the changes in the period, oldest first, from history records and from dates of statuses without one."""
    changes = (change for entry in entries for change in _list_entry_changes(entry))
    in_period = (change for change in changes if request.start <= change.at < request.end)
    return sorted(in_period, key=lambda change: (change.at, change.model_id))


def _list_entry_changes(entry: ModelRegistryEntry) -> Iterator[LifecycleChange]:
    history = entry.metadata.get("history", ())
    before = None
    for record in history:
        at, status = record["at"], record["status"]
        events = _find_event_names_between(before, status)
        given = record.get("reason"), record.get("actor")
        yield LifecycleChange(to_nanos(at), entry.model_id, status, at, "history", events, *given)
        before = status
    recorded_statuses = {record["status"] for record in history}
    for status, date in list_status_dates(entry):
        if status not in recorded_statuses:
            first = _find_operations_to(status) & _REGISTRATIONS or _find_operations_to(status)
            yield LifecycleChange(to_nanos(date), entry.model_id, status, date, "dates", _get_event_names(first))


def _find_event_names_between(before: ModelStatus | None, status: ModelStatus) -> frozenset[str]:
    """Return the names of the events of the operations that lead from one status to the other.

    Args:
        before: The status before; ``None`` if it is unknown, because the history begins here.
        status: The status after; the same status if only the description changed.
    """
    leading = _find_operations_to(status)
    if before is None:
        return _get_event_names(leading | _REGISTRATIONS)
    allowed = LIFECYCLE[before].operations
    possible = leading & (allowed - _REGISTRATIONS)
    if before == status:
        possible |= _REGISTRATIONS if _REGISTRATIONS & allowed else leading | _REGISTRATIONS
    return _get_event_names(possible or leading)


def _find_operations_to(status: ModelStatus) -> frozenset[OperationName]:
    return frozenset(name for name, kind in OPERATIONS.items() if kind.target == status)


def _get_event_names(names: Iterable[OperationName]) -> frozenset[str]:
    return frozenset(OPERATIONS[name].event for name in names)


def match_events(changes: Iterable[LifecycleChange], events: Iterable[SeenEvent], delay: int) -> list[bool]:
    """Return a flag for each change, true if an event matches it. Each event matches at most one change.

    The library's events have the exact time of their change, so exact matches come first. An event that a pipeline
    emits for a changed file is somewhat later.
    """
    listed = list(changes)
    unmatched: defaultdict[str, set[SeenEvent]] = defaultdict(set)
    for event in events:
        unmatched[event.model_id].add(event)
    is_matched = [False] * len(listed)
    for tolerance in (0, delay):
        for place, change in enumerate(listed):
            candidates = unmatched[change.model_id]
            closest = None if is_matched[place] else _find_closest_event(change, candidates, tolerance)
            if closest is not None:
                is_matched[place] = True
                candidates.remove(closest)
    return is_matched


def _find_closest_event(change: LifecycleChange, events: Iterable[SeenEvent], tolerance: int) -> SeenEvent | None:
    matching = [event for event in events if change.matches(event, tolerance)]
    return min(matching, key=lambda event: (abs(event.at - change.at), event), default=None)


def parse_audit_events(events: Iterable[Mapping[str, Any]]) -> list[SeenEvent]:
    """Return the lifecycle events among the caller's events, which are mappings with type, time and payload.

    Raises:
        TelemetryError: An event is not such a mapping.
    """
    parsed = (_parse_audit_event(number, event) for number, event in enumerate(events))
    return [event for event in parsed if event is not None]


def _parse_audit_event(number: int, given: Mapping[str, Any]) -> SeenEvent | None:
    rule = "must have event_type, timestamp (RFC 3339) and payload (with model_id)"
    try:
        name = given["event_type"]
        if name not in LIFECYCLE_EVENT_NAMES:
            return None
        payload = given["payload"]
        model_id = check_text(payload.get("model_id") or payload[f"{PREFIX}model_id"], "model_id")
        at = to_nanos(parse_date(given["timestamp"], "timestamp"))
    except (KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise TelemetryError(f"audit_events[{number}]", f"{rule}; got {shorten(given)}") from error
    return SeenEvent(at, name, model_id)
