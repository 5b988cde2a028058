"""What a process records: spans that ended, and log lines of the library."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan


class EndedSpans(SpanProcessor):
    """Keeps the spans that ended, without a lock that a forked child could inherit."""

    def __init__(self, limit: int | None = None) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=limit)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self.spans.append(span)


class LoggedLines(logging.Handler):
    """Keeps the lines that the library logs."""

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__()
        self.lines: list[str] = []
        logger = logging.getLogger("spanforge.model_registry")
        logger.addHandler(self)
        logger.setLevel(level)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())


class Recorder:
    """A tracer provider of the SDK whose spans wait until they are taken."""

    def __init__(self, resource: Resource | None = None, processors: Iterable[SpanProcessor] = ()) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for processor in processors:
            self.provider.add_span_processor(processor)
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def call(self, name: str = "chat", scope: str = "app", **attributes: Any) -> None:
        """Record a span with attributes."""
        self.provider.get_tracer(scope).start_span(name, attributes=attributes).end()

    def take(self) -> list[ReadableSpan]:
        """Return the spans that have ended since the last call."""
        spans = list(self._kept.get_finished_spans())
        self._kept.clear()
        return spans
