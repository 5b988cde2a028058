"""The application's OpenTelemetry set-up: a file, a backend if the environment names one, and the model registry."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as OpenTelemetry
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

INSTRUMENTATIONS: dict[str, Callable[[], Any]] = {"opentelemetry": OpenTelemetry, "openinference": OpenInference}
EXPORTERS: dict[str, Callable[..., SpanExporter]] = {"grpc": OverGrpc, "http/protobuf": OverHttp}
SECONDS = 3
"""The seconds in which a backend must accept an export."""


class Watched(SpanExporter):
    """Reports the lost spans of a backend in one line, instead of the many lines of the exporter."""

    def __init__(self, exporter: SpanExporter, endpoint: str, protocol: str) -> None:
        self.exporter = exporter
        self.endpoint = endpoint
        self.protocol = protocol
        self.lost = 0
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans."""
        result = self.exporter.export(spans)
        self.lost += 0 if result is SpanExportResult.SUCCESS else len(spans)
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self.exporter.shutdown()
        if self.lost:
            text = f"{self.endpoint} did not take {self.lost} spans over {self.protocol}; check that it is running"
            print(text, file=sys.stderr)


def setting(name: str) -> str | None:
    """Return the value of one of OpenTelemetry's OTLP settings. The setting for traces has priority."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") or None


@contextmanager
def traced(file: str) -> Iterator[None]:
    """Export spans to a file, and to a backend if the environment names one."""
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or "support-agent"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor())  # the one line
    provider.add_span_processor(BatchSpanProcessor(FileSpanExporter(file)))
    endpoint = setting("ENDPOINT")
    if endpoint is not None:
        protocol = setting("PROTOCOL") or "grpc"
        if protocol not in EXPORTERS:
            sys.exit(f"OTEL_EXPORTER_OTLP_PROTOCOL must be one of {', '.join(EXPORTERS)}; got {protocol!r}")
        exporter = Watched(EXPORTERS[protocol](timeout=SECONDS), endpoint, protocol)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def instrument(name: str) -> None:
    """Switch on one of the instrumentations of the openai client."""
    INSTRUMENTATIONS[name]().instrument(tracer_provider=trace.get_tracer_provider())
