"""A registry of the AI models that an organisation runs: their owners, risk tiers and lifecycle.

Lifecycle operations emit events such as ``model_registry.registered`` as OpenTelemetry span events. The span processor
in ``spanforge.model_registry.otel`` adds owner, risk tier and status to every span that calls a model.
"""

from __future__ import annotations

from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.default import (
    _registry as _registry,
)
from spanforge.model_registry._core.default import (
    deprecate_model,
    get_default_registry,
    get_model,
    list_models,
    register_model,
    retire_model,
)
from spanforge.model_registry._core.emission import event_counts, flush_events
from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf
from spanforge.model_registry._core.errors import (
    InvalidEntryError,
    InvalidValueError,
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelRegistryError,
    ProviderShutdownError,
    RegistryFileChangedError,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry._core.events import EventCounts, LifecycleEvent
from spanforge.model_registry._core.lifecycle import ModelStatus, RiskTier
from spanforge.model_registry._core.registry import ModelRegistry
from spanforge.model_registry._core.resolution import Resolution

__all__ = [
    "EventCounts",
    "InvalidEntryError",
    "InvalidValueError",
    "LifecycleError",
    "LifecycleEvent",
    "ModelAlreadyRegisteredError",
    "ModelNotAllowedError",
    "ModelNotFoundError",
    "ModelRegistry",
    "ModelRegistryEntry",
    "ModelRegistryError",
    "ModelStatus",
    "ProviderShutdownError",
    "RegistryFileChangedError",
    "RegistryFileError",
    "RegistryFileNotFoundError",
    "Resolution",
    "RiskTier",
    "StateAsOf",
    "__version__",
    "deprecate_model",
    "event_counts",
    "flush_events",
    "get_default_registry",
    "get_model",
    "list_models",
    "register_model",
    "retire_model",
]
