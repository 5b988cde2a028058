"""Emission of lifecycle events: as span events, as log records, or held until there is a provider."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import SIGNALS
from spanforge.model_registry._core.delivery import (
    Delivery,
    SignalQueue,
    emit_log_record,
    emit_on_span,
    find_logger_provider,
    find_tracer_provider,
)
from spanforge.model_registry._core.events import EventCounts
from spanforge.model_registry._core.guard import Guard
from spanforge.model_registry._core.process import ProcessState, live_keys
from spanforge.model_registry._core.values import check_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spanforge.model_registry._core.attributes import EventSignal
    from spanforge.model_registry._core.events import LifecycleEvent

_T = TypeVar("_T")

PROVIDER_RETRY_SECONDS: Final = 1.0
"""The interval at which span starts look for a logger provider while log records are held.

Many applications never have one, and each look takes two microseconds.
"""
EXIT_SECONDS: Final = 1.0
"""The time that the end of the process waits for a delivery in another thread. An exporter may be slow or hang."""
_PROVIDER_KINDS: Final[dict[EventSignal, str]] = {"span": "tracer provider", "log": "logger provider"}


def emit_events(events: Iterable[LifecycleEvent], providers: Mapping[EventSignal, Any]) -> None:
    """Emit each event in every signal of the setting ``events``. An error of a provider is logged and not raised.

    The signal ``span`` adds the event to the current span, if the span is sampled and has room. Otherwise it uses a new
    root span. The signal ``log`` emits a log record.

    If a signal has no provider, the first ``MAX_HELD`` events are held for it. The next operation, ``flush_events`` or
    the span processor delivers them.

    Args:
        events: The events, oldest first.
        providers: The provider of each signal; ``None`` for the current global one.
    """
    signals = freeze_event_signals()
    flush_events()
    for event in events:
        send_delivery(Delivery(signals, providers, event))


def send_delivery(delivery: Delivery) -> None:
    """Emit a delivery's event in every signal that has not claimed it. An error of a provider is not raised."""
    if _state.record is not None and delivery.event is not None:
        _state.record(delivery.event)
    # The span comes first, as in ``SIGNALS``. If an event is held for a signal, its delivery keeps only the context of
    # the span, and the event can no longer be added to the span.
    for signal in list(delivery.unclaimed):
        _state.queues[signal].send(delivery)


def add_registry(registry: _T, get_deliveries: Callable[[_T], Iterable[Delivery]]) -> None:
    """Add a registry, so that ``flush_events`` delivers the events of its interrupted operations.

    Args:
        registry: It is kept as a weak reference.
        get_deliveries: Returns the deliveries of the registry's state.
    """
    _registries[registry] = get_deliveries


def flush_events() -> int:
    """Deliver held events, and return their number. An event counts once per signal.

    An event waits if it had no provider, or if an exception interrupted its operation. The call does nothing while
    there is no provider, or while another thread delivers events. An error of a provider is logged and not raised.
    """
    if not _has_waiting_events():
        return 0
    return _state.delivery_guard.run_if_free(_deliver_all) or 0


def deliver_soon() -> bool:
    """Deliver waiting events in a new thread. It is for span hooks, which must neither block nor start spans.

    Returns:
        ``True`` if events were waiting. The thread may have delivered them since.
    """
    has_undelivered = bool(_find_undelivered())
    queues = _state.queues.values()
    can_deliver = has_undelivered or any(queue.check_provider_if_due() for queue in queues)
    if can_deliver and _state.delivery_guard.is_free():
        _start_delivery()
    return has_undelivered or any(queue.held for queue in queues)


def record_events(record: Callable[[LifecycleEvent], None]) -> None:
    """Call a function with each event that is emitted, until the process is reset; twice if it was interrupted."""
    _state.record = record


def stop_exit_report() -> None:
    """Report no lost events at the end of the process, because it runs tests."""
    atexit.unregister(_warn_at_exit)


def _start_delivery() -> None:
    thread = threading.Thread(target=flush_events, name="model-registry-events", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # there are too many threads, or the interpreter is ending
        logs.debug("model registry: waiting events are not delivered", error=error)
        return
    _state.delivering = thread
    # Functions at exit run in reverse order: wait before the provider, which is older than this thread, shuts down.
    atexit.unregister(_wait_for_delivery)
    atexit.register(_wait_for_delivery)


def _wait_for_delivery() -> None:
    if _state.delivering is not None:
        _state.delivering.join(EXIT_SECONDS)


def _has_waiting_events() -> bool:
    return any(queue.held for queue in _state.queues.values()) or bool(_find_undelivered())


def _deliver_all() -> int:
    delivered = 0
    for delivery in _find_undelivered():
        unclaimed_before = len(delivery.unclaimed)
        send_delivery(delivery)
        delivery.close()
        delivered += unclaimed_before - len(delivery.unclaimed)
    for queue in _state.queues.values():
        delivered += queue.deliver()
    return delivered


def _find_undelivered() -> list[Delivery]:
    """Return the deliveries of undelivered events whose operation an exception interrupted."""
    undelivered: list[Delivery] = []
    for registry in live_keys(_registries):
        deliveries = _registries[registry](registry)
        undelivered.extend(item for item in deliveries if not item.is_open and item.is_undelivered())
    return undelivered


def get_event_signals() -> tuple[EventSignal, ...]:
    """Return the signals of lifecycle events.

    Until an event is emitted or the signals are set, the environment decides at each call.
    """
    signals = _state.signals
    if signals is None:
        return _read_events_setting()
    return signals


def set_event_signals(events: object = None) -> tuple[EventSignal, ...]:
    """Set the signals of all later lifecycle events, and return them.

    Args:
        events: The option ``events``; with ``None`` the environment decides. A value that is not allowed is logged, and
            the default is used.
    """
    signals = _state.signals = _read_events_setting(events)
    return signals


def freeze_event_signals() -> tuple[EventSignal, ...]:
    """Return the signals of lifecycle events. From then on, changes of the environment have no effect."""
    signals = _state.signals
    if signals is None:
        return set_event_signals()
    return signals


def _read_events_setting(events: object = None) -> tuple[EventSignal, ...]:
    from spanforge.model_registry._core.settings import EVENTS  # noqa: PLC0415 - keeps the package's import fast

    return EVENTS.read(events)


def event_counts(signal: EventSignal | None = None) -> EventCounts:
    """Return the numbers of emitted, held and lost lifecycle events of all registries in this process.

    Args:
        signal: ``span`` or ``log``; ``None`` for both. An event counts once per signal.

    Raises:
        InvalidValueError: The signal is unknown (also a ``ValueError``).
    """
    if signal is not None:
        return _state.queues[check_one_of(signal, SIGNALS, "signal")].count_outcomes()
    counts_by_signal = [queue.count_outcomes() for queue in _state.queues.values()]
    return EventCounts(
        emitted=sum(counts.emitted for counts in counts_by_signal),
        held=sum(counts.held for counts in counts_by_signal),
        dropped=sum(counts.dropped for counts in counts_by_signal),
        failed=sum(counts.failed for counts in counts_by_signal),
    )


class _EmissionState(ProcessState):
    """The signals of lifecycle events in this process, and a queue per signal."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Restore the state of a new process."""
        self.signals: tuple[EventSignal, ...] | None = None
        self.queues: dict[EventSignal, SignalQueue] = {
            "span": SignalQueue("span", emit_on_span, find_tracer_provider, retry_seconds=0),
            "log": SignalQueue("log", emit_log_record, find_logger_provider, retry_seconds=PROVIDER_RETRY_SECONDS),
        }
        self.delivery_guard = Guard()
        self.delivering: threading.Thread | None = None  # the last thread of ``deliver_soon``
        self.record: Callable[[LifecycleEvent], None] | None = None  # for tests

    def set_aside(self) -> Callable[[], None]:
        """Start with empty queues, and return the function that waits for their deliveries and restores the state."""
        restore = super().set_aside()

        def wait_and_restore() -> None:
            _wait_for_delivery()
            restore()

        return wait_and_restore

    def after_fork_in_child(self) -> None:
        """Count only the child's events, and replace the lock, which another thread of the parent may hold."""
        self.delivery_guard = Guard()
        self.delivering = None
        for queue in self.queues.values():
            queue.reset_counts()


# Not a ``WeakMethod``: Python 3.10 prints an error if one of these outlives its method at exit.
_registries: Final[WeakKeyDictionary[Any, Callable[[Any], Iterable[Delivery]]]] = WeakKeyDictionary()
_state: Final = _EmissionState()


def _warn_at_exit() -> None:
    for signal, queue in _state.queues.items():
        held = queue.count_outcomes().held
        if not held:
            continue
        provider_kind = _PROVIDER_KINDS[signal]
        reason = f"no {provider_kind} was set"
        if _state.delivering is not None and _state.delivering.is_alive():
            reason = f"the {provider_kind} did not take them within {EXIT_SECONDS:.0f} s of the end of the process"
        elif queue.has_provider():
            reason = f"call flush_events() after setting the {provider_kind}"
        events = "event was" if held == 1 else "events were"
        logs.warn("model registry: %d lifecycle %s not delivered: %s", held, events, reason)


atexit.register(_warn_at_exit)
