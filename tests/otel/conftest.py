"""Fixtures: pipelines of the real SDK, exporters, the instrumentor, metrics, and a stand-in model API."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.util._once import Once
from support.entries import SHOWN_METADATA
from support.log_lines import library_records
from support.meters import Meters
from support.spans import HAS_ENDING_HOOK, REQUEST
from support.telemetry import NO_RESOURCE

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core.process import ByIdentity
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor, _span_access
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link

PREFIX = "model_registry."


class Exported(NamedTuple):
    """A copy of an exported span."""

    name: str
    attributes: dict[str, Any]
    dropped: int
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    trace_id: int

    @property
    def ours(self) -> dict[str, Any]:
        """Attributes of the library, by short name, in their order."""
        return {key.removeprefix(PREFIX): self.attributes[key] for key in self.attributes if key.startswith(PREFIX)}

    @property
    def others(self) -> dict[str, Any]:
        """Attributes of the application."""
        return {key: self.attributes[key] for key in self.attributes if not key.startswith(PREFIX)}


class CopyingExporter(SpanExporter):
    """Copies spans when they are exported; the SDK's in-memory exporter keeps spans, which may change later."""

    def __init__(self) -> None:
        self.spans: list[Exported] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            context = span.get_span_context()
            assert context is not None
            self.spans.append(
                Exported(
                    span.name,
                    dict(span.attributes or {}),
                    span.dropped_attributes,
                    tuple(span.events),
                    tuple(span.links),
                    context.trace_id,
                )
            )
        return SpanExportResult.SUCCESS

    @property
    def span(self) -> Exported:
        """The only span."""
        (span,) = self.spans
        return span


@pytest.fixture
def exporter() -> CopyingExporter:
    """Copy the spans that ``provider`` and pipelines export."""
    return CopyingExporter()


@pytest.fixture
def registry(fields: dict[str, Any]) -> ModelRegistry:
    """Give a registry that knows ``gpt-4o``, with a value for every metadata key of a span, and emits nothing."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(**fields, metadata=SHOWN_METADATA)
    return registry


class Pipeline:
    """A tracer provider of the real SDK with processors, and its exported spans.

    Args:
        processors: In the order in which they are added.
        exporter: What the last of them exports to.
        threads: Run processors in that many threads of their own; ``None``: one after the other.
        limits: The provider's limits.
    """

    def __init__(
        self,
        processors: Sequence[SpanProcessor],
        exporter: CopyingExporter,
        threads: int | None = None,
        limits: SpanLimits | None = None,
        **options: Any,
    ) -> None:
        self.exporter = exporter
        self.provider = TracerProvider(
            active_span_processor=None if threads is None else ConcurrentMultiSpanProcessor(threads),  # type: ignore[arg-type]
            span_limits=limits,
            shutdown_on_exit=False,
            **{"resource": NO_RESOURCE, **options},
        )
        for each in processors:
            self.provider.add_span_processor(each)
        self.tracer = self.provider.get_tracer("app")

    def run(
        self, start: dict[str, Any] | None = None, late: dict[str, Any] | None = None, scope: str = "app"
    ) -> Exported:
        """Make a span with attributes from its start and later ones, and return the exported span."""
        span = self.provider.get_tracer(scope).start_span("call", attributes=start)
        span.set_attributes(late or {})
        span.end()
        self.provider.force_flush()
        return self.exporter.spans[-1]


@pytest.fixture
def pipeline(registry: ModelRegistry, exporter: CopyingExporter) -> Iterator[Callable[..., Pipeline]]:
    """Give a function that makes pipelines: the processor under test, and an exporter's processor after or before."""
    made: list[Pipeline] = []

    def make(*ours: SpanProcessor, first: str = "ours", exporting: str | None = "simple", **options: Any) -> Pipeline:
        processors = list(ours or [ModelRegistrySpanProcessor(registry)])
        if exporting is not None:
            last = {"simple": SimpleSpanProcessor, "batch": BatchSpanProcessor}[exporting](exporter)
            processors.insert(0 if first == "exporter" else len(processors), last)
        made.append(Pipeline(processors, exporter, **options))
        return made[-1]

    yield make
    for each in made:
        each.provider.shutdown()


class _SpecificationSpan(sdk._Span):
    """A span that follows the specification: processors may change it in ``_on_ending``."""

    def end(self, end_time: int | None = None) -> None:
        self._span_processor._on_ending(self)
        with self._lock:
            self._end_time = time.time_ns() if end_time is None else end_time
            self._attributes._immutable = True  # type: ignore[union-attr]
        self._span_processor.on_end(self._readable_span())

    written: dict[str, Any]

    def set_attributes(self, attributes: Any) -> None:
        self.written = getattr(self, "written", {}) | dict(attributes)
        super().set_attributes(attributes)


@pytest.fixture
def specified() -> Callable[..., Any]:
    """Give a function that runs a span, of an SDK that follows the specification, through a pipeline."""

    def run(pipes: Any, attributes: dict[str, Any]) -> Any:
        span = pipes.tracer.start_span("call", attributes=attributes)
        span.__class__ = _SpecificationSpan
        span.end()
        return span

    return run


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Give a function that returns the library's log lines, except those about an old SDK and about the start."""

    def logged() -> list[str]:
        messages = [record.getMessage() for record in library_records(caplog)]
        return [
            message
            for message in messages
            if not message.startswith(
                ("model registry: this opentelemetry-sdk does not let ", "model registry: version ")
            )
        ]

    return logged


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that runs a script in another process, with more environment variables."""

    def run(text: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", textwrap.dedent(text)]
        variables = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=variables)

    return run


@pytest.fixture
def script(run_script: Any) -> Callable[..., str]:
    """Give a function that runs a script in another process and returns its output; the script must not fail."""

    def run(text: str, **options: Any) -> str:
        result = run_script(text, **options)
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr, result.stderr
        output: str = result.stdout
        return output

    return run


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove OpenTelemetry's environment variables and global providers."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)


@pytest.fixture
def set_global(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Give a function that sets the global tracer provider as applications do, also a second time."""

    def set_provider(provider: Any) -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())
        trace.set_tracer_provider(provider)

    return set_provider


@pytest.fixture
def log_to() -> Iterator[Callable[[logging.Handler], logging.Handler]]:
    """Give a function that adds a handler to the library's logger."""
    logger, added = logging.getLogger("spanforge.model_registry"), list[logging.Handler]()

    def add(handler: logging.Handler) -> logging.Handler:
        logger.addHandler(handler)
        added.append(handler)
        return handler

    yield add
    for handler in added:
        logger.removeHandler(handler)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[ModelRegistryInstrumentor]:
    """Give the instrumentor as in a new process; there is one per process."""
    caplog.set_level(logging.INFO, "spanforge.model_registry")
    monkeypatch.setattr(ModelRegistryInstrumentor, "_instance", None)
    monkeypatch.setattr(ModelRegistryInstrumentor, "_installations", ByIdentity())
    plugin = ModelRegistryInstrumentor()
    yield plugin
    if plugin.is_instrumented_by_opentelemetry:
        plugin.uninstrument()


@pytest.fixture
def gpt(fields: dict[str, Any]) -> None:
    """Register ``gpt-4o`` in the process-wide registry, without an event."""
    replace_file_entries(get_default_registry(), [ModelRegistry(auto_emit=False).register(**fields)])


@pytest.fixture
def call(gpt: None, provider: TracerProvider, exporter: CopyingExporter) -> Callable[..., dict[str, Any]]:  # noqa: ARG001
    """Give a function that calls a model, by default ``gpt-4o``, and returns the exported registry attributes."""

    def run(model: str = "gpt-4o", *, via: TracerProvider = provider, **more: Any) -> dict[str, Any]:
        via.get_tracer("app").start_span("call", attributes={REQUEST: model, **more}).end()
        return exporter.spans[-1].ours

    return run


@pytest.fixture
def models(tmp_path: Path, fields: dict[str, Any]) -> Path:
    """Give a registry file with ``gpt-4o``, whose owner is ``filed``."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(**fields | {"owner": "filed"})
    registry.save(tmp_path / "models.json")
    return tmp_path / "models.json"


@pytest.fixture
def meters() -> Iterator[Meters]:
    """Give meters that are not the global ones."""
    meters = Meters()
    yield meters
    meters.provider.shutdown()


@pytest.fixture
def make_processor(registry: ModelRegistry, meters: Meters) -> Callable[..., ModelRegistrySpanProcessor]:
    """Give a function that makes processors whose metrics these meters read."""
    return lambda **options: ModelRegistrySpanProcessor(registry, meter_provider=meters.provider, **options)


@pytest.fixture
def counting(make_processor: Any, pipeline: Any) -> Any:
    """Give a pipeline whose metrics these meters read."""
    return pipeline(make_processor())


@pytest.fixture
def old_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the library find an SDK that cannot replace attributes and does not call ``_on_ending``."""
    monkeypatch.setattr(_span_access, "SWAPPABLE_CONTAINER", None)
    if HAS_ENDING_HOOK:
        monkeypatch.setattr(sdk.SynchronousMultiSpanProcessor, "_on_ending", lambda *_: None)
