"""Lifecycle events that are held until there is a tracer provider, and forks. Each test runs in its own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.scripts import COMMON
from support.spans import HAS_ENDING_HOOK

if TYPE_CHECKING:
    from collections.abc import Callable

survives_fork = pytest.mark.skipif(
    not HAS_ENDING_HOOK, reason="before opentelemetry-sdk 1.40 a concurrent chain itself does not survive a fork"
)

PRELUDE = """
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spanforge.model_registry import deprecate_model

exporter = InMemorySpanExporter()

def install(threads=None, first=True, exporting=None):
    active = threads and ConcurrentMultiSpanProcessor(threads)
    provider = TracerProvider(active_span_processor=active, shutdown_on_exit=False)
    processors = [ModelRegistrySpanProcessor(), exporting or SimpleSpanProcessor(exporter)]
    for each in processors if first else processors[::-1]:
        provider.add_span_processor(each)
    trace.set_tracer_provider(provider)
    return provider

def arrived():
    events = [event for span in exporter.get_finished_spans() for event in span.events]
    return [event.attributes["model_registry.model_id"] for event in events]

"""


@pytest.fixture
def run(script: Any) -> Callable[[str], str]:
    """Give a function that runs a script after the prelude in another process."""
    return lambda text: script(COMMON + PRELUDE + text, PYTHONWARNINGS="ignore")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_first_span_delivers_held_events(run: Any, threads: int | None, first: str) -> None:
    """The start of the first span delivers held events on root spans of their own; no chain of processors deadlocks."""
    run(f"""
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
""")


@pytest.mark.slow
def test_events_wait_for_the_global_provider(run: Any) -> None:
    """Spans of a provider deliver held events only after it has become the global provider."""
    run("""
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
""")


@pytest.mark.slow
@pytest.mark.parametrize("threads", [None, *(pytest.param(number, marks=survives_fork) for number in (1, 2))])
@pytest.mark.parametrize("exporting", ["SimpleSpanProcessor", "BatchSpanProcessor"])
def test_forked_child_enriches_spans(run: Any, exporting: str, threads: int | None) -> None:
    """A child enriches spans that started before or after the fork, and changes only its own registry."""
    output = run(f"""
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
""")
    assert sorted(output.splitlines()) == ["child deprecated active", "parent active active"]
