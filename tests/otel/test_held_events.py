"""Lifecycle events from before there was a provider, and processes that fork: each in a process of its own."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor

survives_fork = pytest.mark.skipif(
    not hasattr(SpanProcessor, "_on_ending"),
    reason="before opentelemetry-sdk 1.40 a concurrent chain itself does not survive a fork",
)

PRELUDE = """
import os, sys, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spanforge.model_registry import EventCounts, event_counts, register_model, deprecate_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

exporter = InMemorySpanExporter()

def register(count):
    for number in range(count):
        register_model(f"m{number}", "M", "1", "low", "team", "test")

def install(threads=None, first=True, exporting=None):
    active = threads and ConcurrentMultiSpanProcessor(threads)
    provider = TracerProvider(active_span_processor=active, shutdown_on_exit=False)
    processors = [ModelRegistrySpanProcessor(), exporting or SimpleSpanProcessor(exporter)]
    for each in processors if first else processors[::-1]:
        provider.add_span_processor(each)
    trace.set_tracer_provider(provider)
    return provider

def settle():
    for thread in threading.enumerate():
        if thread.name == "model-registry-events":
            thread.join()

def arrived():
    events = [event for span in exporter.get_finished_spans() for event in span.events]
    return [event.attributes["model_registry.model_id"] for event in events]

"""


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_delivered_by_the_first_span(script: Any, threads: int | None, first: str) -> None:
    """The first span's start has held events delivered, on root spans of their own; no chain deadlocks."""
    script(
        PRELUDE
        + f"""
register(50)
assert event_counts() == EventCounts(0, 50, 0, 0), event_counts()
install({threads}, {first == "ours"})
assert event_counts().held == 50
with trace.get_tracer("app").start_as_current_span("first") as span:
    span.set_attribute("gen_ai.request.model", "m7")
settle()
assert event_counts() == EventCounts(50, 0, 0, 0), event_counts()
assert arrived() == [f"m{{number}}" for number in range(50)]
spans = exporter.get_finished_spans()
assert len(spans) == 51
assert len({{span.context.trace_id for span in spans}}) == 51
assert all(span.parent is None for span in spans)
(call,) = [span for span in spans if span.name == "first"]
assert call.attributes["model_registry.owner"] == "team" and not call.events
assert all(not span.attributes for span in spans if span is not call)
"""
    )


def test_a_thousand_at_once_by_many_first_spans(script: Any) -> None:
    """When many threads start the first span at once, each held event is delivered once."""
    script(
        PRELUDE
        + """
register(1000)
install()
barrier = threading.Barrier(8)
def work():
    barrier.wait()
    trace.get_tracer("app").start_span("first").end()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
settle()
assert event_counts() == EventCounts(1000, 0, 0, 0), event_counts()
assert sorted(arrived()) == sorted(f"m{number}" for number in range(1000))
"""
    )


def test_not_one_span_late(script: Any) -> None:
    """Held events do not keep the application's span from starting: a processor that blocks on them stops only them."""
    script(
        PRELUDE
        + """
gate = threading.Event()
class Slow(SpanProcessor):
    def on_start(self, span, parent_context=None):
        if span.name.startswith("model_registry."):
            gate.wait(20)
register(3)
install().add_span_processor(Slow())
trace.get_tracer("app").start_span("first").end()
assert [span.name for span in exporter.get_finished_spans()] == ["first"]
gate.set()
settle()
assert arrived() == ["m0", "m1", "m2"]
"""
    )


def test_a_provider_that_becomes_global_later(script: Any) -> None:
    """Spans of a provider that is not the global one yet deliver nothing; the next span after that does."""
    script(
        PRELUDE
        + """
register(3)
provider = TracerProvider()
provider.add_span_processor(ModelRegistrySpanProcessor())
provider.add_span_processor(SimpleSpanProcessor(exporter))
for _ in range(3):
    provider.get_tracer("app").start_span("early").end()
settle()
assert arrived() == []
trace.set_tracer_provider(provider)
provider.get_tracer("app").start_span("late").end()
settle()
assert arrived() == ["m0", "m1", "m2"], arrived()
"""
    )


def test_nothing_held_starts_no_thread(script: Any) -> None:
    """Without held events no thread is started."""
    script(
        PRELUDE
        + """
install()
started = []
start = threading.Thread.start
threading.Thread.start = lambda self: (started.append(self.name), start(self))
trace.get_tracer("app").start_span("first").end()
assert started == [], started
"""
    )


@pytest.mark.parametrize("threads", [None, *(pytest.param(number, marks=survives_fork) for number in (1, 2))])
@pytest.mark.parametrize("exporting", ["SimpleSpanProcessor", "BatchSpanProcessor"])
def test_children_after_a_fork(script: Any, exporting: str, threads: int | None) -> None:
    """A child enriches spans started before or after the fork, and changes only its own registry."""
    output = script(
        PRELUDE
        + f"""
register(2)
provider = install({threads}, exporting={exporting}(exporter))
tracer = trace.get_tracer("app")
tracer.start_span("before", attributes={{"gen_ai.request.model": "m0"}}).end()
settle()
provider.force_flush()
exporter.clear()
open_span = tracer.start_span("open")
child = os.fork()
if not child:
    deprecate_model("m1")
open_span.set_attribute("gen_ai.request.model", "m1")
open_span.end()
tracer.start_span("after", attributes={{"gen_ai.request.model": "m0"}}).end()
provider.force_flush()
shown = [span.attributes["model_registry.status"] for span in exporter.get_finished_spans() if not span.events]
os.write(1, f"{{'parent' if child else 'child'}} {{' '.join(shown)}}\\n".encode())
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
        PYTHONWARNINGS="ignore",
    )
    assert sorted(output.splitlines()) == ["child deprecated active", "parent active active"]


def test_a_fork_while_spans_end(script: Any) -> None:
    """A fork at any moment leaves a child that can end spans and change the registry."""
    script(
        PRELUDE
        + """
register(5)
install()
tracer = trace.get_tracer("app")
stop = threading.Event()
def work():
    number = 0
    while not stop.is_set():
        number += 1
        tracer.start_span("call", attributes={"gen_ai.request.model": f"m{number % 10}"}).end()
threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
[thread.start() for thread in threads]
for _ in range(20):
    child = os.fork()
    if not child:
        from spanforge.model_registry import ModelRegistry
        mine = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(ModelRegistrySpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(mine))
        provider.get_tracer("app").start_span("call", attributes={"gen_ai.request.model": "m1"}).end()
        os._exit(0 if mine.get_finished_spans()[0].attributes["model_registry.status"] == "active" else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
[thread.join() for thread in threads]
""",
        PYTHONWARNINGS="ignore",
    )
