"""``ModelRegistry``: the models that an organisation runs, and the operations that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core import emission, layers, operations, storage
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, ModelNotAllowedError, ModelNotFoundError
from spanforge.model_registry._core.events import LifecycleEvent
from spanforge.model_registry._core.lifecycle import STATUSES, RiskTier
from spanforge.model_registry._core.operations import Operation
from spanforge.model_registry._core.state import RegistryCore
from spanforge.model_registry._core.validation import check_reserved
from spanforge.model_registry._core.values import check_one_of, check_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import TracerProvider

    from spanforge.model_registry._core.resolution import Resolution


class ModelRegistry(RegistryCore):
    """The models that an organisation runs, in this process.

    Safe to use from any number of threads and after ``fork``. Reads take no lock. Every operation happens whole, or
    raises and changes nothing; if a signal handler's exception interrupts one, either of the two is the case. Iterating
    gives the entries in the order of registration; ``in`` takes a model id.

    Args:
        auto_emit: Whether operations emit their lifecycle events.
        tracer_provider: The provider of spans for events that have no sampled span to go on; ``None``: OpenTelemetry's
            global provider, asked for when there is an event.
        logger_provider: The provider of log records, if the setting ``events`` asks for them; ``None``: OpenTelemetry's
            global provider, likewise.
    """

    def __init__(
        self,
        *,
        auto_emit: bool = True,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        super().__init__(auto_emit=auto_emit, tracer_provider=tracer_provider, logger_provider=logger_provider)

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
        provider: str | None = None,
        replace: bool = False,
        actor: str | None = None,
    ) -> ModelRegistryEntry:
        """Register a model and emit ``model_registry.registered``.

        Args:
            model_id: Unique identifier; never reused.
            name: Name for people.
            version: Version of the model.
            risk_tier: ``low``, ``medium``, ``high`` or ``critical``.
            owner: Team or person responsible.
            purpose: What the model is meant to be used for.
            deployment_date: RFC 3339 date or date-time since when it is in use; now, if not given.
            metadata: String keys and JSON values of the user's own.
            aliases: Further names that stand for the model, and globs that match whole names: ``gpt-4o-*``.
            provider: The only provider whose model this is; spans of another one do not match.
            replace: Change name, version, owner, tier, purpose and metadata of a model that is registered already; its
                status and dates stay.
            actor: Who does it, for the event and the history.

        Raises:
            InvalidValueError: A value is not allowed (also a ``ValueError``).
            ModelAlreadyRegisteredError: The id is taken (also a ``ValueError``).
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
            metadata=operations.build_metadata(metadata or {}, aliases, provider, model_id),
        )

        operation = Operation("register", draft.model_id, None, _check_actor(actor, model_id), draft, replace)
        return self._operate(operation)

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

        A deprecated model may be deprecated again, with another reason, successor or sunset date; the date of the first
        deprecation stays.

        Args:
            model_id: The model.
            reason: Why; kept as ``metadata["deprecation_reason"]``.
            successor: The model to use instead.
            sunset_date: RFC 3339 date or date-time when it is to be retired.
            actor: Who does it.

        Raises:
            ModelNotFoundError: There is no such model (also a ``KeyError``).
            LifecycleError: It is already retired (also a ``ValueError``).
            InvalidValueError: A value is not allowed (also a ``ValueError``).
        """
        values = {"deprecation_reason": reason or None, "successor": successor, "sunset_date": sunset_date}
        changes = check_reserved({key: value for key, value in values.items() if value is not None}, model_id)

        why, who = _check_reason(reason, model_id), _check_actor(actor, model_id)
        return self._operate(Operation("deprecate", model_id, why, who, changes=changes))

    def retire(self, model_id: str, *, reason: str = "", actor: str | None = None) -> ModelRegistryEntry:
        """Retire a model for good and emit ``model_registry.retired``; ``decommission_date`` becomes now.

        Args:
            model_id: The model.
            reason: Why, for the event and the history.
            actor: Who does it.

        Raises:
            ModelNotFoundError: There is no such model (also a ``KeyError``).
            LifecycleError: It is already retired (also a ``ValueError``).
            InvalidValueError: A value is not allowed (also a ``ValueError``).
        """
        why, who = _check_reason(reason, model_id), _check_actor(actor, model_id)
        return self._operate(Operation("retire", model_id, why, who))

    def get(self, model_id: str) -> ModelRegistryEntry | None:
        """Return the entry with this id, if there is one."""
        return self._state.index.entries.get(model_id)

    def list_all(self) -> list[ModelRegistryEntry]:
        """Return all entries, in the order of registration."""
        return self._state.index.entries.values()

    def list_active(self) -> list[ModelRegistryEntry]:
        """Return the entries that are neither deprecated nor retired."""
        return [entry for entry in self.list_all() if entry.status == "active"]

    def resolve(self, name: str, *, provider: str | None = None) -> Resolution:
        """Return the resolution of a model's name, as a request or a span has it.

        Tried in this order: id ``provider/name``, id ``name``, alias ``provider/name``, alias ``name``, glob
        ``provider/name``, glob ``name``; case-sensitive and verbatim.

        Raises:
            InvalidValueError: The name is not a string.
        """
        if not isinstance(name, str):
            raise InvalidValueError.must_be("name", name, "a string")
        return self._state.index.resolve((str.__str__(name),), provider)

    def check(self, name: str, *, provider: str | None = None) -> tuple[str, ...]:
        """Return the warnings for a caller of this model; empty for an active one."""
        return self.resolve(name, provider=provider).warnings

    def require(
        self, name: str, *, provider: str | None = None, allow: Iterable[str] = ("active", "deprecated")
    ) -> ModelRegistryEntry:
        """Return the entry that matches the name, or raise: a guard to call before a model is called.

        Raises:
            ModelNotFoundError: No entry matches (also a ``KeyError``).
            ModelNotAllowedError: The model's status is not allowed (also a ``ValueError``).
            InvalidValueError: ``allow`` names something that is not a status.
        """
        allowed = tuple(check_one_of(status, STATUSES, "allow") for status in allow)
        entry = self.resolve(name, provider=provider).entry
        if entry is None:
            raise ModelNotFoundError(name)
        if entry.status not in allowed:
            raise ModelNotAllowedError(entry.model_id, entry.status, allowed)
        return entry

    def clear(self) -> None:
        """Forget all entries; emits no event."""
        self._replace(layers.replace_app_layer, ())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all entries to a JSON file, atomically and durably; see ``storage.write_entries``.

        Raises:
            RegistryFileError: The file cannot be written, or its name ends in ``.yaml`` or ``.yml``: comments in it
                would be lost.
        """
        storage.write_entries(path, self.list_all())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace all entries by those of a JSON file, all at once; emits no event.

        A file whose name ends in ``.yaml`` or ``.yml`` is read as YAML, which needs the extra ``yaml``.

        Raises:
            RegistryFileError: The file cannot be read or is not valid; the registry is unchanged.
        """
        changed = self._replace(layers.replace_app_layer, storage.read_entries(path))
        layers.warn_about_differences(changed, changed.app)

    def emit_changes(
        self,
        before: Iterable[ModelRegistryEntry],
        after: Iterable[ModelRegistryEntry],
        *,
        actor: str | None = None,
    ) -> list[LifecycleEvent]:
        """Emit the events that lead from one set of entries to another, for pipelines that change registry files.

        A new or changed description emits ``registered``, a new status (or, of a deprecated model, a new reason,
        successor or sunset date) its own event. Entries that are gone emit nothing. The registry stays as it is.

        Args:
            before: The entries as they were: a registry, for example.
            after: The entries as they are.
            actor: Who changed them.

        Returns:
            The events, in the order in which they went out.

        Raises:
            LifecycleError: A change that the lifecycle does not allow; no event goes out.
        """
        old_entries = {entry.model_id: entry for entry in before}
        steps = [step for entry in after for step in operations.find_steps(old_entries.get(entry.model_id), entry)]
        moments = self._tick_for(len(steps))
        events = [
            LifecycleEvent(
                step.operation,
                step.after,
                moment * 1_000,
                step.before.status if step.before else None,
                step.reason,
                actor,
            )
            for step, moment in zip(steps, moments, strict=True)
        ]
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
    return check_text(reason, "reason", model_id) if reason else None


def _check_actor(actor: str | None, model_id: str) -> str | None:
    return None if actor is None else check_text(actor, "actor", model_id)
