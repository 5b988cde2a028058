"""Scan of one input: counts of calls, samples and lifecycle events."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import ListReader, limit_peak_memory, make_entry
from support.scans import (
    CHANGING,
    DAY,
    DELAY,
    DEPRECATED,
    END,
    HOUR,
    MINUTE,
    RETIRED,
    START,
    SUNSET,
    make_request,
    scan_lines,
)

from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis import call_groups, duplicates, seen_events
from spanforge.model_registry.compliance._analysis.calls import NO_NAME, OTHERS_NAME, Call, SpanNames
from spanforge.model_registry.compliance._analysis.calls import OTHER as UNMARKED_OTHER
from spanforge.model_registry.compliance._analysis.differences import Difference
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan import Scan
from spanforge.model_registry.compliance._analysis.scan_data import (
    SAMPLES_PER_GROUP,
    ScanResult,
    SeenEvent,
    SpanRef,
)
from spanforge.model_registry.compliance._analysis.workers import scan_input

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.otlp import Otlp


OTHER = UNMARKED_OTHER._replace(sender="unknown")
Count = Callable[..., dict[Call, int]]


def count_calls(result: ScanResult) -> dict[Call, int]:
    """Return the number of spans of each call."""
    return {group.call: group.calls for group in result.groups if group.calls}


@pytest.fixture
def count(tmp_path: Path) -> Count:
    """Scan lines, and return the number of spans of each call."""
    return lambda *lines, **options: count_calls(scan_lines(tmp_path, lines, **options).result)


def call(name: str = "gpt", service: str = "api", **fields: Any) -> Call:
    """Return a call of the registered model, or of another name."""
    known = {"model_id": name, "status": "active"} if name == "gpt" else {"name": name}
    return Call("call", service=service, **{"sender": "unknown", **known, **fields})


def agent(name: str = "gpt", service: str = "api") -> Call:
    """Return the group of agent spans that name the registered model, or another name."""
    known = {"model_id": name} if name == "gpt" else {"name": name}
    return Call("agent", service=service, sender="unknown", **known)


def test_spans_are_counted_in_groups(tmp_path: Path, otlp: Otlp) -> None:
    """Calls are counted by model, service and attributes, agent spans by model and service; others are one group."""
    lines = [
        otlp.line(otlp.span("gpt"), otlp.span("gpt", START + 5, n=3), otlp.span("x"), otlp.span()),
        otlp.line(otlp.span("gpt"), service="web"),
        otlp.line(otlp.span("gpt", gen_ai__operation__name="invoke_agent"), otlp.span(n=5)),
        b'{"resourceMetrics":[]}',
    ]
    found = scan_lines(tmp_path, lines)
    assert count_calls(found.result) == {call(): 2, call("x"): 1, OTHER: 2, call(service="web"): 1, agent(): 1}
    assert (found.result.lines, found.result.bad_lines, found.result.spans, found.result.spans_outside) == (4, 0, 7, 0)
    assert (found.result.first, found.result.last) == (START, START + 5)
    assert found.limits == []
    group = next(group for group in found.result.groups if group.call == call())
    assert (group.first, group.last) == (START, START + 5)
    assert len({group.mark for group in found.result.groups}) == len(found.result.groups)


def test_first_spans_of_a_group_are_samples(tmp_path: Path, otlp: Otlp) -> None:
    """The samples of a group are its first spans, up to a limit, in any order of reading and each once."""
    spans = [otlp.span("gpt", START + number) for number in range(20)]
    mixed = [*spans[::-3], *spans[::2], *spans]
    group = scan_lines(tmp_path, [otlp.line(*mixed)]).result.groups[0]
    assert group.samples == [
        SpanRef(START + number, span["traceId"], span["spanId"])
        for number, span in enumerate(spans[:SAMPLES_PER_GROUP])
    ]


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"null", b"text", b'{"spans":[]}', b"\xff", b'{"resourceSpans":5}', b"{" * 100_000]
)
def test_unreadable_lines_are_counted(tmp_path: Path, otlp: Otlp, line: bytes) -> None:
    """A line that is not a request is counted as bad; if it is the last one and ends early, it is a limit too."""
    good = otlp.line(otlp.span("gpt"))
    found = scan_lines(tmp_path, [good, line, good])
    assert (found.result.lines, found.result.bad_lines, found.limits) == (3, 1, [])
    assert count_calls(found.result) == {call(): 2}
    found = scan_lines(tmp_path, [good, line])
    assert found.result.bad_lines == 1
    assert found.limits == []


def test_only_json_that_ends_early_is_cut_off(tmp_path: Path, otlp: Otlp) -> None:
    """The last line is called cut off if it begins as a request and ends early, and for no other fault."""
    good, odd = otlp.line(otlp.span("gpt")), otlp.line(otlp.span("gpt") | {"traceId": "x"}, otlp.span("gpt"))
    cut_off = ["the last line cannot be read: the file may be cut off"]
    for length in range(1, len(good)):
        assert scan_lines(tmp_path, [good, good[:length]]).limits == cut_off
    for last in (odd, b"text", good + b"}", good[:50] + b"!" + good[50:]):
        assert scan_lines(tmp_path, [good, last]).limits == []


@pytest.mark.parametrize("documents", [[b"{}"], [b"text"], [b"[]", b"{"], [b'{"data":[]}'] * 20])
def test_input_without_a_request_is_an_error(tmp_path: Path, documents: list[bytes]) -> None:
    """An input that has documents and no request is an error, unlike an empty input."""
    with pytest.raises(TelemetryError, match="has no OTLP request"):
        scan_lines(tmp_path, documents)
    assert scan_lines(tmp_path, []).result == ScanResult(events={"unknown": set()}, lost_events={"unknown": 0})


def test_reader_words_the_limit_of_cut_off_input(tmp_path: Path, otlp: Otlp) -> None:
    """If the last request cannot be read, the limit is ``cut_off`` of the reader, if it has one."""
    reader = ListReader([otlp.line(otlp.span("gpt")), b"{"], cut_off="the last file cannot be read")
    assert scan_input(reader, make_request(), str(tmp_path), 0).limits == ["the last file cannot be read"]


@pytest.mark.parametrize("line", [b'{"resourceSpans":[]}', b'{"resourceLogs":[]}', b'{"resourceMetrics":[{"a":1}]}'])
def test_empty_requests_are_not_bad(tmp_path: Path, line: bytes) -> None:
    """A request without spans is a request."""
    found = scan_lines(tmp_path, [line])
    assert (found.result.lines, found.result.bad_lines, found.result.spans, found.limits) == (1, 0, 0, [])
    assert (found.result.first, found.result.last) == (0, 0)


def test_readable_parts_of_bad_lines_count(tmp_path: Path, otlp: Otlp) -> None:
    """Each readable part of a bad line counts once, and each unreadable part is counted as bad."""
    good, bad = otlp.line(otlp.span("gpt")), otlp.span("gpt") | {"traceId": "x"}
    found = scan_lines(tmp_path, [good[:30] + good, otlp.line(bad, otlp.span("gpt"), bad), good + good])
    assert count_calls(found.result) == {call(): 4}
    assert (found.result.lines, found.result.bad_lines, found.limits) == (3, 3, [])


def test_period_is_half_open(tmp_path: Path, otlp: Otlp) -> None:
    """A span belongs to the period if it starts in it; the end is not part of the period."""
    starts = [START - 1, START, END - 1, END, 1, 2**63 - 1]
    lines = [otlp.line(*(otlp.span("gpt", start, 5) for start in starts)), otlp.line(otlp.span("gpt", END))]
    result = scan_lines(tmp_path, lines).result
    assert count_calls(result) == {call(): 2}
    assert (result.spans, result.spans_outside) == (7, 5)
    assert (result.first, result.last) == (1, 2**63 - 1)
    assert (result.groups[0].first, result.groups[0].last) == (START, END - 1)


NAMES_BY_JAEGER = ("empty-service-name", "missing-service-name", "service-name-wrong-type")
"""The names that Jaeger 1.76 writes if the name of a service is empty, missing or no string."""


@pytest.mark.parametrize(
    ("service", "shown"),
    [
        ("api", "api"),
        (None, "unknown_service"),
        ("", "unknown_service"),
        *((name, "unknown_service") for name in NAMES_BY_JAEGER),
        (5, "unknown_service"),
        ("é\u2028", "é\u2028"),
        ("s" * 99_999, "s" * 1_024 + "…"),
    ],
)
def test_service_names(count: Count, otlp: Otlp, service: Any, shown: str) -> None:
    """The name of a service is cut; a missing or odd one is ``unknown_service``."""
    assert count(otlp.line(otlp.span("x"), service=service)) == {call("x", shown): 1}


def test_bare_model_name_counts_in_one_scope(count: Count, otlp: Otlp) -> None:
    """The attribute ``model_name`` names the model of an agent in one scope, and nothing in others."""
    lines = [otlp.line(otlp.span(model_name="x"), scope=scope) for scope in ("pydantic-ai", "other", "pydantic-ai")]
    assert count(*lines) == {agent("x"): 2, OTHER: 1}


def test_first_value_of_repeated_attributes_counts(count: Count, otlp: Otlp) -> None:
    """If a key is repeated, its first value counts; the call is ambiguous if a later one resolves otherwise."""
    key = "gen_ai.request.model"
    twice = [[{key: "x"}, {key: "y"}], [{key: "y"}, {key: 5}], [{key: 5}, {key: "y"}], [{key: "x"}, {key: "x"}]]
    twice += [[{key: "gpt"}, {key: "GPT"}], [{"n": "x"}, {"n": "y"}, {key: "x"}], [{key: "z"}] * 3]
    spans = [otlp.span() | {"attributes": [*itertools.chain(*map(otlp.attributes, values))]} for values in twice]
    assert count(otlp.line(*spans)) == {
        call("x", is_ambiguous=True): 1,
        call("y", is_ambiguous=True): 1,
        OTHER._replace(is_ambiguous=True): 1,
        call("x"): 2,
        call(is_ambiguous=True): 1,
        call("z"): 1,
    }


@pytest.mark.parametrize("key", ["gen_ai.operation.name", "gen_ai.provider.name", "model_registry.status"])
def test_any_repeated_attribute_may_be_ambiguous(count: Count, otlp: Otlp, key: str) -> None:
    """A later kind, provider or claim makes a call ambiguous too, if it changes a fact; many later values do."""
    model = make_entry("own", metadata={"provider": "azure"})
    values = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure", "model_registry.status": "active"}
    later = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "x", "model_registry.status": "retired"}
    first = otlp.span("own", **{name.replace(".", "__"): value for name, value in values.items()})
    many = [{key: f"{values[key]}{number}"} for number in range(9)]
    for added, is_ambiguous in (([later], True), ([values], False), (many, True)):
        attributes = [*first["attributes"], *itertools.chain(*(otlp.attributes({key: each[key]}) for each in added))]
        (found,) = count(otlp.line(first | {"attributes": attributes}), request=make_request(model))
        assert found.is_ambiguous == is_ambiguous


def test_attributes_without_values_are_skipped(count: Count, otlp: Otlp) -> None:
    """An attribute without a value does not take the value of the next one."""
    model, system = ({"key": key} for key in ("gen_ai.request.model", "gen_ai.system"))
    text = {"value": {"stringValue": "x"}}
    spans = [otlp.span() | {"attributes": given} for given in ([model, system | text], [model | text, system])]
    assert count(otlp.line(*spans)) == {OTHER: 1, call("x"): 1}
    assert count(otlp.line(*spans[::-1])) == {OTHER: 1, call("x"): 1}


def test_attributes_of_the_registry_identify_a_call(count: Count, otlp: Otlp) -> None:
    """The attributes of the registry are enough to count a call, by entry or by the name in the warning."""
    ours = {"model_registry__status": "active", "model_registry__model_id": "gpt", "model_registry__owner": "ml"}
    unregistered = {
        "model_registry__status": UNREGISTERED,
        "model_registry__warnings": ["model 'it's \"\\n' is not registered"],
    }
    spans = [
        otlp.span("gpt", **ours),
        otlp.span(**ours),
        otlp.span(**{**ours, "model_registry__owner": "other"}),
        otlp.span(**unregistered),
        otlp.span(model_registry__status=UNREGISTERED, model_registry__owner=["model 'x' is not registered"]),
        otlp.span(model_registry__status=UNREGISTERED, model_registry__warnings="model 'x' is not registered"),
    ]
    assert count(otlp.line(*spans)) == {
        call(enriched=True, agrees=True): 2,
        call(enriched=True, difference=Difference(keys=("owner",))): 1,
        call("it's \"\\n", enriched=True, agrees=True): 1,
        call(NO_NAME, enriched=True, agrees=True): 2,
    }


@pytest.mark.parametrize("together", [True, False])
def test_calls_are_counted_by_status_at_their_start(count: Count, otlp: Otlp, together: bool) -> None:  # noqa: FBT001
    """Each call has the status of the nanosecond in which it started, in any order of spans."""
    starts = [at + offset for at in (DEPRECATED, SUNSET, RETIRED) for offset in (-1, 0, 1)]
    starts += [START, END - 1, DEPRECATED + HOUR, RETIRED - HOUR]
    for order in (starts, starts[::-1], starts[::2] + starts[1::2]):
        spans = [otlp.span("gpt", start, start) for start in order]
        lines = [otlp.line(*spans)] if together else map(otlp.line, spans)
        assert count(*lines, request=make_request(CHANGING)) == {
            call(): 2,
            call(status="deprecated"): 4,
            call(status="deprecated", past_sunset=True): 4,
            call(status="retired"): 3,
        }


@pytest.mark.parametrize(
    ("start", "end", "shown", "agrees"),
    [
        (-HOUR, -1, "active", True),
        (-HOUR, -1, "deprecated", False),
        (-HOUR, 0, "deprecated", True),
        (-HOUR, 0, "active", True),
        (0, 0, "active", True),
        (DELAY - 1, DELAY - 1, "active", True),
        (DELAY, DELAY, "active", False),
        (DELAY, DELAY, "deprecated", True),
        (1, DELAY + HOUR, "active", False),
        (-1, DELAY + HOUR, "active", True),
        (-1, DELAY + HOUR, "retired", False),
        (0, -HOUR, "active", True),
        (DELAY, -HOUR, "active", False),
        (-1, -HOUR, "deprecated", False),
        (0, 30 * DAY, "retired", True),
        (-1, -(10**19), "active", True),
    ],
)
@pytest.mark.parametrize("first", [False, True])
def test_span_may_show_status_within_delay(  # noqa: PLR0913 - the case and its surroundings
    tmp_path: Path,
    otlp: Otlp,
    start: int,
    end: int,
    shown: str,
    agrees: bool,  # noqa: FBT001
    first: bool,  # noqa: FBT001
) -> None:
    """A span agrees with any status in force between the delay before its end, or its start, and its end."""
    odd = {"model_registry__status": shown, "model_registry__model_id": "gpt"}
    span = otlp.span("gpt", DEPRECATED + start, DEPRECATED + end, **odd)
    others = [otlp.span("gpt", at, at, **odd) for at in (START, RETIRED - DAY, END - 1)]
    spans = [span, *others] if first else [*others, span]
    result = scan_lines(tmp_path, [otlp.line(*spans)], make_request(CHANGING)).result
    found = [group.call for group in result.groups if group.samples and span["spanId"] in str(group.samples)]
    assert [call.agrees for call in found] == [agrees]
    assert [call.status for call in found] == ["active" if start < 0 else "deprecated"]


@pytest.mark.parametrize("end", [0, -1, 2**63 - 1, 2**63, 10**30])
def test_odd_ends_do_not_change_counts(count: Count, otlp: Otlp, end: int) -> None:
    """A span that ends before it starts, or after all times, is counted as others are."""
    kinds = [otlp.span("gpt", START, end), otlp.span(None, START, end)]
    kinds.append(otlp.span("gpt", START, end, openinference__span__kind="AGENT"))
    assert count(otlp.line(*kinds, *kinds)) == {call(): 2, OTHER: 2, agent(): 2}


def test_span_may_show_status_after_the_period(count: Count, otlp: Otlp) -> None:
    """A span may show the status in force at its end, even if that changed after the period."""
    model = make_entry(decommission_date="2026-02-03")
    shown = {"model_registry__status": "retired"}
    span = otlp.span("gpt", END - 1, to_nanos("2026-02-04"), **shown)
    assert count(otlp.line(span), request=make_request(model)) == {call(enriched=True, agrees=True): 1}
    early = otlp.span("gpt", END - 1, to_nanos("2026-02-02"), **shown)
    shows_retired = call(enriched=True, difference=Difference("retired"))
    assert count(otlp.line(early), request=make_request(model)) == {shows_retired: 1}


def test_span_may_show_status_before_the_period(count: Count, otlp: Otlp) -> None:
    """A change shortly before the period may not have been in force everywhere at its start."""
    model = make_entry(decommission_date="2025-12-31T23:58:00Z")
    spans = [otlp.span("gpt", START + at, START + at, model_registry__status="active") for at in (0, 4 * MINUTE)]
    assert count(otlp.line(*spans), request=make_request(model)) == {
        call(status="retired", enriched=True, agrees=True): 1,
        call(status="retired", enriched=True, difference=Difference("active")): 1,
    }


def test_lifecycle_events_are_kept_once(tmp_path: Path, otlp: Otlp) -> None:
    """Lifecycle events of spans and log records are kept once; other events are not kept."""
    at = START + DAY
    names = [f"model_registry.{name}" for name in ("registered", "deprecated", "retired")]
    events = [otlp.lifecycle_event(at), otlp.lifecycle_event(at, "exception")]
    odd = [otlp.lifecycle_event(at + 1, model_id=5), otlp.event("model_registry.retired", at + 1)]
    spans = [otlp.span(model) | {"events": events} for model in (None, "gpt", "x")]
    spans.append(otlp.span() | {"events": [*odd, otlp.lifecycle_event(at, "retired")]})
    logs = [*(otlp.lifecycle_record(at, name) for name in names), otlp.lifecycle_record(at, model_id=5)]
    logs += [otlp.lifecycle_record(at, ""), {"body": {"stringValue": "text"}}]
    result = scan_lines(tmp_path, [otlp.line(*spans), otlp.logs(*logs)]).result
    statuses = ("active", "deprecated", "retired")
    assert result.events["unknown"] == {
        SeenEvent(at, name, "gpt", status) for name, status in zip(names, statuses, strict=True)
    }
    assert result.lost_events == {"unknown": 0}


def test_events_near_the_period_are_kept(tmp_path: Path, otlp: Otlp) -> None:
    """Events that can match a change in the period are kept, whenever their span started."""
    times = [START - DELAY - 1, START - DELAY, START, END - 1, END + DAY - 1, END + DAY]
    kept = {SeenEvent(at, "model_registry.retired", "gpt", "retired") for at in times[1:-1]}
    events = [otlp.lifecycle_event(at) for at in times]
    lines = [otlp.line(otlp.span(start=start) | {"events": events}) for start in (START - DAY, END)]
    for line in (*lines, otlp.logs(*map(otlp.lifecycle_record, times))):
        assert scan_lines(tmp_path, [line]).result.events["unknown"] == kept
    late = otlp.logs(otlp.lifecycle_record(END + 2 * DAY))
    assert scan_lines(tmp_path, [late], make_request(delay=3 * DAY)).result.events["unknown"]
    for date, is_kept in (("2025-12-31", False), ("2026-01-01", True), ("2026-01-31", True), ("2026-02-01", False)):
        event = otlp.lifecycle_record(END + 9 * DAY)
        event["attributes"] += otlp.attributes({"model_registry.decommission_date": date})
        assert bool(scan_lines(tmp_path, [otlp.logs(event)]).result.events["unknown"]) == is_kept


def test_events_beyond_the_limit_are_lost(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events beyond the limit are counted as lost."""
    monkeypatch.setattr(seen_events, "MAX_SEEN_EVENTS", 3)
    result = scan_lines(tmp_path, [otlp.logs(*(otlp.lifecycle_record(START + number) for number in range(5)))]).result
    assert result.events["unknown"] == {
        SeenEvent(START + number, "model_registry.retired", "gpt", "retired") for number in range(3)
    }
    assert result.lost_events == {"unknown": 2}


def test_groups_beyond_the_limit_are_merged(count: Count, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, services and unregistered names are merged, except the name that the evidence is about."""
    monkeypatch.setattr(call_groups, "MAX_CALL_GROUPS", 3)
    names = [f"x{number % 10}" for number in range(40)] + ["model_name", "gpt"] * 5
    lines = [otlp.line(otlp.span(name), service=f"s{number}") for number, name in enumerate(names)]
    found = count(*lines, request=make_request(model_name="model_name"))
    assert found == {
        **{call(f"x{number}", f"s{number}"): 1 for number in range(3)},
        call(OTHERS_NAME, OTHERS_NAME): 37,
        call("model_name", OTHERS_NAME): 5,
        call(service=OTHERS_NAME): 5,
    }


def test_listed_names_beyond_the_limit_are_merged(count: Count, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, response models and names that match by form or glob are merged, each with its rule."""
    monkeypatch.setattr(call_groups, "MAX_CALL_GROUPS", 2)
    spans = [otlp.span("gpt", gen_ai__response__model=f"x{number}") for number in range(5)]
    spans += [otlp.span(f"gpt@202401{number}") for number in range(11, 15)]
    spans.append(otlp.span("gpt", gen_ai__response__model="asked"))
    assert count(otlp.line(*spans), request=make_request(model_name="asked")) == {
        call(names=SpanNames(has_response=True, served="x0")): 1,
        call(names=SpanNames(has_response=True, served="x1")): 1,
        call(service=OTHERS_NAME, names=SpanNames(has_response=True, served=OTHERS_NAME)): 3,
        call(service=OTHERS_NAME, names=SpanNames(OTHERS_NAME, "form")): 4,
        call(service=OTHERS_NAME, names=SpanNames(has_response=True, served="asked")): 1,
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", ["name", "service", "scope", "key"])
def test_long_texts_take_bounded_memory(tmp_path: Path, otlp: Otlp, what: str) -> None:
    """Long names, services, scopes and keys are not kept in full."""

    def lines() -> Iterator[bytes]:
        for number in range(220):
            long = dict.fromkeys(("name", "service", "scope", "key"), "x") | {what: f"{number}" + "x" * 300_000}
            span = otlp.span(long["name"], **{long["key"]: 1})
            yield otlp.line(span, service=long["service"], scope=long["scope"])

    scan = Scan(make_request(), SpanIdWriter(str(tmp_path), 0))
    with limit_peak_memory(50 * 1024 * 1024):
        for line in lines():
            scan.count_document(line)
    assert sum(group.calls for group in scan.result.groups) == 220


def test_ids_of_spans_are_written_early(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit, the ids of spans are in files before the input ends."""
    monkeypatch.setattr(duplicates, "_BUFFERED_RECORDS", 3)
    scan = Scan(make_request(), SpanIdWriter(str(tmp_path), 0))
    for written in (0, 4 * 32):
        scan.count_document(otlp.line(otlp.span(), otlp.span()))
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) == written
