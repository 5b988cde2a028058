"""Calls models from 8 threads and 4 forked workers, sends the metrics, and prints the calls that were recorded.

Usage: load_generator.py ENDPOINT RATIO FILE

ENDPOINT is the address of OTLP over HTTP, RATIO the share that head sampling keeps, and FILE the registry file, which
is changed meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

THREADS, WORKERS, CALLS = 8, 4, 500
MODELS = ("gpt-4o", "gpt-3.5-turbo", "nobody's", "somebody's")
"""Two that are registered, two that are not: these share a series."""


def call(provider: TracerProvider, number: int, made: Counter[str]) -> None:
    """Make calls, and spans that are none, and note the calls that are recorded."""
    tracer = provider.get_tracer("calling")
    for i in range(number):
        model = MODELS[i % len(MODELS)]
        span = tracer.start_span("chat", attributes={"gen_ai.operation.name": "chat"} if i % 2 else None)
        span.set_attribute("gen_ai.request.model", model)
        made[model] += span.is_recording()
        span.end()
        attributes = {"gen_ai.request.model": model, "gen_ai.operation.name": "invoke_agent"}
        tracer.start_span("agent", attributes=attributes).end()


def in_threads(provider: TracerProvider, calls: int) -> Counter[str]:
    """Have calls made by threads, and return those that were recorded."""
    made: list[Counter[str]] = [Counter() for _ in range(THREADS)]
    threads = [threading.Thread(target=call, args=(provider, calls, each)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(made, Counter())


def reporting(endpoint: str, instance: str) -> MeterProvider:
    """Send the metrics of this process, under an instance of its own."""
    resource = Resource.create({"service.name": "calling", "service.instance.id": instance})
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"), 60_000)
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


def work(endpoint: str, instance: str, provider: TracerProvider, registry: ModelRegistry, path: str) -> None:
    """Make calls while the registry is loaded again and again, send the metrics, and print what was recorded."""
    meters = reporting(endpoint, instance)
    stop = threading.Event()

    def reload() -> None:
        while not stop.wait(0.005):
            registry.load(path)

    reloading = threading.Thread(target=reload)
    reloading.start()
    made = in_threads(provider, CALLS)
    stop.set()
    reloading.join()
    meters.shutdown()
    os.write(1, f"{json.dumps([instance, made])}\n".encode())


def main(endpoint: str, ratio: str, path: str) -> None:
    """Call before the fork, and after it in parent and children."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    provider = TracerProvider(sampler=TraceIdRatioBased(float(ratio)), shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))
    before = in_threads(provider, 10)
    os.write(1, f"{json.dumps(['parent', before])}\n".encode())
    children = []
    for number in range(WORKERS):
        child = os.fork()
        if child == 0:
            work(endpoint, f"worker-{number}", provider, registry, path)
            os._exit(0)
        children.append(child)
    work(endpoint, "parent", provider, registry, path)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main(*sys.argv[1:])
