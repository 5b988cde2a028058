"""The lifecycle changes of a period, as the registry has them, against the events that tell of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.errors import InvalidValueError, TelemetryError, shorten
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.timestamps import DAY_NANOS, to_nanos
from spanforge.model_registry._core.values import parse_date, text
from spanforge.model_registry.compliance._analysis.scan import EVENTS, SeenEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus
    from spanforge.model_registry.compliance._analysis.scan import Plan

_DATES: Final[tuple[tuple[ModelStatus, Callable[[ModelRegistryEntry], str | None]], ...]] = (
    ("active", lambda entry: entry.deployment_date),
    ("deprecated", lambda entry: entry.metadata.get("deprecation_date")),
    ("retired", lambda entry: entry.decommission_date),
)
"""Status to the date of an entry that says when it was reached."""

_EVENTS = {kind.target: kind.event for kind in OPERATIONS.values()}


class LifecycleChange(NamedTuple):
    """A change of an entry.

    Attributes:
        at: When, in nanoseconds since the epoch; of a date, its first instant.
        model_id: The model.
        status: The status that it led to.
        date: The same as ``at``, as the entry has it.
        source: ``history`` or ``dates``.
        events: Names of the events that tell of such a change.
        reason: Why, if it was said.
        actor: Who, if it was said.
    """

    at: int
    model_id: str
    status: ModelStatus
    date: str
    source: Literal["history", "dates"]
    events: frozenset[str]
    reason: str | None = None
    actor: str | None = None

    def fits(self, event: SeenEvent, delay: int) -> bool:
        """Tell whether an event may tell of this change: at that time, or on that day if it is only a date."""
        if event.name not in self.events:
            return False
        if "T" not in self.date.upper() and " " not in self.date:
            return self.at <= event.at < self.at + DAY_NANOS
        return abs(event.at - self.at) <= delay


def changes(entries: Iterable[ModelRegistryEntry], plan: Plan) -> list[LifecycleChange]:
    """Return the changes in the period, oldest first: records of the history, and dates of what has no record."""
    found = (change for entry in entries for change in _changes(entry))
    return sorted((change for change in found if plan.start <= change.at < plan.end), key=lambda change: change[:2])


def _changes(entry: ModelRegistryEntry) -> Iterator[LifecycleChange]:
    history = entry.metadata.get("history", ())
    before = None
    for record in history:
        at, status = record["at"], record["status"]
        names = {_EVENTS[status]} | ({_EVENTS["active"]} if before in (None, status) else set())
        said = record.get("reason"), record.get("actor")
        yield LifecycleChange(to_nanos(at), entry.model_id, status, at, "history", frozenset(names), *said)
        before = status
    told = {record["status"] for record in history}
    for status, date_of in _DATES:
        date = date_of(entry)
        if date is not None and status not in told:
            names = {_EVENTS[status]}
            yield LifecycleChange(to_nanos(date), entry.model_id, status, date, "dates", frozenset(names))


def recorded(found: Iterable[LifecycleChange], events: Iterable[SeenEvent], delay: int) -> list[bool]:
    """Return, for each change, whether there is an event that tells of it; each event tells of one change.

    An event carries the very time of its change, so these are taken first; one that a pipeline emits for a changed file
    is somewhat later.
    """
    listed = list(found)
    of_model: defaultdict[str, set[SeenEvent]] = defaultdict(set)
    for event in events:
        of_model[event.model_id].add(event)
    told = [False] * len(listed)
    for tolerance in (0, delay):
        for place, change in enumerate(listed):
            fitting = [] if told[place] else [e for e in of_model[change.model_id] if change.fits(e, tolerance)]
            if fitting:
                told[place] = True
                of_model[change.model_id].remove(min(fitting, key=lambda e: (abs(e.at - change.at), e)))
    return told


def given_events(events: Iterable[Mapping[str, Any]]) -> list[SeenEvent]:
    """Return the lifecycle events among events that the caller has: mappings with type, time and payload.

    Raises:
        TelemetryError: One is not such a mapping.
    """
    return [event for number, given in enumerate(events) if (event := _given(number, given)) is not None]


def _given(number: int, given: Mapping[str, Any]) -> SeenEvent | None:
    rule = "must have event_type, timestamp (RFC 3339) and payload (with model_id)"
    try:
        name = given["event_type"]
        if name not in EVENTS:
            return None
        payload = given["payload"]
        model_id = text(payload.get("model_id") or payload[f"{PREFIX}model_id"], "model_id")
        at = to_nanos(parse_date(given["timestamp"], "timestamp"))
    except (KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise TelemetryError(f"audit_events[{number}]", f"{rule}, not {shorten(given)}") from error
    return SeenEvent(at, name, model_id)
