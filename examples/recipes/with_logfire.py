"""Logfire: the processor is one of ``additional_span_processors``, which come before Logfire's own exporter."""

import logfire
import openai

from spanforge.model_registry import deprecate_model, register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

logfire.configure(additional_span_processors=[ModelRegistrySpanProcessor()])
logfire.instrument_openai()

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", aliases=["gpt-4o-20??-??-??"])
register_model("gpt-3.5-turbo", "GPT-3.5 Turbo", "0125", "medium", "support-team", "summaries")
deprecate_model("gpt-3.5-turbo", reason="no longer improved", successor="gpt-4o")

client = openai.OpenAI()
for model in ("gpt-4o", "gpt-3.5-turbo"):
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "My router blinks red."}])
