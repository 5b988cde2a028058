"""Calls models as an application under the plugin does, sends spans and metrics, and prints the calls that it made.

Usage: demo_fleet.py ENDPOINT UNTRUSTED SUNSET

The environment names the registry's file. SUNSET is the sunset date of the model that this application deprecates. It
calls some models again and again until the standard input ends, and the others once. Then it prints the numbers by
model, as JSON. It sends one more call to UNTRUSTED.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode
from support.lifecycle import CHANGING, way_through

from spanforge.model_registry import ModelRegistry, deprecate_model, get_default_registry, register_model
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, STATUSES
from spanforge.model_registry.calendar import Announcement, Calendar, use_calendar
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor

FORBIDDEN = FLAGGED_STATUSES - {"deprecated"}
"""The statuses in which a model must not be called."""
ONCE = ("gpt-4o", *(f"{status}-1" for status in STATUSES if status in FORBIDDEN), "near-1", "past-1", "gpt-9")
SLOW = 40
"""Seconds that a call of the slow model is said to have taken."""
PERIOD = 300
"""Milliseconds between two exports."""


made: Counter[str] = Counter()


def sending(endpoint: str) -> TracerProvider:
    """Return a tracer provider that sends there."""
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=PERIOD))
    return provider


def call(model: str, *, seconds: int = 0, fails: bool = False) -> None:
    """Leave the span of a call."""
    made[model] += 1
    start = time.time_ns() - seconds * 10**9
    span = trace.get_tracer("app").start_span(
        f"chat {model}", start_time=start, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
    )
    if fails:
        span.set_status(StatusCode.ERROR, "out of order")
    span.end()


def ask_another(requested: str, model: str) -> None:
    """Leave the span of a call that another model answers."""
    made[model] += 1
    start = time.time_ns() - SLOW * 10**9
    attributes = {"gen_ai.request.model": requested, "gen_ai.response.model": model}
    trace.get_tracer("app").start_span("chat", start_time=start, attributes=attributes).end()


def name_in_agent(model: str) -> None:
    """Leave the span of an agent that names a model."""
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": model}
    trace.get_tracer("app").start_span("invoke_agent", attributes=attributes).end()


def change(sunset: str) -> None:
    """Make each operation on a model of its own; lose the event of a further one."""
    register_model("extra-1", "extra-1", "1", "low", "search-team", "to change")
    deprecate_model("extra-1", sunset_date=sunset)
    for operation in CHANGING:
        if operation != "deprecate":
            register_model(f"{operation}-1", operation, "1", "low", "search-team", "to change")
            for step in way_through(operation):
                getattr(get_default_registry(), step)(f"{operation}-1")
    unheard = ModelRegistry(tracer_provider=TracerProvider(ALWAYS_OFF))
    unheard.register("lost", "Lost", "1", "low", "ml-platform", "an event that nobody gets")


def announce() -> None:
    """Announce that the provider of a model stops serving it in five days, and that of another one did so yesterday."""
    today = datetime.now(timezone.utc).date()
    announcements = [
        Announcement(
            provider="openai",
            model=model,
            shutdown_on=str(today + timedelta(days)),
            source="page",
            checked_on=str(today),
        )
        for model, days in (("gpt-4o", 5), ("failing-1", -1))
    ]
    use_calendar(Calendar(announcements))


def main(endpoint: str, untrusted: str, sunset: str) -> None:
    """Make the calls."""
    trace.set_tracer_provider(sending(endpoint))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"), PERIOD)
    metrics.set_meter_provider(MeterProvider([reader]))
    ModelRegistryInstrumentor().instrument()
    announce()
    change(sunset)
    outside = sending(untrusted)
    outside.get_tracer("app").start_span("chat", attributes={"gen_ai.request.model": "gpt-4o"}).end()
    outside.shutdown()
    for model in ONCE:
        call(model)
    ask_another("gpt-4o", "slow-1")
    for model in ("gpt-4o", "retire-1", "gpt-9"):
        name_in_agent(model)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set())).start()
    while not over.wait(0.2):
        call("slow-1", seconds=SLOW)
        call("failing-1", fails=True)
        call("gpt-4o")
        call("extra-1", fails=made["extra-1"] % 2 == 1)
    print(json.dumps(made))  # noqa: T201 - this is what is asked for


if __name__ == "__main__":
    main(*sys.argv[1:])
