"""Cached plans and decisions of a processor: they change no result, and the caches are bounded."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from support.spans import REQUEST, RESPONSE, StartsAndEnds, get_container, needs_ending_hook, put_attributes

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.attributes import SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS, select_keys
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._enricher import Enricher

OURS = "model_registry.status"

KEYS = st.sampled_from([row.key for row in CONVENTIONS] + list(PROVIDER_KEYS))
NAMES = st.sampled_from(
    [
        "gpt-4o",
        "o1",
        "openai/gpt-4o-2024-08-06",
        "unknown",
        "o1-mini",
        "claude-9",
        "openai",
        "",
        '{"model": "o1"}',
        "x" * 300,
    ]
)
ODD = st.sampled_from([7, True, ("gpt-4o",), ("gpt-4o", "o1"), {"model": "o1"}, ({"a": 1},)])
OTHERS = st.sampled_from(["a", "b", "model_registry", "model_registry.status", "model_registry.x"])
ATTRIBUTES = st.dictionaries(KEYS | OTHERS, NAMES | ODD, max_size=6)
SPANS = st.lists(st.tuples(ATTRIBUTES, st.sampled_from(["app", "pydantic-ai"])), min_size=1, max_size=4)
LIMITS = st.sampled_from([(None, None), (128, None), (128, 400), (8, None), (128, 6)])


def registry_of_two() -> ModelRegistry:
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    registry.register("o1", "O1", "1", "high", "others", "a test", aliases=["o1-*"])
    return registry


def expected(
    registry: ModelRegistry, attributes: dict[str, Any], scope: str, limits: Any, names: Any = SPAN_ATTRIBUTE_NAMES
) -> dict[str, Any]:
    """Return the attributes that the registry gives to a span with these attributes."""
    enricher = Enricher(names, ignores_unregistered=False)
    enrichment = enricher.enrich(attributes, select_keys(attributes).for_scope(scope), registry._state.index)
    if enrichment is None:
        return attributes
    ours = enrichment.attributes
    own = {key: value for key, value in attributes.items() if not key.startswith("model_registry.")}
    most, longest = limits
    room = None if most is None else max(0, most - len(own))
    return own | {key: cut(value, longest) for key, value in list(ours.items())[:room]}


def cut(value: Any, length: int | None) -> Any:
    """Return the value of an attribute within a provider's limit of length."""
    if isinstance(value, tuple):
        return tuple(text[:length] for text in value)
    return value if isinstance(value, bool) else value[:length]


def end(provider: TracerProvider, attributes: dict[str, Any], scope: str, limits: Any) -> Any:
    """Run a span with such attributes, which no limit has cut yet, and return it."""
    span: Any = provider.get_tracer(scope).start_span("call")
    put_attributes(span, attributes, *limits)
    span.end()
    return span


@needs_ending_hook
@settings(max_examples=300, deadline=None)
@given(
    spans=SPANS,
    limits=LIMITS,
    names=st.sampled_from([SPAN_ATTRIBUTE_NAMES, SPAN_ATTRIBUTE_NAMES, ("warnings",), ()]),
    turns=st.lists(st.sampled_from(["", "deprecate", "clear"]), min_size=3, max_size=5),
)
@example(spans=[({REQUEST: "gpt-4o"}, "app")], limits=(128, 6), names=SPAN_ATTRIBUTE_NAMES, turns=["", ""])
@example(spans=[({REQUEST: "gpt-4o"}, "app")], limits=(8, None), names=SPAN_ATTRIBUTE_NAMES, turns=["", ""])
@example(spans=[({REQUEST: "o1", OURS: "x"}, "app")], limits=(128, None), names=("warnings",), turns=["", ""])
def test_cached_decisions_are_the_registrys(
    spans: list[tuple[dict[str, Any], str]],
    limits: tuple[int | None, int | None],
    names: tuple[str, ...],
    turns: list[str],
) -> None:
    """A span gets the attributes that the registry resolves, however often similar spans were seen."""
    registry = registry_of_two()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, span_attributes=names))
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, span_attributes=names))
    for turn in turns:
        if turn == "deprecate" and registry.get("o1"):
            registry.deprecate("o1")
        elif turn == "clear":
            registry.clear()
        for attributes, scope in spans * 2:
            span = end(provider, attributes, scope, limits)
            wanted = expected(registry, attributes, scope, limits, names)
            assert dict(span.attributes) == wanted
            assert list(span.attributes) == list(wanted)
            whole = expected(registry, attributes, scope, (None, limits[1]), names)
            assert span.dropped_attributes == len(whole) - len(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("attributes", [{REQUEST: "gpt-4o"}, {"a": 1}], ids=["with a model", "without"])
def test_ended_spans_are_not_kept(pipeline: Any, attributes: dict[str, Any]) -> None:
    """A processor does not keep the attributes of an ended span alive."""
    span = pipeline(exporting=None).tracer.start_span("call", attributes=attributes)
    container = weakref.ref(get_container(span))
    span.end()
    del span
    gc.collect()
    assert container() is None


@needs_ending_hook
def test_mark_cannot_be_forged(pipeline: Any) -> None:
    """An attribute with the name of the mark is an attribute."""
    pipes = pipeline()
    for value in (True, "ADDED", ""):
        span = pipes.run({REQUEST: "gpt-4o", "_model_registry_mark": value})
        assert span.others == {REQUEST: "gpt-4o", "_model_registry_mark": value}
        assert span.ours["owner"] == "ml-platform"


@needs_ending_hook
def test_first_processor_with_attributes_adds_them(pipeline: Any, registry: ModelRegistry) -> None:
    """Of several processors, the first one with something to add enriches the span."""
    nothing = ModelRegistrySpanProcessor(registry, span_attributes=())
    owner = ModelRegistrySpanProcessor(registry, span_attributes=["owner"])
    status = ModelRegistrySpanProcessor(registry, span_attributes=["status"])
    pipes = pipeline(nothing, owner, status)
    for _ in range(3):
        assert pipes.run({REQUEST: "gpt-4o"}).ours == {"owner": "ml-platform"}
        assert pipes.run({REQUEST: "claude-9"}).ours == {"status": "unregistered"}


@needs_ending_hook  # before 1.40, the first removes the attributes that the second wrote at the start
def test_wrapped_processor_adds_after_another_had_nothing(pipeline: Any, registry: ModelRegistry) -> None:
    """A wrapped processor adds its attributes if an earlier processor had nothing to add."""
    nothing = ModelRegistrySpanProcessor(registry, span_attributes=())
    wrapped = StartsAndEnds(ModelRegistrySpanProcessor(registry, span_attributes=["owner"]))
    pipes = pipeline(nothing, wrapped)
    for _ in range(3):
        assert pipes.run({REQUEST: "gpt-4o"}).ours == {"owner": "ml-platform"}


class _Deprecating(SpanProcessor):
    """Deprecates a model when a span has ended."""

    def __init__(self, registry: ModelRegistry) -> None:
        self.registry = registry

    def on_end(self, span: Any) -> None:  # noqa: ARG002 - the SDK's name
        self.registry.deprecate("gpt-4o")


@needs_ending_hook
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("key", [REQUEST, "my.model"])
def test_change_after_the_end_is_not_shown(pipeline: Any, registry: ModelRegistry, number: int, key: str) -> None:
    """A change after the end of a span is not shown, with any number of processors, of which one knows the key."""
    options = [{"model_attributes": ["my.model"]}, {}, {}][:number]
    ours = [ModelRegistrySpanProcessor(registry, span_attributes=["warnings"], **each) for each in options]
    pipes = pipeline(_Deprecating(registry), *ours)
    assert pipes.run({key: "gpt-4o"}).ours == {}
    assert pipes.run({key: "gpt-4o"}).ours == {"warnings": ("model 'gpt-4o' is deprecated",)}


@needs_ending_hook
def test_uncacheable_value_is_written_before_the_exporter(pipeline: Any) -> None:
    """A span with a value that cannot be cached is enriched before an earlier exporter sees it."""
    pipes = pipeline(first="exporter")
    for _ in range(3):
        span = pipes.tracer.start_span("call")
        put_attributes(span, {RESPONSE: "gpt-4o", REQUEST: {"model": "gpt-4o"}})
        span.end()
        assert pipes.exporter.spans[-1].ours["owner"] == "ml-platform"
