"""Helpers of tests that install the plugin on a tracer provider."""

from __future__ import annotations

from typing import Any

from support.spans import HAS_ENDING_HOOK

from spanforge.model_registry.otel import ModelRegistrySpanProcessor

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
