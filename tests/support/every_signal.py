"""The telemetry of one application that uses every part of the library that exports something."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.calendars import announce
from support.entries import FIELDS
from support.meters import Meters
from support.spans import KIND, REQUEST, RESPONSE

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core.attributes import SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry.calendar import Calendar, use_calendar
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Telemetry:
    """The telemetry of one application that uses every part of the library that exports something."""

    def __init__(self, meters: Meters) -> None:
        self.spans, self.records = InMemorySpanExporter(), InMemoryLogRecordExporter()
        self.meters = meters
        self.tracing, self.logging = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        self.logging.add_log_record_processor(SimpleLogRecordProcessor(self.records))
        self.registry = ModelRegistry(tracer_provider=self.tracing, logger_provider=self.logging)
        self.tracing.add_span_processor(
            ModelRegistrySpanProcessor(
                self.registry, span_attributes=SPAN_ATTRIBUTE_NAMES, meter_provider=meters.provider
            )
        )
        self.tracing.add_span_processor(SimpleSpanProcessor(self.spans))

    def call(self, **attributes: str) -> None:
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        self.tracing.get_tracer("app").start_span("chat", attributes=named).end()

    def span_keys(self) -> dict[str, set[Any]]:
        """Return the values of each attribute of LLM spans, and of operations."""
        return collect(span.attributes or {} for span in self.spans.get_finished_spans())

    def event_keys(self) -> dict[str, dict[str, set[Any]]]:
        """Return the values of each attribute of each event, in both signals."""
        found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for span in self.spans.get_finished_spans():
            for event in span.events:
                found[event.name].append(event.attributes or {})
        for data in self.records.get_finished_logs():
            found[str(data.log_record.event_name)].append(data.log_record.attributes or {})
        return {name: collect(attributes) for name, attributes in found.items()}


def collect(attributes: Any) -> dict[str, set[Any]]:
    values: defaultdict[str, set[Any]] = defaultdict(set)
    for each in attributes:
        for key, value in each.items():
            values[key].add(value)
    return dict(values)


@contextmanager
def exporting_everything(folder: Path) -> Iterator[Telemetry]:
    """Yield the telemetry of calls, lifecycle events and metrics of every kind, on a day near a provider's shutdown."""
    set_event_signals("span,log")
    meters = Meters()
    telemetry = Telemetry(meters)
    registry = telemetry.registry
    use_calendar(Calendar([announce("gpt-4o")]), registry)
    registry.register(**FIELDS, provider="openai", actor="ci", metadata={"contact": "#team", "n": 1, "list": ["a"]})
    for model_id, tier in (("old", "low"), ("older", "medium"), ("star-*", "critical")):
        registry.register(
            model_id.replace("*", "1"), "M", "1", tier, "team", "chat", aliases=["star-*"] * ("*" in model_id)
        )
    registry.deprecate("old", reason="old", successor="gpt-4o", sunset_date="2027-01-01", actor="kim")
    registry.retire("older", reason="contract has ended", actor="kim")
    registry.emit_changes([], [registry.list_all()[0]], actor="ci", source_revision="abc")
    for model in ("gpt-4o", "GPT-4O", "old", "older", "star-9", "nobody"):
        telemetry.call(**{REQUEST: model, "gen_ai.provider.name": "openai"})
    telemetry.call(**{REQUEST: "gpt-4o", RESPONSE: "star-1"})
    telemetry.call(**{REQUEST: "gpt-4o", RESPONSE: "nobody-1"})
    telemetry.call(**{REQUEST: "gpt-4o", KIND: "AGENT"})
    registry.save(folder / "models.json")
    watcher = FileWatcher(get_default_registry(), [str(folder / "models.json")], reload_interval=0)
    watcher.start()
    yield telemetry
    watcher.stop()
    meters.provider.shutdown()
