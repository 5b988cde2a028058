"""What needs the OpenTelemetry SDK: the span processor, the sampler, the metrics, and how it stands with them."""

from __future__ import annotations

from spanforge.model_registry.otel.processor import ModelRegistrySpanProcessor
from spanforge.model_registry.otel.report import Status, status
from spanforge.model_registry.otel.sampler import ModelRegistrySampler

__all__ = ["ModelRegistrySampler", "ModelRegistrySpanProcessor", "Status", "status"]
