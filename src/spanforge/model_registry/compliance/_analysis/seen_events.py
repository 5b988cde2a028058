"""Lifecycle events, as telemetry and the caller's audit events have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, TelemetryError, shorten
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, STATUSES
from spanforge.model_registry._core.timestamps import DAY_NANOS, to_nanos
from spanforge.model_registry._core.values import MAX_TEXT, check_text, parse_date
from spanforge.model_registry.compliance._analysis.scan_data import MAX_SEEN_EVENTS, ScanRequest, ScanResult, SeenEvent
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_OPERATIONS_BY_EVENT: Final = {kind.event: kind for kind in OPERATIONS.values()}
"""The operations, by the name of their event."""
_FIRST_STATUS: Final = STATUSES[0]


def _name_date(status: str, date: str | None) -> str:
    """Return the attribute, without prefix, with the date of a status."""
    if date is None:
        return "deployment_date" if status == _FIRST_STATUS else ""
    return date if date in ModelRegistryEntry.__struct_fields__ else f"metadata.{date}"


_DATE_NAMES: Final[Mapping[str, str]] = {status: _name_date(status, row.date) for status, row in LIFECYCLE.items()}


def read_event(name: str, at: int, texts: Mapping[str, str]) -> SeenEvent | None:
    """Return a lifecycle event; ``None`` if it has no model.

    Args:
        name: The name of the event.
        at: The time of its emission, in nanoseconds since the epoch.
        texts: Its text attributes.
    """
    return _read_facts(name, at, {key.removeprefix(PREFIX): text for key, text in texts.items()})


class EventKeeper:
    """Keeps the lifecycle events of an input that may match changes in the period.

    Args:
        request: The period and the settings of the scan.
        result: The result of the scan, which gets the events.
    """

    def __init__(self, request: ScanRequest, result: ScanResult) -> None:
        self._period = request.start, request.end
        self._times = range(request.start - request.delay, request.end + max(request.delay, DAY_NANOS))
        self._result = result

    def keep_all(self, span: otlp.Span, sender: str) -> None:
        """Keep the lifecycle events of a span."""
        for event in span.events:
            self.keep(event.name, event.time_unix_nano, event.attributes, sender)

    def keep(self, name: str, at: int, attributes: Sequence[otlp.KeyValue], sender: str) -> None:
        """Keep an event, if it is a lifecycle event that may match a change in the period."""
        if isinstance(name, str) and name in _OPERATIONS_BY_EVENT:
            self.keep_texts(name, at, otlp.get_text_attributes(attributes), sender)

    def keep_texts(self, name: str, at: int, texts: Mapping[str, str], sender: str) -> None:
        """Keep a lifecycle event with these text attributes, if it may match a change in the period."""
        event = read_event(name, at, texts)
        if event is None or not self._may_confirm(event):
            return
        events = self._result.events.setdefault(sender, set())
        if len(events) >= MAX_SEEN_EVENTS:
            self._result.lost_events[sender] = self._result.lost_events.get(sender, 0) + 1
        else:
            events.add(event)

    def _may_confirm(self, event: SeenEvent) -> bool:
        """Check whether an event may confirm a change in the period, or is in the period itself."""
        start, end = self._period
        return event.at in self._times or any(start <= date < end for _, date in event.dates)


def _read_facts(name: str, at: int, facts: Mapping[str, Any]) -> SeenEvent | None:
    """Return a lifecycle event; ``facts`` are its attributes without prefix."""
    model_id = facts.get("model_id")
    if model_id is None:
        return None
    operation = _OPERATIONS_BY_EVENT[name]
    status: str = facts["status"] if facts.get("status") in LIFECYCLE else operation.target
    dated: dict[str, None] = dict.fromkeys([operation.target, status] if operation.registers else [status])
    dates = [(each, _read_date(facts.get(_DATE_NAMES.get(each, "")))) for each in dated]
    carried = tuple((each, date) for each, date in dates if date is not None)
    revision = facts.get("source_revision")
    return SeenEvent(at, name, model_id[:MAX_TEXT], status, carried, str(revision or "")[:MAX_TEXT])


def _read_date(text: object) -> int | None:
    try:
        return to_nanos(parse_date(text, "date"))
    except InvalidValueError:
        return None


def drop_repeats(events: Iterable[SeenEvent]) -> set[SeenEvent]:
    """Return the events without those that a pipeline emitted again: of each identity, those with the first time."""
    first: dict[object, int] = {}
    given = list(events)
    for event in given:
        first[event.identity] = min(event.at, first.get(event.identity, event.at))
    return {event for event in given if event.at == first[event.identity]}


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
        if name not in _OPERATIONS_BY_EVENT:
            return None
        payload = given["payload"]
        model_id = check_text(payload.get("model_id") or payload[f"{PREFIX}model_id"], "model_id")
        at = to_nanos(parse_date(given["timestamp"], "timestamp"))
        return _read_facts(name, at, {**dict(_flatten(payload)), "model_id": model_id})
    except (KeyError, TypeError, AttributeError, InvalidValueError) as error:
        raise TelemetryError(f"audit_events[{number}]", f"{rule}; got {shorten(given)}") from error


def _flatten(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a payload by their names as attributes without prefix."""
    metadata = payload.get("metadata")
    nested = {f"metadata.{key}": value for key, value in metadata.items()} if isinstance(metadata, Mapping) else {}
    for key, value in {**payload, **nested}.items():
        if isinstance(value, str):
            yield str(key).removeprefix(PREFIX), value
