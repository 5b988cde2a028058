"""What the Collector's configuration promises: real telemetry, through a real Collector, to where it goes."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.parse
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_spans
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
    use_span,
)
from support.archived import CONTENT_KEYS, FACTS
from support.lifecycle import bring

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, STATUSES
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from conftest import Server

    RunServer = Callable[..., Server]

pytestmark = pytest.mark.e2e

PATIENCE = 60
"""Seconds that something may take that is sure to happen."""
GRPC, HTTP = "GRPC", "HTTP"
TRUSTED, UNTRUSTED = "OTLP", "UNTRUSTED"
EXPORTERS: dict[tuple[str, str], Any] = {
    (GRPC, "traces"): grpc_spans.OTLPSpanExporter,
    (HTTP, "traces"): http_spans.OTLPSpanExporter,
    (GRPC, "logs"): grpc_logs.OTLPLogExporter,
    (HTTP, "logs"): http_logs.OTLPLogExporter,
    (GRPC, "metrics"): grpc_metrics.OTLPMetricExporter,
    (HTTP, "metrics"): http_metrics.OTLPMetricExporter,
}
OURS = "model_registry."
CHUNK = 512
"""Spans of one export, as the SDK has it."""


# -- senders ---------------------------------------------------------------------------------------------------------


class Application:
    """A service that records with the real SDK; its spans wait until they are sent."""

    def __init__(self, service: str, *, plugin: bool = True, **resource: Any) -> None:
        given = {"service.name": service, **resource}
        self.resource = Resource.create(given) if service else Resource({})
        self.provider = TracerProvider(resource=self.resource, shutdown_on_exit=False)
        self._recorded = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._recorded))
        self.registry = ModelRegistry()
        if plugin:
            self.provider.add_span_processor(ModelRegistrySpanProcessor(self.registry))
        self.tracer: Tracer = self.provider.get_tracer("app")

    def recorded(self) -> tuple[ReadableSpan, ...]:
        """Return the spans that have ended since the last call."""
        spans = self._recorded.get_finished_spans()
        self._recorded.clear()
        return spans

    def register(self, model_id: str, tier: Any = "low", status: str = "active", owner: str = "team") -> None:
        """Register a model."""
        self.registry.register(model_id, model_id, "1", tier, owner, "test")
        bring(self.registry, model_id, status)

    def call(self, name: str, scope: str = "app", **attributes: Any) -> None:
        """Record a span with attributes, which it gets while it runs."""
        with self.provider.get_tracer(scope).start_as_current_span(name) as span:
            span.set_attributes(attributes)


class Door(NamedTuple):
    """One of the addresses where a Collector takes telemetry."""

    server: Server
    whose: str = TRUSTED
    protocol: str = GRPC

    def exporter(self, signal: str) -> Any:
        """Return an exporter of the SDK that sends there."""
        address = f"http://{self.server.at[f'OTELCOL_{self.whose}_{self.protocol}']}"
        where = (
            {"endpoint": address, "insecure": True} if self.protocol == GRPC else {"endpoint": f"{address}/v1/{signal}"}
        )
        return EXPORTERS[self.protocol, signal](**where)

    def send(self, *spans: ReadableSpan) -> None:
        """Send spans, all of which are taken."""
        exporter = self.exporter("traces")
        for start in range(0, len(spans), CHUNK):
            assert exporter.export(spans[start : start + CHUNK]) is SpanExportResult.SUCCESS
        exporter.shutdown()

    @contextlib.contextmanager
    def logs(self, resource: Resource) -> Iterator[LoggerProvider]:
        """Give a logger provider that sends there."""
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter("logs")))
        yield provider
        provider.shutdown()

    @contextlib.contextmanager
    def metrics(self, resource: Resource) -> Iterator[MeterProvider]:
        """Give a meter provider that sends there in the end."""
        reader = PeriodicExportingMetricReader(self.exporter("metrics"), float("inf"))
        provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        yield provider
        assert provider.force_flush()
        provider.shutdown()


# -- where telemetry goes --------------------------------------------------------------------------------------------


def total(server: Server, metric: str, **labels: str) -> int:
    """Return a count of the Collector itself."""
    samples = server.scrape("OTELCOL_TELEMETRY")
    return int(sum(value for name, has, value in samples if metric in name and labels.items() <= has.items()))


def wait_for(what: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Return something once it is enough, or what it is when patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not enough(found := what()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def wait_until_decided(collector: Server, number: int) -> int:
    """Wait until a Collector has decided about so many traces and sent what it chose; return how many it chose."""
    decided = "processor_tail_sampling_global_count_traces_sampled"
    assert wait_for(lambda: total(collector, decided), lambda found: found >= number) == number
    return total(collector, decided, sampled="true")


def in_jaeger(jaeger: Server, service: str, number: int = 0) -> list[dict[str, Any]]:
    """Return the spans of a service in Jaeger, once there are so many."""
    query = urllib.parse.urlencode({"service": service, "limit": 5_000})

    def spans() -> list[dict[str, Any]]:
        traces = json.loads(jaeger.ask("JAEGER_QUERY_HTTP", f"/api/traces?{query}"))["data"]
        found = [(span, trace["processes"]) for trace in traces for span in trace["spans"]]
        return [{**span, "process": processes[span["processID"]]} for span, processes in found]

    return wait_for(spans, lambda found: len(found) >= number)


def tags(fields: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return tags of Jaeger by key."""
    return {field["key"]: field["value"] for field in fields}


class Archived(NamedTuple):
    """A span or a log record of an archive, with what it belongs to."""

    resource: dict[str, Any]
    scope: dict[str, Any]
    item: dict[str, Any]


def archived(*files: Path) -> list[Archived]:
    """Return the spans or log records of the files of an archive."""
    lines = (json.loads(line) for file in files for line in file.read_text("utf-8").splitlines() if line)
    return [
        Archived(resource["resource"], scope["scope"], item)
        for line in lines
        for resource in line.get("resourceSpans") or line["resourceLogs"]
        for scope in resource.get("scopeSpans") or resource["scopeLogs"]
        for item in scope.get("spans") or scope["logRecords"]
    ]


def otlp(attributes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return attributes of OTLP JSON as the SDK has them."""
    return {pair["key"]: _value(pair["value"]) for pair in attributes}


def _value(given: Mapping[str, Any]) -> Any:
    [(kind, value)] = given.items()
    if kind == "arrayValue":
        return tuple(_value(item) for item in value["values"])
    return int(value) if kind == "intValue" else value


def ids(spans: Iterable[ReadableSpan | Archived | Mapping[str, Any]]) -> Counter[str]:
    """Return how often there is each span of the SDK, of an archive or of Jaeger."""
    return Counter(
        format_span_id(span.context.span_id)
        if isinstance(span, ReadableSpan)
        else (span.item["spanId"] if isinstance(span, Archived) else span["spanID"])
        for span in spans
    )


@pytest.fixture
def jaeger(run_server: RunServer) -> Server:
    """Give a Jaeger."""
    return run_server("jaeger", OTEL_TRACES_SAMPLER="always_off")


@pytest.fixture
def collector(run_server: RunServer, tmp_path: Path) -> Callable[..., Server]:
    """Give what starts a Collector, with its archive in the test's folder."""

    def run(jaeger: Server | None = None, **settings: str) -> Server:
        defaults = {
            "OTELCOL_ARCHIVE_SPANS": str(tmp_path / "spans.jsonl"),
            "OTELCOL_ARCHIVE_LOGS": str(tmp_path / "logs.jsonl"),
            "OTELCOL_DECISION_WAIT": "1s",
            "OTELCOL_METRICS_FLUSH": "200ms",
            "OTELCOL_STORAGE": str(tmp_path / "queue"),
            **({} if jaeger is None else {"JAEGER_OTLP_ENDPOINT": jaeger.at["JAEGER_OTLP_GRPC"]}),
        }
        return run_server("otelcol", **{**defaults, **settings})

    return run


# -- sampling --------------------------------------------------------------------------------------------------------

EACH = 200
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


FLAGGED = {
    "error": Kind(error=True),
    "tier high": Kind("m-high", "high"),
    "tier critical": Kind("m-critical", "critical"),
    **{status: Kind(f"m-{status}", status=status) for status in STATUSES if status in FLAGGED_STATUSES},
    "unregistered": Kind("m-unknown"),
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
                application.call("log")


def test_sampling_keeps_every_flagged_span(jaeger: Server, collector: Callable[..., Server]) -> None:
    """Every trace that a policy names arrives whole, each span once, and a share of 5 % of the rest, as whole."""
    server = collector(jaeger, OTELCOL_DECISION_WAIT="2s")
    sent: dict[str, tuple[ReadableSpan, ...]] = {}
    for name, kind in (FLAGGED | REST).items():
        application = Application(name)
        make_traces(application, kind, EACH if name in FLAGGED else PLAIN)
        sent[name] = application.recorded()
        Door(server).send(*sent[name])
    chosen = wait_until_decided(server, len(FLAGGED) * EACH + len(REST) * PLAIN)
    for name in FLAGGED:
        assert len(sent[name]) == 4 * EACH
        assert ids(in_jaeger(jaeger, name, 4 * EACH)) == ids(sent[name]), name
    share = chosen - len(FLAGGED) * EACH
    assert 0.035 < share / (len(REST) * PLAIN) < 0.065
    rest = wait_for(
        lambda: [span for name in REST for span in in_jaeger(jaeger, name)], lambda got: len(got) >= 4 * share
    )
    found = {span["traceID"] for span in rest}
    assert len(found) == share
    plain = (span for name in REST for span in sent[name])
    assert ids(rest) == ids(span for span in plain if format_trace_id(span.context.trace_id) in found)
    alone = (len(FLAGGED) - 1) * EACH  # an error does not flag a span: it depends on the decision
    assert total(server, "exporter_sent_spans", exporter="otlp_grpc/flagged") == alone
    assert total(server, "exporter_sent_spans", exporter="otlp_grpc/sampled") == 4 * chosen - alone


def test_a_flagged_span_arrives_after_its_trace_was_dropped(jaeger: Server, collector: Callable[..., Server]) -> None:
    """A flagged span arrives though its trace was decided against before, by whoever sent a part of it first."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="0")
    for name, kind in FLAGGED.items():
        application = Application(name)
        make_traces(application, kind, 1)
        early, *late = sorted(application.recorded(), key=lambda span: span.name)
        assert early.name == "log"
        decided = total(server, "processor_tail_sampling_global_count_traces_sampled")
        Door(server, UNTRUSTED).send(early)
        wait_until_decided(server, decided + 1)
        Door(server).send(*late)
    arrived = {name: {span["operationName"] for span in in_jaeger(jaeger, name, 1)} for name in list(FLAGGED)[1:]}
    assert all(names == {"step"} for names in arrived.values())
    assert not in_jaeger(jaeger, "error")


@pytest.mark.parametrize(("percentage", "number"), [("0", 0), ("100", 100)])
def test_share_is_a_setting(jaeger: Server, collector: Callable[..., Server], percentage: str, number: int) -> None:
    """At 0 % nothing of the rest arrives, at 100 % everything, and flagged spans in any case."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE=percentage)
    plain, flagged = Application("plain"), Application("flagged")
    make_traces(plain, REST["tier low"], 100)
    make_traces(flagged, FLAGGED["error"], 10)
    Door(server).send(*plain.recorded(), *flagged.recorded())
    assert wait_until_decided(server, 110) == 10 + number
    assert len(in_jaeger(jaeger, "flagged", 40)) == 40
    assert len(in_jaeger(jaeger, "plain", 4 * number)) == 4 * number


# -- the archive -----------------------------------------------------------------------------------------------------


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
        value = json.dumps({"stop": ["x"], row.member: "m-active", "n": 1}) if row.member else "m-active"
        unaided.call(row.key, row.scope or "app", **{row.key: value})
    for name, attributes in calls.items():
        application.call(name, **attributes)
    with application.tracer.start_as_current_span("reviewed") as span:
        span.add_event("before", {"note": "x"})
        aliases = ["new-*", "newer"]
        application.registry.register(
            "m-new", "New", "1", "high", "team", "test", aliases=aliases, metadata={"seats": 3}
        )
        application.registry.retire("m-new", reason="no longer needed", actor="kim")
    expected = {format_span_id(span.context.span_id): span for span in (*application.recorded(), *unaided.recorded())}
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
    Door(server).send(*application.recorded(), *expected.values())
    found = archived(tmp_path / "spans.jsonl")
    assert ids(found) == Counter(expected.keys())
    statuses, events = set(), []
    for resource, scope, item in found:
        span = expected[item["spanId"]]
        told = otlp(item.get("attributes", []))
        only_model = '{"model":"m-active"}'
        assert told == {key: only_model if "parameters" in key else value for key, value in span.attributes.items()}
        assert (item["name"], item["traceId"]) == (span.name, format_trace_id(span.context.trace_id))
        assert (int(item["startTimeUnixNano"]), int(item["endTimeUnixNano"])) == (span.start_time, span.end_time)
        assert (otlp(resource["attributes"]), scope["name"]) == (
            span.resource.attributes,
            span.instrumentation_scope.name,
        )
        statuses.add(told.get("model_registry.status"))
        ours = [(event.name, event.attributes, event.timestamp) for event in span.events if event.name != "before"]
        events += ours
        archive = item.get("events", [])
        assert [(event["name"], otlp(event["attributes"]), int(event["timeUnixNano"])) for event in archive] == ours
    assert statuses == {*STATUSES, "unregistered", None}
    assert [name for name, _, _ in events] == ["model_registry.registered", "model_registry.retired"]
    sampled = {*FLAGGED_STATUSES, "unregistered", "reviewed", "failed"}
    assert wait_until_decided(server, len(expected) + len(others) + 1) == len(sampled)
    assert {span["operationName"] for span in in_jaeger(jaeger, "archived", len(sampled))} == sampled


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
    Door(server).send(*application.recorded())
    (span,) = in_jaeger(jaeger, "talkative", 1)
    shown = json.dumps(span)
    assert [place for place in places if place not in shown] == []
    text = (tmp_path / "spans.jsonl").read_text("utf-8")
    assert set(re.findall(rf"{secret}[-\w]*", text)) == {f"{secret}-link"}  # OTTL cannot take links away
    ((resource, _, item),) = archived(tmp_path / "spans.jsonl")
    assert {key: value for key, value in otlp(item["attributes"]).items() if not key.startswith(OURS)} == FACTS
    assert otlp(item["attributes"])["model_registry.risk_tier"] == "high"
    assert item["traceId"] == format_trace_id(remote.trace_id)
    assert item["parentSpanId"] == format_span_id(remote.span_id)
    assert item["status"] == {"code": 2}
    assert otlp(resource["attributes"])["service.name"] == "talkative"


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
    sent = application.recorded()
    Door(server).send(*sent)
    assert "secret" not in (tmp_path / "spans.jsonl").read_text("utf-8")
    told = {item["spanId"]: otlp(item["attributes"]) for _, _, item in archived(tmp_path / "spans.jsonl")}
    for span in sent:
        assert span.context is not None
        found = told[format_span_id(span.context.span_id)]
        assert found.pop("gen_ai.request.model") == "named"
        [(key, given)] = [item for item in (span.attributes or {}).items() if "parameters" in item[0]]
        expected = PARAMETERS.get(given) if isinstance(given, str) else None
        assert {name: json.loads(text) for name, text in found.items()} == (
            {key: json.loads(expected)} if expected else {}
        )


def test_archive_survives_a_restart(collector: Callable[..., Server], tmp_path: Path) -> None:
    """A Collector that starts again goes on with the archive that it has."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    application = Application("again")
    sent: list[ReadableSpan] = []
    for turn in range(3):
        application.call(f"call {turn}", **{"gen_ai.request.model": "m"})
        sent += (latest := application.recorded())
        Door(server).send(*latest)
        server.stop()
        server.start()
    assert ids(archived(tmp_path / "spans.jsonl")) == ids(sent)
    assert len(sent) == 3


@pytest.mark.parametrize("files", ["0", "1"])
def test_archive_rotates(collector: Callable[..., Server], tmp_path: Path, files: str) -> None:
    """The archive becomes files of a size, of which all stay unless a setting says how many do."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0", OTELCOL_ARCHIVE_MEGABYTES="1", OTELCOL_ARCHIVE_FILES=files)
    application = Application("big")
    for _ in range(2_048):
        application.call("call", **{"gen_ai.request.model": "m", "gen_ai.response.id": "r" * 2_000})
    sent = application.recorded()
    for start in range(0, len(sent), 128):
        Door(server).send(*sent[start : start + 128])

    def kept() -> list[Path]:
        return sorted(tmp_path.glob("spans*.jsonl"))

    if files == "1":
        assert len(wait_for(kept, lambda found: len(found) <= 2)) == 2
        assert ids(archived(*kept())) < ids(sent)
    else:
        assert ids(archived(*kept())) == ids(sent)
        assert len(kept()) >= 4
    assert all(file.stat().st_size <= 2**20 for file in kept())


def test_archive_of_logs(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Registry events that are log records are archived with all they hold, whatever the protocol, and no other is."""
    server = collector()
    application = Application("logger", **{"process.command_args": "--prompt=hello"})
    attributes = {"model_registry.model_id": "m", "model_registry.metadata.aliases": ["m-*", "n"], "seats": 3}
    names = ["model_registry.registered", "model_registry.deprecated", "model_registry.retired"]
    expected = []
    for protocol in (GRPC, HTTP):
        span = application.tracer.start_span("operation")
        with Door(server, TRUSTED, protocol).logs(application.resource) as provider, use_span(span, end_on_exit=True):
            logger = provider.get_logger("spanforge.model_registry")
            for name in names:
                logger.emit(timestamp=1, event_name=name, attributes=attributes)
            logger.emit(timestamp=1, event_name="gen_ai.user.message", body="hello", attributes=attributes)
            logger.emit(timestamp=1, body="model_registry.registered", attributes=attributes)
        context = span.get_span_context()
        expected += [(name, format_trace_id(context.trace_id), format_span_id(context.span_id)) for name in names]
    found = archived(tmp_path / "logs.jsonl")
    assert [(item["eventName"], item["traceId"], item["spanId"]) for _, _, item in found] == expected
    for resource, scope, item in found:
        assert otlp(item["attributes"]) == {**attributes, "model_registry.metadata.aliases": ("m-*", "n")}
        assert (item["timeUnixNano"], scope["name"]) == ("1", "spanforge.model_registry")
        kept = {key: value for key, value in application.resource.attributes.items() if "args" not in key}
        assert otlp(resource["attributes"]) == kept


# -- trust -----------------------------------------------------------------------------------------------------------


def forge(door: Door, service: str) -> dict[str, Any]:
    """Send what says something of the registry wherever that is possible; return what it says."""
    claims = {"model_registry.owner": f"said-by-{service}", "model_registry.risk_tier": "low"}
    application = Application(service, plugin=False, **claims, kept="resource")
    tracer = application.provider.get_tracer("app", attributes={**claims, "kept": "scope"})
    for name, events in {"with events": ("first", "model_registry.retired", "last"), "without events": ()}.items():
        span = tracer.start_span(name, attributes={**claims, "gen_ai.request.model": "m", "kept": "span"})
        for event in events:
            span.add_event(event, {**claims, "kept": "event"})
        span.end()
    door.send(*application.recorded())
    with door.logs(application.resource) as loggers:
        logger = loggers.get_logger("app", attributes=claims)
        for name in ("model_registry.retired", "app.event"):
            logger.emit(event_name=name, attributes=claims)
    with door.metrics(application.resource) as meters:
        meter = meters.get_meter("app", attributes={**claims, "kept": "scope"})
        for name in ("model_registry.calls", "app.calls"):
            meter.create_counter(name).add(7, {**claims, "kept": "point"})
    return claims


@pytest.mark.parametrize("protocol", [GRPC, HTTP])
def test_untrusted_senders_cannot_set_model_registry_attributes(
    jaeger: Server, collector: Callable[..., Server], tmp_path: Path, protocol: str
) -> None:
    """What one sender says of the registry arrives everywhere, what the other says nowhere, and all else from both."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="100")
    claims = forge(Door(server, TRUSTED, protocol), "trusted")
    forge(Door(server, UNTRUSTED, protocol), "untrusted")
    for service, said in (("trusted", claims), ("untrusted", {})):
        spans = {span["operationName"]: span for span in in_jaeger(jaeger, service, 2)}
        retired = [("model_registry.retired", {**said, "kept": "event"})] if said else []
        events = [("first", {**said, "kept": "event"}), *retired, ("last", {**said, "kept": "event"})]
        logs = [tags(log["fields"]) for log in spans["with events"]["logs"]]
        assert [(log.pop("event"), log) for log in logs] == events
        assert not spans["without events"]["logs"]
        for span in spans.values():
            for fields, kept in ((span["tags"], "span"), (span["process"]["tags"], "resource")):
                told = {key: value for key, value in tags(fields).items() if key == "kept" or key.startswith(OURS)}
                assert told == {**said, "kept": kept}
        everything = archived(tmp_path / "spans.jsonl")
        items = [item for resource, _, item in everything if service in otlp(resource["attributes"]).values()]
        assert [otlp(item["attributes"]) for item in items] == [{**said, "gen_ai.request.model": "m"}] * 2
        archive = [event for item in items for event in item.get("events", [])]
        assert [(event["name"], otlp(event["attributes"])) for event in archive] == retired
        labels = {key.replace(".", "_"): value for key, value in said.items()}
        scoped = {f"otel_scope_{key}": value for key, value in {**labels, "kept": "scope"}.items()}
        where = "OTELCOL_PROMETHEUS" if said else "OTELCOL_UNTRUSTED_PROMETHEUS"
        samples = {sample.name: sample for sample in server.scrape(where) if sample.labels["job"] == service}
        assert samples["app_calls_total"].value == 7
        assert samples["app_calls_total"].labels.items() >= {**labels, **scoped, "kept": "point"}.items()
        assert ("model_registry_calls_total" in samples) is bool(said)
        assert samples["target_info"].labels.items() >= {**labels, "kept": "resource"}.items()
    logs = [(item["eventName"], otlp(item["attributes"])) for _, _, item in archived(tmp_path / "logs.jsonl")]
    assert logs == [("model_registry.retired", claims)]
    everywhere = [path.read_text("utf-8") for path in tmp_path.glob("*.jsonl")]
    everywhere += [server.ask(where, "/metrics").decode() for where in SCRAPED]
    everywhere += [json.dumps(in_jaeger(jaeger, "untrusted"))]
    assert not any("said-by-untrusted" in text for text in everywhere)


SCRAPED = ("OTELCOL_PROMETHEUS", "OTELCOL_UNTRUSTED_PROMETHEUS")
FORGED_NAMES = {
    ("model_registry_calls", ""): "kept",
    ("model-registry/calls", ""): "model_registry_owner",
    ("model.total.registry.x", ""): "model-registry.owner",
    ("model", "registry_events"): "model..registry.owner",
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
        Door(server, UNTRUSTED).send(*application.recorded())
        with Door(server, UNTRUSTED).metrics(application.resource) as meters:
            meters.get_meter("app", attributes={attribute: "forged"}).create_counter(metric, unit).add(7)
    application = Application("honest")
    application.call("call", **{"gen_ai.request.model": "m"})
    Door(server).send(*application.recorded())
    assert counts(server, "calls_total", "service_name", number=1) == {("honest",): 1}
    assert {sample.labels.get("job") for sample in server.scrape()} == {"honest"}
    jobs = wait_for(
        lambda: {sample.labels.get("job") for sample in server.scrape(SCRAPED[1])}, lambda found: "forger" in found
    )
    assert jobs == {"forger"}


def test_untrusted_senders_use_up_only_their_own_series(collector: Callable[..., Server]) -> None:
    """Names without end from an untrusted sender take no series away from a trusted one of the same service."""
    server = collector(OTELCOL_METRICS_FLUSH="200ms")
    flood = Application("shop", plugin=False)
    for number in range(2_500):
        flood.call("call", **{"gen_ai.request.model": f"m-{number}"})
    Door(server, UNTRUSTED).send(*flood.recorded())
    application = Application("shop")
    application.register("m", "critical", owner="boss")
    application.call("call", **{"gen_ai.request.model": "m"})
    Door(server).send(*application.recorded())
    assert counts(server, "calls_total", "model_registry_owner", number=1) == {("boss",): 1}


MARKS = (
    "otelcol.registry_event",
    "otelcol.names_model",
    "otelcol.flagged",
    "otelcol.untrusted",
    "otelcol.registry_name",
    "otelcol.registry_code",
    "otelcol.registry_odd",
)


@pytest.mark.parametrize("whose", [TRUSTED, UNTRUSTED])
def test_marks_cannot_be_forged(jaeger: Server, collector: Callable[..., Server], tmp_path: Path, whose: str) -> None:
    """Who sends the Collector's own marks gets nothing into the archive or past sampling, and no backend sees them."""
    server = collector(jaeger, OTELCOL_SAMPLING_PERCENTAGE="0")
    door = Door(server, whose)
    for mark in MARKS:
        for value in (True, False, "x"):
            application = Application("forger", plugin=False)
            application.call("on the span", **{mark: value})
            door.send(*application.recorded())
        application = Application("forger", plugin=False, **{mark: True})
        application.call("on the resource")
        door.send(*application.recorded())
    application = Application("forger", plugin=False)
    with application.tracer.start_as_current_span("failed", attributes=dict.fromkeys(MARKS, True)) as span:
        span.set_status(StatusCode.ERROR)
        application.call("call", **{"gen_ai.request.model": "m"}, **dict.fromkeys(MARKS, True))
    door.send(*application.recorded())
    wait_until_decided(server, 4 * len(MARKS) + 1)
    found = in_jaeger(jaeger, "forger", 2)
    assert {span["operationName"] for span in found} == {"failed", "call"}
    assert [item["name"] for _, _, item in archived(tmp_path / "spans.jsonl")] == ["call"]
    assert "otelcol." not in json.dumps(found) + (tmp_path / "spans.jsonl").read_text("utf-8")
    assert not [sample for sample in server.scrape() if sample.name == "traces_span_metrics_events_total"]


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

    return dict(wait_for(found, lambda values: sum(values.values()) >= number))


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
        Door(server).send(*application.recorded())
    nameless = Application("", plugin=False)
    claims_many = SpanContext(
        1, 1, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("ot", "th:fff")])
    )
    for parent in (None, set_span_in_context(NonRecordingSpan(claims_many))):
        nameless.tracer.start_span("chat", parent, attributes={"gen_ai.request.model": "m"}).end()
    Door(server).send(*nameless.recorded())
    expected["unknown_service", "m", "", "unknown", "unknown", "unknown"] = 2
    for metric in ("calls_total", "duration_seconds_count"):
        assert counts(server, metric, *LABELS, number=sum(expected.values())) == expected


def test_metrics_name_the_model(collector: Callable[..., Server]) -> None:
    """Whatever an instrumentation calls a model's name, it is in one label."""
    server = collector()
    expected = {(row.key, f"m {row.key}"): 1 for row in CONVENTIONS if row.scope is row.member is None}
    for service, model in expected:
        application = Application(service)
        application.call("call", **{service: model})
        Door(server).send(*application.recorded())
    assert counts(server, "calls_total", "service_name", "gen_ai_request_model", number=len(expected)) == expected


def test_metrics_of_events(collector: Callable[..., Server]) -> None:
    """Each registry event is counted by its name and by the model that it is about, also on the span of a call."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    application = Application("pipeline")
    with application.tracer.start_as_current_span("review") as span:
        for number in range(3):
            application.register(f"m-{number}", owner="team-a")
        span.add_event("other", {"model_registry.model_id": "m-0"})
    with application.tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": "m-2"}):
        application.registry.deprecate("m-0")
        application.registry.retire("m-1")
    Door(server).send(*application.recorded())
    labels = ("event_name", "model_registry_model_id", "model_registry_owner", "model_registry_status")
    assert counts(server, "events_total", *labels, number=5) == {
        **{("model_registry.registered", f"m-{number}", "team-a", "active"): 1 for number in range(3)},
        ("model_registry.deprecated", "m-0", "team-a", "deprecated"): 1,
        ("model_registry.retired", "m-1", "team-a", "retired"): 1,
    }
