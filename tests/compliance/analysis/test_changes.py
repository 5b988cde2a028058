"""Lifecycle changes and the events that match them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance import ComplianceMappingEngine, TelemetryError
from spanforge.model_registry.compliance._analysis.changes import list_changes, match_events, parse_audit_events
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest, SeenEvent

if TYPE_CHECKING:
    from pathlib import Path

SECOND = 10**9
DELAY = 300 * SECOND
DAY = 86_400 * SECOND
REQUEST = ScanRequest(to_nanos("2026-01-01"), to_nanos("2026-02-01"), DAY, DELAY, [])
NOON = "2026-01-10T12:00:00Z"
AT = to_nanos(NOON)


def entry(model_id: str = "gpt", **fields: Any) -> ModelRegistryEntry:
    return ModelRegistryEntry(model_id, "GPT", "1", "high", "ml", "chat", **fields)


def with_history(*records: tuple[str, str], **fields: Any) -> ModelRegistryEntry:
    history = [{"at": at, "status": status, "owner": "ml", "risk_tier": "high"} for at, status in records]
    return entry(metadata={"history": history}, **fields)


def event(name: str, at: int = AT, model_id: str = "gpt") -> SeenEvent:
    return SeenEvent(at, f"model_registry.{name}", model_id)


def found(*entries: ModelRegistryEntry) -> list[tuple[str, str, str]]:
    return [(change.status, change.date, change.source) for change in list_changes(entries, REQUEST)]


def told(model: ModelRegistryEntry, *events: SeenEvent, delay: int = DELAY) -> list[bool]:
    return match_events(list_changes([model], REQUEST), set(events), delay)


def test_changes_are_the_records_of_the_history() -> None:
    """Each record in the period is a change, half-open, with its reason and actor."""
    model = with_history(
        ("2025-12-31T23:59:59Z", "active"),
        ("2026-01-01T00:00:00Z", "active"),
        ("2026-01-31T23:59:59Z", "deprecated"),
        ("2026-02-01T00:00:00Z", "retired"),
    )
    assert found(model) == [
        ("active", "2026-01-01T00:00:00Z", "history"),
        ("deprecated", "2026-01-31T23:59:59Z", "history"),
    ]
    history = [{"at": NOON, "status": "active", "owner": "o", "risk_tier": "low", "reason": "why", "actor": "who"}]
    (change,) = list_changes([entry(metadata={"history": history})], REQUEST)
    assert (change.model_id, change.reason, change.actor) == ("gpt", "why", "who")


def test_changes_by_dates() -> None:
    """Without a history, the entry's own dates are its changes."""
    model = entry(
        deployment_date="2026-01-02",
        decommission_date="2026-01-04T00:00:00+01:00",
        status="retired",
        metadata={"deprecation_date": "2026-01-03"},
    )
    assert found(model) == [
        ("active", "2026-01-02", "dates"),
        ("deprecated", "2026-01-03", "dates"),
        ("retired", "2026-01-04T00:00:00+01:00", "dates"),
    ]


def test_a_date_whose_status_has_no_record_is_a_change() -> None:
    """A history that began after the deployment does not make the deployment vanish; a recorded one counts once."""
    model = with_history((NOON, "deprecated"), deployment_date="2026-01-02", status="deprecated")
    assert found(model) == [("active", "2026-01-02", "dates"), ("deprecated", NOON, "history")]
    assert found(with_history((NOON, "active"), deployment_date="2026-01-02")) == [("active", NOON, "history")]


def test_changes_of_several_models_stand_in_the_order_of_time() -> None:
    """Oldest first; at one time by model; records of one time as the history has them, whatever else they say."""
    history = [
        {"at": NOON, "status": "deprecated", "owner": "o", "risk_tier": "low"} | more
        for more in ({"reason": "b"}, {}, {"reason": "a", "actor": "x"}, {"actor": "x"})
    ]
    models = [entry("z", deployment_date="2026-01-10T11:00:00Z"), entry("b", metadata={"history": history}), entry("a")]
    listed = [
        (change.model_id, change.reason)
        for change in list_changes([*models, entry("a", deployment_date=NOON)], REQUEST)
    ]
    assert listed == [("z", None), ("a", None), ("b", "b"), ("b", None), ("b", "a"), ("b", None)]


CHANGES = {
    "registered": with_history((NOON, "active")),
    "deprecated": with_history(("2025-01-01", "active"), (NOON, "deprecated")),
    "retired": with_history(("2025-01-01", "active"), (NOON, "retired")),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("said", CHANGES)
def test_each_change_has_its_event(name: str, said: str) -> None:
    """Only the event of that change tells of it, about that model, and there must be one."""
    assert told(CHANGES[name], event(said)) == [name == said]
    assert told(CHANGES[name], event(name, model_id="other")) == [False]
    assert told(CHANGES[name]) == [False]


@pytest.mark.parametrize(
    ("away", "fits"), [(0, True), (DELAY, True), (-DELAY, True), (DELAY + 1, False), (-DELAY - 1, False)]
)
def test_an_event_may_be_late(away: int, fits: bool) -> None:  # noqa: FBT001 - expected
    """An event tells of a change that was made about when it says, and no longer ago than changes may take."""
    assert told(CHANGES["retired"], event("retired", AT + away)) == [fits]


@pytest.mark.parametrize(("at", "fits"), [(0, True), (DAY - 1, True), (DAY, False), (-1, False)])
def test_a_change_of_which_only_the_day_is_known(at: int, fits: bool) -> None:  # noqa: FBT001 - expected
    """An event of that day, in UTC, tells of it."""
    model = entry(deployment_date="2026-01-10")
    assert told(model, event("registered", to_nanos("2026-01-10") + at)) == [fits]
    assert told(entry(deployment_date="2026-01-10 00:00:00"), event("registered", AT)) == [False]
    assert told(entry(deployment_date="2026-01-10t00:00:00"), event("registered", AT)) == [False]


def test_replacing_a_deprecated_model() -> None:
    """A record of the same status may be a new description, whose event says registered, or another deprecation."""
    model = with_history(("2025-01-01", "deprecated"), (NOON, "deprecated"))
    assert told(model, event("registered")) == [True]
    assert told(model, event("deprecated")) == [True]
    first = with_history(("2025-01-01", "active"), (NOON, "deprecated"))
    assert told(first, event("registered")) == [False]


def test_one_event_tells_of_one_change() -> None:
    """Of two changes with one event, one has no event: the other one than that whose very time the event has."""
    times = NOON, "2026-01-10T12:01:00Z"
    model = with_history(("2025-01-01", "deprecated"), *[(at, "deprecated") for at in times])
    assert told(model, event("deprecated")) == [True, False]
    assert told(model, event("deprecated", AT + 60 * SECOND)) == [False, True]
    assert told(model, event("deprecated"), event("deprecated", AT + 60 * SECOND)) == [True, True]
    assert told(model, event("deprecated", AT + 60 * SECOND), event("deprecated", AT + 90 * SECOND)) == [True, True]


def given(**changes: Any) -> dict[str, Any]:
    return {
        "event_type": "model_registry.retired",
        "timestamp": NOON,
        "payload": {"model_id": "gpt", "name": "GPT"},
    } | changes


def test_audit_events() -> None:
    """Events in the shape of the PyPI package, and payloads with our own keys, are lifecycle events; others are not."""
    events = [given(event_type="llm.trace"), given(), given(payload={"model_registry.model_id": "b"})]
    assert parse_audit_events(events) == [event("retired"), event("retired", model_id="b")]


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        5,
        None,
        {},
        given(event_type=[]),
        given(timestamp=None),
        given(timestamp=1_767_225_600),
        given(timestamp="yesterday"),
        given(payload=None),
        given(payload="gpt"),
        given(payload={}),
        given(payload={"model_id": ["gpt"]}),
        given(payload={"model_id": 5}),
        given(payload={"model_id": "\ud800"}),
        {key: value for key, value in given().items() if key != "timestamp"},
    ],
)
def test_a_malformed_audit_event(wrong: Any) -> None:
    """What is no event is one clear error that says which and what it must be."""
    with pytest.raises(TelemetryError, match=r"^audit_events\[1\]: must have event_type, timestamp \(RFC 3339\) and"):
        parse_audit_events([given(), wrong])


class Story:
    """A registry whose events and spans go to a file, by the real SDK."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "spans.jsonl"
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(str(self.file))))
        self.registry = ModelRegistry(tracer_provider=self.provider)

    def changes(self, **given: Any) -> list[tuple[str, str, str | None]]:
        engine = ComplianceMappingEngine(self.registry)
        made = engine.generate_evidence_package(None, "soc2", "2020-01-01", "2100-01-01", **given)
        return [(change.status, change.event, change.reason) for change in made.attestation.changes]


FIELDS = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"}


def test_every_operation_is_told_of_by_its_event(tmp_path: Path) -> None:
    """Registered, deprecated twice, described anew, retired: the events on real spans tell of all of it."""
    story = Story(tmp_path)
    registry = story.registry
    registry.register("gpt", **FIELDS)
    registry.deprecate("gpt", reason="old")
    registry.deprecate("gpt", reason="very old")
    registry.register("gpt", **FIELDS | {"owner": "ops"}, replace=True)
    registry.retire("gpt")
    story.provider.shutdown()
    expected = [("active", None), ("deprecated", "old"), ("deprecated", "very old"), ("deprecated", None)]
    assert story.changes(telemetry=story.file) == [
        (status, "recorded", reason) for status, reason in [*expected, ("retired", None)]
    ]
    assert {event for _, event, _ in story.changes()} == {"not_recorded"}


def test_events_of_log_records_and_of_audit_events(tmp_path: Path, otlp: Any) -> None:
    """A log record tells of a change as well as a span does, and so does an event that the caller has."""
    story = Story(tmp_path)
    story.registry.register("gpt", **FIELDS)
    story.provider.shutdown()
    (model,) = story.registry.list_all()
    at = model.metadata["history"][0]["at"]
    logs = tmp_path / "logs.jsonl"
    attributes = otlp.attributes({"model_registry.model_id": "gpt"})
    record = {"eventName": "model_registry.registered", "timeUnixNano": str(to_nanos(at)), "attributes": attributes}
    logs.write_bytes(otlp.logs(record) + b"\n")
    assert story.changes(telemetry=logs) == [("active", "recorded", None)]
    audit = given(event_type="model_registry.registered", timestamp=at)
    assert story.changes(audit_events=[audit]) == [("active", "recorded", None)]
    assert story.changes(audit_events=iter([given(event_type="x")])) == [("active", "not_recorded", None)]
