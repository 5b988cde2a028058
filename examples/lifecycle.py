"""The lifecycle of a model in the registry: the event of each operation, a file, and the process-wide registry.

Usage: lifecycle.py    print each exported event, and write models.json to the current folder
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

# The following code is that of the page that specifies spanforge.model_registry, without changes.
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
