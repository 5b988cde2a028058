"""Limits of spans: registry attributes that do not fit are dropped and counted, the application's stay."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor
from support.asked_registry import AskedRegistry
from support.spans import COMPARED, REQUEST, RESPONSE, needs_ending_hook

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.attributes import ATTRIBUTES, ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

ORDER = [row.name for row in ATTRIBUTES if row.on_spans != "no" and row.name not in COMPARED]
"""The attributes that spans with one model name can get, the most important first."""
ON_ACTIVE = {*ON_SPANS} - {row.name for row in ATTRIBUTES if row.needs_warning} - {"warnings", *COMPARED}
"""The default attributes of spans of an active model with one name."""


@pytest.fixture
def full(registry: ModelRegistry) -> ModelRegistrySpanProcessor:
    """Give a processor whose spans get every attribute there is."""
    registry.deprecate("gpt-4o", successor="gpt-5", sunset_date="2026-12-31")
    registry.retire("gpt-4o")
    return ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
@pytest.mark.parametrize("room", range(len(ORDER) + 2))
def test_attribute_limit_keeps_the_order_of_the_table(
    pipeline: Any, full: SpanProcessor, room: int, first: str
) -> None:
    """Up to the limit, attributes are kept in the order of the table; the others are counted as dropped."""
    own = {REQUEST: "gpt-4o", "a": 1, "b": 2}
    limits = SpanLimits(max_span_attributes=len(own) + room)
    span = pipeline(full, first=first, limits=limits).run(late=own)
    assert span.others == own
    assert list(span.ours) == ORDER[:room]
    assert span.dropped == max(0, len(ORDER) - room)


@needs_ending_hook
@pytest.mark.parametrize("more", [0, 1, 5])
def test_full_span_keeps_its_own_attributes(pipeline: Any, full: SpanProcessor, more: int) -> None:
    """A full span keeps the application's attributes, and all losses are counted."""
    pipes = pipeline(full, limits=SpanLimits(max_span_attributes=4))
    span = pipes.run({f"{number}": number for number in range(3 + more)}, {REQUEST: "gpt-4o"})
    assert list(span.attributes) == [*(f"{number}" for number in range(more, 3 + more)), REQUEST]
    assert span.dropped == more + len(ORDER)


@needs_ending_hook
def test_later_attributes_do_not_push_the_model_out(pipeline: Any, full: SpanProcessor) -> None:
    """Later attributes do not push the model out, because nothing is added before the end."""
    pipes = pipeline(full, limits=SpanLimits(max_span_attributes=6))
    own = {REQUEST: "gpt-4o"} | {f"{number}": number for number in range(4)}
    start = {key: own.pop(key) for key in [REQUEST]}
    span = pipes.run(start, own)
    assert span.others == start | own
    assert list(span.ours) == ["status"]
    assert span.dropped == len(ORDER) - 1


def test_span_that_lost_its_model(pipeline: Any, full: SpanProcessor, lines: Any) -> None:
    """A span that lost its model name to the limit names no model."""
    span = pipeline(full, limits=SpanLimits(max_span_attributes=2)).run(late={REQUEST: "gpt-4o", "a": 1, "b": 2})
    assert span.attributes == {"a": 1, "b": 2}
    assert span.dropped == 1
    assert lines() == []


def test_limit_of_no_attributes(pipeline: Any, full: SpanProcessor, lines: Any) -> None:
    """If spans may have no attributes, none are added."""
    span = pipeline(full, limits=SpanLimits(max_span_attributes=0)).run({REQUEST: "gpt-4o"}, {"a": 1})
    assert span.attributes == {}
    assert span.dropped == 2
    assert lines() == []


class _Meeting(AskedRegistry):
    """A registry in which those who ask wait for each other, for a moment."""

    meeting: threading.Barrier | None = None

    def asked(self) -> None:
        if self.meeting is not None:
            with contextlib.suppress(threading.BrokenBarrierError):
                self.meeting.wait(0.2)


@needs_ending_hook
def test_concurrent_processors_count_dropped_attributes_once(pipeline: Any, fields: dict[str, Any]) -> None:
    """With two processors that run at once, dropped attributes are counted once."""
    registry = _Meeting(auto_emit=False)
    registry.register(**fields)
    registry.meeting = threading.Barrier(2)
    ours = ModelRegistrySpanProcessor(registry), ModelRegistrySpanProcessor(registry)
    span = pipeline(*ours, threads=2, limits=SpanLimits(max_span_attributes=3)).run({REQUEST: "gpt-4o"})
    assert list(span.ours) == ["status", "owner"]
    assert span.dropped == len(ON_ACTIVE) - 2


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
def test_length_limit_of_a_provider(pipeline: Any, full: SpanProcessor, first: str) -> None:
    """A provider's limit of length holds for exported spans."""
    limits = SpanLimits(max_span_attribute_length=6)
    span = pipeline(full, first=first, limits=limits).run({REQUEST: "gpt-4o"}, {"a": "abcdefgh"})
    assert span.others == {REQUEST: "gpt-4o", "a": "abcdef"}
    assert span.ours["status"] == "retire"
    assert span.ours["owner"] == "ml-pla"
    assert span.ours["warnings"] == ("model ", "use 'g", "its su")
    assert list(span.ours) == ORDER


def test_length_limit_of_warnings(pipeline: Any, registry: ModelRegistry) -> None:
    """A provider's limit of length holds for warnings that alone are longer."""
    registry.deprecate("gpt-4o")
    limits = SpanLimits(max_span_attribute_length=20)
    span = pipeline(ModelRegistrySpanProcessor(registry), limits=limits).run({REQUEST: "gpt-4o"})
    assert span.ours["warnings"] == ("model 'gpt-4o' is de",)
    assert span.ours["owner"] == "ml-platform"
    assert span.dropped == 0


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
def test_length_limit_and_an_attribute_that_is_no_text(pipeline: Any, first: str) -> None:
    """A limit of length does not change attributes that are no text."""
    span = pipeline(first=first, limits=SpanLimits(max_span_attribute_length=6)).run(
        {REQUEST: "gpt-4o"}, {RESPONSE: "gpt-9"}
    )
    assert span.ours["response_registered"] is False
    assert span.ours["owner"] == "ml-pla"


def test_providers_with_different_limits(pipeline: Any, full: SpanProcessor) -> None:
    """A processor in two providers keeps each provider's limits."""
    short = pipeline(full, limits=SpanLimits(max_span_attribute_length=6, max_span_attributes=3))
    long = pipeline(full)
    for _ in range(2):
        assert short.run({REQUEST: "gpt-4o"}).ours == {"status": "retire", "owner": "ml-pla"}
        assert long.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"


_own = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12) | st.integers(0, 9), max_size=12)
_forged = st.dictionaries(
    st.sampled_from(["status", "owner", "purpose", "metadata.a", "approved"]).map("model_registry.".__add__),
    st.text(max_size=12),
    max_size=4,
)


@needs_ending_hook
@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    start=_own, late=_own, forged=_forged, model=st.sampled_from(["gpt-4o", "o1", "claude-9"]), limit=st.integers(1, 30)
)
def test_own_attributes_are_never_dropped(start: Any, late: Any, forged: Any, model: str, limit: int) -> None:
    """The application's attributes are the same as without the processor, and registry attributes fill the rest."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    registry.register("o1", "O1", "1", "low", "team", "a test")
    registry.retire("o1")
    ours = ModelRegistrySpanProcessor(registry, span_attributes=SPAN_ATTRIBUTE_NAMES)
    attributes = BoundedAttributes(limit, start | forged, immutable=False)
    for key, value in (late | {REQUEST: model}).items():
        attributes[key] = value
    own = {key: value for key, value in attributes.items() if not key.startswith("model_registry.")}
    dropped = attributes.dropped
    wanted = BoundedAttributes(attributes={REQUEST: model})
    ours.on_end(ReadableSpan("reference", attributes=wanted, resource=Resource.get_empty()))
    expected = list(wanted)[1:]
    span = ReadableSpan("call", attributes=attributes, resource=Resource.get_empty())
    ours.on_end(span)
    room = limit - len(own)
    assert list(span.attributes or {}) == [*own, *expected[:room]]
    assert {key: span.attributes[key] for key in own} == own  # type: ignore[index]
    assert span.dropped_attributes == dropped + len(expected[room:])
