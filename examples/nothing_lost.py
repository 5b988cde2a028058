"""Head sampling that keeps no trace: events in both signals, calls of flagged models, and metrics are exported."""

import os

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from spanforge.model_registry import deprecate_model, register_model
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor, status

os.environ["OTEL_PYTHON_MODEL_REGISTRY_EVENTS"] = "span,log"  # usually set in the environment of the application


def show_span(span: ReadableSpan) -> str:
    """Return a line about a span."""
    what = [event.name for event in span.events] or [span.attributes["model_registry.status"]]
    return f"span    {span.name}: {', '.join(what)}\n"


def show_record(data: ReadableLogRecord) -> str:
    """Return a line about a log record."""
    return f"record  {data.log_record.event_name}: {data.log_record.attributes['model_registry.model_id']}\n"


def show_metrics(data: MetricsData) -> str:
    """Return a line for each series of calls."""
    shown = [
        f"metric  {metric.name} = {point.value} {', '.join(map(str, point.attributes.values()))}\n"
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == "model_registry.calls"
    ]
    return "".join(sorted(shown))


spans = TracerProvider(sampler=ModelRegistrySampler(0, flagged=True))
spans.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=show_span)))
spans.add_span_processor(ModelRegistrySpanProcessor())
trace.set_tracer_provider(spans)
records = LoggerProvider()
records.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter(formatter=show_record)))
_logs.set_logger_provider(records)
metrics.set_meter_provider(
    MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter(formatter=show_metrics), 60_000)])
)

register_model("gpt-4o", "GPT-4o", "2024-08-06", "low", "ml-platform", "support agent")
register_model("gpt-3.5-turbo", "GPT-3.5 Turbo", "0125", "medium", "ml-platform", "support agent")
deprecate_model("gpt-3.5-turbo", successor="gpt-4o")

for model in ("gpt-4o", "gpt-3.5-turbo", "gpt-9"):
    with trace.get_tracer("app").start_as_current_span(f"chat {model}", attributes={"gen_ai.request.model": model}):
        pass  # the call; head sampling may drop gpt-4o, whose risk tier is low

print(status())
