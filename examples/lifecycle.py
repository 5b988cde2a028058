"""The life of a model in the registry: each operation's event, a file, and the registry of the whole process.

Usage: lifecycle.py    prints each event as it is exported, and leaves models.json in the current folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def show(span: ReadableSpan) -> str:
    """Return the events of a span as text."""
    lines = []
    for event in span.events:
        lines += [event.name, *(f"  {key} = {value}" for key, value in (event.attributes or {}).items())]
    return "\n".join([*lines, ""])


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=show)))
trace.set_tracer_provider(provider)

# From here on: the examples of the page that says what spanforge.model_registry is, word for word.
# isort: off
# fmt: off
# ruff: noqa: E402
from spanforge.model_registry import ModelRegistry
registry = ModelRegistry()
# Register
entry = registry.register(
    model_id="gpt-4o-2024-05",
    name="GPT-4o",
    version="2024-05",
    risk_tier="high",
    owner="ml-platform",
    purpose="customer support agent",
)
# Deprecate
registry.deprecate("gpt-4o-2024-05", reason="Replaced by gpt-4o-2024-08")
# Retire
registry.retire("gpt-4o-2024-05")

registry.save("models.json")   # persist to disk
registry.load("models.json")   # reload from disk

from spanforge.model_registry import register_model, deprecate_model, retire_model
register_model("gpt-4o", "GPT-4o", "2024-05", "high", "ml-platform", "chat agent")
deprecate_model("gpt-4o", reason="Successor available")
retire_model("gpt-4o")
