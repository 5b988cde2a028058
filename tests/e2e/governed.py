"""Calls models as an application under the plugin does, and sends spans and metrics.

Usage: governed.py ENDPOINT

The registry's file is given by the environment. Until the standard input ends, the active model, the slow one and the
one that fails are called again and again, the others once.
"""

from __future__ import annotations

import sys
import threading
import time

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor

ONCE = ("gpt-4o", "retired-1", "near-1", "past-1", "gpt-9")
SLOW = 40
"""Seconds that a call of the slow model is said to have taken."""
PERIOD = 300
"""Milliseconds between two exports."""


def call(model: str, *, seconds: int = 0, fails: bool = False) -> None:
    """Leave the span of a call."""
    start = time.time_ns() - seconds * 10**9
    span = trace.get_tracer("app").start_span(
        f"chat {model}", start_time=start, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    )
    if fails:
        span.set_status(StatusCode.ERROR, "out of order")
    span.end()


def main(endpoint: str) -> None:
    """Make the calls."""
    spans = TracerProvider()
    spans.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces"), schedule_delay_millis=PERIOD)
    )
    trace.set_tracer_provider(spans)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"), PERIOD)
    metrics.set_meter_provider(MeterProvider([reader]))
    ModelRegistryInstrumentor().instrument()
    unheard = ModelRegistry(tracer_provider=TracerProvider(ALWAYS_OFF))
    unheard.register("lost", "Lost", "1", "low", "ml-platform", "an event that nobody gets")
    for model in ONCE:
        call(model)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
    while not over.wait(0.2):
        call("slow-1", seconds=SLOW)
        call("failing-1", fails=True)
        call("gpt-4o")


if __name__ == "__main__":
    main(*sys.argv[1:])
