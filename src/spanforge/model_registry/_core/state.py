"""The state of a registry: one immutable object, and the ways to publish another one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core import emission, layers, operations
from spanforge.model_registry._core.delivery import Delivery
from spanforge.model_registry._core.events import LifecycleEvent
from spanforge.model_registry._core.guard import Guard, guards_at_forks
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import TracerProvider

    from spanforge.model_registry._core.attributes import EventSignal
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.layers import Layers
    from spanforge.model_registry._core.operations import Operation


@dataclass(frozen=True, slots=True, eq=False)
class RegistryState:
    """All that a registry holds at one moment. Each change makes a new state, so the state is its own version.

    Attributes:
        index: The entries in force, by id, alias and glob.
        layers: What the entries in force are made of.
        deliveries: The events of the last operations; those that are left over when an operation is interrupted are
            delivered later.
    """

    index: ModelIndex
    layers: Layers
    deliveries: tuple[Delivery, ...] = ()


class RegistryCore:
    """Holds the state of a registry. Readers take ``_state`` once and no lock; writers publish another one.

    If a signal handler's exception interrupts a writer, the state is the old one or the new one. Of the new one, the
    event is a part: if it has not gone out, the next operation, ``flush_events`` or span hook that looks for events
    delivers it.
    """

    _EMPTY: Layers = layers.ONE_LAYER

    def __init__(
        self,
        *,
        auto_emit: bool = True,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        self._auto_emit = auto_emit
        self._providers: dict[EventSignal, Any] = {"span": tracer_provider, "log": logger_provider}
        self._last_moment = 0
        self._state = RegistryState(ModelIndex(), self._EMPTY)
        self._guard = Guard()
        guards_at_forks.add(self._guard)
        emission.add_source(self._deliveries)

    def _operate(self, operation: Operation) -> ModelRegistryEntry:
        """Make an operation now, emit its event, and return the entry in force."""
        signals = emission.fix_event_signals() if self._auto_emit else ()
        delivery = Delivery(signals, self._providers)
        try:
            entry = self._operate_and_send(operation, delivery)
        except BaseException:
            delivery.close()  # also if the other frame was interrupted when it was about to do so
            raise
        if operation.draft is not None:
            layers.warn_about_differences(self._state.layers, [entry.model_id])
        return entry

    def _operate_and_send(self, operation: Operation, delivery: Delivery) -> ModelRegistryEntry:
        try:
            entry = self._guard.run(self._publish_operation, operation, delivery)
            if delivery.unclaimed:
                emission.flush_events()
                emission.send_delivery(delivery)
        finally:
            delivery.close()
        return entry

    def _publish_operation(self, operation: Operation, delivery: Delivery) -> ModelRegistryEntry:
        """Publish the state after an operation, or raise. Its event is a part of that state."""
        entries: list[ModelRegistryEntry] = []

        def change(state: RegistryState) -> RegistryState:
            old = state.index.entries.get(operation.model_id)
            timed = operation._replace(at=self._tick())
            changed, entry = layers.operate(state.layers, old, timed)
            entries[:] = [entry]
            if entry is old:
                return RegistryState(state.index, changed, state.deliveries)
            before = None if old is None else old.status
            at = operations.after_history(timed.at, old) * 1_000
            delivery.event = LifecycleEvent(timed.name, entry, at, before, timed.reason, timed.actor)
            unfinished = [one for one in (*state.deliveries, delivery) if one.is_unfinished()]
            return RegistryState(state.index.put(entry), changed, tuple(unfinished))

        self._publish(change)
        return entries[0]

    def _replace(self, change: Callable[[Layers, Iterable[ModelRegistryEntry]], Layers], entries: Any) -> Layers:
        """Publish the state with other entries in a layer, and return its layers."""
        new_entries = list(entries)

        def replace_entries(state: RegistryState) -> RegistryState:
            changed = change(state.layers, new_entries)
            return RegistryState(ModelIndex(layers.effective(changed)), changed, state.deliveries)

        return self._guard.run(self._publish, replace_entries).layers

    def _publish(self, change: Callable[[RegistryState], RegistryState]) -> RegistryState:
        """Have readers see another state, in one assignment, and return it; the guard runs this.

        A signal handler, or an object that is collected as garbage, may have changed the registry in the midst of this:
        then the change is made once more, to the state that they left.
        """
        while True:
            state = self._state
            changed = change(state)
            if self._state is state:
                self._state = changed
                return changed

    def _tick_for(self, number: int) -> list[int]:
        """Return so many times, in order."""
        return self._guard.run(lambda: [self._tick() for _ in range(number)])

    def _deliveries(self) -> tuple[Delivery, ...]:
        return self._state.deliveries

    def _tick(self) -> int:
        """Return the time in microseconds since the epoch, later than any before; the guard runs this."""
        while True:  # a signal handler may come between, as in ``_publish``
            last = self._last_moment
            moment = max(time.time_ns() // 1_000, last + 1)
            if self._last_moment == last:
                self._last_moment = moment
                return moment


def replace_file_entries(registry: RegistryCore, entries: Iterable[ModelRegistryEntry]) -> None:
    """Replace the entries of the files that a registry follows, all at once; emits no event.

    The process-wide registry keeps the application's entries beneath them. Any other registry has only these entries
    from then on, as after ``load``. This is no method, because it serves the file watcher: applications use ``load``.
    """
    changed = registry._replace(layers.replace_file_layer, entries)
    layers.warn_about_differences(changed, changed.app)
