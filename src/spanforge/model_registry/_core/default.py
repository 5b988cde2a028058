"""The process-wide registry, and the module-level functions that use it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from spanforge.model_registry._core.layers import TWO_LAYERS
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.registry import ModelRegistry
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import RiskTier


class LayeredRegistry(ModelRegistry):
    """A registry of two layers: the application's entries, and above them those of the files in the setting ``file``.

    - If a model is in both layers, the file's entry is in force. If the two differ, a warning is logged once.
    - Registering a model that a file defines returns the file's entry and emits nothing.
    - An operation that changes the status of a file's model is in force in this process, until the file has the same
      status or a later one; see ``Status.rank``.
    - ``load`` and ``clear`` change only the application's layer. ``save`` writes the entries in force.
    """

    _INITIAL_LAYERS = TWO_LAYERS


class _DefaultRegistryReset(ProcessState):
    """Empties the process-wide registry when the process is reset."""

    goes_on = True  # ``set_entries_aside`` decides whether to keep the entries

    def reset(self) -> None:
        """Remove the entries of the files and of the application."""
        registry = get_default_registry()
        replace_file_entries(registry, ())
        registry.clear()


_registry = LayeredRegistry()
_DefaultRegistryReset()  # the constructor registers the object


def get_default_registry() -> ModelRegistry:
    """Return the process-wide registry.

    The module-level functions such as ``register_model`` change it, and the span processor uses it by default. It has
    two layers: the application's entries, and above them those of the files in the setting ``file``.
    """
    # Each call looks it up, so that replacing ``spanforge.model_registry._registry`` takes effect. During its import,
    # the package does not have the attribute yet.
    package = sys.modules["spanforge.model_registry"]
    return cast("ModelRegistry", getattr(package, "_registry", _registry))


def register_model(  # noqa: PLR0913 - the payload's fields are the arguments
    model_id: str,
    name: str,
    version: str,
    risk_tier: RiskTier,
    owner: str,
    purpose: str,
    *,
    deployment_date: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    aliases: Iterable[str] = (),
    provider: str | Iterable[str] | None = None,
    replace: bool = False,
    actor: str | None = None,
) -> ModelRegistryEntry:
    """Register a model in the process-wide registry; see ``ModelRegistry.register``."""
    return get_default_registry().register(
        model_id,
        name,
        version,
        risk_tier,
        owner,
        purpose,
        deployment_date=deployment_date,
        metadata=metadata,
        aliases=aliases,
        provider=provider,
        replace=replace,
        actor=actor,
    )


def deprecate_model(
    model_id: str,
    *,
    reason: str = "",
    successor: str | None = None,
    sunset_date: str | None = None,
    actor: str | None = None,
) -> ModelRegistryEntry:
    """Deprecate a model in the process-wide registry; see ``ModelRegistry.deprecate``."""
    registry = get_default_registry()
    return registry.deprecate(model_id, reason=reason, successor=successor, sunset_date=sunset_date, actor=actor)


def retire_model(model_id: str, *, reason: str = "", actor: str | None = None) -> ModelRegistryEntry:
    """Retire a model in the process-wide registry; see ``ModelRegistry.retire``."""
    return get_default_registry().retire(model_id, reason=reason, actor=actor)


def get_model(model_id: str) -> ModelRegistryEntry | None:
    """Return the entry with this id in the process-wide registry; ``None`` if the model is not registered."""
    return get_default_registry().get(model_id)


def list_models() -> list[ModelRegistryEntry]:
    """Return all entries of the process-wide registry, in the order of registration; those of files come first."""
    return get_default_registry().list_all()
