"""Everything that needs the OpenTelemetry SDK: the span processor, the sampler, the metrics and their status."""

from __future__ import annotations

from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._sampler import ModelRegistrySampler
from spanforge.model_registry.otel._status import PluginStatus, status

__all__ = ["ModelRegistrySampler", "ModelRegistrySpanProcessor", "PluginStatus", "status"]
