"""One pass over one input: what is counted, and what is remembered."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis import scan as module
from spanforge.model_registry.compliance._analysis.calls import AGENT, NO_NAME, OTHER, Call
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan import Scan
from spanforge.model_registry.compliance._analysis.scan_data import (
    OTHERS_NAME,
    SAMPLES_PER_GROUP,
    ScannedInput,
    ScanRequest,
    ScanResult,
    SeenEvent,
    SpanRef,
)
from spanforge.model_registry.compliance._analysis.workers import scan_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from conftest import Otlp  # type: ignore[import-not-found]

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
START = to_nanos("2026-01-01")
END = to_nanos("2026-02-01")
DELAY = 5 * MINUTE


def entry(model_id: str = "gpt-4o", **fields: Any) -> ModelRegistryEntry:
    needed = {"name": "N", "version": "1", "risk_tier": "low", "owner": "team", "purpose": "test"}
    return ModelRegistryEntry(model_id=model_id, **{**needed, **fields})


def request(
    *entries: ModelRegistryEntry, max_gap: int = DAY, delay: int = DELAY, model_name: str | None = None
) -> ScanRequest:
    return ScanRequest(START, END, max_gap, delay, list(entries or [entry()]), model_name=model_name)


class Lines:
    """Reads lines that are in memory."""

    kind = "otlp_json"
    name = "lines"
    size = 0
    sha256 = ""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = lines
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        yield from self.lines


def scanned(folder: Path, lines: Iterable[bytes], wanted: ScanRequest | None = None) -> ScannedInput:
    return scan_input(Lines(lines), wanted or request(), str(folder), 0)


def groups(result: ScanResult) -> dict[Call, int]:
    return {group.call: group.calls for group in result.groups if group.calls}


def call(name: str = "gpt-4o", service: str = "api", **fields: Any) -> Call:
    known = {"model_id": name, "status": "active"} if name == "gpt-4o" else {"name": name}
    return Call("call", service=service, **{**known, **fields})


def test_what_is_counted(tmp_path: Path, otlp: Otlp) -> None:
    """Calls are counted by model, service and what they carry; spans of agents and all others each together."""
    lines = [
        otlp.line(otlp.span("gpt-4o"), otlp.span("gpt-4o", START + 5, n=3), otlp.span("x"), otlp.span()),
        otlp.line(otlp.span("gpt-4o"), service="web"),
        otlp.line(otlp.span("gpt-4o", gen_ai__operation__name="invoke_agent"), otlp.span(n=5)),
        b'{"resourceMetrics":[]}',
    ]
    found = scanned(tmp_path, lines)
    assert groups(found.result) == {call(): 2, call("x"): 1, OTHER: 2, call(service="web"): 1, AGENT: 1}
    assert (found.result.lines, found.result.bad_lines, found.result.spans, found.result.spans_outside) == (4, 0, 7, 0)
    assert (found.result.first, found.result.last) == (START, START + 5)
    assert found.limits == []
    group = next(group for group in found.result.groups if group.call == call())
    assert (group.first, group.last) == (START, START + 5)
    assert len({group.mark for group in found.result.groups}) == len(found.result.groups)


def test_samples(tmp_path: Path, otlp: Otlp) -> None:
    """The first spans of a group are remembered with their ids, and no more than a few."""
    spans = [otlp.span("gpt-4o", START + number) for number in range(20)]
    group = scanned(tmp_path, [otlp.line(*spans)]).result.groups[0]
    assert group.samples == [
        SpanRef(START + number, span["traceId"], span["spanId"])
        for number, span in enumerate(spans[:SAMPLES_PER_GROUP])
    ]


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"null", b"text", b'{"spans":[]}', b"\xff", b'{"resourceSpans":5}', b"{" * 100_000]
)
def test_lines_that_are_no_requests(tmp_path: Path, otlp: Otlp, line: bytes) -> None:
    """They are counted as bad; as the last one of an input, one is a limit as well."""
    good = otlp.line(otlp.span("gpt-4o"))
    found = scanned(tmp_path, [good, line, good])
    assert (found.result.lines, found.result.bad_lines, found.limits) == (3, 1, [])
    assert groups(found.result) == {call(): 2}
    found = scanned(tmp_path, [good, line])
    assert found.limits == ["the last line cannot be read: the file may be cut off"]
    assert found.result.bad_lines == 1


def test_a_reader_words_the_limit_of_an_input_that_is_cut_off(tmp_path: Path, otlp: Otlp) -> None:
    """If the last request cannot be read, the limit is the reader's ``cut_off``, if it has one."""
    reader = Lines([otlp.line(otlp.span("gpt-4o")), b"{"])
    reader.cut_off = "the last file cannot be read"  # type: ignore[attr-defined]
    assert scan_input(reader, request(), str(tmp_path), 0).limits == ["the last file cannot be read"]


@pytest.mark.parametrize("line", [b'{"resourceSpans":[]}', b'{"resourceLogs":[]}', b'{"resourceMetrics":[{"a":1}]}'])
def test_requests_with_nothing_in_them(tmp_path: Path, line: bytes) -> None:
    """They are requests, of no spans."""
    found = scanned(tmp_path, [line])
    assert (found.result.lines, found.result.bad_lines, found.result.spans, found.limits) == (1, 0, 0, [])
    assert (found.result.first, found.result.last) == (0, 0)


def test_salvaged_lines(tmp_path: Path, otlp: Otlp) -> None:
    """Of a line that cannot be read as a whole, what can be read counts once, and each part that cannot counts too."""
    good, bad = otlp.line(otlp.span("gpt-4o")), otlp.span("gpt-4o") | {"traceId": "x"}
    found = scanned(tmp_path, [good[:30] + good, otlp.line(bad, otlp.span("gpt-4o"), bad), good + good])
    assert groups(found.result) == {call(): 4}
    assert (found.result.lines, found.result.bad_lines, found.limits) == (3, 3, [])


def test_spans_outside_of_the_period(tmp_path: Path, otlp: Otlp) -> None:
    """A span belongs to the period in which it starts: the first instant does, the one after the last does not."""
    starts = [START - 1, START, END - 1, END, 1, 2**63 - 1]
    lines = [otlp.line(*(otlp.span("gpt-4o", start, 5) for start in starts)), otlp.line(otlp.span("gpt-4o", END))]
    result = scanned(tmp_path, lines).result
    assert groups(result) == {call(): 2}
    assert (result.spans, result.spans_outside) == (7, 5)
    assert (result.first, result.last) == (1, 2**63 - 1)
    assert (result.groups[0].first, result.groups[0].last) == (START, END - 1)


@pytest.mark.parametrize(
    ("service", "shown"),
    [
        ("api", "api"),
        (None, "unknown_service"),
        ("", "unknown_service"),
        (5, "unknown_service"),
        ("é\u2028", "é\u2028"),
    ],
)
def test_services(tmp_path: Path, otlp: Otlp, service: Any, shown: str) -> None:
    """A resource without a name for the service, or with an odd one, is of an unknown one."""
    assert groups(scanned(tmp_path, [otlp.line(otlp.span("x"), service=service)]).result) == {call("x", shown): 1}


@pytest.mark.parametrize("resource", [None, 5, [], {"attributes": 5}, {}])
def test_odd_resources(tmp_path: Path, otlp: Otlp, resource: Any) -> None:
    """Spans of a resource that is not as OTLP has it are counted, whatever service they are of."""
    line = json.loads(otlp.line(otlp.span("x")))
    line["resourceSpans"][0]["resource"] = resource
    assert groups(scanned(tmp_path, [otlp.json(line)]).result) == {call("x", "unknown_service"): 1}
    del line["resourceSpans"][0]["resource"]
    assert groups(scanned(tmp_path, [otlp.json(line)]).result) == {call("x", "unknown_service"): 1}


def test_endless_services(tmp_path: Path, otlp: Otlp) -> None:
    """A service's name comes from the network, and is cut as those of models are."""
    result = scanned(tmp_path, [otlp.line(otlp.span("x"), service="s" * 99_999)]).result
    assert [len(group.call.service) for group in result.groups] == [1_025]


def test_scopes(tmp_path: Path, otlp: Otlp) -> None:
    """The bare ``model_name`` is a model's name in one scope only, and there it is an agent's."""
    lines = [otlp.line(otlp.span(model_name="x"), scope=scope) for scope in ("pydantic-ai", "other", "pydantic-ai")]
    assert groups(scanned(tmp_path, lines).result) == {AGENT: 2, OTHER: 1}


def test_the_order_of_attributes(tmp_path: Path, otlp: Otlp) -> None:
    """Attributes mean the same in any order, among any others."""
    values = {"gen_ai.request.model": "chat", "gen_ai.system": "azure", "n": 5, "gen_ai.response.model": "answer"}
    model = entry(metadata={"aliases": ["chat"], "provider": "azure"})
    spans = [
        otlp.span() | {"attributes": otlp.attributes(dict(order))} for order in itertools.permutations(values.items())
    ]
    lines = [otlp.line(*spans), *map(otlp.line, spans)]
    assert groups(scanned(tmp_path, lines, request(model)).result) == {call(uncovered=("answer",)): 48}


def test_attributes_that_come_twice(tmp_path: Path, otlp: Otlp) -> None:
    """The last text counts; what is no text does not hide one."""
    key = "gen_ai.request.model"
    twice = [[{key: "x"}, {key: "y"}], [{key: "y"}, {key: 5}], [{key: 5}, {key: "y"}]]
    spans = [otlp.span() | {"attributes": [*itertools.chain(*map(otlp.attributes, values))]} for values in twice]
    assert groups(scanned(tmp_path, [otlp.line(*spans)]).result) == {call("y"): 3}


@pytest.mark.parametrize("value", [5, 1.5, True, ["x"], {"bytesValue": "eA=="}, {"kvlistValue": {}}, {}, None, ""])
def test_values_that_are_no_names(tmp_path: Path, otlp: Otlp, value: Any) -> None:
    """A model's name is a text that is not empty."""
    spans = [otlp.span(value), otlp.span(value, gen_ai__response__model="x")]
    spans[0]["attributes"] = otlp.attributes({"gen_ai.request.model": value})
    assert groups(scanned(tmp_path, [otlp.line(*spans)]).result) == {OTHER: 1, call("x"): 1}


def test_attributes_without_values(tmp_path: Path, otlp: Otlp) -> None:
    """A value that is missing is not taken for the one that follows it."""
    model, system = ({"key": key} for key in ("gen_ai.request.model", "gen_ai.system"))
    text = {"value": {"stringValue": "x"}}
    spans = [otlp.span() | {"attributes": given} for given in ([model, system | text], [model | text, system])]
    assert groups(scanned(tmp_path, [otlp.line(*spans)]).result) == {OTHER: 1, call("x"): 1}
    assert groups(scanned(tmp_path, [otlp.line(*spans[::-1])]).result) == {OTHER: 1, call("x"): 1}


def test_names_that_are_no_unicode(tmp_path: Path, otlp: Otlp) -> None:
    """A call of a model whose name is broken is still a call of a model."""
    line = otlp.line(otlp.span("x@"))
    assert groups(scanned(tmp_path, [line.replace(b"@", b"\xff")]).result) == {call("x\ufffd"): 1}
    assert groups(scanned(tmp_path, [line.replace(b"@", b"\\udfff")]).result) == {call("x?"): 1}


def test_spans_that_the_registry_enriched(tmp_path: Path, otlp: Otlp) -> None:
    """What the registry put on a span is enough to count it, under the entry or the name that it warned of."""
    ours = {"model_registry__status": "active", "model_registry__model_id": "gpt-4o", "model_registry__owner": "team"}
    unregistered = {
        "model_registry__status": UNREGISTERED,
        "model_registry__warnings": ["model 'it's \"\\n' is not registered"],
    }
    spans = [
        otlp.span("gpt-4o", **ours),
        otlp.span(**ours),
        otlp.span(**{**ours, "model_registry__owner": "other"}),
        otlp.span(**unregistered),
        otlp.span(model_registry__status=UNREGISTERED, model_registry__owner=["model 'x' is not registered"]),
        otlp.span(model_registry__status=UNREGISTERED, model_registry__warnings="model 'x' is not registered"),
    ]
    assert groups(scanned(tmp_path, [otlp.line(*spans)]).result) == {
        call(enriched=True, agrees=True): 2,
        call(enriched=True): 1,
        call("it's \"\\n", enriched=True, agrees=True): 1,
        call(NO_NAME, enriched=True, agrees=True): 2,
    }


HISTORY = entry(
    deployment_date="2026-01-01",
    metadata={
        "history": [
            {"at": "2026-01-01", "status": "active", "owner": "team", "risk_tier": "low"},
            {"at": "2026-01-10T12:00:00.000001Z", "status": "deprecated", "owner": "team", "risk_tier": "low"},
            {"at": "2026-01-20T12:00:00Z", "status": "retired", "owner": "team", "risk_tier": "low"},
        ],
        "sunset_date": "2026-01-15",
    },
)
DEPRECATED, SUNSET, RETIRED = map(to_nanos, ("2026-01-10T12:00:00.000001Z", "2026-01-15", "2026-01-20T12:00:00Z"))


@pytest.mark.parametrize("together", [True, False])
def test_the_state_at_each_call(tmp_path: Path, otlp: Otlp, together: bool) -> None:  # noqa: FBT001
    """Each call is counted under what was in force in the very nanosecond in which it started, in any order."""
    starts = [at + offset for at in (DEPRECATED, SUNSET, RETIRED) for offset in (-1, 0, 1)]
    starts += [START, END - 1, DEPRECATED + HOUR, RETIRED - HOUR]
    for order in (starts, starts[::-1], starts[::2] + starts[1::2]):
        spans = [otlp.span("gpt-4o", start, start) for start in order]
        lines = [otlp.line(*spans)] if together else map(otlp.line, spans)
        assert groups(scanned(tmp_path, lines, request(HISTORY)).result) == {
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
def test_the_state_that_a_span_may_show(  # noqa: PLR0913 - the case and its surroundings
    tmp_path: Path,
    otlp: Otlp,
    start: int,
    end: int,
    shown: str,
    agrees: bool,  # noqa: FBT001
    first: bool,  # noqa: FBT001
) -> None:
    """It may show what was in force from the delay before its end, or its start, until its end; an odd end is none."""
    odd = {"model_registry__status": shown, "model_registry__model_id": "gpt-4o"}
    span = otlp.span("gpt-4o", DEPRECATED + start, DEPRECATED + end, **odd)
    others = [otlp.span("gpt-4o", at, at, **odd) for at in (START, RETIRED - DAY, END - 1)]
    spans = [span, *others] if first else [*others, span]
    result = scanned(tmp_path, [otlp.line(*spans)], request(HISTORY)).result
    found = [group.call for group in result.groups if group.samples and span["spanId"] in str(group.samples)]
    assert [call.agrees for call in found] == [agrees]
    assert [call.status for call in found] == ["active" if start < 0 else "deprecated"]


@pytest.mark.parametrize("end", [0, -1, 2**63 - 1, 2**63, 10**30])
def test_odd_ends(tmp_path: Path, otlp: Otlp, end: int) -> None:
    """Spans that end before they start, or beyond all times, are counted as what they are."""
    kinds = [otlp.span("gpt-4o", START, end), otlp.span(None, START, end)]
    kinds.append(otlp.span("gpt-4o", START, end, openinference__span__kind="AGENT"))
    assert groups(scanned(tmp_path, [otlp.line(*kinds, *kinds)]).result) == {call(): 2, OTHER: 2, AGENT: 2}


def test_calls_that_end_long_after_the_period(tmp_path: Path, otlp: Otlp) -> None:
    """A span shows what was in force when it ended, even if that changed after the period."""
    model = entry(decommission_date="2026-02-03")
    shown = {"model_registry__status": "retired"}
    span = otlp.span("gpt-4o", END - 1, to_nanos("2026-02-04"), **shown)
    assert groups(scanned(tmp_path, [otlp.line(span)], request(model)).result) == {call(enriched=True, agrees=True): 1}
    early = otlp.span("gpt-4o", END - 1, to_nanos("2026-02-02"), **shown)
    assert groups(scanned(tmp_path, [otlp.line(early)], request(model)).result) == {call(enriched=True): 1}


def test_the_state_when_the_period_begins(tmp_path: Path, otlp: Otlp) -> None:
    """A change shortly before the period may not have been in force everywhere in its first instants."""
    model = entry(decommission_date="2025-12-31T23:58:00Z")
    spans = [otlp.span("gpt-4o", START + at, START + at, model_registry__status="active") for at in (0, 4 * MINUTE)]
    assert groups(scanned(tmp_path, [otlp.line(*spans)], request(model)).result) == {
        call(status="retired", enriched=True, agrees=True): 1,
        call(status="retired", enriched=True): 1,
    }


def test_deployment_in_the_period(tmp_path: Path, otlp: Otlp) -> None:
    """Calls before a model's deployment have no status, also where only dates say when that was."""
    model = entry(deployment_date="2026-01-10", metadata={"deprecation_date": "2026-01-20"})
    tenth, twentieth = to_nanos("2026-01-10"), to_nanos("2026-01-20")
    spans = [otlp.span("gpt-4o", start) for start in (START, tenth - 1, tenth, twentieth - 1, twentieth, END - 1)]
    assert groups(scanned(tmp_path, [otlp.line(*spans)], request(model)).result) == {
        call(status=None): 2,
        call(): 2,
        call(status="deprecated"): 2,
    }


def event(otlp: Otlp, at: int, name: str = "model_registry.retired", model_id: Any = "gpt-4o") -> Any:
    return otlp.event(name, at, **{"model_registry.model_id": model_id})


def log(otlp: Otlp, at: int, name: str = "model_registry.retired", model_id: Any = "gpt-4o") -> Any:
    found = event(otlp, at, name, model_id)
    return {"eventName": found.pop("name"), **found}


def test_events(tmp_path: Path, otlp: Otlp) -> None:
    """Lifecycle events are remembered once, from spans of any kind and from log records; others are not."""
    at = START + DAY
    names = ["registered", "deprecated", "retired"]
    spans = [
        otlp.span(model) | {"events": [event(otlp, at, "model_registry.retired"), event(otlp, at, "exception")]}
        for model in (None, "gpt-4o", "x")
    ]
    odd = [event(otlp, at + 1, model_id=5), otlp.event("model_registry.retired", at + 1), event(otlp, at, "retired")]
    spans.append(otlp.span() | {"events": odd})
    logs = [log(otlp, at, f"model_registry.{name}") for name in names] + [log(otlp, at, ""), log(otlp, at, model_id=5)]
    result = scanned(tmp_path, [otlp.line(*spans), otlp.logs(*logs, {"body": {"stringValue": "text"}})]).result
    assert result.events == {SeenEvent(at, f"model_registry.{name}", "gpt-4o") for name in names}
    assert result.lost_events == 0


def test_events_on_spans_outside_of_the_period(tmp_path: Path, otlp: Otlp) -> None:
    """What tells of a change in the period may stand on a span that started before it; what cannot is not kept."""
    times = [START - DELAY - 1, START - DELAY, START, END - 1, END + DAY - 1, END + DAY]
    spans = [otlp.span(start=start) | {"events": [event(otlp, at) for at in times]} for start in (START - DAY, END)]
    kept = {SeenEvent(at, "model_registry.retired", "gpt-4o") for at in times[1:-1]}
    assert scanned(tmp_path, [otlp.line(spans[0])]).result.events == kept
    assert scanned(tmp_path, [otlp.line(spans[1])]).result.events == kept
    assert scanned(tmp_path, [otlp.logs(*(log(otlp, at) for at in times))]).result.events == kept
    assert scanned(tmp_path, [otlp.logs(log(otlp, END + 2 * DAY))], request(delay=3 * DAY)).result.events


def test_too_many_events(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond the limit are counted as lost."""
    monkeypatch.setattr(module, "MAX_SEEN_EVENTS", 3)
    result = scanned(tmp_path, [otlp.logs(*(log(otlp, START + number) for number in range(5)))]).result
    assert result.events == {SeenEvent(START + number, "model_registry.retired", "gpt-4o") for number in range(3)}
    assert result.lost_events == 2


def test_too_many_groups(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, services and unregistered names count together; models, and the one model_name for, do not."""
    monkeypatch.setattr(module, "MAX_CALL_GROUPS", 3)
    names = [f"x{number % 10}" for number in range(40)] + ["model_name", "gpt-4o"] * 5
    lines = [otlp.line(otlp.span(name), service=f"s{number}") for number, name in enumerate(names)]
    found = groups(scanned(tmp_path, lines, request(model_name="model_name")).result)
    assert found == {
        **{call(f"x{number}", f"s{number}"): 1 for number in range(3)},
        call(OTHERS_NAME, OTHERS_NAME): 37,
        call("model_name", OTHERS_NAME): 5,
        call(service=OTHERS_NAME): 5,
    }


def test_too_many_answers(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, names that providers answered with are counted together."""
    monkeypatch.setattr(module, "MAX_CALL_GROUPS", 2)
    spans = [otlp.span("gpt-4o", gen_ai__response__model=f"x{number}") for number in range(5)]
    assert groups(scanned(tmp_path, [otlp.line(*spans)]).result) == {
        call(uncovered=("x0",)): 1,
        call(uncovered=("x1",)): 1,
        call(service=OTHERS_NAME, uncovered=(OTHERS_NAME,)): 3,
    }


@pytest.mark.parametrize("limit", [0, 1, 2, 7])
def test_a_small_cache(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Figures are exact however little is remembered of what attributes mean."""
    monkeypatch.setattr(module, "_CACHE_SLOTS", limit)
    expected: Counter[Call] = Counter()
    lines = []
    for number in range(60):
        name, service, keys = f"x{number % 5}", f"s{number % 3}", {f"k{number % 4}": 1}
        expected[call(name, service)] += 2
        lines.append(otlp.line(otlp.span(name, **keys), otlp.span(**keys), otlp.span(name), service=service))
        expected[OTHER] += 1
    assert groups(scanned(tmp_path, lines).result) == expected


@pytest.mark.parametrize("what", ["name", "service", "scope", "key"])
def test_little_memory(tmp_path: Path, otlp: Otlp, what: str) -> None:
    """However long names, services, scopes and keys are, what is remembered of them stays small."""

    def lines() -> Iterator[bytes]:
        for number in range(400):
            long = dict.fromkeys(("name", "service", "scope", "key"), "x") | {what: f"{number}" + "x" * 300_000}
            span = otlp.span(long["name"], **{long["key"]: 1})
            yield otlp.line(span, service=long["service"], scope=long["scope"])

    scan = Scan(request(), SpanIdWriter(str(tmp_path), 0))
    tracemalloc.start()
    try:
        for line in lines():
            scan.count_document(line)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(group.calls for group in scan.result.groups) == 400
    assert peak < 60 * 1024 * 1024
