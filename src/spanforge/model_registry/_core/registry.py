"""``ModelRegistry``: the models that an organisation runs, and the operations that change them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core import emission, saving, storage
from spanforge.model_registry._core.calendar_guard import list_call_warnings, require_days_left
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import ModelNotAllowedError, ModelNotFoundError
from spanforge.model_registry._core.events import create_step_events
from spanforge.model_registry._core.file_access import warn_about_writers
from spanforge.model_registry._core.layers import replace_app_layer, warn_about_differences
from spanforge.model_registry._core.lifecycle import STATUSES, RiskTier
from spanforge.model_registry._core.name_conflicts import list_meant_ids
from spanforge.model_registry._core.operations import Operation, build_metadata, list_all_steps
from spanforge.model_registry._core.settings import MATCH
from spanforge.model_registry._core.state import RegistryCore, get_index, list_sources
from spanforge.model_registry._core.validation import check_reserved
from spanforge.model_registry._core.values import check_one_of, check_optional_string, check_string, check_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry._core.events import LifecycleEvent
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.resolution import Resolution


class ModelRegistry(RegistryCore):
    """A registry of the models that an organisation runs.

    A registry is safe to use from any number of threads and after a fork. Reads take no lock. Operations are atomic: if
    a signal handler's exception interrupts an operation, it is applied completely or not at all. Iteration returns the
    entries of files first, then the others in the order of registration. ``in`` takes a model id.

    Args:
        auto_emit: ``True`` if operations emit their lifecycle events.
        tracer_provider: The provider of the span for an event, if the current span is not sampled. With ``None``, each
            event uses OpenTelemetry's global provider at that time.
        logger_provider: The provider of the log record, if the setting ``events`` contains ``log``. With ``None``, each
            event uses OpenTelemetry's global provider at that time.
    """

    def register(  # noqa: PLR0913 - the payload's fields are the arguments
        self,
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
        """Register a model and emit ``model_registry.registered``.

        The same values again change nothing and emit no event. Dates that are not passed do not count.

        Args:
            model_id: Unique identifier; never reused.
            name: Display name.
            version: Version of the model.
            risk_tier: ``low``, ``medium``, ``high`` or ``critical``.
            owner: Team or person responsible.
            purpose: Intended use of the model.
            deployment_date: Date of the first use (RFC 3339 date or date-time); the default is now.
            metadata: User metadata: string keys, JSON values.
            aliases: Other names of the model, and globs that match a whole name, such as ``gpt-4o-20??-??-??``.
            provider: The only provider whose spans the entry matches, or several.
            replace: Replace name, version, owner, tier, purpose and metadata if the model is already registered. Its
                status, its dates and the metadata of lifecycle operations do not change.
            actor: Person or system that makes the change; for the event and the history.

        Raises:
            InvalidValueError: A value is not allowed (also a ``ValueError``).
            ModelAlreadyRegisteredError: The id has other values, or is retired (also a ``ValueError``).
            LifecycleError: The model to replace is retired (also a ``ValueError``).
        """
        draft = ModelRegistryEntry(
            model_id=model_id,
            name=name,
            version=version,
            risk_tier=risk_tier,
            owner=owner,
            purpose=purpose,
            deployment_date=deployment_date,
            metadata=build_metadata(metadata or {}, aliases, provider, model_id),
        )
        return self._run_operation(
            Operation("register", draft.model_id, actor=_check_actor(actor, model_id), draft=draft, replaces=replace)
        )

    def deprecate(
        self,
        model_id: str,
        *,
        reason: str = "",
        successor: str | None = None,
        sunset_date: str | None = None,
        actor: str | None = None,
    ) -> ModelRegistryEntry:
        """Mark a model as deprecated and emit ``model_registry.deprecated``.

        A deprecated model may be deprecated again with another reason, successor or sunset date. The date of the first
        deprecation does not change.

        Args:
            model_id: The model.
            reason: Reason for the deprecation; kept as ``metadata["deprecation_reason"]``.
            successor: The model to use instead.
            sunset_date: Planned retirement date (RFC 3339 date or date-time).
            actor: Person or system that makes the change; for the event and the history.

        Raises:
            ModelNotFoundError: The model is not registered (also a ``KeyError``).
            LifecycleError: The model is already retired (also a ``ValueError``).
            InvalidValueError: A value is not allowed (also a ``ValueError``).
        """
        values = {"deprecation_reason": reason or None, "successor": successor, "sunset_date": sunset_date}
        changes = check_reserved({key: value for key, value in values.items() if value is not None}, model_id)
        return self._run_operation(
            Operation(
                "deprecate",
                model_id,
                reason=_check_reason(reason, model_id),
                actor=_check_actor(actor, model_id),
                changes=changes,
            )
        )

    def retire(self, model_id: str, *, reason: str = "", actor: str | None = None) -> ModelRegistryEntry:
        """Retire a model permanently, set its ``decommission_date`` and emit ``model_registry.retired``.

        Args:
            model_id: The model.
            reason: Reason for the retirement; for the event and the history.
            actor: Person or system that makes the change; for the event and the history.

        Raises:
            ModelNotFoundError: The model is not registered (also a ``KeyError``).
            LifecycleError: The model is already retired (also a ``ValueError``).
            InvalidValueError: A value is not allowed (also a ``ValueError``).
        """
        return self._run_operation(
            Operation("retire", model_id, reason=_check_reason(reason, model_id), actor=_check_actor(actor, model_id))
        )

    def get(self, model_id: str) -> ModelRegistryEntry | None:
        """Return the entry with this id; ``None`` if the model is not registered."""
        return self._state.index.entries.get(model_id)

    def list_all(self) -> list[ModelRegistryEntry]:
        """Return all entries, in the order of registration; those of files come first."""
        return self._state.index.entries.values()

    def list_active(self) -> list[ModelRegistryEntry]:
        """Return the entries that are neither deprecated nor retired."""
        return [entry for entry in self.list_all() if entry.status == "active"]

    def resolve(self, name: str, *, provider: str | None = None, match: MatchMode | None = None) -> Resolution:
        """Return the resolution of a model name from a request or a span.

        The rules are tried in this order: id, alias, form, glob. The page about model names explains them.

        Args:
            name: The name.
            provider: The provider that serves the model, as a span or a client names it.
            match: ``forms``, or ``exact`` for ids, aliases and globs only; ``None``: the setting ``match``.

        Raises:
            InvalidValueError: Name or provider is not a string, or ``match`` has another value (also a ``ValueError``).
        """
        names = (check_string(name, "name"),)
        return self._state.index.resolve(names, check_optional_string(provider, "provider"), MATCH.choose(match))

    def check(self, name: str, *, provider: str | None = None, match: MatchMode | None = None) -> tuple[str, ...]:
        """Return the warnings about this model's status, and about the day on which its provider stops serving it.

        By the calendar in force, an active model has none until 90 days before its provider may stop serving it.
        """
        resolution = self.resolve(name, provider=provider, match=match)
        return list_call_warnings(self._state.calendar, resolution, provider, match)

    def require(
        self,
        name: str,
        *,
        provider: str | None = None,
        allow: Iterable[str] = ("active", "deprecated"),
        match: MatchMode | None = None,
        min_days_left: int | None = None,
    ) -> ModelRegistryEntry:
        """Return the matching entry, or raise an error if the model must not be called.

        Args:
            name: The name.
            provider: The provider, as for ``resolve``.
            allow: The statuses that are allowed.
            match: As for ``resolve``.
            min_days_left: The least number of days until the provider stops serving the model, by the calendar in
                force; ``1`` refuses a model whose shutdown day has come. ``None``: the calendar is not asked.

        Raises:
            ModelNotFoundError: No entry matches (also a ``KeyError``).
            ModelNotAllowedError: The model's status is not in ``allow`` (also a ``ValueError``).
            ProviderShutdownError: Fewer than ``min_days_left`` days are left (also a ``ValueError``).
            InvalidValueError: ``allow`` contains an unknown status, ``min_days_left`` is not a whole number, or no
                calendar is in force for it (also a ``ValueError``).
        """
        allowed = tuple(check_one_of(status, STATUSES, "allow") for status in allow)
        resolution = self.resolve(name, provider=provider, match=match)
        entry = resolution.entry
        if entry is None:
            has_reason = len(resolution.warnings) > 1
            find_nearest = tuple if has_reason else functools.partial(list_meant_ids, self._state.index, name)
            raise ModelNotFoundError(name, find_nearest)
        if entry.status not in allowed:
            raise ModelNotAllowedError(entry.model_id, entry.status, allowed)
        if min_days_left is not None:
            require_days_left(self._state.calendar, resolution, provider, match, min_days_left)
        return entry

    def clear(self) -> None:
        """Remove all entries; the process-wide registry keeps those of its files. No event is emitted.

        Another registry loses the entries of a ``FileWatcher`` too, until a file changes.
        """
        self._replace_layer(replace_app_layer, ())

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write all entries to a JSON file, atomically and durably.

        Changes that others made to the file are not lost. While another process changes a file in the same folder,
        ``save`` waits for at most three seconds.

        Args:
            path: The path of the file. Missing folders are created.
            overwrite: ``True`` to replace the file even if changes by others are lost.

        Raises:
            RegistryFileChangedError: The file changed since this registry loaded or saved it. Or the registry did
                neither, and the file has models or retirements that the registry does not have.
            RegistryFileError: The file cannot be written, or its name ends in ``.yaml`` or ``.yml``. A YAML file would
                lose its comments.
        """
        saving.save_entries(
            path, lambda: get_index(self), lambda: list_sources(self), self._saved_files, overwrite=overwrite
        )

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace all entries with those of a JSON or YAML file, atomically. No event is emitted.

        The process-wide registry keeps the entries of the files in the setting ``file``, which take precedence.

        A file whose name ends in ``.yaml`` or ``.yml`` is read as YAML, which needs the extra ``yaml``. Pipes and
        devices are refused. A file that other users can change is logged once.

        Raises:
            RegistryFileError: The file cannot be read or is not valid; the registry is unchanged.
        """
        entries, source = storage.read_source(path)
        warn_about_writers(source.path)
        new_layers = self._replace_layer(replace_app_layer, entries, [source])
        warn_about_differences(new_layers, new_layers.app)

    def emit_changes(
        self,
        before: Iterable[ModelRegistryEntry],
        after: Iterable[ModelRegistryEntry],
        *,
        actor: str | None = None,
        source_revision: str | None = None,
    ) -> list[LifecycleEvent]:
        """Emit the lifecycle events of the changes between two sets of entries. The registry does not change.

        This method is for pipelines that change registry files:

        - A new or changed description emits ``registered``.
        - A new status emits the event of that status. So does a new reason, successor or sunset date of a deprecated
          model.
        - A removed entry emits nothing.

        Args:
            before: The entries before the changes, such as a registry.
            after: The entries after the changes.
            actor: Person or system that made the changes. Unlike in the other methods, the value is not checked.
            source_revision: Revision that has the changes, such as a commit. It is not checked either.

        Returns:
            The events, in the order of emission.

        Raises:
            LifecycleError: The lifecycle does not allow a change; no event is emitted.
        """
        steps = list_all_steps(before, after)
        events = create_step_events(steps, self._take_timestamps(len(steps)), actor, source_revision)
        emission.emit_events(events, self._providers)
        return events

    def __len__(self) -> int:
        return len(self._state.index.entries)

    def __iter__(self) -> Iterator[ModelRegistryEntry]:
        return iter(self.list_all())

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._state.index.entries

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} models>"


def _check_reason(reason: str, model_id: str) -> str | None:
    if not reason:
        return None
    return check_text(reason, "reason", model_id)


def _check_actor(actor: str | None, model_id: str) -> str | None:
    if actor is None:
        return None
    return check_text(actor, "actor", model_id)
