"""Providers and exporters that fail, hang or are gone, and a clock that goes back: operations and spans go on."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.telemetry import exported_events, models_of
from support.watching import owners, put, settle

from spanforge.model_registry import ModelRegistry, event_counts
from spanforge.model_registry.compliance import ComplianceMappingEngine, PackageError
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

REQUEST = "gen_ai.request.model"


class Failing(SpanProcessor):
    """Raises for each span of an operation."""

    def __init__(self, hook: str) -> None:
        self.hook = hook

    def fail(self, hook: str, span: ReadableSpan) -> None:
        if hook == self.hook and span.name.startswith("model_registry."):
            msg = "broken"
            raise OSError(msg)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        self.fail("on_start", span)

    def on_end(self, span: ReadableSpan) -> None:
        self.fail("on_end", span)


class Broken(SpanExporter):
    """Raises, or waits for an event and then refuses the spans."""

    def __init__(self, released: threading.Event | None = None) -> None:
        self.released = released

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        if self.released is None:
            msg = "broken"
            raise OSError(msg)
        self.released.wait(60)
        return SpanExportResult.FAILURE


def register(registry: ModelRegistry, model_id: str) -> None:
    registry.register(model_id, "N", "1", "low", "team", "a test")


@pytest.mark.parametrize("hook", ["on_start", "on_end"])
def test_processor_that_raises(hook: str) -> None:
    """A processor that raises on events makes no operation fail; each such event counts as failed."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    registry = ModelRegistry(tracer_provider=provider)
    provider.add_span_processor(Failing(hook))
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for number in range(5):
        register(registry, f"m{number}")
    with provider.get_tracer("app").start_as_current_span("chat", attributes={REQUEST: "m4"}):
        pass
    assert len(registry) == 5
    assert event_counts() == (0, 0, 0, 5)
    (chat,) = (span for span in exporter.get_finished_spans() if span.name == "chat")
    assert (chat.attributes or {})["model_registry.owner"] == "team"


@pytest.mark.parametrize("kind", ["raises", "hangs"])
def test_exporter_that_raises_or_hangs(kind: str) -> None:
    """An exporter in the background that raises or hangs delays neither operations nor spans."""
    released = threading.Event()
    batch = BatchSpanProcessor(Broken(released if kind == "hangs" else None), schedule_delay_millis=1)
    provider = TracerProvider(shutdown_on_exit=False)
    registry = ModelRegistry(tracer_provider=provider)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False))
    provider.add_span_processor(batch)
    start = time.monotonic()
    for number in range(200):
        register(registry, f"m{number}")
        with provider.get_tracer("app").start_as_current_span("chat", attributes={REQUEST: f"m{number}"}) as span:
            pass
        assert span.attributes["model_registry.owner"] == "team"  # type: ignore[attr-defined]
    assert time.monotonic() - start < 10
    assert event_counts() == (200, 0, 0, 0)
    released.set()
    provider.shutdown()


def test_provider_that_is_shut_down_and_replaced() -> None:
    """After a shutdown, operations and spans go on; a registry with the next provider delivers its events there."""
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    for exporter in exporters:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        registry = ModelRegistry(tracer_provider=provider)
        provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False))
        register(registry, "before")
        provider.shutdown()
        register(registry, "after")
        with provider.get_tracer("app").start_as_current_span("chat", attributes={REQUEST: "after"}):
            pass
        assert [entry.model_id for entry in registry] == ["before", "after"]
        assert models_of(exported_events(exporter))[:1] == ["before"]
    assert event_counts().failed == 0


def test_clock_that_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Histories and events stay in order, and a file that is replaced meanwhile is still noticed."""
    now = [1_800_000_000_000_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: now[0] / 1e9)
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    registry, other = ModelRegistry(tracer_provider=provider), ModelRegistry(auto_emit=False)
    path = tmp_path / "models.json"
    watcher = FileWatcher(other, [str(path)], reload_interval=0)
    for step, name in enumerate("abcd"):
        register(registry, name)
        registry.deprecate(name)
        registry.retire(name)
        registry.save(path)
        if step == 0:
            watcher.start()
        settle(watcher)
        assert owners(other) == owners(registry)
        now[0] -= 3_600_000_000_000 * 10**step
    times = [record["at"] for entry in registry for record in entry.metadata["history"]]
    assert times == sorted(set(times))
    events = [event.timestamp for event in exported_events(exporter)]
    assert events == sorted(set(events))
    assert all(state.age < 60 for state in watcher.states())


def limit_file_size(size: int) -> Callable[[], None]:
    """Limit the size of files of this process, as a full disk does; return the function that ends it."""
    import resource  # noqa: PLC0415 - it exists on POSIX only

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(os.name != "posix", reason="the size of files cannot be limited")
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_full_disk_leaves_no_package(tmp_path: Path, form: str) -> None:
    """A package that does not fit is an error that says so, and nothing of it is left."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "N", "1", "low", "team", "a test", metadata={"pad": "x" * 50_000})
    engine = ComplianceMappingEngine(registry)
    package: Any = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=[])
    end = limit_file_size(20_000)
    try:
        with pytest.raises(PackageError, match="File too large"):
            (package.write if form == "folder" else package.to_zip)(tmp_path / "october")
    finally:
        end()
    assert os.listdir(tmp_path) == []


def test_permission_that_is_lost(tmp_path: Path) -> None:
    """A followed folder whose file becomes unreadable, a pipe, and readable again keeps its models throughout."""
    path = tmp_path / "models.json"
    registry, written = ModelRegistry(auto_emit=False), ModelRegistry(auto_emit=False)
    register(written, "m")
    written.save(path)
    watcher = FileWatcher(registry, [str(tmp_path)], reload_interval=0)
    watcher.start()
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    settle(watcher)
    assert owners(registry) == {"m": "team"}
    assert watcher.states()[0].error is not None
    path.unlink()
    put(path, content.replace(b'"team"', b'"next"'))
    settle(watcher)
    assert owners(registry) == {"m": "next"}
    assert watcher.states()[0].error is None
    assert Path(watcher.states()[0].path) == path
