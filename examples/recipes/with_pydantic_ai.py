"""pydantic-ai, which creates its own spans, with OpenTelemetry's plain SDK."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent

from spanforge.model_registry import register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

provider = TracerProvider()
provider.add_span_processor(ModelRegistrySpanProcessor())
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all()

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", aliases=["gpt-4o-20??-??-??"])

for model in ("gpt-4o", "gpt-4.1-nano"):
    Agent(f"openai-chat:{model}", name="support").run_sync("My router blinks red.")
