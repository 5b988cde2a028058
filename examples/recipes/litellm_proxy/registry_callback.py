"""litellm's own OpenTelemetry callback, with the processor in the tracer provider that it creates."""

from litellm.integrations.opentelemetry import OpenTelemetry
from opentelemetry import trace

from spanforge.model_registry.otel import ModelRegistrySpanProcessor

otel = OpenTelemetry()
trace.get_tracer_provider().add_span_processor(ModelRegistrySpanProcessor())
