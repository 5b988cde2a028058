"""OpenTelemetry SDK integration: span processor, sampler, metrics, plugin status."""

from __future__ import annotations

from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._sampler import ModelRegistrySampler
from spanforge.model_registry.otel._status import PluginStatus, status

__all__ = ["ModelRegistrySampler", "ModelRegistrySpanProcessor", "PluginStatus", "status"]
