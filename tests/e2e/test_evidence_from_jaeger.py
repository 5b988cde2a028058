"""Reading from a real Jaeger: every span of a period comes back as it was sent."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import run_here
from support.servers import ROOT, program_of

from spanforge.model_registry.compliance._sources import jaeger
from spanforge.model_registry.compliance._sources.jaeger import JaegerReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

START = 1_767_225_600_000_000_000
"""2026-01-01, in nanoseconds."""
DAY = 86_400 * 10**9
SERVICES = ["shop", "a/b c", "ü & ?x=%41+#", "", '"quoted"\\']
TRACES = 1_200
SPANS = 3_000


def attributes(**values: Any) -> list[dict[str, Any]]:
    kinds = {str: "stringValue", bool: "boolValue", float: "doubleValue"}
    return [
        {"key": key, "value": {kinds.get(type(value), "intValue"): str(value) if type(value) is int else value}}
        for key, value in values.items()
    ]


def sent_spans() -> list[tuple[str, dict[str, Any]]]:
    """Return spans and their services: half of them within a millisecond, some outside of the day, traces across."""
    rng = random.Random(7)
    spans = []
    for number in range(SPANS):
        begin = START + (DAY // 3 + rng.randrange(10**6) if number % 2 else rng.randrange(-DAY // 10, DAY + DAY // 10))
        event = {"model": f"model-{number}", "number": number, "share": number / 7, "ü": True}
        span = {
            "traceId": f"{number % TRACES + 1:032x}",
            "spanId": f"{number + 1:016x}",
            "name": f"chat {number}",
            "kind": 3,
            "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(begin + 1_000_000 * number + 1),
            "attributes": attributes(**{"gen_ai.request.model": f"m{number % 9}", "tokens": 2**53 + number, "t": 0.1}),
            "events": [
                {"timeUnixNano": str(begin + 1), "name": "model_registry.registered", "attributes": attributes(**event)}
            ],
            "status": {"code": 2, "message": "nö"},
        }
        spans.append((SERVICES[number % len(SERVICES)], span))
    return spans


def send(server: Server, spans: list[tuple[str, dict[str, Any]]]) -> None:
    for service in SERVICES:
        own = [span for name, span in spans if name == service]
        resource = {"attributes": attributes(**{"service.name": service, "host.name": "h"})}
        request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "lib"}, "spans": own}]}]}
        headers = {"Content-Type": "application/json"}
        server.ask("JAEGER_OTLP_HTTP", "/v1/traces", json.dumps(request).encode(), **headers)


@pytest.fixture
def jaeger_server(run_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give a Jaeger that sends no traces of its own, reached without a proxy."""
    monkeypatch.setenv("no_proxy", "*")
    return run_server("jaeger")


def reader_of(server: Server, start: int = START, end: int = START + DAY) -> JaegerReader:
    return JaegerReader(f"http://{server.at['JAEGER_QUERY_HTTP']}", start, end)


def read(reader: JaegerReader) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """Return the spans of the day that are found, with their services, by the ids of trace and span."""
    found = {}
    for document in reader.requests():
        for resource in json.loads(document)["resourceSpans"]:
            names = [
                a["value"]["stringValue"] for a in resource["resource"]["attributes"] if a["key"] == "service.name"
            ]
            for scope in resource["scopeSpans"]:
                assert scope["scope"] == {"name": "lib"}
                for span in scope["spans"]:
                    for event in span["events"]:
                        event["attributes"].sort(key=itemgetter("key"))  # Jaeger changes their order
                    if START <= int(span["startTimeUnixNano"]) < START + DAY:
                        found[span["traceId"], span["spanId"]] = "".join(names), span
    return found


def test_every_span_of_the_period(jaeger_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """All spans come back exactly as sent, however often the interval is halved; nothing is said to be missing."""
    spans = sent_spans()
    send(jaeger_server, spans)
    wanted = {
        (span["traceId"], span["spanId"]): (service or "empty-service-name", span)
        for service, span in spans
        if START <= int(span["startTimeUnixNano"]) < START + DAY
    }
    assert SPANS > len(wanted) > SPANS * 0.8
    sizes = []
    for limit in (20, 100_000):  # jaeger.yaml allows no more
        monkeypatch.setattr(jaeger, "MAX_TRACES", limit)
        reader = reader_of(jaeger_server)
        assert read(reader) == wanted
        assert reader.limits == []
        sizes.append(reader.size)
    assert sizes[0] > sizes[1] > 500 * len(wanted)


def test_reconciliation(jaeger_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line compares the traces of a Jaeger with a registry."""
    spans = [{**span, "startTimeUnixNano": str(START + number)} for number, (_, span) in enumerate(sent_spans()[:90])]
    send(jaeger_server, [("shop", span) for span in spans])
    (tmp_path / "models.json").write_text("[]")
    paths = ("--telemetry", f"http://{jaeger_server.at['JAEGER_QUERY_HTTP']}", "--file", tmp_path / "models.json")
    printed = run_here(capsys, "reconcile", *paths, "--from", "2026-01-01", "--format", "json")
    found = {row["name"]: (row["calls"], row["services"]) for row in json.loads(printed.out)["findings"]}
    assert found == {f"m{number}": (10, {"shop": 10}) for number in range(9)}
    assert (printed.code, printed.err) == (1, "")


def test_a_moment_that_is_full(jaeger_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more traces begin at one moment than Jaeger gives at a time, it is said that some are missing."""
    monkeypatch.setattr(jaeger, "MAX_TRACES", 5)
    moment = {"startTimeUnixNano": str(START + 10**9), "endTimeUnixNano": str(START + 10**9)}
    send(jaeger_server, [("shop", {**span, **moment}) for _, span in sent_spans()[:9]])
    reader = reader_of(jaeger_server)
    assert 5 <= len(read(reader)) <= 9  # the moment ends one microsecond and begins another
    assert len(reader.limits) == 1


def test_a_trace_that_began_long_before(jaeger_server: Server) -> None:
    """A span of the period is found though its trace began, and was stored, days before it."""
    early, late = (dict(span) for _, span in sent_spans()[:2])
    for span, begin in ((early, START - 9 * DAY), (late, START)):
        span.update(traceId="f" * 32, startTimeUnixNano=str(begin), endTimeUnixNano=str(begin))
        send(jaeger_server, [("shop", span)])
    assert list(read(reader_of(jaeger_server))) == [("f" * 32, late["spanId"])]


def test_what_jaeger_changes(jaeger_server: Server) -> None:
    """Jaeger keeps arrays, names services without a name, and lengthens empty spans, which the reader undoes."""
    (_, span), (_, other) = sent_spans()[:2]
    text = {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}
    span["attributes"] = span["events"][0]["attributes"] = [{"key": "array", "value": text}]
    span["startTimeUnixNano"] = span["endTimeUnixNano"] = other["startTimeUnixNano"] = str(START)
    send(jaeger_server, [("", span)])
    request = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, "spans": [other]}]}]}
    headers = {"Content-Type": "application/json"}
    jaeger_server.ask("JAEGER_OTLP_HTTP", "/v1/traces", json.dumps(request).encode(), **headers)
    (service, found), (of_other, _) = (
        read(reader_of(jaeger_server))[each["traceId"], each["spanId"]] for each in (span, other)
    )
    assert (service, of_other) == ("empty-service-name", "missing-service-name")
    assert found["endTimeUnixNano"] == str(START)
    (own, warnings), event = found["attributes"], found["events"][0]["attributes"]
    assert (own["value"], event[0]["value"], warnings["key"]) == (text, text, "@jaeger@warnings")


def test_same_figures_as_from_files() -> None:
    """Evidence from Jaeger has the same figures as evidence from the files with the same spans."""
    program_of("jaeger")
    command = [sys.executable, "-m", "benchmarks", "jaeger", "--spans", "10000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("figures: the same\nlog records")


def test_an_empty_period(jaeger_server: Server) -> None:
    """Neither a Jaeger that has nothing yet nor a period without spans is an error; there is nothing."""
    assert read(reader_of(jaeger_server)) == {}
    send(jaeger_server, sent_spans()[:10])
    reader = reader_of(jaeger_server, START + 30 * DAY, START + 31 * DAY)
    assert list(reader.requests()) == reader.limits == []
    assert reader.size > 100
