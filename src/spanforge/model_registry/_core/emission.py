"""Emission of lifecycle events: as span events, as log records, or held until there is a provider."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

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
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.values import check_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spanforge.model_registry._core.attributes import EventSignal
    from spanforge.model_registry._core.events import LifecycleEvent

PROVIDER_RETRY_SECONDS: Final = 1.0
"""The interval at which span starts look for a logger provider while log records are held.

Many applications never have one, and each look costs two microseconds.
"""


def emit_events(events: Iterable[LifecycleEvent], providers: Mapping[EventSignal, Any]) -> None:
    """Emit each event in every signal of the setting ``events``. Never raises an error of a provider.

    ``span`` adds the event to the current span if that is sampled and has room, otherwise to a new root span. ``log``
    emits a log record.

    If a signal has no provider, the first ``MAX_HELD`` events are held for it. The next operation, ``flush_events`` or
    the span processor delivers them.

    Args:
        events: The events, oldest first.
        providers: The provider of each signal; ``None``: the global one, looked up now.
    """
    signals = fix_event_signals()
    flush_events()
    for event in events:
        send_delivery(Delivery(signals, providers, event))


def send_delivery(delivery: Delivery) -> None:
    """Emit a delivery's event in every signal that has not claimed it. Never raises an error of a provider."""
    for signal in list(delivery.unclaimed):
        _process.queues[signal].send(delivery)


def add_source(get_deliveries: Callable[[], Iterable[Delivery]]) -> None:
    """Add a registry, so that ``flush_events`` delivers the events of its interrupted operations.

    Args:
        get_deliveries: A bound method that returns the deliveries of the registry's state; referred to weakly.
    """
    _sources.add(weakref.WeakMethod(get_deliveries, _sources.discard))


def flush_events() -> int:
    """Deliver waiting events, and return their number. An event counts once per signal.

    Events wait if there was no provider for them, or if an exception interrupted their operation. Nothing happens while
    there is no provider, or while another thread delivers events. Never raises an error of a provider.
    """
    if not _has_waiting_events():
        return 0
    return _process.delivery_guard.run_if_free(_deliver_all) or 0


def deliver_soon() -> bool:
    """Deliver waiting events in a new thread. Span hooks call it: they must neither block nor start spans.

    Returns:
        Whether events were waiting. The thread may have delivered them since.
    """
    has_leftover = bool(_find_leftover_deliveries())
    span_queue, log_queue = _process.span_queue, _process.log_queue
    can_deliver = has_leftover or span_queue.can_deliver() or log_queue.can_deliver()
    if can_deliver and _process.delivery_guard.is_free():
        try:
            threading.Thread(target=flush_events, name="model-registry-events").start()
        except RuntimeError as error:  # the interpreter is shutting down
            logs.debug("model registry: waiting events are not delivered", error=error)
    return bool(has_leftover or span_queue.held or log_queue.held)


def _has_waiting_events() -> bool:
    return bool(_process.span_queue.held or _process.log_queue.held or _find_leftover_deliveries())


def _deliver_all() -> int:
    delivered = 0
    for delivery in _find_leftover_deliveries():
        unclaimed_before = len(delivery.unclaimed)
        send_delivery(delivery)
        delivery.close()
        delivered += unclaimed_before - len(delivery.unclaimed)
    return delivered + _process.span_queue.deliver() + _process.log_queue.deliver()


def _find_leftover_deliveries() -> list[Delivery]:
    """Return the deliveries of interrupted operations."""
    leftover: list[Delivery] = []
    for source in list(_sources):
        get_deliveries = source()
        if get_deliveries is not None:
            leftover += (item for item in get_deliveries() if not item.is_open and item.is_unfinished())
    return leftover


def event_signals() -> tuple[EventSignal, ...]:
    """Return the signals of lifecycle events.

    Until an event is emitted or signals are chosen, the environment decides at each call.
    """
    signals = _process.signals
    if signals is None:
        return _read_event_signals()
    return signals


def choose_event_signals(events: object = None) -> tuple[EventSignal, ...]:
    """Set the signals of all later lifecycle events, and return them.

    Args:
        events: The option ``events``; ``None``: the environment decides. A value that is not allowed is logged, and the
            default is used.
    """
    signals = _process.signals = _read_event_signals(events)
    return signals


def fix_event_signals() -> tuple[EventSignal, ...]:
    """Return the signals of lifecycle events; later changes of the environment have no effect."""
    signals = _process.signals
    if signals is None:
        return choose_event_signals()
    return signals


def _read_event_signals(events: object = None) -> tuple[EventSignal, ...]:
    from spanforge.model_registry._core.settings import EVENTS  # noqa: PLC0415 - keeps the package's import fast

    return EVENTS.read(events)


def event_counts(signal: EventSignal | None = None) -> EventCounts:
    """Return the number of lifecycle events in this process that were emitted, held and lost, in all registries.

    Args:
        signal: ``span`` or ``log``; ``None``: both. An event counts once per signal.

    Raises:
        InvalidValueError: The signal is unknown (also a ``ValueError``).
    """
    if signal is not None:
        return _process.queues[check_one_of(signal, SIGNALS, "signal")].count_outcomes()
    counts_by_signal = [queue.count_outcomes() for queue in _process.queues.values()]
    # Field by field: an ``EventCounts`` is a tuple of numbers.
    return EventCounts(*map(sum, zip(*counts_by_signal, strict=True)))


class _EmissionState(ProcessState):
    """The signals of lifecycle events in this process, and a queue per signal."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Restore the state of a new process."""
        self.signals: tuple[EventSignal, ...] | None = None
        self.span_queue = SignalQueue("span", emit_on_span, find_tracer_provider, retry_seconds=0)
        self.log_queue = SignalQueue("log", emit_log_record, find_logger_provider, retry_seconds=PROVIDER_RETRY_SECONDS)
        self.queues: dict[EventSignal, SignalQueue] = {"span": self.span_queue, "log": self.log_queue}
        self.delivery_guard = Guard()

    def after_fork_in_child(self) -> None:
        """Count the child's events only. Replace the lock, which another thread of the parent may hold."""
        self.delivery_guard = Guard()
        for queue in self.queues.values():
            queue.reset_counts()


_sources: Final[set[weakref.WeakMethod[Callable[[], Iterable[Delivery]]]]] = set()
_process: Final = _EmissionState()


def _warn_at_exit() -> None:
    for queue, provider_kind in ((_process.span_queue, "tracer provider"), (_process.log_queue, "logger provider")):
        held = queue.count_outcomes().held
        if not held:
            continue
        reason = f"there is no {provider_kind}"
        if queue.has_provider():
            reason = f"flush_events() was not called after the {provider_kind} was set"
        logs.warn("model registry: %d events were not delivered: %s", held, reason)


atexit.register(_warn_at_exit)
