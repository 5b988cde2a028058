"""Fixtures: pipelines of the real SDK, exporters, the instrumentor, metrics, and a stand-in model API."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import ConcurrentMultiSpanProcessor, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from support.entries import SHOWN_METADATA
from support.log_lines import library_records
from support.meters import Meters
from support.spans import HAS_ENDING_HOOK, REQUEST

from spanforge.model_registry import ModelRegistry, get_default_registry
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
            **options,
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
    """Give a function that returns the library's log lines, except the one about an old SDK."""

    def logged() -> list[str]:
        messages = [record.getMessage() for record in library_records(caplog)]
        return [
            message
            for message in messages
            if not message.startswith("model registry: this opentelemetry-sdk does not let ")
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


class _Api(BaseHTTPRequestHandler):
    """Responds like OpenAI's API, with the snapshot's name; accepts and keeps OTLP requests too."""

    protocol_version = "HTTP/1.1"
    received: tuple[bytes, ...] = ()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            type(self).received += (body,)
            self.answer(b"", "application/x-protobuf")
            return
        request = json.loads(body)
        if request["model"] == "no-such-model":
            self.answer(
                json.dumps({"error": {"message": "no such model", "code": "model_not_found"}}).encode(), code=404
            )
        elif self.path == "/v1/embeddings":
            self.answer_json(request, "list", data=[{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}])
        elif request.get("stream"):
            chunks = [self.make_chunk(request, text) for text in ("hel", "lo", None)]
            self.answer("".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]).encode(), "text/event-stream")
        else:
            message = {"role": "assistant", "content": "hello"}
            self.answer_json(
                request, "chat.completion", choices=[{"index": 0, "message": message, "finish_reason": "stop"}]
            )

    def make_chunk(self, request: dict[str, Any], text: str | None) -> str:
        delta = {} if text is None else {"role": "assistant", "content": text}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
        return json.dumps(self.make_body(request, "chat.completion.chunk", choices=[choice]))

    def answer_json(self, request: dict[str, Any], kind: str, **members: Any) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        self.answer(json.dumps(self.make_body(request, kind, usage=usage, **members)).encode())

    def make_body(self, request: dict[str, Any], kind: str, **members: Any) -> dict[str, Any]:
        return {"id": "1", "object": kind, "created": 1, "model": f"{request['model']}-2024-08-06", **members}

    def answer(self, body: bytes, content_type: str = "application/json", code: int = 200) -> None:
        self.send_response(code)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Stay silent."""


class Api(NamedTuple):
    """The stand-in API: where it is, and the OTLP requests it got."""

    url: str
    handler: type[_Api]

    @property
    def received(self) -> tuple[bytes, ...]:
        return self.handler.received


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Run the stand-in API on a free port of the loopback interface."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Handler", (_Api,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Api(f"http://127.0.0.1:{server.server_port}", handler)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove OpenTelemetry's environment variables and global providers."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(metrics._internal, "_METER_PROVIDER", None)


@pytest.fixture
def set_global(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Give a function that sets the global tracer provider."""
    return lambda provider: monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)


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
    monkeypatch.setattr(ModelRegistryInstrumentor, "_installations", weakref.WeakKeyDictionary())
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
