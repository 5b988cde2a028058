"""OpenTelemetry's plain SDK with one additional line. The program prints the two spans that are exported."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from spanforge.model_registry import register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
provider.add_span_processor(ModelRegistrySpanProcessor())  # the one line
trace.set_tracer_provider(provider)

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent")

with trace.get_tracer("app").start_as_current_span("chat gpt-4o") as span:
    span.set_attribute("gen_ai.request.model", "gpt-4o")  # what an instrumentation does for you
