"""The process-wide registry: what the application registered, beneath what the files given by setting hold."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from spanforge.model_registry import lifecycle, logs
from spanforge.model_registry.entry import MAX_HISTORY, STATUSES
from spanforge.model_registry.errors import ModelRegistryError
from spanforge.model_registry.registry import ModelRegistry
from spanforge.model_registry.resolution import ModelIndex
from spanforge.model_registry.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.trace import TracerProvider

    from spanforge.model_registry.entry import ModelRegistryEntry, ModelStatus, RiskTier
    from spanforge.model_registry.events import LifecycleEvent
    from spanforge.model_registry.registry import Change
    from spanforge.model_registry.values import Record

_lines: Final = logs.Lines(100)


class _Changed(NamedTuple):
    """A status that an operation of this process gave to a model: the entry then, and the records of all of them."""

    entry: ModelRegistryEntry
    records: tuple[Record, ...]


class LayeredRegistry(ModelRegistry):
    """A registry of two layers: the application's entries, and above them those of the files given by setting.

    A model that is in both is as its file says: to register it gives the file's entry, emits nothing, and is logged
    once where the two differ. ``deprecate`` and ``retire`` work on a file's model as on any other, and what they did
    holds in this process until the file shows the same status or a later one. ``load`` and ``clear`` touch the
    application's layer only; ``save`` writes the models as they are in force.
    """

    def __init__(self, *, auto_emit: bool = True, tracer_provider: TracerProvider | None = None) -> None:
        super().__init__(auto_emit=auto_emit, tracer_provider=tracer_provider)
        self._filed: dict[str, ModelRegistryEntry] = {}
        self._own: dict[str, ModelRegistryEntry] = {}
        self._changed: dict[str, _Changed] = {}

    def _commit(
        self, stage: ModelStatus, model_id: str, change: Change, reason: str, actor: str | None
    ) -> ModelRegistryEntry:
        entry = super()._commit(stage, model_id, change, reason, actor)
        if stage == "active":
            self._compare([model_id])
        return entry

    def _apply(
        self, stage: ModelStatus, model_id: str, change: Change, reason: str | None, actor: str | None
    ) -> tuple[ModelRegistryEntry, LifecycleEvent | None]:
        filed = model_id in self._filed
        if filed and stage == "active":
            self._register_beneath(model_id, change, reason, actor)
            return self._index.entries[model_id], None
        entry, event = super()._apply(stage, model_id, change, reason, actor)
        record = entry.metadata["history"][-1]
        if stage != "active":
            before = self._changed.get(model_id)
            records = (*(before.records if before else ()), record)
            self._changed[model_id] = _Changed(entry, records[-MAX_HISTORY:])
        elif event is not None and event.previous_status is None:
            self._changed.pop(model_id, None)  # a file had the model once, and has it no more: it begins anew
        own = self._own.get(model_id)
        if not filed:
            self._own[model_id] = entry
        elif own is not None and not _is_later(own, entry):
            self._own[model_id] = lifecycle.carried(own, entry, [record])
        return entry, event

    def _register_beneath(self, model_id: str, change: Change, reason: str | None, actor: str | None) -> None:
        """Keep what the application says of a file's model, for the day when the file has it no more."""
        old = self._own.get(model_id)
        now = lifecycle.timestamp(lifecycle.after_history(self._tick(), old))
        with suppress(ModelRegistryError):  # it is registered already: the file's entry is the answer, again
            self._own[model_id] = lifecycle.recorded(change(old, now), now, reason, actor)

    def _take(self, entries: Iterable[ModelRegistryEntry]) -> None:
        own = {entry.model_id: entry for entry in entries}
        with self._lock:
            self._own = own
            self._changed = {model_id: self._changed[model_id] for model_id in self._changed if model_id in self._filed}
            both = self._in_both()
            self._publish(ModelIndex(self._in_force()))
        self._compare(both)

    def _take_files(self, entries: Iterable[ModelRegistryEntry]) -> None:
        filed = {entry.model_id: entry for entry in entries}
        with self._lock:
            self._changed = {
                model_id: changed
                for model_id, changed in self._changed.items()
                if model_id not in filed or _is_later(changed.entry, filed[model_id])
            }
            self._filed = filed
            both = self._in_both()
            self._publish(ModelIndex(self._in_force()))
        self._compare(both)

    def _in_both(self) -> list[str]:
        return [model_id for model_id in self._own if model_id in self._filed]

    def _in_force(self) -> Iterator[ModelRegistryEntry]:
        """Yield what holds of both layers: the files' models first, as they come first where globs overlap."""
        for model_id, entry in self._filed.items():
            changed = self._changed.get(model_id)
            yield entry if changed is None else lifecycle.carried(entry, *changed)
        for model_id, entry in self._own.items():
            if model_id not in self._filed:
                yield entry

    def _compare(self, model_ids: Iterable[str]) -> None:
        """Say, once for each model, where the application describes it otherwise than its file."""
        for model_id in model_ids:
            own, filed = self._own.get(model_id), self._filed.get(model_id)
            if own is not None and filed is not None:
                fields = ", ".join(lifecycle.differences(own, filed))
                text = "model %s is registered in code with another %s than in its file, which counts"
                if fields:
                    _lines.warn(model_id, text, quote(model_id), fields)


def _is_later(one: ModelRegistryEntry, other: ModelRegistryEntry) -> bool:
    return STATUSES.index(one.status) > STATUSES.index(other.status)


_registry = LayeredRegistry()


def get_default_registry() -> ModelRegistry:
    """Return the process-wide registry: the attribute ``_registry`` of the package ``spanforge.model_registry``.

    It has two layers, see ``LayeredRegistry``: what the application registers, and the files given by setting.
    """
    package = sys.modules[__name__.rpartition(".")[0]]
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
