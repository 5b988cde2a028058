"""Sets up a product and the plugin in one process, calls a model, and writes what was exported as JSON.

Run in the matrix's environment of frameworks. Usage: beside.py PRODUCT setup-first|plugin-first FILE
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from providers import serving

from spanforge.model_registry import register_model
from spanforge.model_registry.otel import status
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

Setup = Any


def set_up_logfire(_url: str, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> Any:
    """Set up Logfire, with tracer and meter providers of its own, and return OpenAI's client."""
    import logfire  # noqa: PLC0415 - each process needs one product
    import openai  # noqa: PLC0415

    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
        metrics=logfire.MetricsOptions(additional_readers=[reader]),
    )
    logfire.instrument_openai()
    return openai.OpenAI


def set_up_langfuse(url: str, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> Any:
    """Set up Langfuse, with a tracer provider of its own, and return OpenAI's client."""
    from langfuse import Langfuse  # noqa: PLC0415 - each process needs one product
    from langfuse.openai import openai  # noqa: PLC0415

    metrics.set_meter_provider(MeterProvider([reader]))
    Langfuse(public_key="none", secret_key="none", base_url=url)
    provider: Any = trace.get_tracer_provider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return openai.OpenAI


def set_up_phoenix(url: str, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> Any:
    """Set up Phoenix, with a tracer provider of its own, and return OpenAI's client."""
    import openai  # noqa: PLC0415 - each process needs one product
    from phoenix.otel import register  # noqa: PLC0415

    metrics.set_meter_provider(MeterProvider([reader]))
    provider = register(endpoint=f"{url}/v1/traces", protocol="http/protobuf", auto_instrument=True, verbose=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter), replace_default_processor=False)
    return openai.OpenAI


def set_up_traceloop(_url: str, exporter: InMemorySpanExporter, reader: InMemoryMetricReader) -> Any:
    """Set up Traceloop, with a tracer provider of its own, and return OpenAI's client."""
    import openai  # noqa: PLC0415 - each process needs one product
    from traceloop.sdk import Traceloop  # noqa: PLC0415

    metrics.set_meter_provider(MeterProvider([reader]))
    Traceloop.init(app_name="app", exporter=exporter, disable_batch=True, telemetry_enabled=False)
    return openai.OpenAI


SETUPS: dict[str, Setup] = {
    "langfuse": set_up_langfuse,
    "logfire": set_up_logfire,
    "phoenix": set_up_phoenix,
    "traceloop": set_up_traceloop,
}
"""The products, and what sets each up."""


def describe_span(span: ReadableSpan) -> dict[str, Any]:
    """Return the parts of a span that the tests look at."""
    return {
        "name": span.name,
        "attributes": dict(span.attributes or {}),
        "events": [event.name for event in span.events],
    }


def read_metrics(reader: InMemoryMetricReader) -> dict[str, float]:
    """Return the sum of each metric's values."""
    data = reader.get_metrics_data()
    resources = [] if data is None else data.resource_metrics
    found = [metric for each in resources for scope in each.scope_metrics for metric in scope.metrics]
    return {metric.name: sum(getattr(point, "value", 0) for point in metric.data.data_points) for metric in found}


def main(product: str, order: str, file: str) -> None:
    """Set up both in an order, register a model, and call it."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    with serving() as url:
        if order == "plugin-first":
            ModelRegistryInstrumentor().instrument()
        make_client = SETUPS[product](url, exporter, reader)
        if order == "setup-first":
            ModelRegistryInstrumentor().instrument()
        register_model("gpt-4o", "GPT-4o", "1", "high", "ml-platform", "test")
        client = make_client(api_key="none", base_url=f"{url}/v1", max_retries=0)
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
        provider: Any = trace.get_tracer_provider()
        provider.force_flush()
        found = {
            "spans": [describe_span(span) for span in exporter.get_finished_spans()],
            "metrics": read_metrics(reader),
            "status": status()._asdict(),
        }
        Path(file).write_text(json.dumps(found), "utf-8")
        sys.stdout.flush()
        os._exit(0)  # nothing more is exported


if __name__ == "__main__":
    main(*sys.argv[1:])
