"""Sampling and archive of the Collector's configuration: real telemetry through a real Collector."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
    use_span,
)
from support.archived import CONTENT_KEYS, FACTS
from support.collectors import Application, Door, ids, wait_until_decided
from support.conventions import name_model
from support.exporters import GRPC, HTTP, TRUSTED, UNTRUSTED
from support.otlp_json import SENDER, attributes_of, read_items
from support.servers import spans_in
from support.waiting import poll

from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

pytestmark = pytest.mark.e2e

OURS = "model_registry."


# -- sampling --------------------------------------------------------------------------------------------------------

EACH = 50
"""Traces of each kind that are to arrive all."""
PLAIN = 1_334
"""Traces of each kind of which a share is to arrive."""


class Kind(NamedTuple):
    """What one span of a trace has: which model it calls, and what else happens on it."""

    model: str | None = None
    tier: str = "low"
    status: str = "active"
    error: bool = False
    event: bool = False
    response: str | None = None


FLAGGED = {
    "error": Kind(error=True),
    "tier high": Kind("m-high", "high"),
    "tier critical": Kind("m-critical", "critical"),
    **{status: Kind(f"m-{status}", status=status) for status in STATUSES if status in FLAGGED_STATUSES},
    "unregistered": Kind("m-unknown"),
    "response not registered": Kind("m-asked", response="m-unknown"),
    "registry event": Kind(event=True),
}
REST = {"no model": Kind(), "tier low": Kind("m-low"), "tier medium": Kind("m-medium", "medium")}


def make_traces(application: Application, kind: Kind, number: int) -> None:
    """Record traces of four spans, one of which has what there is to a kind."""
    if kind.model not in (None, "m-unknown"):
        application.register(kind.model, kind.tier, kind.status)
    for turn in range(number):
        with application.tracer.start_as_current_span("ticket"):
            application.call("search")
            with application.tracer.start_as_current_span("step") as span:
                if kind.event:
                    application.register(f"new-{turn}", "critical")
                if kind.error:
                    span.set_status(StatusCode.ERROR)
                if kind.model:
                    span.set_attribute("gen_ai.request.model", kind.model)
                if kind.response:
                    span.set_attribute("gen_ai.response.model", kind.response)
                application.call("log")


def test_sampling_keeps_every_flagged_span(jaeger: Server, collector: Callable[..., Server]) -> None:
    """Every trace that a policy names arrives whole, each span once, and a share of 5 % of the rest, as whole."""
    server = collector(jaeger, OTELCOL_DECISION_WAIT="2s")
    sent: dict[str, tuple[ReadableSpan, ...]] = {}
    for name, kind in (FLAGGED | REST).items():
        application = Application(name)
        make_traces(application, kind, EACH if name in FLAGGED else PLAIN)
        sent[name] = application.take()
        Door(server).send(*sent[name])
    chosen = wait_until_decided(server, len(FLAGGED) * EACH + len(REST) * PLAIN)
    for name in FLAGGED:
        assert len(sent[name]) == 4 * EACH
        assert ids(spans_in(jaeger, name, 4 * EACH)) == ids(sent[name]), name
    share = chosen - len(FLAGGED) * EACH
    assert 0.035 < share / (len(REST) * PLAIN) < 0.065
    rest = poll(lambda: [span for name in REST for span in spans_in(jaeger, name)], lambda got: len(got) >= 4 * share)
    found = {span["traceID"] for span in rest}
    assert len(found) == share
    plain = (span for name in REST for span in sent[name])
    assert ids(rest) == ids(span for span in plain if format_trace_id(span.context.trace_id) in found)
    alone = (len(FLAGGED) - 1) * EACH  # an error does not flag a span: it depends on the decision
    assert server.metric("otelcol_exporter_sent_spans", exporter="otlp_grpc/flagged") == alone
    assert server.metric("otelcol_exporter_sent_spans", exporter="otlp_grpc/sampled") == 4 * chosen - alone


def test_a_flagged_span_arrives_after_its_trace_was_dropped(jaeger: Server, collector: Callable[..., Server]) -> None:
    """A flagged span arrives even if its trace was dropped before, after another sender sent its first part."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="0")
    later: list[ReadableSpan] = []
    for name, kind in FLAGGED.items():
        application = Application(name)
        make_traces(application, kind, 1)
        early, *late = sorted(application.take(), key=lambda span: span.name)
        assert early.name == "log"
        Door(server, UNTRUSTED).send(early)
        later += late
    wait_until_decided(server, len(FLAGGED))
    Door(server).send(*later)
    arrived = {name: {span["operationName"] for span in spans_in(jaeger, name, 1)} for name in list(FLAGGED)[1:]}
    assert all(names == {"step"} for names in arrived.values())
    assert not spans_in(jaeger, "error")


# -- the archive -----------------------------------------------------------------------------------------------------


def keep_model(value: Any) -> Any:
    """Return JSON parameters with nothing but the member that names the model; other values stay as they are."""
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    return json.dumps(
        {key: item for key, item in json.loads(value).items() if item == "m-active"}, separators=(",", ":")
    )


def keep_facts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a lifecycle event without lists and without the user's own metadata."""
    return {key: value for key, value in attributes.items() if ".metadata." not in key}


def test_archive_has_every_call_and_every_event(
    jaeger: Server, collector: Callable[..., Server], tmp_path: Path
) -> None:
    """Each call and each registry event is archived once with its facts, sampled or not, and no other span is."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="0")
    resource = {"deployment.environment.name": "test"}
    application, unaided = Application("archived", **resource), Application("archived", plugin=False, **resource)
    calls: dict[str, dict[str, Any]] = {"unregistered": {"gen_ai.request.model": "m-unknown"}}
    for status in STATUSES:
        application.register(f"m-{status}", "low", status)
        calls[status] = {"gen_ai.request.model": f"m-{status}", "gen_ai.operation.name": "chat"}
    for key in PROVIDER_KEYS:
        calls[key] = {key: "openai", "gen_ai.request.model": "m-active"}
    for row in CONVENTIONS:
        evidence = {} if row.calls_have is None else {row.calls_have: "x"}
        unaided.call(row.key, row.scope or "app", **name_model(row, "m-active"), **evidence)
    for name, attributes in calls.items():
        application.call(name, **attributes)
    with application.tracer.start_as_current_span("reviewed") as span:
        span.add_event("before", {"note": "x"})
        aliases = ["new-*", "newer"]
        application.registry.register(
            "m-new", "New", "1", "high", "team", "test", aliases=aliases, metadata={"seats": 3}
        )
        application.registry.retire("m-new", reason="no longer needed", actor="kim")
    expected = {format_span_id(span.context.span_id): span for span in (*application.take(), *unaided.take())}
    others = {
        "http": {"http.request.method": "GET"},
        "agent": {"openinference.span.kind": "AGENT", "gen_ai.operation.name": "invoke_agent"},
        "not pydantic": {"model_name": "m-active"},
        "tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.provider.name": "openai"},
    }
    for name, attributes in others.items():
        application.call(name, **attributes)
    with contextlib.suppress(KeyError), application.tracer.start_as_current_span("failed"):
        raise KeyError
    Door(server).send(*application.take(), *expected.values())
    found = read_items(tmp_path / "spans.jsonl")
    assert ids(found) == Counter(expected.keys())
    statuses, events = set(), []
    for resource, scope, item in found:
        span = expected[item["spanId"]]
        told = attributes_of(item)
        assert told.pop(SENDER) == "trusted"
        assert told == {key: keep_model(value) for key, value in span.attributes.items()}
        assert (item["name"], item["traceId"]) == (span.name, format_trace_id(span.context.trace_id))
        assert (int(item["startTimeUnixNano"]), int(item["endTimeUnixNano"])) == (span.start_time, span.end_time)
        assert (attributes_of(resource), scope["name"]) == (
            span.resource.attributes,
            span.instrumentation_scope.name,
        )
        statuses.add(told.get("model_registry.status"))
        ours = [(event.name, keep_facts(event.attributes), event.timestamp) for event in span.events[1:]]
        events += ours
        archive = item.get("events", [])
        assert [(event["name"], attributes_of(event), int(event["timeUnixNano"])) for event in archive] == ours
    assert statuses == {*STATUSES, "unregistered", None}
    assert [name for name, _, _ in events] == ["model_registry.registered", "model_registry.retired"]
    sampled = {*FLAGGED_STATUSES, "unregistered", "reviewed", "failed"}
    assert wait_until_decided(server, len(expected) + len(others) + 1) == len(sampled)
    assert {span["operationName"] for span in spans_in(jaeger, "archived", len(sampled))} == sampled


def test_archive_has_no_content(jaeger: Server, collector: Callable[..., Server], tmp_path: Path) -> None:
    """What was said to a model and what it answered is in Jaeger as before; of all places only links stay archived."""
    server = collector(jaeger)
    secret = f"s{uuid.uuid4().hex}"
    places: list[str] = []

    def content(place: str) -> str:
        places.append(f"{secret}-{len(places)}-{re.sub('[^a-z]', '-', place)}-end")
        return places[-1]

    hidden = ("process.command_args", "container.command_args", "k8s.pod.annotation.prompt")
    application = Application("talkative", **{key: content(key) for key in hidden})
    application.register("m-high", "high")
    state = TraceState([("vendor", f"{secret}-state")])
    remote = SpanContext(0xABC1, 0xABC2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    tracer = application.provider.get_tracer("app", attributes={"note": f"{secret}-scope"})
    link = Link(remote, {"note": f"{secret}-link"})
    call = tracer.start_span("chat m-high", set_span_in_context(NonRecordingSpan(remote)), links=[link])
    call.set_attributes({**FACTS, **{key: content(key) for key in CONTENT_KEYS}})
    call.set_attribute("gen_ai.request.stop_sequences", [content("stop sequence")])
    call.add_event("gen_ai.user.message", {"content": content("message")})
    call.add_event(content("event name"))
    call.record_exception(ValueError(content("exception")))
    call.set_status(StatusCode.ERROR, content("status"))
    call.end()
    Door(server).send(*application.take())
    (span,) = spans_in(jaeger, "talkative", 1)
    shown = json.dumps(span)
    assert [place for place in places if place not in shown] == []
    text = (tmp_path / "spans.jsonl").read_text("utf-8")
    assert set(re.findall(rf"{secret}[-\w]*", text)) == {f"{secret}-link"}  # OTTL cannot take links away
    ((resource, _, item),) = read_items(tmp_path / "spans.jsonl")
    assert {key: value for key, value in attributes_of(item).items() if not key.startswith(OURS)} == FACTS
    assert attributes_of(item)["model_registry.risk_tier"] == "high"
    assert item["traceId"] == format_trace_id(remote.trace_id)
    assert item["parentSpanId"] == format_span_id(remote.span_id)
    assert item["status"] == {"code": 2}
    assert attributes_of(resource)["service.name"] == "talkative"


PARAMETERS = {
    '{"model": "m", "stop": ["secret"]}': '{"model":"m"}',
    '{"stop": "secret", "model": "say \\"m\\" \\u2028"}': '{"model":"say \\"m\\" \\u2028"}',
    '{"model": {"secret": "secret"}}': None,
    '{"model": ["secret"]}': None,
    '{"secret": 1}': None,
    '["secret"]': None,
    '"secret"': None,
    '{"model": "m", "secret"': None,
    "secret": None,
}
"""JSON parameters of calls, and what of them is to be in the archive."""


def test_archive_has_only_the_model_of_parameters(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Of JSON parameters the archive has the model's name, which some instrumentations put nowhere else."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    application = Application("parameters", plugin=False)
    for key in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        for given in (*PARAMETERS, ["secret"], 7):
            application.call("chat", **{key: given, "gen_ai.request.model": "named"})
    sent = application.take()
    Door(server).send(*sent)
    assert "secret" not in (tmp_path / "spans.jsonl").read_text("utf-8")
    told = {item["spanId"]: attributes_of(item) for _, _, item in read_items(tmp_path / "spans.jsonl")}
    for span in sent:
        assert span.context is not None
        found = told[format_span_id(span.context.span_id)]
        assert (found.pop("gen_ai.request.model"), found.pop(SENDER)) == ("named", "trusted")
        [(key, given)] = [item for item in (span.attributes or {}).items() if "parameters" in item[0]]
        expected = PARAMETERS.get(given) if isinstance(given, str) else None
        assert {name: json.loads(text) for name, text in found.items()} == (
            {key: json.loads(expected)} if expected else {}
        )


def test_archive_rotates(collector: Callable[..., Server], tmp_path: Path) -> None:
    """The archive becomes files of a size, of which as many stay as a setting says."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0", OTELCOL_ARCHIVE_MEGABYTES="1", OTELCOL_ARCHIVE_FILES="1")
    application = Application("big")
    for _ in range(2_048):
        application.call("call", **{"gen_ai.request.model": "m", "gen_ai.response.id": "r" * 2_000})
    sent = application.take()
    for start in range(0, len(sent), 128):
        Door(server).send(*sent[start : start + 128])

    def kept() -> list[Path]:
        return sorted(tmp_path.glob("spans*.jsonl"))

    assert len(poll(kept, lambda found: len(found) <= 2)) == 2
    assert ids(read_items(*kept())) < ids(sent)
    assert all(file.stat().st_size <= 2**20 for file in kept())


def test_archive_of_logs(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Lifecycle events that are log records are archived, whatever the protocol, and no other log record is."""
    server = collector()
    application = Application("logger", **{"process.command_args": "--prompt=hello"})
    attributes = {"model_registry.model_id": "m", "model_registry.metadata.sunset_date": "2030-01-01"}
    names = ["model_registry.registered", "model_registry.deprecated", "model_registry.retired"]
    expected = []
    for protocol in (GRPC, HTTP):
        span = application.tracer.start_span("operation")
        with Door(server, TRUSTED, protocol).logs(application.resource) as provider, use_span(span, end_on_exit=True):
            logger = provider.get_logger("spanforge.model_registry")
            for name in names:
                logger.emit(timestamp=1, event_name=name, attributes={**attributes, "seats": 3})
            logger.emit(timestamp=1, event_name="gen_ai.user.message", body="hello", attributes=attributes)
            logger.emit(timestamp=1, body="model_registry.registered", attributes=attributes)
        context = span.get_span_context()
        expected += [(name, format_trace_id(context.trace_id), format_span_id(context.span_id)) for name in names]
    found = read_items(tmp_path / "logs.jsonl")
    assert [(item["eventName"], item["traceId"], item["spanId"]) for _, _, item in found] == expected
    for resource, scope, item in found:
        assert attributes_of(item) == {**attributes, SENDER: "trusted"}
        assert (item["timeUnixNano"], scope["name"]) == ("1", "spanforge.model_registry")
        kept = {key: value for key, value in application.resource.attributes.items() if "args" not in key}
        assert attributes_of(resource) == kept
