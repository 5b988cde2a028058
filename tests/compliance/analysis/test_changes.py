"""Lifecycle changes and the events that match them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence import make_entry, make_record
from support.scans import DAY, DELAY, SECOND, make_request

from spanforge.model_registry._core.timestamps import format_nanos, to_nanos
from spanforge.model_registry.compliance import TelemetryError
from spanforge.model_registry.compliance._analysis.changes import list_changes, match_events
from spanforge.model_registry.compliance._analysis.seen_events import (
    drop_repeats,
    parse_audit_events,
    read_event,
)

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.scan_data import SeenEvent

REQUEST = make_request()
NOON = "2026-01-10T12:00:00Z"
AT = to_nanos(NOON)


def make_event(name: str, at: int = AT, model_id: str = "gpt", **facts: str) -> SeenEvent:
    """Return a lifecycle event that carries these facts; in their names, ``__`` is a dot."""
    texts = {f"model_registry.{key.replace('__', '.')}": text for key, text in {"model_id": model_id, **facts}.items()}
    event = read_event(f"model_registry.{name}", at, texts)
    assert event is not None
    return event


def list_dates(*entries: ModelRegistryEntry) -> list[tuple[str, str, str]]:
    """Return the status, date and source of each change."""
    return [(change.status, change.date, change.source) for change in list_changes(entries, REQUEST)]


def match(model: ModelRegistryEntry, *events: SeenEvent) -> list[bool]:
    """Return for each change of the model whether it has an event."""
    found = match_events(list_changes([model], REQUEST), set(events), DELAY)
    return [event is not None for event in found]


def with_history(*records: tuple[str, str], **fields: Any) -> ModelRegistryEntry:
    """Return an entry whose history has these records."""
    return make_entry(metadata={"history": [make_record(*record) for record in records]}, **fields)


def test_records_of_the_history_are_changes() -> None:
    """Each record in the half-open period is a change, with its reason and actor."""
    model = with_history(
        ("2025-12-31T23:59:59Z", "active"),
        ("2026-01-01T00:00:00Z", "active"),
        ("2026-01-31T23:59:59Z", "deprecated"),
        ("2026-02-01T00:00:00Z", "retired"),
    )
    assert list_dates(model) == [
        ("active", "2026-01-01T00:00:00Z", "history"),
        ("deprecated", "2026-01-31T23:59:59Z", "history"),
    ]
    history = [{**make_record(NOON, "active"), "reason": "why", "actor": "who"}]
    (change,) = list_changes([make_entry(metadata={"history": history})], REQUEST)
    assert (change.model_id, change.reason, change.actor) == ("gpt", "why", "who")


def test_dates_are_changes_without_history() -> None:
    """Without a history, the dates of the entry are its changes."""
    model = make_entry(
        deployment_date="2026-01-02",
        decommission_date="2026-01-04T00:00:00+01:00",
        status="retired",
        metadata={"deprecation_date": "2026-01-03"},
    )
    assert list_dates(model) == [
        ("active", "2026-01-02", "dates"),
        ("deprecated", "2026-01-03", "dates"),
        ("retired", "2026-01-04T00:00:00+01:00", "dates"),
    ]


def test_date_without_record_is_a_change() -> None:
    """A deployment date before the history is a change; a date whose status has a record counts once."""
    model = with_history((NOON, "deprecated"), deployment_date="2026-01-02", status="deprecated")
    assert list_dates(model) == [("active", "2026-01-02", "dates"), ("deprecated", NOON, "history")]
    assert list_dates(with_history((NOON, "active"), deployment_date="2026-01-02")) == [("active", NOON, "history")]


def test_changes_are_sorted_by_time_and_model() -> None:
    """Changes are sorted by time, then by model; records of one time keep the order of the history."""
    extras: list[dict[str, str]] = [{"reason": "b"}, {}, {"reason": "a", "actor": "x"}, {"actor": "x"}]
    history = [make_record(NOON, "deprecated") | extra for extra in extras]
    models = [
        make_entry("z", deployment_date="2026-01-10T11:00:00Z"),
        make_entry("b", metadata={"history": history}),
        make_entry("a"),
        make_entry("a", deployment_date=NOON),
    ]
    listed = [(change.model_id, change.reason) for change in list_changes(models, REQUEST)]
    assert listed == [("z", None), ("a", None), ("b", "b"), ("b", None), ("b", "a"), ("b", None)]


CHANGES = {
    "registered": with_history((NOON, "active")),
    "deprecated": with_history(("2025-01-01", "active"), (NOON, "deprecated")),
    "retired": with_history(("2025-01-01", "active"), (NOON, "retired")),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("said", CHANGES)
def test_change_matches_its_own_event(name: str, said: str) -> None:
    """A change matches the event of its operation and model only."""
    assert match(CHANGES[name], make_event(said)) == [name == said]
    assert match(CHANGES[name], make_event(name, model_id="other")) == [False]
    assert match(CHANGES[name]) == [False]


@pytest.mark.parametrize(
    ("away", "fits"), [(0, True), (DELAY, True), (-DELAY, True), (DELAY + 1, False), (-DELAY - 1, False)]
)
def test_event_within_delay_matches(away: int, fits: bool) -> None:  # noqa: FBT001 - expected
    """An event matches a change that is at most the delay away."""
    assert match(CHANGES["retired"], make_event("retired", AT + away)) == [fits]


@pytest.mark.parametrize(
    ("at", "fits"), [(0, True), (DAY - 1, True), (DAY, False), (-DELAY, True), (-DELAY - 1, False)]
)
def test_change_with_only_a_date_matches_all_day(at: int, fits: bool) -> None:  # noqa: FBT001 - expected
    """If only the day of a change is known, an event of that day in UTC matches, and one shortly before."""
    model = make_entry(deployment_date="2026-01-10")
    assert match(model, make_event("registered", to_nanos("2026-01-10") + at)) == [fits]
    assert match(make_entry(deployment_date="2026-01-10 00:00:00"), make_event("registered", AT)) == [False]
    assert match(make_entry(deployment_date="2026-01-10t00:00:00"), make_event("registered", AT)) == [False]


def test_repeated_status_matches_registration_too() -> None:
    """A second record of a status matches a registration with this status, or another deprecation."""
    model = with_history(("2025-01-01", "deprecated"), (NOON, "deprecated"))
    assert match(model, make_event("registered", status="deprecated")) == [True]
    assert match(model, make_event("deprecated")) == [True]
    assert match(model, make_event("registered", status="active")) == [False]


DATED = {
    "registered": ("active", {"deployment_date": "2026-01-10"}),
    "deprecated": ("deprecated", {"metadata__deprecation_date": "2026-01-10"}),
    "retired": ("retired", {"decommission_date": "2026-01-10"}),
}


@pytest.mark.parametrize("name", DATED)
@pytest.mark.parametrize("at", ["2025-06-01", "2026-01-10", "2027-06-01"])
def test_event_with_the_date_of_a_change_matches(name: str, at: str) -> None:
    """An event that carries the date of a change confirms it, whenever it was emitted."""
    status, facts = DATED[name]
    fields: Any = {key: text for key, text in facts.items() if "__" not in key}
    fields["metadata"] = {key[10:]: text for key, text in facts.items() if "__" in key}
    model = make_entry(status=status, **{"deployment_date": None} | fields)
    carried = dict.fromkeys(facts, "2026-01-10T01:00:00+01:00")
    emitted = to_nanos(at)
    assert match(model, make_event(name, emitted, status=status, **carried)) == [True]
    other = dict.fromkeys(facts, "2026-01-11")
    for wrong in (other, dict.fromkeys(facts, "soon"), {}):
        assert match(model, make_event(name, emitted, status=status, **wrong)) == [at == "2026-01-10"]
    assert match(model, make_event(name, emitted, model_id="x", status=status, **carried)) == [False]
    assert match(model, make_event(name, emitted, status="unknown", **carried)) == [True]  # the event's own status


def test_registration_of_a_deprecated_model_confirms_its_deployment() -> None:
    """The registration of a model that is deprecated from the start confirms the change of its deployment date."""
    model = make_entry(deployment_date="2026-01-10", status="deprecated", metadata={"deprecation_date": "2026-01-12"})
    facts = {"status": "deprecated", "deployment_date": "2026-01-10", "metadata__deprecation_date": "2026-01-12"}
    late = AT + 9 * DAY
    assert match(model, make_event("registered", late, **facts), make_event("deprecated", late, **facts)) == [
        True,
        True,
    ]
    assert match(model, make_event("deprecated", late, **facts)) == [False, True]


def test_event_matches_one_change() -> None:
    """An event matches one change only, the one with its exact time if there is one."""
    records = [(at, "deprecated") for at in ("2025-01-01", NOON, "2026-01-10T12:01:00Z")]
    model = with_history(*records)
    first, second, late = (make_event("deprecated", AT + seconds * SECOND) for seconds in (0, 60, 90))
    assert match(model, first) == [True, False]
    assert match(model, second) == [False, True]
    assert match(model, first, second) == match(model, second, late) == [True, True]


def test_as_many_changes_as_possible_match() -> None:
    """Events are matched with changes so that no other choice confirms more changes."""
    model = with_history(*[(at, "deprecated") for at in (NOON, "2026-01-10T12:04:00Z")])
    early, between = make_event("deprecated", AT - 240 * SECOND), make_event("deprecated", AT + 180 * SECOND)
    assert match(model, early, between) == match(model, between, early) == [True, True]


def test_both_signals_of_an_event_match_once() -> None:
    """An event whose signals carry different attributes confirms one change."""
    model = with_history(*[(at, "deprecated") for at in (NOON, "2026-01-10T12:01:00Z")])
    assert match(model, make_event("deprecated"), make_event("deprecated", reason="x", status="deprecated")) == [
        True,
        False,
    ]


def audit_event(**changes: Any) -> dict[str, Any]:
    """Return an event in the shape of ``audit_events``."""
    payload = {"model_id": "gpt", "name": "GPT"}
    return {"event_type": "model_registry.retired", "timestamp": NOON, "payload": payload} | changes


def test_audit_events_are_parsed() -> None:
    """Audit events of the PyPI package, and payloads with the registry's keys, are lifecycle events."""
    events = [audit_event(event_type="llm.trace"), audit_event(), audit_event(payload={"model_registry.model_id": "b"})]
    assert parse_audit_events(events) == [make_event("retired"), make_event("retired", model_id="b")]
    facts = {"status": "retired", "decommission_date": "2026-01-10", "metadata": {"deprecation_date": "2026-01-09"}}
    for payload in (facts, {f"model_registry.{key}": value for key, value in facts.items()}):
        (event,) = parse_audit_events([audit_event(payload={"model_id": "gpt", **payload})])
        assert event.dates == (("retired", to_nanos("2026-01-10")),)
    deprecated = audit_event(
        event_type="model_registry.deprecated", payload={"model_id": "gpt", "metadata": facts["metadata"]}
    )
    assert parse_audit_events([deprecated])[0].dates == (("deprecated", to_nanos("2026-01-09")),)


PAYLOADS = [None, "gpt", {}, {"model_id": ["gpt"]}, {"model_id": 5}, {"model_id": "\ud800"}]


@pytest.mark.parametrize(
    "wrong",
    [
        *("text", 5, None, {}, audit_event(event_type=[])),
        *(audit_event(timestamp=timestamp) for timestamp in (None, 1_767_225_600, "yesterday")),
        *(audit_event(payload=payload) for payload in PAYLOADS),
        {key: value for key, value in audit_event().items() if key != "timestamp"},
    ],
)
def test_malformed_audit_event_is_refused(wrong: Any) -> None:
    """The error names the audit event that is malformed and the fields that it needs."""
    with pytest.raises(TelemetryError, match=r"^audit_events\[1\]: must have event_type, timestamp \(RFC 3339\) and"):
        parse_audit_events([audit_event(), wrong])


def test_audit_events_confirm_changes(case: EvidenceCase) -> None:
    """An audit event confirms a change as an event in telemetry does."""
    model = with_history((NOON, "active"))
    period = "2026-01-01", "2026-02-01"
    for name, expected in (("model_registry.registered", "recorded"), ("x", "not_recorded")):
        events = iter([audit_event(event_type=name)])
        found = case.attest(model, period=period, telemetry=(), audit_events=events)
        assert [(change.status, change.event) for change in found.changes] == [("active", expected)]


@pytest.mark.parametrize(
    ("at", "emitted", "notes"),
    [
        ("2025-12-01", "early", ("events that were emitted early, before the change: 1",)),
        ("2026-01-10T23:00:00Z", "in_time", ()),
        ("2026-03-01", "late", ("events that were emitted late, after the change: 1",)),
    ],
)
def test_early_and_late_events_are_stated(
    case: EvidenceCase, otlp: Otlp, at: str, emitted: str, notes: tuple[str, ...]
) -> None:
    """An event that announced a change, or that came late, confirms it; its time is stated and is no finding."""
    facts = {"model_id": "gpt", "status": "retired", "decommission_date": "2026-01-10"}
    event = otlp.event("model_registry.retired", to_nanos(at), **{f"model_registry.{k}": v for k, v in facts.items()})
    case.write(otlp.line(otlp.enriched() | {"events": [event]}))
    found = case.attest(
        make_entry(status="retired", decommission_date="2026-01-10"), period=("2026-01-01", "2026-02-01")
    )
    (change,) = found.changes
    assert (change.event, change.emitted, change.event_at) == ("recorded", emitted, format_nanos(to_nanos(at)))
    (check,) = (check for check in found.checks if check.check == "changes_recorded")
    assert (check.status, check.notes) == ("supported", notes)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["", "1", "2"]), st.sampled_from(["deprecated", "retired"])),
        max_size=6,
    )
)
def test_events_that_a_job_repeated(made: list[tuple[int, str, str]]) -> None:
    """Of the events of one revision, those with the first time remain; events without a revision all remain."""
    events = {
        make_event(name, AT + seconds * SECOND, **({"source_revision": revision} if revision else {}))
        for seconds, revision, name in made
    }
    kept = drop_repeats(events)
    for event in events:
        same = [each for each in events if (each.source_revision, each.name) == (event.source_revision, event.name)]
        is_first = event.at == min(each.at for each in same)
        assert (event in kept) == (is_first or not event.source_revision)


def test_a_repeated_event_confirms_no_second_change() -> None:
    """Two changes at the same time need events of two revisions, or events without one at two times."""
    model = with_history(("2026-01-10T12:00:00Z", "deprecated"), ("2026-01-10T12:00:10Z", "deprecated"))
    for revisions, found in ((("a", "a"), [True, False]), (("a", "b"), [True, True]), (("", ""), [True, True])):
        facts = [{"source_revision": revision} if revision else {} for revision in revisions]
        events = [make_event("deprecated", AT + place * 11 * SECOND, **each) for place, each in enumerate(facts)]
        assert match(model, *drop_repeats(events)) == found
