"""The span processor: which spans it enriches, with what, and wherever it stands."""

from __future__ import annotations

import json
import threading
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from support.asked_registry import AskedRegistry
from support.entries import FIELDS, SHOWN_METADATA

from spanforge.model_registry import ModelRegistry, get_default_registry, register_model
from spanforge.model_registry._core.attributes import ATTRIBUTES, ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS, Convention
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

VALUES = {"status": "active", **FIELDS, **SHOWN_METADATA}
ACTIVE = {name: VALUES[name] for name in ON_SPANS if name in VALUES}
"""What a span that calls the registered model gets by default."""

REQUEST = "gen_ai.request.model"
RESPONSE = "gen_ai.response.model"

TELLS_OF_ENDING = hasattr(SpanProcessor, "_on_ending")
needs_ending_hook = pytest.mark.skipif(
    not TELLS_OF_ENDING, reason="opentelemetry-sdk before 1.40 does not tell processors of an ending span"
)

WHEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "at the start": ({REQUEST: "gpt-4o"}, {}),
    "late": ({}, {REQUEST: "gpt-4o"}),
    "only in the response": ({"gen_ai.operation.name": "chat"}, {RESPONSE: "gpt-4o"}),
    "only in JSON parameters": ({}, {"llm.invocation_parameters": '{"temperature": 1, "model": "gpt-4o"}'}),
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("threads", [None, 1, 2], ids=["in order", "1 thread", "2 threads"])
@pytest.mark.parametrize("exporting", ["simple", "batch"])
@pytest.mark.parametrize("first", ["ours", "exporter"])
def test_wherever_it_stands(pipeline: Any, when: str, threads: int | None, exporting: str, first: str) -> None:
    """A span that names a model is exported enriched, whenever the name comes, however processors are run."""
    if not TELLS_OF_ENDING and when != "at the start" and (first == "exporter" or threads):
        pytest.skip("opentelemetry-sdk before 1.40 does not tell processors of an ending span")
    start, late = WHEN[when]
    span = pipeline(threads=threads, exporting=exporting, first=first).run(start, late)
    assert span.ours == ACTIVE
    assert span.others == start | late


@pytest.mark.parametrize("when", ["at the start", "late"])
@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.key)
def test_every_convention(pipeline: Any, registry: ModelRegistry, row: Convention, when: str) -> None:
    """Each attribute that is known to hold a model's name enriches the span, and can be shown as what matched."""
    value = "gpt-4o" if row.member is None else json.dumps({"stream": True, row.member: "gpt-4o"})
    ours = ModelRegistrySpanProcessor(registry, span_attributes=[*ON_SPANS, "matched_by"])
    both = ({row.key: value}, {}) if when == "at the start" else ({}, {row.key: value})
    span = pipeline(ours).run(*both, scope=row.scope or "anything")
    assert span.ours == ACTIVE | {"matched_by": row.key}
    assert span.others == {row.key: value}


def test_a_scoped_convention_means_nothing_elsewhere(pipeline: Any) -> None:
    """``model_name`` is a model's name in pydantic-ai's scope only, also after a span of that scope."""
    pipes = pipeline()
    assert pipes.run({"model_name": "gpt-4o"}, scope="pydantic-ai").ours == ACTIVE
    assert pipes.run({"model_name": "gpt-4o"}, scope="app").attributes == {"model_name": "gpt-4o"}
    assert pipes.run({"model_name": "gpt-4o"}, scope="pydantic-ai").ours == ACTIVE


def test_the_response_comes_before_the_request(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """What the provider answered with counts more than what was asked for."""
    registry.register(**fields | {"model_id": "gpt-4o-mini", "owner": "support"})
    ours = ModelRegistrySpanProcessor(registry, span_attributes=["model_id", "matched_by"])
    pipes = pipeline(ours)
    span = pipes.run({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o-mini"})
    assert span.ours == {"model_id": "gpt-4o-mini", "matched_by": RESPONSE}
    span = pipes.run({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o"})
    assert span.ours == {"model_id": "gpt-4o", "matched_by": RESPONSE}


def test_any_response_comes_before_any_request(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """All answered names are tried before all others, whoever wrote them."""
    registry.register(**fields | {"model_id": "gpt-4o-mini"})
    ours = ModelRegistrySpanProcessor(registry, span_attributes=["model_id", "matched_by"])
    attributes = {REQUEST: "gpt-4o", "llm.model_name": "gpt-4o", "decision.response.model_name": "gpt-4o-mini"}
    assert pipeline(ours).run(attributes).ours == {
        "model_id": "gpt-4o-mini",
        "matched_by": "decision.response.model_name",
    }


def test_the_request_where_the_response_is_unknown(pipeline: Any, registry: ModelRegistry) -> None:
    """When the answered name does not resolve and the requested one does, the span shows the request's entry."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=[*ON_SPANS, "matched_by"])
    pipes = pipeline(ours)
    span = pipes.run({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o-2024-08-06"})
    assert span.ours == ACTIVE | {"matched_by": REQUEST}
    parameters = json.dumps({"model": "gpt-4o"})
    span = pipes.run({"llm.model_name": "gpt-4o-2024-08-06", "llm.invocation_parameters": parameters})
    assert span.ours == ACTIVE | {"matched_by": "llm.invocation_parameters"}


def test_parameters_decide_only_where_no_name_matches(
    pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]
) -> None:
    """The same name beside other JSON parameters is looked up anew: the parameters may name a model that is known."""
    registry.register(**fields | {"model_id": "o3", "owner": "research"})
    pipes = pipeline()
    owners = [
        pipes.run({"llm.model_name": name, "llm.invocation_parameters": json.dumps({"model": asked})}).ours.get("owner")
        for name, asked in [("x", "y"), ("x", "gpt-4o"), ("x", "o3"), ("gpt-4o", "o3"), ("x", "y"), ("gpt-4o", "y")]
    ]
    assert owners == [None, "ml-platform", "research", "ml-platform", None, "ml-platform"]


@pytest.mark.parametrize("beside", [{}, {"gen_ai.system": "openai"}, {REQUEST: ""}, {"llm.model_name": ("gpt-4o",)}])
def test_parameters_after_others_without_a_model(pipeline: Any, beside: dict[str, Any]) -> None:
    """A span whose JSON parameters name no model says nothing about the next one, however much they are alike."""
    pipes = pipeline()
    for text, expected in [("{}", {}), ('{"model": "gpt-4o"}', ACTIVE), ("{}", {}), ('{"model": "gpt-4o"}', ACTIVE)]:
        assert pipes.run(beside | {"llm.invocation_parameters": text}).ours == expected


def test_unregistered(pipeline: Any, registry: ModelRegistry) -> None:
    """A span whose model nobody registered says so, and warns with the first name that was tried."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)
    span = pipeline(ours).run({REQUEST: "claude-9"}, {RESPONSE: "claude-9-20261101"})
    assert span.ours == {"status": "unregistered", "warnings": ("model 'claude-9-20261101' is not registered",)}


@pytest.mark.parametrize("key", PROVIDER_KEYS)
def test_entries_of_one_provider(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any], key: str) -> None:
    """An entry that is limited to a provider serves its spans and those that name none, whatever the provider's key."""
    registry.register(**fields | {"model_id": "mistral-large", "owner": "azure"}, provider="azure.ai")
    registry.register(**fields | {"model_id": "openai/o3", "owner": "openai"})
    pipes = pipeline()

    def owner(name: str, provider: str | None) -> str | None:
        span = pipes.run({REQUEST: name} | ({} if provider is None else {key: provider}))
        return span.ours.get("owner")

    for _ in range(2):
        assert owner("mistral-large", "azure.ai") == "azure"
        assert owner("mistral-large", "aws.bedrock") is None
        assert owner("mistral-large", None) == "azure"
        assert owner("o3", "openai") == "openai"
        assert owner("o3", "azure.ai") is None
        assert owner("o3", None) is None


def test_the_first_provider_key_with_a_text_counts(
    pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]
) -> None:
    """Where several attributes name providers the first counts, and one that is no text does not."""
    registry.register(**fields | {"model_id": "openai/o3", "owner": "openai"})
    pipes = pipeline()
    values: list[tuple[Any, str, str | None]] = [("openai", "azure", "openai"), ("azure", "openai", None)]
    for first, second, owner in [*values, (7, "openai", "openai"), ("", "openai", "openai")]:
        span = pipes.run({REQUEST: "o3", "llm.system": second, "gen_ai.provider.name": first})
        assert span.ours.get("owner") == owner


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
@pytest.mark.parametrize("when", ["at the start", "late"])
def test_the_status_when_the_span_ends(pipeline: Any, registry: ModelRegistry, when: str, first: str) -> None:
    """What a span shows is the registry as it is when the span ends, not when it started."""
    start, late = WHEN[when]
    pipes = pipeline(first=first)
    pipes.run(start, late)
    span = pipes.tracer.start_span("call", attributes=start)
    registry.deprecate("gpt-4o", reason="old")
    span.set_attributes(late)
    span.end()
    deprecated = ACTIVE | {"status": "deprecated", "warnings": ("model 'gpt-4o' is deprecated",)}
    assert pipes.exporter.spans[-1].ours == deprecated
    span = pipes.tracer.start_span("call", attributes=start)
    span.set_attributes(late)
    registry.retire("gpt-4o")
    span.end()
    assert pipes.exporter.spans[-1].ours == deprecated | {
        "status": "retired",
        "warnings": ("model 'gpt-4o' is retired",),
    }


def test_by_default(pipeline: Any, registry: ModelRegistry) -> None:
    """Without options a span gets the attributes of ``ON_SPANS`` that have a value, after its own, in that order."""
    registry.deprecate("gpt-4o")
    span = pipeline().run({"a": 1, REQUEST: "gpt-4o"}, {"b": 2})
    assert list(span.attributes) == ["a", REQUEST, "b", *(f"model_registry.{name}" for name in ON_SPANS)]


def test_everything_that_can_be_asked_for(pipeline: Any, registry: ModelRegistry) -> None:
    """With every attribute asked for, a span gets all of the table, in its order, with the entry's values."""
    entry = registry.retire("gpt-4o", reason="old")
    span = pipeline(ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)).run({REQUEST: "gpt-4o"})
    asked_for = [row for row in ATTRIBUTES if row.on_spans != "no"]
    expected: dict[str, Any] = {
        row.name: entry.metadata[row.name] if row.source == "metadata key" else getattr(entry, row.name, None)
        for row in asked_for
    }
    assert span.ours == expected | {"matched_by": REQUEST}
    assert list(span.ours) == [row.name for row in asked_for]


def test_only_what_is_asked_for(pipeline: Any, registry: ModelRegistry) -> None:
    """The short names given are the only attributes that spans get, defaults included."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=iter(["purpose", "owner"]))
    assert pipeline(ours).run({REQUEST: "gpt-4o"}).ours == {
        "owner": "ml-platform",
        "purpose": "customer support agent",
    }


@pytest.mark.parametrize("name", ["ownr", "metadata.team", "model_registry.owner", "reason", ""])
def test_attributes_that_spans_cannot_get(registry: ModelRegistry, name: str) -> None:
    """Asking for something that spans cannot get is an error, which names what they can get."""
    with pytest.raises(ValueError, match=r"attributes.*matched_by"):
        ModelRegistrySpanProcessor(registry, span_attributes=[name])


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "GET", "http.route": "/", "n": 1, "list": ("a", "b")},
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"},
        {"model_request_parameters": "{}", "mlflow.modelId": "m", "langfuse.observation.model.parameters": "{}"},
        {"llm.invocation_parameters": '{"temperature": 1}'},
        {"model_registry.status": "active", "model_registry.approved": True, "model_name": "gpt-4o"},
    ],
    ids=lambda attributes: ",".join(attributes) or "none",
)
def test_spans_that_name_no_model(pipeline: Any, attributes: dict[str, Any]) -> None:
    """A span that names no model is exported with exactly its own attributes."""
    span = pipeline().run(attributes)
    assert span.attributes == attributes
    assert list(span.attributes) == list(attributes)
    assert span.dropped == 0


def test_agent_spans_that_name_a_model(pipeline: Any) -> None:
    """Agent and tool spans are not model calls, and are enriched where they name a model."""
    for operation in ("invoke_agent", "create_agent", "invoke_workflow", "execute_tool"):
        assert pipeline().run({"gen_ai.operation.name": operation, REQUEST: "gpt-4o"}).ours == ACTIVE
    for kind in ("AGENT", "CHAIN", "TOOL"):
        assert pipeline().run({"openinference.span.kind": kind, "llm.model_name": "gpt-4o"}).ours == ACTIVE


def test_the_rest_of_a_span_stays(pipeline: Any, exporter: Any) -> None:
    """Events, links, status, kind, name, times and context of an enriched span are what the application gave."""
    pipes = pipeline()
    seen: list[ReadableSpan] = []

    class Last(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(span)

    pipes.provider.add_span_processor(Last())
    linked = trace.SpanContext(1, 2, is_remote=True)
    link = trace.Link(linked, {"a": 1})
    span = pipes.tracer.start_span("call", kind=trace.SpanKind.CLIENT, links=[link], start_time=1)
    span.set_attribute(REQUEST, "gpt-4o")
    span.add_event("token", {REQUEST: "event", "model_registry.status": "event"}, timestamp=2)
    span.set_status(trace.StatusCode.ERROR, "refused")
    span.end(3)
    (event,) = exporter.span.events
    assert (event.name, dict(event.attributes or {}), event.timestamp) == (
        "token",
        {REQUEST: "event", "model_registry.status": "event"},
        2,
    )
    (exported,) = exporter.span.links
    assert (exported.context, dict(exported.attributes or {})) == (linked, {"a": 1})
    (ended,) = seen
    assert (ended.name, ended.kind, ended.start_time, ended.end_time) == ("call", trace.SpanKind.CLIENT, 1, 3)
    assert (ended.status.status_code, ended.status.description) == (trace.StatusCode.ERROR, "refused")
    assert ended.get_span_context() == span.get_span_context()
    assert exporter.span.ours == ACTIVE


def test_spans_ended_in_other_threads(pipeline: Any, registry: ModelRegistry) -> None:
    """A span started in one thread and ended in another, as streams are, is enriched like any other."""
    pipes = pipeline()

    def stream() -> Any:
        span = pipes.tracer.start_span("stream", attributes={REQUEST: "gpt-4o"})
        yield "hel"
        yield "lo"
        span.set_attribute(RESPONSE, "gpt-4o")
        span.end()

    started = stream()
    assert next(started) == "hel"
    registry.deprecate("gpt-4o")
    consumer = threading.Thread(target=list, args=(started,))
    consumer.start()
    consumer.join()
    assert pipes.exporter.span.ours["status"] == "deprecated"
    assert pipes.exporter.span.others == {REQUEST: "gpt-4o", RESPONSE: "gpt-4o"}


def test_spans_interleaved_over_threads(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Spans of many threads that end at the same time each get what belongs to their own model."""
    for number in range(8):
        registry.register(**fields | {"model_id": f"m{number}", "owner": f"team-{number}"})
    pipes = pipeline()
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(100):
            key = (REQUEST, "llm.model_name", "n")[turn % 3]
            pipes.run({"thread": number, key: f"m{number}"})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pipes.exporter.spans) == 800
    for span in pipes.exporter.spans:
        number = span.attributes["thread"]
        assert span.ours.get("owner") == (None if "n" in span.attributes else f"team-{number}")


@pytest.mark.parametrize(
    "container",
    [
        lambda attributes: BoundedAttributes(attributes=attributes),
        lambda attributes: BoundedAttributes(128, attributes, immutable=False, max_value_len=100),
        dict,
        MappingProxyType,
        lambda attributes: MappingProxyType(BoundedAttributes(attributes=attributes)),
    ],
    ids=["BoundedAttributes", "mutable BoundedAttributes", "dict", "mappingproxy", "mappingproxy of the SDK's"],
)
def test_on_end_without_anything_before(registry: ModelRegistry, container: Any) -> None:
    """A span that is handed to ``on_end`` only, whatever its attributes are kept in, is enriched for those after."""
    ours = ModelRegistrySpanProcessor(registry)
    span = ReadableSpan("call", attributes=container({"a": 1, REQUEST: "gpt-4o"}))
    ours.on_end(span)
    assert dict(span.attributes or {}) == {"a": 1, REQUEST: "gpt-4o"} | {
        f"model_registry.{name}": value for name, value in ACTIVE.items()
    }
    plain = container({"a": 1})
    span = ReadableSpan("other", attributes=plain)
    ours.on_end(span)
    assert span._attributes is plain
    assert dict(plain) == {"a": 1}


def test_on_end_does_not_change_the_callers_dict(registry: ModelRegistry) -> None:
    """A plain mapping that somebody else made is replaced on the span, not written to."""
    given = {REQUEST: "gpt-4o", "model_registry.forged": "yes"}
    span = ReadableSpan("call", attributes=given)
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert given == {REQUEST: "gpt-4o", "model_registry.forged": "yes"}
    assert "model_registry.forged" not in (span.attributes or {})


def test_on_end_with_no_attributes(registry: ModelRegistry, lines: Any) -> None:
    """A span without attributes passes, and is nothing to log."""
    span = ReadableSpan("call", attributes=None)
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert span._attributes is None
    assert lines() == []


class _Forwarding(SpanProcessor):
    """Forwards what was public before ``_on_ending``, as processors do that wrap others."""

    def __init__(self, wrapped: SpanProcessor) -> None:
        self.wrapped = wrapped

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.wrapped.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.wrapped.on_end(span)


@pytest.mark.parametrize("when", WHEN)
def test_behind_a_processor_that_wraps_it(pipeline: Any, registry: ModelRegistry, when: str) -> None:
    """Behind a processor that does not forward ``_on_ending`` it serves the processors that come after."""
    ours = _Forwarding(ModelRegistrySpanProcessor(registry))
    assert pipeline(ours).run(*WHEN[when]).ours == ACTIVE


class _Redacting(SpanProcessor):
    """Replaces attributes of ended spans, as vendors' processors do."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def on_end(self, span: ReadableSpan) -> None:
        kept = {key: value for key, value in (span.attributes or {}).items() if not key.startswith(("secret", "model"))}
        span._attributes = self.make(kept)


@pytest.mark.parametrize("make", [dict, MappingProxyType, lambda kept: BoundedAttributes(attributes=kept)])
def test_after_a_processor_that_replaces_attributes(pipeline: Any, registry: ModelRegistry, make: Any) -> None:
    """Where a processor before it replaced the attributes, and lost its own, they are there again for those after."""
    span = pipeline(_Redacting(make), ModelRegistrySpanProcessor(registry)).run({REQUEST: "gpt-4o", "secret": "x"})
    assert span.attributes == {REQUEST: "gpt-4o"} | {f"model_registry.{name}": value for name, value in ACTIVE.items()}


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("second", ["the same", "another one"])
def test_added_twice(pipeline: Any, registry: ModelRegistry, lines: Any, second: str, threads: int | None) -> None:
    """Added twice it enriches once and logs once."""
    registry.deprecate("gpt-4o")
    ours = ModelRegistrySpanProcessor(registry)
    pipes = pipeline(ours, ours if second == "the same" else ModelRegistrySpanProcessor(registry), threads=threads)
    if not TELLS_OF_ENDING and threads:
        pytest.skip("opentelemetry-sdk before 1.40 does not tell processors of an ending span")
    for _ in range(3):
        span = pipes.run({REQUEST: "gpt-4o"})
        assert span.ours == ACTIVE | {"status": "deprecated", "warnings": ("model 'gpt-4o' is deprecated",)}
        assert span.dropped == 0
    assert lines() == ["model registry: model 'gpt-4o' is deprecated (owner: ml-platform)"]


def test_the_process_wide_registry(pipeline: Any) -> None:
    """Without a registry given it asks the process-wide one."""
    assert len(get_default_registry()) == 0
    pipes = pipeline(ModelRegistrySpanProcessor())
    register_model("o1", "O1", "1", "low", "team", "a test")
    assert pipes.run({REQUEST: "o1"}).ours["owner"] == "team"


def test_an_empty_registry_is_a_registry(pipeline: Any, fields: dict[str, Any]) -> None:
    """A registry that is given is asked, though it may still be empty."""
    register_model("o1", "O1", "1", "low", "team", "a test")
    registry = ModelRegistry(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    assert pipes.run({REQUEST: "o1"}).ours["status"] == "unregistered"
    registry.register(**fields)
    assert pipes.run({REQUEST: "gpt-4o"}).ours == ACTIVE


class _RecordOnly(Sampler):
    def should_sample(self, *_args: Any, **_kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "record only"


def test_spans_that_are_recorded_but_not_sampled(pipeline: Any, registry: ModelRegistry) -> None:
    """Every recorded span is enriched, also where only processors see it."""
    seen: list[dict[str, Any]] = []

    class Last(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            seen.append(dict(span.attributes or {}))

    pipes = pipeline(ModelRegistrySpanProcessor(registry), Last(), exporting=None, sampler=_RecordOnly())
    with pipes.tracer.start_as_current_span("call") as span:
        span.set_attribute(REQUEST, "gpt-4o")
    assert [attributes["model_registry.status"] for attributes in seen] == ["active"]


def test_spans_that_are_not_sampled(pipeline: Any, lines: Any) -> None:
    """A span that is not sampled costs nothing: nobody looks its model up."""
    pipes = pipeline(sampler=ALWAYS_OFF)
    pipes.tracer.start_span("call", attributes={REQUEST: "claude-9"}).end()
    assert pipes.exporter.spans == []
    assert lines() == []


class _Counting(AskedRegistry):
    """A registry that counts how often its entries are asked for."""

    times = 0

    def asked(self) -> None:
        self.times += 1


@pytest.mark.parametrize(
    "attributes",
    [
        {REQUEST: "gpt-4o"},
        {REQUEST: ("gpt-4o",)},
        {"llm.invocation_parameters": '{"model": "gpt-4o"}'},
        {"llm.invocation_parameters": "{}"},
    ],
    ids=["a name", "no name", "JSON with a name", "JSON without"],
)
@needs_ending_hook
def test_a_span_is_looked_up_once(pipeline: Any, attributes: dict[str, Any]) -> None:
    """Each span asks the registry once at most, and one that is like another not at all while nothing has changed."""
    registry = _Counting(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(3):
        before = registry.times
        pipes.run(attributes)
        assert registry.times - before <= 1
    assert "llm.invocation_parameters" in attributes or registry.times == before


@needs_ending_hook
def test_the_application_sees_it_as_well(pipeline: Any) -> None:
    """Whoever still holds the span after its end reads the enriched attributes."""
    span = pipeline().tracer.start_span("call", attributes={REQUEST: "gpt-4o"})
    assert dict(span.attributes) == {REQUEST: "gpt-4o"}
    span.end()
    assert span.attributes["model_registry.status"] == "active"
