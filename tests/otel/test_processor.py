"""The span processor: which spans it enriches, with which attributes, and beside which processors."""

from __future__ import annotations

import threading
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan
from support.asked_registry import CountingRegistry
from support.conventions import name_model
from support.entries import FIELDS, SHOWN_METADATA
from support.recording import EndedSpans
from support.spans import (
    COMPARED,
    HAS_ENDING_HOOK,
    OPERATION,
    PARAMETERS,
    PROVIDER,
    REQUEST,
    RESPONSE,
    Redacting,
    StartsAndEnds,
    every_mapping,
    get_container,
    needs_ending_hook,
)
from support.telemetry import RecordOnly
from support.threads import run_in_threads

from spanforge.model_registry import ModelRegistry, register_model
from spanforge.model_registry._core.attributes import ATTRIBUTES, ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.conventions import CONVENTIONS, Convention
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

VALUES = {"status": "active", **FIELDS, **SHOWN_METADATA}
ACTIVE = {name: VALUES[name] for name in ON_SPANS if name in VALUES}
"""The default attributes of a span that calls the registered model."""

WHAT_TO_DO = {"successor": "gpt-5", "sunset_date": "2026-12-31"}
"""Arguments of ``deprecate``: what to use instead, and by when."""
WHEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "at the start": ({REQUEST: "gpt-4o"}, {}),
    "late": ({}, {REQUEST: "gpt-4o"}),
    "only in the response": ({OPERATION: "chat"}, {RESPONSE: "gpt-4o"}),
    "only in JSON parameters": ({}, {PARAMETERS: '{"temperature": 1, "model": "gpt-4o"}'}),
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("threads", [None, 1, 2], ids=["in order", "1 thread", "2 threads"])
@pytest.mark.parametrize("exporting", ["simple", "batch"])
@pytest.mark.parametrize("first", ["ours", "exporter"])
def test_span_is_enriched_in_every_chain(
    pipeline: Any, when: str, threads: int | None, exporting: str, first: str
) -> None:
    """A span that names a model is exported enriched, whenever the name is set and however processors run."""
    if not HAS_ENDING_HOOK and when != "at the start" and (first == "exporter" or threads):
        pytest.skip("opentelemetry-sdk before 1.40 does not call processors for an ending span")
    start, late = WHEN[when]
    span = pipeline(threads=threads, exporting=exporting, first=first).run(start, late)
    assert span.ours == ACTIVE
    assert span.others == start | late


@pytest.fixture
def shows_match(registry: ModelRegistry) -> ModelRegistrySpanProcessor:
    """Give a processor that adds the key that matched too."""
    return ModelRegistrySpanProcessor(registry, span_attributes=[*ON_SPANS, "matched_by"])


@pytest.mark.parametrize("when", ["start", "late"])
@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.key)
def test_every_convention(pipeline: Any, shows_match: Any, row: Convention, when: str) -> None:
    """Each key that is known to hold a model name enriches the span, and can be the key that matched."""
    attributes = name_model(row, "gpt-4o")
    span = pipeline(shows_match).run(**{when: attributes}, scope=row.scope or "anything")
    assert span.ours == ACTIVE | {"matched_by": row.key}
    assert span.others == attributes


@pytest.mark.parametrize(
    ("start", "late", "model_id", "matched_by"),
    [
        ({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o-mini"}, "gpt-4o-mini", RESPONSE),
        ({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o"}, "gpt-4o", RESPONSE),
        (
            {REQUEST: "gpt-4o", "llm.model_name": "gpt-4o", "decision.response.model_name": "gpt-4o-mini"},
            {},
            "gpt-4o-mini",
            "decision.response.model_name",
        ),
        ({REQUEST: "gpt-4o"}, {RESPONSE: "gpt-4o-2024-08-06"}, "gpt-4o", RESPONSE),
        ({"llm.model_name": "gpt-4o-audio", PARAMETERS: '{"model": "gpt-4o"}'}, {}, "gpt-4o", PARAMETERS),
    ],
)
def test_response_model_comes_before_the_request_model(  # noqa: PLR0913 - a matrix
    pipeline: Any, registry: ModelRegistry, shows_match: Any, start: Any, late: Any, model_id: str, matched_by: str
) -> None:
    """Any response model comes before any request model; a name that is not registered comes last."""
    registry.register(**FIELDS | {"model_id": "gpt-4o-mini"}, metadata=SHOWN_METADATA)
    span = pipeline(shows_match).run(start, late)
    assert span.ours.items() >= (ACTIVE | {"model_id": model_id, "matched_by": matched_by}).items()
    is_other = model_id != "gpt-4o"
    assert span.ours.get("requested_model_id") == ("gpt-4o" if is_other else None)
    assert len(span.ours.get("warnings", ())) == is_other


def test_unregistered_model_is_marked(pipeline: Any, registry: ModelRegistry) -> None:
    """A span of an unregistered model has that status and a warning with the first name."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)
    span = pipeline(ours).run({REQUEST: "claude-9"}, {RESPONSE: "claude-9-20261101"})
    assert span.ours == {"status": "unregistered", "warnings": ("model 'claude-9-20261101' is not registered",)}


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
@pytest.mark.parametrize("when", ["at the start", "late"])
def test_status_at_the_end_of_the_span(pipeline: Any, registry: ModelRegistry, when: str, first: str) -> None:
    """A span has the registry's values at the end of the span, not at its start."""
    start, late = WHEN[when]
    pipes = pipeline(first=first)
    pipes.run(start, late)
    one, other = (pipes.tracer.start_span("call", attributes=start) for _ in range(2))
    registry.deprecate("gpt-4o", reason="old")
    one.set_attributes(late)
    one.end()
    other.set_attributes(late)
    registry.retire("gpt-4o")
    other.end()
    for span, status in zip(pipes.exporter.spans[1:], ("deprecated", "retired"), strict=True):
        assert span.ours == ACTIVE | {"status": status, "warnings": (f"model 'gpt-4o' is {status}",)}


def test_default_attributes(pipeline: Any, registry: ModelRegistry) -> None:
    """By default, a span gets the attributes of ``ON_SPANS`` that have a value, in that order, after its own."""
    registry.deprecate("gpt-4o", **WHAT_TO_DO)
    expected = [name for name in ON_SPANS if name not in COMPARED]
    span = pipeline().run({"a": 1, REQUEST: "gpt-4o"}, {"b": 2})
    assert list(span.attributes) == ["a", REQUEST, "b", *(f"model_registry.{name}" for name in expected)]
    span = pipeline().run({REQUEST: "gpt-4o"}, {RESPONSE: "another"})
    assert list(span.ours) == [*expected, "response_registered"]
    assert span.ours["response_registered"] is False


def test_all_attributes(pipeline: Any, registry: ModelRegistry) -> None:
    """With all names, a span gets the entry's values in the order of the table."""
    registry.deprecate("gpt-4o", **WHAT_TO_DO)
    entry = registry.retire("gpt-4o", reason="old")
    span = pipeline(ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)).run({REQUEST: "gpt-4o"})
    asked_for = [row for row in ATTRIBUTES if row.on_spans != "no" and row.name not in COMPARED]
    expected: dict[str, Any] = {
        row.name: entry.metadata[row.name] if row.source == "metadata key" else getattr(entry, row.name, None)
        for row in asked_for
    }
    assert span.ours == expected | {"matched_by": REQUEST, "match_rule": "id"}
    assert list(span.ours) == [row.name for row in asked_for]


def test_what_to_use_instead_and_by_when(pipeline: Any, registry: ModelRegistry, lines: Any) -> None:
    """Spans of deprecated and retired models have successor and sunset date; their warnings say so after the status."""
    registry.register("o1", "O1", "1", "low", "team", "a test", metadata=WHAT_TO_DO)
    pipes = pipeline(ModelRegistrySpanProcessor(registry, span_attributes="+contact"))
    assert not pipes.run({REQUEST: "o1"}).ours.keys() & {*WHAT_TO_DO, "warnings", "contact"}
    registry.deprecate("gpt-4o", **WHAT_TO_DO)
    advice = ("use 'gpt-5' instead", "its sunset date is 2026-12-31")
    told = WHAT_TO_DO | {"contact": "some contact"}
    for status in ("deprecated", "retired"):
        shown = told | {"status": status, "warnings": (f"model 'gpt-4o' is {status}", *advice)}
        span = pipes.run({REQUEST: "gpt-4o"})
        assert span.ours == ACTIVE | shown
        assert registry.check("gpt-4o") == shown["warnings"]
        if status == "deprecated":
            registry.retire("gpt-4o")
    whom = "(owner: ml-platform, contact: some contact)"
    assert lines() == [
        f"model registry: model 'gpt-4o' is {status} {whom}; {'; '.join(advice)}"
        for status in ("deprecated", "retired")
    ]


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"http.request.method": "GET", "http.route": "/", "n": 1, "list": ("a", "b")},
        {OPERATION: "chat", PROVIDER: "openai"},
        {"model_request_parameters": "{}", "mlflow.modelId": "m", "langfuse.observation.model.parameters": "{}"},
        {PARAMETERS: '{"temperature": 1}'},
        {"model_registry.status": "active", "model_registry.approved": True, "model_name": "gpt-4o"},
    ],
    ids=lambda attributes: ",".join(attributes) or "none",
)
def test_span_without_a_model_is_not_changed(pipeline: Any, attributes: dict[str, Any]) -> None:
    """A span that names no model is exported with exactly its own attributes."""
    span = pipeline().run(attributes)
    assert span.attributes == attributes
    assert list(span.attributes) == list(attributes)
    assert span.dropped == 0


def test_other_parts_of_a_span_stay(pipeline: Any, exporter: Any) -> None:
    """Events, links, status, kind, name, times and context of an enriched span are the application's."""
    pipes = pipeline()
    seen = EndedSpans()
    pipes.provider.add_span_processor(seen)
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
    (ended,) = seen.spans
    assert (ended.name, ended.kind, ended.start_time, ended.end_time) == ("call", trace.SpanKind.CLIENT, 1, 3)
    assert (ended.status.status_code, ended.status.description) == (trace.StatusCode.ERROR, "refused")
    assert ended.get_span_context() == span.get_span_context()
    assert exporter.span.ours == ACTIVE


def test_span_that_ends_in_another_thread(pipeline: Any, registry: ModelRegistry) -> None:
    """A span that ends in another thread, like a stream, is enriched."""
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


def test_spans_of_many_threads(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Spans of many threads that end at once each have the values of their own model."""
    for number in range(8):
        registry.register(**fields | {"model_id": f"m{number}", "owner": f"team-{number}"})
    pipes = pipeline()
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(100):
            key = (REQUEST, "llm.model_name", "n")[turn % 3]
            pipes.run({"thread": number, key: f"m{number}"})

    run_in_threads(*(partial(work, number) for number in range(8)))
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
def test_on_end_alone_enriches(registry: ModelRegistry, container: Any) -> None:
    """``on_end`` alone enriches a span with any container for later processors."""
    ours = ModelRegistrySpanProcessor(registry)
    span = ReadableSpan("call", attributes=container({"a": 1, REQUEST: "gpt-4o"}))
    ours.on_end(span)
    assert dict(span.attributes or {}) == {"a": 1, REQUEST: "gpt-4o"} | {
        f"model_registry.{name}": value for name, value in ACTIVE.items()
    }
    plain = container({"a": 1})
    span = ReadableSpan("other", attributes=plain)
    ours.on_end(span)
    assert get_container(span) is plain
    assert dict(plain) == {"a": 1}


def test_on_end_keeps_the_callers_dict(registry: ModelRegistry) -> None:
    """A plain mapping is replaced on the span and not written to."""
    given = {REQUEST: "gpt-4o", "model_registry.forged": "yes"}
    span = ReadableSpan("call", attributes=given)
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert given == {REQUEST: "gpt-4o", "model_registry.forged": "yes"}
    assert "model_registry.forged" not in (span.attributes or {})


def test_on_end_without_attributes(registry: ModelRegistry, lines: Any) -> None:
    """A span without attributes is not changed, and nothing is logged."""
    span = ReadableSpan("call", attributes=None)
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert get_container(span) is None
    assert lines() == []


@pytest.mark.parametrize("when", WHEN)
def test_span_is_enriched_behind_a_wrapper(pipeline: Any, registry: ModelRegistry, when: str) -> None:
    """Behind a wrapper that does not forward ``_on_ending``, spans are enriched for later processors."""
    ours = StartsAndEnds(ModelRegistrySpanProcessor(registry))
    assert pipeline(ours).run(*WHEN[when]).ours == ACTIVE


@every_mapping
def test_removed_attributes_are_added_again(pipeline: Any, registry: ModelRegistry, make: Any) -> None:
    """If an earlier processor replaces attributes, registry attributes are added again for later processors."""
    span = pipeline(Redacting(make), ModelRegistrySpanProcessor(registry)).run({REQUEST: "gpt-4o", "secret": "x"})
    assert span.attributes == {REQUEST: "gpt-4o"} | {f"model_registry.{name}": value for name, value in ACTIVE.items()}


@pytest.mark.parametrize("threads", [None, 1, 2])
@pytest.mark.parametrize("second", ["the same", "another one"])
def test_two_processors_enrich_once(pipeline: Any, registry: Any, lines: Any, second: str, threads: int | None) -> None:
    """Two processors enrich a span once, and log once."""
    registry.deprecate("gpt-4o")
    ours = ModelRegistrySpanProcessor(registry)
    pipes = pipeline(ours, ours if second == "the same" else ModelRegistrySpanProcessor(registry), threads=threads)
    if not HAS_ENDING_HOOK and threads:
        pytest.skip("opentelemetry-sdk before 1.40 does not call processors for an ending span")
    for _ in range(3):
        span = pipes.run({REQUEST: "gpt-4o"})
        assert span.ours == ACTIVE | {"status": "deprecated", "warnings": ("model 'gpt-4o' is deprecated",)}
        assert span.dropped == 0
    assert lines() == ["model registry: model 'gpt-4o' is deprecated (owner: ml-platform, contact: some contact)"]


def test_empty_registry_is_used(pipeline: Any, fields: dict[str, Any]) -> None:
    """An empty registry that is given is used."""
    register_model("o1", "O1", "1", "low", "team", "a test")
    registry = ModelRegistry(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    assert pipes.run({REQUEST: "o1"}).ours["status"] == "unregistered"
    registry.register(**fields)
    assert pipes.run({REQUEST: "gpt-4o"}).ours == ACTIVE


def test_recorded_span_is_enriched(pipeline: Any, registry: ModelRegistry) -> None:
    """A span that is recorded and not sampled is enriched for other processors."""
    seen = EndedSpans()
    pipes = pipeline(ModelRegistrySpanProcessor(registry), seen, exporting=None, sampler=RecordOnly())
    with pipes.tracer.start_as_current_span("call") as span:
        span.set_attribute(REQUEST, "gpt-4o")
    assert [(span.attributes or {})["model_registry.status"] for span in seen.spans] == ["active"]


@pytest.mark.parametrize(
    "attributes",
    [{REQUEST: "gpt-4o"}, {REQUEST: ("gpt-4o",)}, {PARAMETERS: '{"model": "gpt-4o"}'}, {PARAMETERS: "{}"}],
    ids=["a name", "no name", "JSON with a name", "JSON without"],
)
@needs_ending_hook
def test_model_is_resolved_once(pipeline: Any, attributes: dict[str, Any]) -> None:
    """A span resolves its model at most once, and a similar span not at all until the registry changes."""
    registry = CountingRegistry(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(3):
        before = registry.times
        pipes.run(attributes)
        assert registry.times - before <= 1
    assert PARAMETERS in attributes or registry.times == before
