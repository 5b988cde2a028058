"""Lifecycle events on spans: their spans and attributes, and held, dropped and failed events."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from support.entries import register_many
from support.log_lines import library_records
from support.telemetry import RecordOnly, exported_events, models_of, tracers_with
from support.threads import run_in_threads

from spanforge.model_registry import EventCounts, ModelRegistry, event_counts

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


NO_HOOK = "spans whose model is set after their start may not be enriched"
"""How the line ends that a processor logs under an opentelemetry-sdk before 1.40."""


def test_event_on_the_current_span(
    registry: ModelRegistry, provider: TracerProvider, exporter: InMemorySpanExporter, fields: dict[str, Any]
) -> None:
    """An event is added to the current sampled span, with the entry as attributes."""
    with provider.get_tracer("app").start_as_current_span("request"):
        registry.register(**fields, metadata={"team": "a", "tags": ["x", "y"], "mixed": [1, "a"], "none": None})
        registry.deprecate("gpt-4o", reason="old", successor="gpt-5", actor="me")
    (span,) = exporter.get_finished_spans()
    assert span.name == "request"
    assert not span.attributes
    registered, deprecated = span.events
    assert registered.name == "model_registry.registered"
    entry = registry.get("gpt-4o")
    assert entry is not None
    assert dict(registered.attributes or {}) == {
        "model_registry.metadata.team": "a",
        "model_registry.metadata.tags": ("x", "y"),
        "model_registry.metadata.mixed": '[1,"a"]',
        "model_registry.metadata.none": "null",
        "model_registry.model_id": "gpt-4o",
        "model_registry.name": "GPT-4o",
        "model_registry.version": "2024-05",
        "model_registry.owner": "ml-platform",
        "model_registry.risk_tier": "high",
        "model_registry.purpose": "customer support agent",
        "model_registry.status": "active",
        "model_registry.deployment_date": entry.deployment_date,
    }
    assert deprecated.name == "model_registry.deprecated"
    assert {
        key: value
        for key, value in (deprecated.attributes or {}).items()
        if key not in (registered.attributes or {}) or key == "model_registry.status"
    } == {
        "model_registry.status": "deprecated",
        "model_registry.previous_status": "active",
        "model_registry.reason": "old",
        "model_registry.actor": "me",
        "model_registry.metadata.deprecation_reason": "old",
        "model_registry.metadata.deprecation_date": entry.metadata["deprecation_date"],
        "model_registry.metadata.successor": "gpt-5",
        "model_registry.successor": "gpt-5",
    }


def test_event_on_a_root_span(registry: ModelRegistry, exporter: InMemorySpanExporter, fields: dict[str, Any]) -> None:
    """Without a current span each event has a root span, named after its operation, in the scope of the library."""
    registry.register(**fields)
    registry.deprecate("gpt-4o")
    entry = registry.retire("gpt-4o")
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == [f"model_registry.{verb}" for verb in ("register", "deprecate", "retire")]
    for span, record in zip(spans, entry.metadata["history"], strict=True):
        assert span.parent is None
        assert not span.links
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "spanforge.model_registry"
        assert span.instrumentation_scope.version == "0.1.0"
        assert not span.instrumentation_scope.schema_url  # no published schema defines model_registry.*
        (event,) = span.events
        assert (span.start_time, span.end_time) == (event.timestamp, event.timestamp + 1)
        assert record["at"].endswith(f"{event.timestamp // 1000 % 1_000_000:06}Z")


def test_event_under_an_unsampled_span(exporter: InMemorySpanExporter, fields: dict[str, Any]) -> None:
    """The event has a root span that is linked to the unsampled span."""
    unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(0)))
    with trace.use_span(unsampled):
        ModelRegistry(tracer_provider=tracers_with(exporter)).register(**fields)
    (span,) = exporter.get_finished_spans()
    assert span.parent is None
    assert [link.context.span_id for link in span.links] == [2]


def test_event_under_a_span_that_only_records(registry: ModelRegistry, exporter: Any, fields: Any) -> None:
    """The event has a root span, because a span that is not sampled is not exported."""
    other = TracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)
    with other.get_tracer("app").start_as_current_span("hidden"):
        registry.register(**fields)
    assert [span.name for span in exporter.get_finished_spans()] == ["model_registry.register"]


@pytest.mark.slow
def test_many_events_on_one_span(
    registry: ModelRegistry, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A span takes 64 events; each later event has a root span that is linked to it."""
    with provider.get_tracer("app").start_as_current_span("request") as current:
        current.add_event("the application's own")
        register_many(registry, 1000)
    *roots, request = exporter.get_finished_spans()
    assert [event.name for event in request.events] == ["the application's own"] + ["model_registry.registered"] * 64
    assert len(roots) == 936
    assert all(root.links[0].context == request.get_span_context() for root in roots)
    found = [*request.events[1:], *(event for root in roots for event in root.events)]
    assert models_of(found) == [f"m{number}" for number in range(1000)]
    assert event_counts() == EventCounts(emitted=1000, held=0, dropped=0, failed=0)


@pytest.mark.parametrize(("limit", "on_the_span"), [(0, 0), (1, 0), (10, 9), (1_000, 64)])
def test_limit_on_the_events_of_a_span(exporter: InMemorySpanExporter, limit: int, on_the_span: int) -> None:
    """No event pushes another one out of a span; what arrives is counted as emitted, and nothing else."""
    provider = tracers_with(exporter, span_limits=SpanLimits(max_events=limit))
    registry = ModelRegistry(tracer_provider=provider)
    with provider.get_tracer("app").start_as_current_span("request") as current:
        current.add_event("the application's own")
        register_many(registry, 100)
    *roots, request = exporter.get_finished_spans()
    assert [event.name for event in request.events][:1] == ["the application's own"][:limit]
    assert [span.name for span in request.events[1:]] == ["model_registry.registered"] * on_the_span
    arrived = on_the_span + sum(len(root.events) for root in roots)
    assert arrived == (100 if limit else 0)
    assert event_counts() == EventCounts(emitted=arrived, held=0, dropped=100 - arrived, failed=0)


def test_many_events_on_a_sampled_span_under_sampling(exporter: InMemorySpanExporter) -> None:
    """The first 64 events arrive on the sampled span; root spans of the others are sampled as usual."""
    provider = tracers_with(exporter, sampler=ParentBased(TraceIdRatioBased(0.05)))
    registry = ModelRegistry(tracer_provider=provider)
    tracer = provider.get_tracer("app")
    sampled = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    parent = trace.set_span_in_context(trace.NonRecordingSpan(sampled))
    with tracer.start_as_current_span("request", context=parent):
        register_many(registry, 1000)
    by_name: dict[str, int] = {}
    for span in exporter.get_finished_spans():
        by_name[span.name] = by_name.get(span.name, 0) + len(span.events)
    assert by_name["request"] == 64
    arrived = sum(by_name.values())
    assert event_counts() == EventCounts(emitted=arrived, held=0, dropped=1000 - arrived, failed=0)
    assert 10 < arrived - 64 < 120


class _Broken(SpanProcessor):
    def on_start(self, *_args: Any, **_kwargs: Any) -> None:
        msg = "broken pipe"
        raise OSError(msg)


@pytest.mark.slow
def test_failures_are_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """If emission fails the operation succeeds, and each failure counts, but only the first is logged."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_Broken())
    registry = ModelRegistry(tracer_provider=provider)
    register_many(registry, 1000)
    assert len(registry) == 1000
    assert event_counts() == EventCounts(emitted=0, held=0, dropped=0, failed=1000)
    (record,) = library_records(caplog)
    assert record.levelno == logging.WARNING
    assert record.exc_info is not None
    assert "OSError" in record.getMessage()


class _Registering(SpanProcessor):
    """A span hook that registers the model it sees."""

    def __init__(self, registry: ModelRegistry, fields: dict[str, Any]) -> None:
        self.registry = registry
        self.fields = fields

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        if not span.name.startswith("model_registry.") and span.name not in self.registry:
            self.registry.register(**self.fields | {"model_id": span.name})


def test_span_processor_may_register_models(provider: TracerProvider, exporter: Any, fields: dict[str, Any]) -> None:
    """A span processor may register models, in any number of threads."""
    registry = ModelRegistry(tracer_provider=provider)
    provider.add_span_processor(_Registering(registry, fields))
    tracer = provider.get_tracer("app")

    def work(thread: int) -> None:
        for number in range(50):
            tracer.start_span(f"{thread}-{number}").end()

    run_in_threads(*(partial(work, number) for number in range(8)))
    assert len(registry) == 400
    assert event_counts().emitted == len(exported_events(exporter)) == 400


def test_limit_on_attributes_drops_the_metadata_first(exporter: Any, fields: dict[str, Any]) -> None:
    """A limit on attributes keeps the fields of the entry."""
    provider = tracers_with(exporter, span_limits=SpanLimits(max_event_attributes=8))
    ModelRegistry(tracer_provider=provider).register(**fields, metadata={f"k{n}": n for n in range(200)})
    (event,) = exported_events(exporter)
    keys = {key.removeprefix("model_registry.") for key in event.attributes or {}}
    assert keys == {*fields, "status", "deployment_date"}


PRELUDE = """
import logging, sys
from spanforge.model_registry import *
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()

def register(count, start=0):
    for number in range(start, start + count):
        register_model(f"m{number}", "M", "1", "low", "team", "test")

def install():
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider

def arrived():
    events = [event for span in exporter.get_finished_spans() for event in span.events]
    return [event.attributes["model_registry.model_id"] for event in events]

"""


WARNINGS = ("-W", "error", "-W", "ignore:SelectableGroups dict interface is deprecated:DeprecationWarning")
"""All are errors but that of opentelemetry-api 1.42 when it is imported with a Python before 3.12."""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, where no tracer provider is set yet."""
    result = subprocess.run(
        [sys.executable, *WARNINGS, "-c", PRELUDE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.mark.slow
def test_events_are_held_until_there_is_a_provider() -> None:
    """The first operation with a provider delivers held events on root spans with their own times."""
    run("""
        register(1000)
        assert event_counts() == EventCounts(0, 1000, 0, 0), event_counts()
        register(5, start=1000)
        assert event_counts() == EventCounts(0, 1000, 5, 0), event_counts()
        install()
        assert event_counts().held == 1000
        retire_model("m0")
        assert event_counts() == EventCounts(1001, 0, 5, 0), event_counts()
        assert arrived() == [f"m{number}" for number in range(1000)] + ["m0"]
        spans = exporter.get_finished_spans()
        assert all(span.parent is None and len(span.events) == 1 for span in spans)
        first = get_model("m0").metadata["history"][0]["at"]
        assert first.endswith(f"{spans[0].events[0].timestamp // 1000 % 1_000_000:06}Z")
        assert spans[0].start_time == spans[0].events[0].timestamp
    """)


def test_flush_events() -> None:
    """``flush_events`` delivers held events once and returns their number."""
    run("""
        register(3)
        assert flush_events() == 0
        install()
        assert flush_events() == 3
        assert flush_events() == 0
        assert arrived() == ["m0", "m1", "m2"]
    """)


@pytest.mark.slow
def test_first_span_delivers_held_events() -> None:
    """The processor delivers held events at the first span, and the process waits for that at exit."""
    result = run("""
        import atexit
        from spanforge.model_registry.otel import ModelRegistrySpanProcessor
        atexit.register(lambda: print(len(arrived()), event_counts().held))
        register(500)
        provider = install()
        provider.add_span_processor(ModelRegistrySpanProcessor())
        trace.get_tracer("app").start_span("first").end()
    """)
    assert result.stdout.split() == ["500", "0"]
    assert [line for line in result.stderr.splitlines() if not line.endswith(NO_HOOK)] == []


@pytest.mark.slow
def test_slow_exporter_does_not_keep_the_process_from_ending() -> None:
    """At exit, the process waits a second for held events; one line has the number of those that are left."""
    start = time.monotonic()
    result = run("""
        import time
        from spanforge.model_registry.otel import ModelRegistrySpanProcessor
        register(100)
        provider = install()
        exporter.export = lambda spans: time.sleep(0.3)
        provider.add_span_processor(ModelRegistrySpanProcessor())
        trace.get_tracer("app").start_span("first").end()
    """)
    assert time.monotonic() - start < 20  # all 100 take 30 seconds
    line = result.stderr.splitlines()[-1]
    found = re.fullmatch(r"model registry: (\d+) lifecycle events were not delivered: the tracer provider .*", line)
    assert found is not None, result.stderr
    assert 80 < int(found[1]) < 100


@pytest.mark.parametrize(("number", "subject"), [(7, "7 lifecycle events were"), (1, "1 lifecycle event was")])
def test_undelivered_events_are_logged_at_exit(number: int, subject: str) -> None:
    """One line at exit has the number of events that were not delivered."""
    result = run(f"register({number})")
    assert result.stderr.splitlines() == [f"model registry: {subject} not delivered: no tracer provider was set"]


def test_import_does_not_ask_for_a_provider() -> None:
    """Importing the package does not ask for the tracer provider, because that may install one."""
    run(
        "from opentelemetry.trace import _TRACER_PROVIDER; assert _TRACER_PROVIDER is None",
        OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider",
    )


@pytest.mark.slow
def test_provider_that_cannot_be_loaded() -> None:
    """Operations succeed if the configured provider does not exist."""
    run(
        "register(2); assert len(list_models()) == 2; assert event_counts().failed == 2, event_counts()",
        OTEL_PYTHON_TRACER_PROVIDER="nonsense",
    )


def test_current_span_of_another_provider() -> None:
    """An event is added to the current span of a provider that is not the global one."""
    run("""
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("app").start_as_current_span("request"):
            register(1)
        assert arrived() == ["m0"]
        assert event_counts() == EventCounts(1, 0, 0, 0)
    """)
