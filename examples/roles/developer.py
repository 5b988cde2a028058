"""For developers: code registers models, asks before a call, and calls models with a real client.

A local server replaces the model's API. The output is a table of the exported spans.
"""

from __future__ import annotations

import sys
from pathlib import Path

import openai
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanforge.model_registry import ModelRegistry, ModelRegistryError
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

sys.path.insert(0, str(Path(__file__).parents[1] / "support_agent"))

from models_api import serving

ROW = "{:16} {:13} {:6} {:13} {}"


def main() -> None:
    """Register, ask, call, and show the spans."""
    exporter, provider, registry = InMemorySpanExporter(), TracerProvider(), ModelRegistry(auto_emit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))  # before the exporter's processor
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    OpenAIInstrumentor().instrument(tracer_provider=provider)

    registry.register("gpt-4o", "GPT-4o", "2024-08-06", "high", "ml-platform", "support agent", provider="openai")
    registry.register("gpt-3.5-turbo", "GPT-3.5 Turbo", "0125", "medium", "support-team", "summaries")
    registry.deprecate("gpt-3.5-turbo", reason="no longer improved", successor="gpt-4o", sunset_date="2027-03-31")
    registry.register("text-davinci-003", "Davinci", "003", "critical", "support-team", "old prompts")
    registry.retire("text-davinci-003", reason="replaced by gpt-4o")

    print("Before a call, registry.require('text-davinci-003') raises:")
    try:
        registry.require("text-davinci-003")
    except ModelRegistryError as error:
        print(f"  {error}\n")

    with serving() as api, openai.OpenAI(base_url=api, api_key="none-needed") as client:
        for model in ("gpt-4o", "gpt-3.5-turbo", "gpt-4.1-nano"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "It blinks red."}])

    print(ROW.format("span of a call", "owner", "tier", "status", "successor"))
    for span in exporter.get_finished_spans():
        values = {key.removeprefix("model_registry."): value for key, value in (span.attributes or {}).items()}
        cells = (values.get(name, "-") for name in ("owner", "risk_tier", "status", "successor"))
        print(ROW.format(span.name.removeprefix("chat "), *map(str, cells)))


if __name__ == "__main__":
    main()
