"""The state of a registry: one immutable object, and the methods that publish a new one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from spanforge.model_registry._core import emission
from spanforge.model_registry._core.delivery import Delivery
from spanforge.model_registry._core.events import LifecycleEvent
from spanforge.model_registry._core.guard import Guard, guards_at_forks
from spanforge.model_registry._core.layers import (
    ONE_LAYER,
    change_layers,
    compute_entries,
    replace_file_layer,
    warn_about_differences,
)
from spanforge.model_registry._core.name_conflicts import warn_about_entry, warn_about_index
from spanforge.model_registry._core.operations import move_past_history
from spanforge.model_registry._core.releasing import release
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import TracerProvider

    from spanforge.model_registry._core.attributes import EventSignal
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.layers import Layers
    from spanforge.model_registry._core.operations import Operation
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.saving import SavedFiles
    from spanforge.model_registry._core.storage import SourceFile

_T = TypeVar("_T")


class Sources(NamedTuple):
    """The files from which the layers of a registry were read. Later operations may have changed the entries.

    Attributes:
        app: The file from which the application's entries were loaded, if any.
        files: The files that the registry follows in the layer above.
    """

    app: tuple[SourceFile, ...] = ()
    files: tuple[SourceFile, ...] = ()


NO_SOURCES: Final = Sources()


class _BuiltLayers(NamedTuple):
    """Layers with a layer replaced, and their index, before they are published.

    Attributes:
        base: The layers before the replacement.
        layers: The layers after it.
        models: The index of the entries that are then in force.
    """

    base: Layers
    layers: Layers
    models: ModelIndex


@dataclass(frozen=True, slots=True, eq=False)
class RegistryState:
    """The content of a registry at one time. Each change creates a new state with a new version.

    Attributes:
        index: The entries in force, by id, alias and glob.
        layers: The layers from which the entries in force are computed.
        sources: The files from which the layers were read.
        deliveries: The events of the last operations. The event of an interrupted operation stays here and is sent
            later.
        calendar: The provider calendar in force, and the current day.
        version: A new object per state. A cache can keep it instead of the state, so that old entries can be freed.
    """

    index: ModelIndex
    layers: Layers
    sources: Sources = NO_SOURCES
    deliveries: tuple[Delivery, ...] = ()
    calendar: CalendarDay | None = None
    version: object = field(default_factory=object)


class RegistryCore:
    """The core of a registry: its state. Readers read ``_state`` once, without a lock. Writers publish a new state.

    If a signal handler's exception interrupts a writer, either the old or the new state is in force. A new state
    contains its event. If the event was not sent, the next operation, ``flush_events`` or a span hook sends it.
    """

    _INITIAL_LAYERS: Layers = ONE_LAYER
    """The empty layers. It is a class attribute so that it is not an argument of the public constructor."""

    def __init__(
        self,
        *,
        auto_emit: bool = True,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        self._auto_emit = auto_emit
        self._providers: dict[EventSignal, Any] = {"span": tracer_provider, "log": logger_provider}
        self._last_timestamp = 0
        self._state = RegistryState(ModelIndex(), self._INITIAL_LAYERS)
        self._saved_files: SavedFiles = {}
        self._guard = Guard()
        guards_at_forks.add(self._guard)
        emission.add_registry(self, RegistryCore._get_deliveries)

    def _run_operation(self, operation: Operation) -> ModelRegistryEntry:
        """Run an operation, emit its event, and return the entry in force."""
        signals = emission.freeze_event_signals() if self._auto_emit else ()
        delivery = Delivery(signals, self._providers)
        try:
            entry = self._publish_and_send(operation, delivery)
        except BaseException:
            delivery.close()  # closing twice is harmless; the inner ``finally`` can itself be interrupted
            raise
        if operation.draft is not None:
            warn_about_differences(self._state.layers, [entry.model_id])
            warn_about_entry(self._state.index, entry)
        return entry

    def _publish_and_send(self, operation: Operation, delivery: Delivery) -> ModelRegistryEntry:
        try:
            entry = self._guard.run(self._publish_operation, operation, delivery)
            if delivery.unclaimed:  # an operation without an event also delivers waiting events
                emission.flush_events()
                emission.send_delivery(delivery)
        finally:
            delivery.close()
        return entry

    def _publish_operation(self, operation: Operation, delivery: Delivery) -> ModelRegistryEntry:
        """Publish the state after an operation, which contains its event, and return the entry in force."""

        def change(state: RegistryState) -> tuple[RegistryState, ModelRegistryEntry]:
            """Return the new state and the entry. It may run twice, and each run replaces the delivery's event."""
            old_entry = state.index.entries.get(operation.model_id)
            timed_operation = operation._replace(at=self._take_timestamp())
            new_layers, entry = change_layers(state.layers, old_entry, timed_operation)
            if entry is old_entry:
                delivery.event = None
                if new_layers is state.layers:
                    return state, entry
                return RegistryState(state.index, new_layers, state.sources, state.deliveries, state.calendar), entry
            delivery.event = _create_event(timed_operation, old_entry, entry)
            undelivered = tuple(item for item in (*state.deliveries, delivery) if item.is_undelivered())
            index = state.index.put(entry)
            return RegistryState(index, new_layers, state.sources, undelivered, state.calendar), entry

        return self._publish(change)

    def _replace_layer(
        self,
        replace_layer: Callable[[Layers, Iterable[ModelRegistryEntry]], Layers],
        entries: Iterable[ModelRegistryEntry],
        sources: Iterable[SourceFile] = (),
    ) -> Layers:
        """Publish the state with other entries in one layer, which were read from these files; return its layers."""
        new_entries = list(entries)
        read_from = tuple(sources)
        old_parts, old_entries = self._state.index.list_parts(), self._state.index.entries.values()

        def build(base: Layers) -> _BuiltLayers:
            new_layers = replace_layer(base, new_entries)
            return _BuiltLayers(base, new_layers, ModelIndex(compute_entries(new_layers)))

        def publish(built: _BuiltLayers, is_last: bool) -> Layers | None:  # noqa: FBT001 - the guard passes it on
            def change(state: RegistryState) -> tuple[RegistryState, Layers | None]:
                """Return the new state, or the same one if an operation changed the layers meanwhile."""
                current = built
                if state.layers is not built.base:
                    if not is_last:
                        return state, None
                    current = build(state.layers)
                is_upper = replace_layer is replace_file_layer and state.layers.files is not None
                new_sources = state.sources._replace(**{"files" if is_upper else "app": read_from})
                new_state = RegistryState(current.models, current.layers, new_sources, state.deliveries, state.calendar)
                return new_state, current.layers

            return self._publish(change)

        # Built without the lock, because operations of other threads would wait. The last attempt holds it.
        attempts = (self._guard.run(publish, build(self._state.layers), is_last) for is_last in (False, False, True))
        new_layers = next(filter(None, attempts))
        attempts.close()
        warn_about_index(self._state.index)
        release(old_parts, at_once=1)
        release(old_entries)
        return new_layers

    def _publish(self, change: Callable[[RegistryState], tuple[RegistryState, _T]]) -> _T:
        """Publish a changed state in one assignment, and return the result of the change. The guard runs this method.

        A signal handler or a finalizer in this thread may publish another state at the same time. The change is then
        applied again, to that state.
        """
        while True:
            state = self._state
            new_state, result = change(state)
            # Race: CPython runs no signal handler or finalizer between this check and the assignment, and the guard
            # excludes other threads.
            if self._state is state:
                self._state = new_state
                return result

    def _take_timestamps(self, number: int) -> list[int]:
        """Return this number of timestamps, in ascending order."""
        return self._guard.run(lambda: [self._take_timestamp() for _ in range(number)])

    def _get_deliveries(self) -> tuple[Delivery, ...]:
        return self._state.deliveries

    def _take_timestamp(self) -> int:
        """Return the time in microseconds since the epoch, later than all earlier timestamps. The guard runs this."""
        while True:  # a signal handler may take a timestamp at the same time, as in ``_publish``
            last = self._last_timestamp
            timestamp = max(time.time_ns() // 1_000, last + 1)
            if self._last_timestamp == last:  # nothing runs between this check and the assignment, as in ``_publish``
                self._last_timestamp = timestamp
                return timestamp


def put_calendar(registry: RegistryCore, calendar: CalendarDay | None) -> None:
    """Put a provider calendar in force, or another day. Everything that was derived from the state is then outdated.

    This is a function so that it is not a method of the public class.
    """

    def change(state: RegistryState) -> tuple[RegistryState, None]:
        return RegistryState(state.index, state.layers, state.sources, state.deliveries, calendar), None

    registry._guard.run(lambda: registry._publish(change))  # noqa: SLF001 - same module


def get_index(registry: RegistryCore) -> ModelIndex:
    """Return the entries in force by id, alias, form and glob. A later change of the registry does not change it.

    This is a function so that it is not a method of the public class.
    """
    return registry._state.index  # noqa: SLF001 - same module


def list_sources(registry: RegistryCore) -> list[SourceFile]:
    """List the files from which a registry was read, each once, those of the upper layer first.

    This is a function so that it is not a method of the public class.
    """
    sources = registry._state.sources  # noqa: SLF001 - same module
    return list(dict.fromkeys((*sources.files, *sources.app)))


def set_entries_aside(
    registry: RegistryCore, *, keeps_entries: bool, tracer_provider: TracerProvider
) -> Callable[[], None]:
    """Empty a registry for the time of a test, and return the function that restores it.

    This is a function so that it is not a method of the public class.

    Args:
        registry: The registry.
        keeps_entries: ``True`` if the registry keeps its entries, and loses only what changes from now on.
        tracer_provider: The provider of the spans for its events, meanwhile.
    """
    before = dict(vars(registry))
    old_state: RegistryState = before["_state"]
    registry._providers = {"span": tracer_provider, "log": None}  # noqa: SLF001 - same module
    registry._saved_files = dict(before["_saved_files"]) if keeps_entries else {}  # noqa: SLF001 - same module
    if keeps_entries:
        state = RegistryState(old_state.index, old_state.layers, old_state.sources, (), old_state.calendar)
    else:
        state = RegistryState(ModelIndex(), registry._INITIAL_LAYERS)  # noqa: SLF001 - same module
    registry._state = state  # noqa: SLF001 - same module

    def restore() -> None:
        for name in ("_providers", "_saved_files", "_state"):
            setattr(registry, name, before[name])

    return restore


def replace_file_entries(
    registry: RegistryCore, entries: Iterable[ModelRegistryEntry], sources: Iterable[SourceFile] = ()
) -> None:
    """Replace the entries of the files that a registry follows, atomically and without emitting events.

    The process-wide registry keeps the application's entries. Any other registry then contains only these entries, as
    after ``load``. This is a function so that it is not a method of the public class.
    """
    new_layers = registry._replace_layer(replace_file_layer, entries, sources)  # noqa: SLF001 - same module
    warn_about_differences(new_layers, new_layers.app)


def _create_event(
    operation: Operation, old_entry: ModelRegistryEntry | None, entry: ModelRegistryEntry
) -> LifecycleEvent:
    """Return the lifecycle event of an operation."""
    timestamp = move_past_history(operation.at, old_entry)
    return LifecycleEvent(
        operation=operation.name,
        entry=entry,
        at=timestamp * 1_000,
        previous_status=None if old_entry is None else old_entry.status,
        reason=operation.reason,
        actor=operation.actor,
    )
