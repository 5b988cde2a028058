"""Facts about OpenTelemetry's SDK that ``otel/_span_access.py`` and ``otel/_metrics.py`` need, one per test.

A failure here does not mean that the library is wrong. It means that OpenTelemetry has changed, and that these modules
must be reviewed.
"""

from __future__ import annotations

import importlib.metadata
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from support.spans import get_container

if TYPE_CHECKING:
    from collections.abc import Callable

SDK = tuple(int(part) for part in importlib.metadata.version("opentelemetry-sdk").split(".")[:2])
since_1_40 = pytest.mark.skipif(SDK < (1, 40), reason="_on_ending is there since opentelemetry-sdk 1.40")
HOOKS = ("on_start", "_on_ending", "on_end") if SDK >= (1, 40) else ("on_start", "on_end")
since_1_43 = pytest.mark.skipif(SDK < (1, 43), reason="attributes are frozen at the end since opentelemetry-sdk 1.43")


class Watching(SpanProcessor):
    """Calls what it is given in its hooks, and notes who was called when."""

    def __init__(
        self, name: str = "", calls: list[tuple[str, str]] | None = None, **hooks: Callable[[Any], Any]
    ) -> None:
        self.name = name
        self.calls = [] if calls is None else calls
        self.hooks = hooks

    def note(self, hook: str, span: Any) -> None:
        self.calls.append((hook, self.name))
        if hook in self.hooks:
            self.hooks[hook](span)

    def on_start(self, span: Span, parent_context: Any = None) -> None:  # noqa: ARG002
        self.note("on_start", span)

    def _on_ending(self, span: Span) -> None:
        self.note("_on_ending", span)

    def on_end(self, span: ReadableSpan) -> None:
        self.note("on_end", span)


def provider_of(*processors: SpanProcessor, **options: Any) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False, **options)
    for each in processors:
        provider.add_span_processor(each)
    return provider


def end_one(*processors: SpanProcessor, attributes: Any = None, **options: Any) -> Any:
    span = provider_of(*processors, **options).get_tracer("app").start_span("call", attributes=attributes)
    span.end()
    return span


# The hook


def test_the_order_of_hooks() -> None:
    """``_on_ending`` of every processor comes before ``on_end`` of any, each in the order of adding."""
    calls: list[tuple[str, str]] = []
    end_one(Watching("first", calls), Watching("second", calls))
    assert calls == [(hook, name) for hook in HOOKS for name in ("first", "second")]


@since_1_40
def test_the_hook_gets_the_span_itself() -> None:
    """``_on_ending`` gets the application's span; ``on_end`` gets another object, which can only be read."""
    given: dict[str, Any] = {}
    span = end_one(
        Watching(_on_ending=lambda span: given.update(ending=span), on_end=lambda span: given.update(end=span))
    )
    assert given["ending"] is span
    assert given["end"] is not span
    assert type(given["end"]) is ReadableSpan


@since_1_40
def test_the_thread_of_the_hooks() -> None:
    """Without threads of their own, processors are called in the thread that ends the span."""
    threads: list[int] = []
    note = lambda _: threads.append(threading.get_ident())  # noqa: E731
    span = provider_of(Watching(_on_ending=note, on_end=note)).get_tracer("app").start_span("call")
    thread = threading.Thread(target=span.end)
    thread.start()
    thread.join()
    assert threads == [thread.ident] * 2


@since_1_40
def test_no_lock_is_held_in_the_hooks() -> None:
    """A hook may open spans, and use the span itself, without a deadlock."""
    done: list[str] = []

    def use(span: Any) -> None:
        provider.get_tracer("app").start_span("inner")
        span.add_event("late")
        span.set_attribute("late", 1)
        done.append("yes")

    provider = provider_of(Watching(_on_ending=use))
    thread = threading.Thread(target=provider.get_tracer("app").start_span("call").end, daemon=True)
    thread.start()
    thread.join(5)
    assert done == ["yes"]


def test_errors_in_hooks_reach_the_application() -> None:
    """The SDK does not guard processors: what a hook raises, the application gets."""

    def fail(_: Any) -> None:
        raise LookupError

    for hook in HOOKS:
        with pytest.raises(LookupError):
            end_one(Watching(**{hook: fail}))


def test_processors_cannot_be_removed() -> None:
    """A tracer provider has a way to add processors, and none to remove one."""
    assert [name for name in dir(TracerProvider) if "processor" in name and not name.startswith("_")] == [
        "add_span_processor"
    ]


# What is refused in the hook


@since_1_40
@pytest.mark.parametrize(
    "write", [lambda span: span.set_attribute("late", 1), lambda span: span.set_attributes({"late": 1})]
)
def test_writing_while_ending_is_refused(write: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In ``_on_ending`` the span has its end time: it does not record, and attributes that are set are dropped."""
    recording: list[bool] = []
    ended: list[int | None] = []

    def hook(span: Any) -> None:
        recording.append(span.is_recording())
        ended.append(span.end_time)
        write(span)

    span = end_one(Watching(_on_ending=hook), attributes={"early": 1})
    assert recording == [False]
    assert ended[0] is not None
    assert dict(span.attributes) == {"early": 1}
    assert [record.getMessage() for record in caplog.records] == ["Setting attribute on ended span."]


def test_attributes_are_frozen_at_the_end() -> None:
    """The container is frozen while a span is ending, since 1.43, and not before."""
    frozen: list[bool] = []
    notes: Any = dict.fromkeys(HOOKS, lambda span: frozen.append(get_container(span)._immutable))
    end_one(Watching(**notes), attributes={"a": 1})
    assert frozen == [False, *[SDK >= (1, 43)] * (len(HOOKS) - 1)]


# The container, and who shares it


def test_what_a_span_keeps_its_attributes_in() -> None:
    """A span's ``_attributes`` is a ``BoundedAttributes``, no subclass, around a plain ``_dict``, also when empty."""
    for attributes in (None, {}, {"a": 1}):
        span = end_one(attributes=attributes)
        container = get_container(span)
        assert type(container) is BoundedAttributes
        assert isinstance(container._dict, dict)
        assert container._dict == (attributes or {})


def test_everybody_gets_the_same_span() -> None:
    """All processors get one ReadableSpan, and that shares the container of the span."""
    given: list[Any] = []
    span = end_one(Watching(on_end=given.append), Watching(on_end=given.append), attributes={"a": 1})
    first, second = given
    assert first is second
    assert get_container(first) is get_container(span)


class Copying(SpanExporter):
    """Keeps the attributes as they are when they are exported."""

    def __init__(self) -> None:
        self.exported: list[dict[str, Any]] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.exported += [dict(span.attributes) for span in spans]
        return SpanExportResult.SUCCESS


def swap(span: Any) -> None:
    container = get_container(span)
    container._dict = {**container._dict, "late": 1}


@since_1_40
@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_a_swap_is_seen_by_all(processor: Any, threads: int | None) -> None:
    """Another dict put into the container in ``_on_ending`` is what the span shows and what any exporter exports."""
    before, after = Copying(), Copying()
    shown: list[dict[str, Any]] = []
    watching = Watching(on_end=lambda span: shown.append(dict(span.attributes)))
    active = None if threads is None else ConcurrentMultiSpanProcessor(threads)
    provider = provider_of(
        processor(before), Watching(_on_ending=swap), watching, processor(after), active_span_processor=active
    )
    span: Any = provider.get_tracer("app").start_span("call", attributes={"a": 1})
    view = span.attributes
    span.end()
    provider.shutdown()
    assert before.exported == after.exported == shown == [{"a": 1, "late": 1}]
    assert dict(span.attributes) == dict(view) == {"a": 1, "late": 1}


@since_1_43
def test_reading_while_a_dict_is_swapped() -> None:
    """An iteration over frozen attributes goes on over the dict that it began with."""
    span = end_one(attributes={"a": 1, "b": 2, "c": 3})
    iterator = iter(span.attributes)
    assert next(iterator) == "a"
    swap(span)
    assert list(iterator) == ["b", "c"]
    assert list(span.attributes) == ["a", "b", "c", "late"]


# Limits


def test_setting_a_key_again_makes_it_the_newest() -> None:
    """An attribute that is set again moves to the end, and pushes nothing out."""
    container = BoundedAttributes(2, {"a": 1, "b": 2}, immutable=False)
    container["a"] = 3
    assert (list(container), container.dropped) == (["b", "a"], 0)


def test_where_limits_are_kept() -> None:
    """A container knows its limits and what it has dropped; a span shows that number, live."""
    limits = SpanLimits(max_span_attributes=3, max_span_attribute_length=4)
    span = end_one(attributes={"a": "abcdef", "b": ("abcdef",)}, span_limits=limits)
    container = get_container(span)
    assert (container.maxlen, container.max_value_len, container.dropped) == (3, 4, 0)
    assert dict(container) == {"a": "abcd", "b": ("abcd",)}
    container.dropped += 5
    assert span.dropped_attributes == 5
    assert span._limits.max_span_attributes == 3


def test_no_limits() -> None:
    """Without limits a container's are None; a provider's default is 128 attributes of any length."""
    assert (BoundedAttributes().maxlen, BoundedAttributes().max_value_len) == (None, None)
    span = end_one()
    assert (get_container(span).maxlen, get_container(span).max_value_len) == (128, None)


# Processors in threads


@since_1_40
@pytest.mark.parametrize("threads", [1, 2])
def test_concurrent_processors_wait_for_each_other(threads: int) -> None:
    """A concurrent chain calls processors in threads of its own, and a hook of all is done before the next begins."""
    calls: list[tuple[str, str]] = []
    idents: set[int] = set()
    slow = dict.fromkeys(("on_start", "_on_ending", "on_end"), lambda _: time.sleep(0.02))
    quick = dict.fromkeys(slow, lambda _: idents.add(threading.get_ident()))
    provider = provider_of(
        Watching("slow", calls, **slow),
        Watching("quick", calls, **quick),
        active_span_processor=ConcurrentMultiSpanProcessor(threads),
    )
    provider.get_tracer("app").start_span("call").end()
    assert [hook for hook, _ in calls] == ["on_start"] * 2 + ["_on_ending"] * 2 + ["on_end"] * 2
    assert {calls[number][1] for number in (0, 1)} == {"slow", "quick"}
    assert threading.get_ident() not in idents


# Metrics


def test_an_instrument_made_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The second of two equal instruments is the first: its callbacks are not called, and nothing is logged."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m")
    for value in (1, 2):
        meter.create_observable_gauge("g", [lambda _options, value=value: [Observation(value)]], "s", "what")  # type: ignore[misc]
    data: Any = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert [point.value for point in metric.data.data_points] == [1]
    assert not caplog.records
