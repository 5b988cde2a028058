"""What ``late_write`` takes for granted about OpenTelemetry's SDK, a fact a test.

A failure here does not mean that the library is wrong. It means that OpenTelemetry has changed, and that
``spanforge.model_registry.otel._span_access`` has to be looked at again.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import textwrap
import threading
import time
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

if TYPE_CHECKING:
    from collections.abc import Callable

SDK = tuple(int(part) for part in importlib.metadata.version("opentelemetry-sdk").split(".")[:2])
since_1_40 = pytest.mark.skipif(SDK < (1, 40), reason="_on_ending is there since opentelemetry-sdk 1.40")
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


@since_1_40
def test_processors_have_the_hook() -> None:
    """``SpanProcessor`` has ``_on_ending``, which does nothing by default."""
    assert SpanProcessor()._on_ending(None) is None  # type: ignore[arg-type,func-returns-value]


@pytest.mark.skipif(SDK >= (1, 40), reason="opentelemetry-sdk has the hook since 1.40")
def test_older_sdks_do_not_have_the_hook() -> None:
    """Before 1.40 nobody calls ``_on_ending``."""
    watching = Watching()
    end_one(watching)
    assert watching.calls == [("on_start", ""), ("on_end", "")]


@since_1_40
def test_the_order_of_hooks() -> None:
    """``_on_ending`` of every processor comes before ``on_end`` of any, each in the order of adding."""
    calls: list[tuple[str, str]] = []
    end_one(Watching("first", calls), Watching("second", calls))
    assert calls == [(hook, name) for hook in ("on_start", "_on_ending", "on_end") for name in ("first", "second")]


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

    for hook in ["on_start", "on_end", *(["_on_ending"] if SDK >= (1, 40) else [])]:
        with pytest.raises(LookupError):
            end_one(Watching(**{hook: fail}))


def test_spans_that_are_not_sampled() -> None:
    """No processor sees a span that is not sampled."""
    watching = Watching()
    assert not end_one(watching, sampler=ALWAYS_OFF).is_recording()
    assert watching.calls == []


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


@since_1_43
def test_attributes_are_frozen_while_ending() -> None:
    """In ``_on_ending`` the container of the attributes is frozen already."""
    frozen: list[bool] = []
    span = end_one(Watching(_on_ending=lambda span: frozen.append(span._attributes._immutable)), attributes={"a": 1})
    assert frozen == [True]
    with pytest.raises(TypeError):
        span._attributes["late"] = 1


@pytest.mark.skipif(SDK >= (1, 43), reason="attributes are frozen at the end since opentelemetry-sdk 1.43")
def test_attributes_of_older_sdks_are_never_frozen() -> None:
    """Before 1.43 the container stays as it was."""
    assert not end_one(attributes={"a": 1})._attributes._immutable


def test_attributes_of_a_span_that_records() -> None:
    """Until its end a span records, and its container is not frozen."""
    span: Any = provider_of().get_tracer("app").start_span("call", attributes={"a": 1})
    assert span.is_recording()
    assert not span._attributes._immutable


# The container, and who shares it


def test_what_a_span_keeps_its_attributes_in() -> None:
    """A span's ``_attributes`` is a ``BoundedAttributes``, no subclass, around a plain ``_dict``, also when empty."""
    for attributes in (None, {}, {"a": 1}):
        span = end_one(attributes=attributes)
        assert type(span._attributes) is BoundedAttributes
        assert isinstance(span._attributes._dict, dict)
        assert dict(span._attributes._dict) == (attributes or {})


def test_a_container_can_be_marked() -> None:
    """The container takes a further attribute, which is not among those of the span; a frozen one does so as well."""
    span = end_one(attributes={"a": 1})
    span._attributes._mark = "marked"
    assert span._attributes._mark == "marked"
    assert dict(span.attributes) == {"a": 1}


def test_everybody_gets_the_same_span() -> None:
    """All processors get one ReadableSpan, and that shares the container of the span."""
    given: list[Any] = []
    span = end_one(Watching(on_end=given.append), Watching(on_end=given.append), attributes={"a": 1})
    first, second = given
    assert first is second
    assert first._attributes is span._attributes


class Copying(SpanExporter):
    """Keeps the attributes as they are when they are exported."""

    def __init__(self) -> None:
        self.exported: list[dict[str, Any]] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.exported += [dict(span.attributes) for span in spans]
        return SpanExportResult.SUCCESS


def swap(span: Any) -> None:
    span._attributes._dict = {**span._attributes._dict, "late": 1}


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


@since_1_40
def test_another_container_is_seen_by_all() -> None:
    """What ``on_end`` gets is made after ``_on_ending``: a container put in place there is the one that is exported."""

    def replace(span: Any) -> None:
        span._attributes = BoundedAttributes(attributes={**span.attributes, "late": 1})

    before, after = Copying(), Copying()
    span = end_one(
        SimpleSpanProcessor(before), Watching(_on_ending=replace), SimpleSpanProcessor(after), attributes={"a": 1}
    )
    assert before.exported == after.exported == [{"a": 1, "late": 1}]
    assert dict(span.attributes) == {"a": 1, "late": 1}


def test_what_on_end_puts_in_place() -> None:
    """Attributes replaced in ``on_end`` are seen by the processors that come after, and by no other."""

    def replace(span: Any) -> None:
        span._attributes = {"late": 1}

    before, after = Copying(), Copying()
    end_one(SimpleSpanProcessor(before), Watching(on_end=replace), SimpleSpanProcessor(after), attributes={"a": 1})
    assert (before.exported, after.exported) == ([{"a": 1}], [{"late": 1}])


def test_a_subclass_of_dict_will_do() -> None:
    """The dict inside the container may be of a subclass: reading, copying and counting work."""

    class Mine(dict):  # type: ignore[type-arg]
        pass

    container = BoundedAttributes(attributes={"a": 1})
    container._dict = Mine({"a": 1, "b": 2})
    assert (dict(container), len(container), container["b"], list(container), container.copy()) == (
        {"a": 1, "b": 2},
        2,
        2,
        ["a", "b"],
        {"a": 1, "b": 2},
    )


def test_attributes_are_a_view() -> None:
    """``attributes`` is a read-only view of whatever ``_attributes`` is at the moment; of None it is empty."""
    span = ReadableSpan("call", attributes={"a": 1})
    assert type(span.attributes) is MappingProxyType
    span._attributes = MappingProxyType({"b": 2})
    assert dict(span.attributes) == {"b": 2}
    span._attributes = None
    assert dict(span.attributes) == {}


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


def test_a_full_container_pushes_out_the_oldest() -> None:
    """At its limit the container drops the attribute that came first, and counts it: the request's model, of all."""
    span = end_one(attributes={"model": "m", "b": 2, "c": 3}, span_limits=SpanLimits(max_span_attributes=2))
    assert dict(span.attributes) == {"b": 2, "c": 3}
    assert span.dropped_attributes == 1
    container = BoundedAttributes(2, {"a": 1, "b": 2}, immutable=False)
    container["c"] = 3
    assert (dict(container), container.dropped) == ({"b": 2, "c": 3}, 1)


def test_setting_a_key_again_makes_it_the_newest() -> None:
    """An attribute that is set again moves to the end, and pushes nothing out."""
    container = BoundedAttributes(2, {"a": 1, "b": 2}, immutable=False)
    container["a"] = 3
    assert (list(container), container.dropped) == (["b", "a"], 0)


def test_where_limits_are_kept() -> None:
    """A container knows its limits and what it has dropped; a span shows that number, live."""
    limits = SpanLimits(max_span_attributes=3, max_span_attribute_length=4)
    span = end_one(attributes={"a": "abcdef", "b": ("abcdef",)}, span_limits=limits)
    container = span._attributes
    assert (container.maxlen, container.max_value_len, container.dropped) == (3, 4, 0)
    assert dict(container) == {"a": "abcd", "b": ("abcd",)}
    container.dropped += 5
    assert span.dropped_attributes == 5
    assert span._limits.max_span_attributes == 3


def test_no_limits() -> None:
    """Without limits a container's are None; a provider's default is 128 attributes of any length."""
    assert (BoundedAttributes().maxlen, BoundedAttributes().max_value_len) == (None, None)
    span = end_one()
    assert (span._attributes.maxlen, span._attributes.max_value_len) == (128, None)


def test_dropped_is_only_known_to_the_sdks_container() -> None:
    """With attributes in anything else a span shows that none were dropped."""
    span = ReadableSpan("call", attributes={"a": 1})
    assert span.dropped_attributes == 0


def test_a_limit_of_zero() -> None:
    """A limit of zero keeps nothing and counts everything."""
    span = end_one(attributes={"a": 1, "b": 2}, span_limits=SpanLimits(max_span_attributes=0))
    assert (dict(span.attributes), span.dropped_attributes) == ({}, 2)


def test_values_stay_what_they_are() -> None:
    """Lists become tuples; texts stay, members of enumerations among them, which are not cut or copied."""

    class Model(str, Enum):
        GPT = "gpt-4o"

    span = end_one(attributes={"list": ["a", "b"], "text": "a", "member": Model.GPT})
    assert dict(span.attributes) == {"list": ("a", "b"), "text": "a", "member": "gpt-4o"}
    assert span.attributes["member"] is Model.GPT


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


def test_a_concurrent_chain_of_one_thread_does_one_thing_at_a_time() -> None:
    """In a chain of one thread nothing else runs beside a hook: one that waited for another span would wait forever."""
    other = threading.Event()
    waited: list[bool] = []

    def wait(_: Any) -> None:
        active._executor.submit(other.set)
        waited.append(other.wait(0.2))

    active = ConcurrentMultiSpanProcessor(1)
    provider_of(Watching(on_start=wait), active_span_processor=active).get_tracer("app").start_span("call")
    assert waited == [False]
    assert other.wait(5)


# The global provider, each time in a process of its own


def run(script: str, **environment: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr


def test_the_global_provider_is_a_proxy_at_first() -> None:
    """Until one is set the global provider is a proxy, which takes no processors; then it is the one that was set."""
    run("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        proxy = trace.get_tracer_provider()
        assert type(proxy) is trace.ProxyTracerProvider
        assert not hasattr(proxy, "add_span_processor")
        assert not isinstance(TracerProvider(), trace.ProxyTracerProvider)
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
        assert trace.get_tracer_provider() is provider
        trace.set_tracer_provider(TracerProvider())
        assert trace.get_tracer_provider() is provider
    """)


def test_asking_for_the_global_provider_can_install_one() -> None:
    """Where the environment names a provider, asking for the global one makes and sets it: so nobody asks at import."""
    run(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        assert trace._TRACER_PROVIDER is None
        assert type(trace.get_tracer_provider()) is TracerProvider
        """,
        OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider",
    )


def test_tracers_of_the_proxy_follow_the_provider() -> None:
    """A tracer made before there was a provider makes that provider's spans later."""
    run("""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import Span, TracerProvider
        tracer = trace.get_tracer("app")
        assert not tracer.start_span("early").is_recording()
        trace.set_tracer_provider(TracerProvider())
        assert isinstance(tracer.start_span("late"), Span)
    """)


def test_the_invalid_span_is_not_recording() -> None:
    """Without a current span there is one that does not record, and has no valid context."""
    assert not trace.get_current_span().is_recording()
    assert not trace.get_current_span().get_span_context().is_valid
