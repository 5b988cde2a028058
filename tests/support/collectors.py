"""Applications that send to a Collector, and what it did with their telemetry."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import (
    Tracer,
    format_span_id,
)
from support.exporters import GRPC, TRUSTED, exporter_to, send
from support.lifecycle import bring
from support.otlp_json import Item
from support.recording import Recorder
from support.waiting import poll

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from support.servers import Server

    RunServer = Callable[..., Server]


class Application(Recorder):
    """A service that records with the real SDK; its spans wait until they are sent."""

    def __init__(self, service: str, *, plugin: bool = True, **resource: Any) -> None:
        given = {"service.name": service, **resource}
        self.resource = Resource.create(given) if service else Resource({})
        self.registry = ModelRegistry()
        super().__init__(self.resource, [ModelRegistrySpanProcessor(self.registry)] if plugin else ())
        self.tracer: Tracer = self.provider.get_tracer("app")

    def register(self, model_id: str, tier: Any = "low", status: str = "active", owner: str = "team") -> None:
        """Register a model."""
        self.registry.register(model_id, model_id, "1", tier, owner, "test")
        bring(self.registry, model_id, status)

    def call(self, name: str, scope: str = "app", **attributes: Any) -> None:
        """Record a span that gets its attributes while it runs."""
        with self.provider.get_tracer(scope).start_as_current_span(name) as span:
            span.set_attributes(attributes)


class Door(NamedTuple):
    """One of the addresses where a Collector takes telemetry."""

    server: Server
    whose: str = TRUSTED
    protocol: str = GRPC

    def exporter(self, signal: str) -> Any:
        """Return an exporter of the SDK that sends there."""
        return exporter_to(self.server, self.protocol, signal, senders=self.whose)

    def send(self, *spans: ReadableSpan) -> None:
        """Send spans, all of which have to be accepted."""
        send(self.server, spans, self.protocol, senders=self.whose)

    @contextlib.contextmanager
    def logs(self, resource: Resource) -> Iterator[LoggerProvider]:
        """Give a logger provider that sends there."""
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter("logs")))
        yield provider
        provider.shutdown()

    @contextlib.contextmanager
    def metrics(self, resource: Resource) -> Iterator[MeterProvider]:
        """Give a meter provider that sends there in the end."""
        reader = PeriodicExportingMetricReader(self.exporter("metrics"), float("inf"))
        provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        yield provider
        assert provider.force_flush()
        provider.shutdown()


DECIDED = "otelcol_processor_tail_sampling_global_count_traces_sampled"


def wait_until_decided(collector: Server, number: int) -> int:
    """Wait until a Collector has decided about so many traces and sent what it chose; return how many it chose."""
    assert poll(lambda: collector.metric(DECIDED), lambda decided: decided >= number) == number
    return collector.metric(DECIDED, sampled="true")


def ids(spans: Iterable[ReadableSpan | Item | Mapping[str, Any]]) -> Counter[str]:
    """Return how often there is each span of the SDK, of an archive or of Jaeger."""
    return Counter(
        format_span_id(span.context.span_id)
        if isinstance(span, ReadableSpan)
        else (span.item["spanId"] if isinstance(span, Item) else span["spanID"])
        for span in spans
    )
