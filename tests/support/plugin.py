"""Helpers of tests that install the plugin on a tracer provider."""

from __future__ import annotations

from typing import Any

from support.spans import HAS_ENDING_HOOK

from spanforge.model_registry.otel import ModelRegistrySpanProcessor

NO_SDK = (
    "model registry: no spans are enriched yet: the tracer provider is a ProxyTracerProvider, "
    "not one of opentelemetry-sdk. "
    "Install opentelemetry-distro, or add ModelRegistrySpanProcessor() to your own tracer provider."
)
"""The line about a process without a provider of the SDK."""
NOT_INSTALLED = "model registry: the plugin was not installed, so no span is enriched: "
"""The start of the line about a plugin that was not installed; a reason follows."""
_NO_HOOK = (
    "model registry: this opentelemetry-sdk does not let a processor change an ending span: "
    "spans whose model is set after their start may not be enriched"
)
NO_HOOK_LINES = [] if HAS_ENDING_HOOK else [_NO_HOOK]
"""Lines that an old SDK adds to the log."""


def find_processors(provider: Any) -> list[ModelRegistrySpanProcessor]:
    """Return the plugin's processors of a tracer provider."""
    every = provider._active_span_processor._span_processors
    return [each for each in every if isinstance(each, ModelRegistrySpanProcessor)]
