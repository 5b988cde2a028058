"""Traceloop, which includes OpenLLMetry: the processor is added to the tracer provider that ``init`` creates."""

import openai
from opentelemetry import trace
from traceloop.sdk import Traceloop

from spanforge.model_registry import register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

Traceloop.init(app_name="support-agent")
trace.get_tracer_provider().add_span_processor(ModelRegistrySpanProcessor())

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", aliases=["gpt-4o-20??-??-??"])

client = openai.OpenAI()
for model in ("gpt-4o", "gpt-4.1-nano"):
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "My router blinks red."}])
