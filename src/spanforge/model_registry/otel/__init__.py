"""What needs the OpenTelemetry SDK: the span processor, the sampler, the metrics, and how it stands with them."""

from __future__ import annotations

from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._sampler import ModelRegistrySampler
from spanforge.model_registry.otel._status import Status, status

__all__ = ["ModelRegistrySampler", "ModelRegistrySpanProcessor", "Status", "status"]
