"""Trust boundary and metrics of the Collector's configuration: real telemetry through a real Collector."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from support.collectors import Application, Door, wait_until_decided
from support.exporters import GRPC, HTTP, TRUSTED, UNTRUSTED
from support.otlp_json import SENDER, attributes_of, read_items, tags_of
from support.servers import spans_in
from support.waiting import poll

from spanforge.model_registry._core.conventions import CONVENTIONS
from spanforge.model_registry._core.lifecycle import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

OURS = "model_registry."
SENDERS = dict.fromkeys((SENDER, "model.registry/sender", "MODEL-REGISTRY_Sender"), "said-by-a-sender")
"""Forged senders, by their spelling."""


# -- trust -----------------------------------------------------------------------------------------------------------


def forge(door: Door, service: str) -> dict[str, Any]:
    """Send registry attributes in every place that telemetry has, and return them."""
    claims = {"model_registry.owner": f"said-by-{service}", "model_registry.risk_tier": "low"}
    sent = {**claims, **SENDERS}
    application = Application(service, plugin=False, **sent, kept="resource")
    tracer = application.provider.get_tracer("app", attributes={**sent, "kept": "scope"})
    for name, events in {"with events": ("first", "model_registry.retired", "last"), "without events": ()}.items():
        span = tracer.start_span(name, attributes={**sent, "gen_ai.request.model": "m", "kept": "span"})
        for event in events:
            span.add_event(event, {**sent, "kept": "event"})
        span.end()
    door.send(*application.take())
    with door.logs(application.resource) as loggers:
        logger = loggers.get_logger("app", attributes=sent)
        for name in ("model_registry.retired", "app.event"):
            logger.emit(event_name=name, attributes=sent)
    with door.metrics(application.resource) as meters:
        meter = meters.get_meter("app", attributes={**sent, "kept": "scope"})
        for name in ("model_registry.calls", "app.calls"):
            meter.create_counter(name).add(7, {**sent, "kept": "point"})
        for name, unit in INFO.items():
            meter.create_gauge(name, unit).set(1, sent)
    return claims


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_untrusted_senders_cannot_set_model_registry_attributes(
    jaeger: Server, collector: Callable[..., Server], tmp_path: Path, protocol: str
) -> None:
    """Registry attributes of the trusted sender arrive, those of the untrusted one do not; all else of both arrives."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="100")
    claims = forge(Door(server, TRUSTED, protocol), "trusted")
    forge(Door(server, UNTRUSTED, protocol), "untrusted")
    for service, said in (("trusted", claims), ("untrusted", {})):
        marked = {**said, SENDER: service}
        spans = {span["operationName"]: span for span in spans_in(jaeger, service, 2)}
        retired = [("model_registry.retired", {**said, "kept": "event"})] if said else []
        events = [("first", {**said, "kept": "event"}), *retired, ("last", {**said, "kept": "event"})]
        logs = [tags_of(log["fields"]) for log in spans["with events"]["logs"]]
        assert [(log.pop("event"), log) for log in logs] == events
        assert not spans["without events"]["logs"]
        for span in spans.values():
            for fields, kept, has in ((span["tags"], "span", marked), (span["process"]["tags"], "resource", said)):
                told = {key: value for key, value in tags_of(fields).items() if key == "kept" or key.startswith(OURS)}
                assert told == {**has, "kept": kept}
        everything = read_items(tmp_path / "spans.jsonl")
        items = [item for resource, _, item in everything if service in attributes_of(resource).values()]
        assert [attributes_of(item) for item in items] == [{**marked, "gen_ai.request.model": "m"}] * 2
        archive = [event for item in items for event in item.get("events", [])]
        assert [(event["name"], attributes_of(event)) for event in archive] == [(name, said) for name, _ in retired]
        labels = {key.replace(".", "_"): value for key, value in said.items()}
        scoped = {f"otel_scope_{key}": value for key, value in {**labels, "kept": "scope"}.items()}
        where = "OTELCOL_PROMETHEUS" if said else "OTELCOL_UNTRUSTED_PROMETHEUS"
        samples = {sample.name: sample for sample in server.scrape(where) if sample.labels["job"] == service}
        assert samples["app_calls_total"].value == 7
        assert samples["app_calls_total"].labels.items() >= {**labels, **scoped, "kept": "point"}.items()
        for name in ("model_registry_calls_total", *(name.replace(".", "_") for name in INFO)):
            assert (name in samples) is bool(said)
        assert samples["target_info"].labels.items() >= {**labels, "kept": "resource"}.items()
    logs = [(item["eventName"], attributes_of(item)) for _, _, item in read_items(tmp_path / "logs.jsonl")]
    assert logs == [("model_registry.retired", {**claims, SENDER: "trusted"})]
    everywhere = [path.read_text("utf-8") for path in tmp_path.glob("*.jsonl")]
    everywhere += [server.ask(where, "/metrics").decode() for where in SCRAPED]
    everywhere += [json.dumps(spans_in(jaeger, "untrusted"))]
    assert not any("said-by-untrusted" in text for text in everywhere)
    everywhere += [json.dumps(spans_in(jaeger, "trusted"))]
    assert not any("said-by-a-sender" in text for text in everywhere)


INFO = {"model_registry.info": "{model}", "model_registry.file.info": "{file}"}
"""Metrics of the plugin that alerts join to others, and their units."""
SCRAPED = ("OTELCOL_PROMETHEUS", "OTELCOL_UNTRUSTED_PROMETHEUS")
FORGED_NAMES = {
    ("model_registry_calls", ""): "kept",
    ("model-registry/calls", ""): "model_registry_owner",
    ("model.total.registry.x", ""): "model-registry.owner",
    ("model", "registry_events"): "model..registry.owner",
    ("Model.Registry.info", ""): "model_registry.successor",
    ("model_registry_file", "info"): "model-registry_file/digest",
    ("traces.span.metrics.calls", ""): "kept",
    ("traces.span", "metrics_calls"): "kept",
}
"""Names and units of metrics that only become ours in Prometheus, each with the name of an attribute."""


def test_metrics_of_untrusted_senders_are_apart(collector: Callable[..., Server]) -> None:
    """Whatever name an untrusted sender gives to a metric or label, it is not where those of trusted senders are."""
    server = collector(OTELCOL_METRICS_FLUSH="200ms")
    for (metric, unit), attribute in FORGED_NAMES.items():
        application = Application("forger", plugin=False, **{attribute: "forged"})
        application.call("call", **{"gen_ai.request.model": "m", attribute: "forged"})
        Door(server, UNTRUSTED).send(*application.take())
        with Door(server, UNTRUSTED).metrics(application.resource) as meters:
            meters.get_meter("app", attributes={attribute: "forged"}).create_counter(metric, unit).add(7)
    application = Application("honest")
    application.call("call", **{"gen_ai.request.model": "m"})
    Door(server).send(*application.take())
    assert counts(server, "calls_total", "service_name", number=1) == {("honest",): 1}
    assert {sample.labels.get("job") for sample in server.scrape()} == {"honest"}
    jobs = poll(
        lambda: {sample.labels.get("job") for sample in server.scrape(SCRAPED[1])}, lambda found: "forger" in found
    )
    assert jobs == {"forger"}


def test_untrusted_senders_use_up_only_their_own_series(collector: Callable[..., Server]) -> None:
    """Names without end from an untrusted sender take no series away from a trusted one of the same service."""
    server = collector(OTELCOL_METRICS_FLUSH="200ms")
    flood = Application("shop", plugin=False)
    for number in range(2_500):
        flood.call("call", **{"gen_ai.request.model": f"m-{number}"})
    Door(server, UNTRUSTED).send(*flood.take())
    application = Application("shop")
    application.register("m", "critical", owner="boss")
    application.call("call", **{"gen_ai.request.model": "m"})
    Door(server).send(*application.take())
    assert counts(server, "calls_total", "model_registry_owner", number=1) == {("boss",): 1}


MARKS = (
    "otelcol.registry_event",
    "otelcol.names_model",
    "otelcol.flagged",
    "otelcol.untrusted",
    "otelcol.registry_entry",
    "otelcol.registry_more",
)


def test_marks_cannot_be_forged(jaeger: Server, collector: Callable[..., Server], tmp_path: Path) -> None:
    """Forged marks of the Collector get nothing into the archive or past sampling, and no backend has them."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="0")
    for whose in (TRUSTED, UNTRUSTED):
        forge_marks(Door(server, whose), f"forger {whose}")
    wait_until_decided(server, 2 * (4 * len(MARKS) + 1))
    found = [span for whose in (TRUSTED, UNTRUSTED) for span in spans_in(jaeger, f"forger {whose}", 2)]
    assert sorted(span["operationName"] for span in found) == ["call", "call", "failed", "failed"]
    assert [item["name"] for _, _, item in read_items(tmp_path / "spans.jsonl")] == ["call", "call"]
    assert "otelcol." not in json.dumps(found) + (tmp_path / "spans.jsonl").read_text("utf-8")
    assert not [sample for sample in server.scrape() if sample.name == "traces_span_metrics_events_total"]


def forge_marks(door: Door, service: str) -> None:
    """Send each mark on spans and resources, and all marks on a trace that failed."""
    for mark in MARKS:
        for value in (True, False, "x"):
            application = Application(service, plugin=False)
            application.call("on the span", **{mark: value})
            door.send(*application.take())
        application = Application(service, plugin=False, **{mark: True})
        application.call("on the resource")
        door.send(*application.take())
    application = Application(service, plugin=False)
    with application.tracer.start_as_current_span("failed", attributes=dict.fromkeys(MARKS, True)) as span:
        span.set_status(StatusCode.ERROR)
        application.call("call", **{"gen_ai.request.model": "m"}, **dict.fromkeys(MARKS, True))
    door.send(*application.take())


# -- metrics ---------------------------------------------------------------------------------------------------------

LABELS = (
    "service_name",
    "gen_ai_request_model",
    "model_registry_model_id",
    "model_registry_owner",
    "model_registry_risk_tier",
    "model_registry_status",
)


def counts(server: Server, metric: str, *labels: str, number: int) -> dict[tuple[str, ...], int]:
    """Return the values of a metric of spans by some of its labels, once they are so many together."""

    def found() -> Counter[tuple[str, ...]]:
        values: Counter[tuple[str, ...]] = Counter()
        for name, has, value in server.scrape():
            if name == f"traces_span_metrics_{metric}":
                values[tuple(has.get(label, "") for label in labels)] += int(value)
        return values

    return dict(poll(found, lambda values: sum(values.values()) >= number))


CALLED = [
    *((f"m-{status}", "team-b", "low", status) for status in STATUSES),
    ("m-low", "team-a", "low", "active"),
    ("m-critical", "team-b", "critical", "active"),
    ("m-old", "team-a", "medium", "deprecated"),
    ("m-gone", "team-b", "high", "retired"),
    ("m-unknown", "unknown", "unknown", "unregistered"),
]
"""Models with owner, tier and status."""


def test_metrics_of_calls(collector: Callable[..., Server]) -> None:
    """Each call is counted by service, model, owner, tier and status, sampled or not, and nothing else is."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    expected: dict[tuple[str, ...], int] = {}
    for service in ("shop", "search"):
        application = Application(service)
        for model, owner, tier, status in CALLED:
            if status != "unregistered":
                application.register(model, tier, status, owner)
            for _ in range(3):
                application.call("chat", **{"gen_ai.request.model": model, "gen_ai.operation.name": "chat"})
                application.call("LLM", **{"llm.model_name": model, "openinference.span.kind": "LLM"})
            model_id = model if status != "unregistered" else ""
            expected[service, model, model_id, owner, tier, status] = 6
        for kind in ("AGENT", "CHAIN", "TOOL"):
            application.call(kind, **{"openinference.span.kind": kind, "llm.model_name": "m-low"})
        for operation in ("invoke_agent", "create_agent", "invoke_workflow", "execute_tool"):
            application.call(operation, **{"gen_ai.operation.name": operation, "gen_ai.request.model": "m-low"})
        application.call("agent run", "pydantic-ai", model_name="m-low")
        application.call("GET /", **{"http.request.method": "GET"})
        with application.tracer.start_as_current_span("review"):
            application.register("m-new")
        Door(server).send(*application.take())
    nameless = Application("", plugin=False)
    claims_many = SpanContext(
        1, 1, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("ot", "th:fff")])
    )
    for parent in (None, set_span_in_context(NonRecordingSpan(claims_many))):
        nameless.tracer.start_span("chat", parent, attributes={"gen_ai.request.model": "m"}).end()
    Door(server).send(*nameless.take())
    expected["unknown_service", "m", "", "unknown", "unknown", "unknown"] = 2
    for metric in ("calls_total", "duration_seconds_count"):
        assert counts(server, metric, *LABELS, number=sum(expected.values())) == expected


def test_metrics_name_the_model(collector: Callable[..., Server]) -> None:
    """Whatever an instrumentation calls a model's name, it is in one label, which has no line breaks."""
    server = collector()
    expected = {(row.key, f"m {row.key}"): 1 for row in CONVENTIONS if row.scope is row.member is row.when is None}
    for service, model in expected:
        application = Application(service)
        application.call("call", **{service: model})
        Door(server).send(*application.take())
    application = Application("breaks")
    application.call("call", **{"llm.model_name": "é\r\n\x1b[31m m"})
    Door(server).send(*application.take())
    expected["breaks", "é [31m m"] = 1
    assert counts(server, "calls_total", "service_name", "gen_ai_request_model", number=len(expected)) == expected


def test_metrics_of_events(collector: Callable[..., Server]) -> None:
    """Each registry event is counted by name and model, also on the span of a call; its labels are cut."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    application = Application("pipeline")
    with application.tracer.start_as_current_span("review") as span:
        for number in range(3):
            application.register(f"m-{number}", owner="team-a")
        span.add_event("other", {"model_registry.model_id": "m-0"})
    with application.tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": "m-2"}):
        application.registry.deprecate("m-0")
        application.registry.retire("m-1")
    Door(server).send(*application.take())
    long = Application("z" * 300, plugin=False)
    name = "model_registry." + "e" * 300
    with long.tracer.start_as_current_span("review") as span:
        span.add_event(name, {"model_registry.owner": "x" * 1_000})
        span.add_event(name, {"model_registry.owner": [7] * 1_000})
    Door(server).send(*long.take())
    labels = ("event_name", "model_registry_model_id", "model_registry_owner", "model_registry_status")
    assert counts(server, "events_total", *labels, number=7) == {
        **{("model_registry.registered", f"m-{number}", "team-a", "active"): 1 for number in range(3)},
        ("model_registry.deprecated", "m-0", "team-a", "deprecated"): 1,
        ("model_registry.retired", "m-1", "team-a", "retired"): 1,
        (name[:256], "", "x" * 256, ""): 1,
        (name[:256], "", "[" + "7," * 127 + "7", ""): 1,
    }
    assert max(len(text) for sample in server.scrape() for text in sample.labels.values()) == 256
