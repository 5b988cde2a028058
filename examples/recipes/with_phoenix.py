"""Phoenix, with OpenInference: the processor is added to the tracer provider that ``register`` creates."""

import openai
from phoenix.otel import register

from spanforge.model_registry import register_model
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor

register(protocol="http/protobuf", auto_instrument=True)
ModelRegistryInstrumentor().instrument()

register_model("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", aliases=["gpt-4o-20??-??-??"])

client = openai.OpenAI()
for model in ("gpt-4o", "gpt-4.1-nano"):
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "My router blinks red."}])
