"""Langfuse: the processor is added to the tracer provider that its client creates."""

from langfuse import get_client
from langfuse.openai import openai
from opentelemetry import trace

from spanforge.model_registry import register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

langfuse = get_client()
trace.get_tracer_provider().add_span_processor(ModelRegistrySpanProcessor())

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", aliases=["gpt-4o-20??-??-??"])

client = openai.OpenAI()
for model in ("gpt-4o", "gpt-4.1-nano"):
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "My router blinks red."}])
langfuse.flush()
