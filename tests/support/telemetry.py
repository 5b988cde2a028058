"""Parts of OpenTelemetry's SDK for tests: exported events, providers, a sampler and a log processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


NO_RESOURCE = Resource({})
"""A resource without attributes. To make a usual one starts a thread."""


def exported_events(exporter: InMemorySpanExporter) -> list[Event]:
    """Return the events of all spans that were exported, in their order."""
    return [event for span in exporter.get_finished_spans() for event in span.events]


def models_of(events: Iterable[Any]) -> list[Any]:
    """Return the model id of each event, or of each log record."""
    return [event.attributes["model_registry.model_id"] for event in events]


def tracers_with(exporter: InMemorySpanExporter, **options: Any) -> TracerProvider:
    """Return a tracer provider of the real SDK that exports each span at once."""
    provider = TracerProvider(shutdown_on_exit=False, **{"resource": NO_RESOURCE, **options})
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


class RecordOnly(Sampler):
    """Records each span and samples none."""

    def should_sample(self, *arguments: Any, **_: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, arguments[4])

    def get_description(self) -> str:
        return "record only"


class Keeping(LogRecordProcessor):
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.kept.append(log_record)

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        return True

    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self.kept]

    def names(self) -> list[str]:
        return [record.event_name for record in self.records]


class Raising(Keeping):
    """Fails for each record."""

    def on_emit(self, log_record: Any) -> None:  # noqa: ARG002 - the signature
        raise LookupError("no room")


def loggers_with(*processors: LogRecordProcessor) -> LoggerProvider:
    """Return a logger provider of the real SDK with these processors."""
    provider = LoggerProvider(NO_RESOURCE, shutdown_on_exit=False)
    for processor in processors:
        provider.add_log_record_processor(processor)
    return provider
