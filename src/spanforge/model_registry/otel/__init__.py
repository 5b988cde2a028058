"""What needs the OpenTelemetry SDK: the span processor that puts owner, risk tier and status on LLM spans."""

from __future__ import annotations

from spanforge.model_registry.otel.processor import ModelRegistrySpanProcessor

__all__ = ["ModelRegistrySpanProcessor"]
