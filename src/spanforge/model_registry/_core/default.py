"""The process-wide registry: what the application registered, beneath what the files given by setting hold."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import structs

from spanforge.model_registry._core import operations
from spanforge.model_registry._core.errors import ModelRegistryError
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, OperationName, RiskTier
from spanforge.model_registry._core.process import ProcessState, WarnOnce
from spanforge.model_registry._core.registry import ModelRegistry
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.timestamps import format_micros
from spanforge.model_registry._core.values import EMPTY, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.events import LifecycleEvent
    from spanforge.model_registry._core.registry import Change

_lines: Final = WarnOnce(100)


class LayeredRegistry(ModelRegistry):
    """A registry of two layers: the application's entries, and above them those of the files given by setting.

    A model that is in both is as its file says: to register it gives the file's entry, emits nothing, and is logged
    once where the two differ. ``deprecate`` and ``retire`` work on a file's model as on any other, and what they did
    holds in this process until the file shows the same status or a later one. ``load`` and ``clear`` touch the
    application's layer only; ``save`` writes the models as they are in force.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of ``ModelRegistry``."""
        super().__init__(**options)
        self._filed: dict[str, ModelRegistryEntry] = {}
        self._own: dict[str, ModelRegistryEntry] = {}
        self._changed: dict[str, ModelRegistryEntry] = {}  # what operations set, and their records; no more than that

    def _commit(
        self, operation: OperationName, model_id: str, change: Change, reason: str, actor: str | None
    ) -> ModelRegistryEntry:
        entry = super()._commit(operation, model_id, change, reason, actor)
        if OPERATIONS[operation].registers:
            self._compare([model_id])
        return entry

    def _apply(
        self, operation: OperationName, model_id: str, change: Change, reason: str | None, actor: str | None
    ) -> tuple[ModelRegistryEntry, LifecycleEvent | None]:
        filed, known = model_id in self._filed, model_id in self._index.entries
        if filed and OPERATIONS[operation].registers:
            self._register_beneath(model_id, change, reason, actor)
            return self._index.entries[model_id], None
        entry, event = super()._apply(operation, model_id, change, reason, actor)
        if not OPERATIONS[operation].registers:
            bare = structs.replace(entry, status="active", decommission_date=None, metadata=EMPTY)
            self._changed.setdefault(model_id, bare)
            self._repeat(self._changed, model_id, change, reason, actor)
        elif not known:
            self._changed.pop(model_id, None)  # a file had the model once, and has it no more: it begins anew
        if filed:
            self._repeat(self._own, model_id, change, reason, actor)
        else:
            self._own[model_id] = entry
        return entry, event

    def _register_beneath(self, model_id: str, change: Change, reason: str | None, actor: str | None) -> None:
        """Keep what the application says of a file's model, for the day when the file has it no more."""
        new = model_id not in self._own
        self._tick()
        self._repeat(self._own, model_id, change, reason, actor)
        if new and model_id in self._changed:
            self._own[model_id] = operations.carried(self._own[model_id], self._changed[model_id])

    def _repeat(
        self,
        entries: dict[str, ModelRegistryEntry],
        model_id: str,
        change: Change,
        reason: str | None,
        actor: str | None,
    ) -> None:
        """Make the change of this moment to an entry that is not in force, unless it forbids that."""
        old = entries.get(model_id)
        now = format_micros(operations.after_history(self._last_moment, old))
        with suppress(ModelRegistryError):
            entries[model_id] = operations.recorded(change(old, now), now, reason, actor)

    def _take(self, entries: Iterable[ModelRegistryEntry]) -> None:
        own = {entry.model_id: entry for entry in entries}
        with self._lock:
            changed = {model_id: entry for model_id, entry in self._changed.items() if model_id in self._filed}
            self._lay(own, self._filed, changed)
        self._compare(list(own))

    def _take_files(self, entries: Iterable[ModelRegistryEntry]) -> None:
        filed = {entry.model_id: entry for entry in entries}
        with self._lock:
            changed = {
                model_id: entry
                for model_id, entry in self._changed.items()
                if model_id not in filed or _is_later(entry, filed[model_id])
            }
            self._lay(self._own, filed, changed)
        self._compare(list(self._own))

    def _lay(
        self,
        own: dict[str, ModelRegistryEntry],
        filed: dict[str, ModelRegistryEntry],
        changed: dict[str, ModelRegistryEntry],
    ) -> None:
        """Have readers see these layers, the files' first, as they come first where globs overlap; the lock is held."""
        in_force = [
            operations.carried(entry, changed[model_id]) if model_id in changed else entry
            for model_id, entry in filed.items()
        ]
        in_force += [entry for model_id, entry in own.items() if model_id not in filed]
        index = ModelIndex(in_force)
        self._own, self._filed, self._changed = own, filed, changed
        self._publish(index)

    def _compare(self, model_ids: Iterable[str]) -> None:
        """Say, once for each model, where the application describes it otherwise than its file."""
        for model_id in model_ids:
            own, filed = self._own.get(model_id), self._filed.get(model_id)
            if own is not None and filed is not None:
                fields = ", ".join(operations.differences(own, filed))
                text = "model %s is registered in code with another %s than in its file, which counts"
                if fields:
                    _lines.warn(model_id, text, quote(model_id), fields)


def _is_later(one: ModelRegistryEntry, other: ModelRegistryEntry) -> bool:
    return LIFECYCLE[one.status].rank > LIFECYCLE[other.status].rank


class _DefaultRegistry(ProcessState):
    """Empties the process-wide registry when the process starts again."""

    def reset(self) -> None:
        """Remove the files' entries and the application's."""
        registry = get_default_registry()
        registry._take_files(())  # noqa: SLF001 - one package
        registry.clear()


_registry = LayeredRegistry()
_DefaultRegistry()


def get_default_registry() -> ModelRegistry:
    """Return the process-wide registry: the attribute ``_registry`` of the package ``spanforge.model_registry``.

    It has two layers, see ``LayeredRegistry``: what the application registers, and the files given by setting.
    """
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
    provider: str | None = None,
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
    """Deprecate a model of the process-wide registry; see ``ModelRegistry.deprecate``."""
    registry = get_default_registry()
    return registry.deprecate(model_id, reason=reason, successor=successor, sunset_date=sunset_date, actor=actor)


def retire_model(model_id: str, *, reason: str = "", actor: str | None = None) -> ModelRegistryEntry:
    """Retire a model of the process-wide registry; see ``ModelRegistry.retire``."""
    return get_default_registry().retire(model_id, reason=reason, actor=actor)


def get_model(model_id: str) -> ModelRegistryEntry | None:
    """Return the entry of the process-wide registry with this id, if there is one."""
    return get_default_registry().get(model_id)


def list_models() -> list[ModelRegistryEntry]:
    """Return all entries of the process-wide registry, in the order of registration."""
    return get_default_registry().list_all()
