"""Emission of lifecycle events: sent in every signal, or held until there is a provider."""

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
"""Seconds after which spans that start look for a logger provider again, if events are held for one: many applications
never have one, and to ask for it costs two microseconds."""


def emit_events(events: Iterable[LifecycleEvent], providers: Mapping[EventSignal, Any]) -> None:
    """Emit each event in every signal that the setting ``events`` names.

    ``span``: on the current span if that is sampled and has room, else on a root span of its own. ``log``: as a log
    record. Without a provider for a signal, events are held for it: the first ``MAX_HELD``, to be delivered by the next
    operation, by ``flush_events`` or by the span processor. Never raises an error of a provider.

    Args:
        events: The events, oldest first.
        providers: The provider of each signal; ``None``: the global one, asked for now.
    """
    signals = fix_event_signals()
    flush_events()
    for event in events:
        send_delivery(Delivery(signals, providers, event))


def send_delivery(delivery: Delivery) -> None:
    """Emit a delivery's event in every signal that has not taken it. Never raises an error of a provider."""
    for signal in list(delivery.unclaimed):
        _process.queues[signal].send(delivery)


def add_source(deliveries: Callable[[], Iterable[Delivery]]) -> None:
    """Have ``flush_events`` deliver what interrupted operations leave over in a registry's state.

    Args:
        deliveries: A bound method that returns the deliveries of the state; it is referred to weakly.
    """
    _sources.add(weakref.WeakMethod(deliveries, _sources.discard))


def flush_events() -> int:
    """Deliver the events that are held for a provider; return their number.

    Events that an interrupted operation has left over are delivered as well. Spans and log records count apart. Nothing
    happens while there is still no provider, or while another thread delivers them. Never raises a provider's error.
    """
    if not _has_work():
        return 0
    return _process.delivering.run_if_free(_deliver_all) or 0


def deliver_soon() -> bool:
    """Deliver waiting events from a thread of its own: for span hooks, which must neither block nor start spans.

    Returns:
        Whether events wait, still or for the moment.
    """
    left_over = bool(_find_left_over())
    spans, records = _process.spans, _process.records
    can_deliver = left_over or spans.can_deliver() or records.can_deliver()
    if can_deliver and _process.delivering.is_free():
        try:
            threading.Thread(target=flush_events, name="model-registry-events").start()
        except RuntimeError as error:  # the interpreter is shutting down
            logs.debug("model registry: waiting events are not delivered", error=error)
    return bool(left_over or spans.held or records.held)


def _has_work() -> bool:
    return bool(_process.spans.held or _process.records.held or _find_left_over())


def _deliver_all() -> int:
    delivered = 0
    for delivery in _find_left_over():
        left = len(delivery.unclaimed)
        send_delivery(delivery)
        delivery.close()
        delivered += left - len(delivery.unclaimed)
    return delivered + _process.spans.deliver() + _process.records.deliver()


def _find_left_over() -> list[Delivery]:
    """Return the deliveries that interrupted operations have left over."""
    sources = [deliveries for source in list(_sources) if (deliveries := source()) is not None]
    candidates = [delivery for deliveries in sources for delivery in deliveries()]
    return [delivery for delivery in candidates if not delivery.is_open and delivery.is_unfinished()]


def event_signals() -> tuple[EventSignal, ...]:
    """Return the signals in which events go out: those chosen, or those that the environment names now.

    The environment is read for good when the first event goes out.
    """
    return _read_setting() if _process.signals is None else _process.signals


def choose_event_signals(events: object = None) -> tuple[EventSignal, ...]:
    """Have events go out in other signals from now on, and return these.

    Args:
        events: The option ``events``; ``None``: the environment decides. A value that is not allowed is logged, and the
            default used.
    """
    _process.signals = _read_setting(events)
    return _process.signals


def fix_event_signals() -> tuple[EventSignal, ...]:
    """Return the signals in which events go out, and keep to them from now on."""
    return choose_event_signals() if _process.signals is None else _process.signals


def _read_setting(events: object = None) -> tuple[EventSignal, ...]:
    from spanforge.model_registry._core.settings import EVENTS  # noqa: PLC0415 - imported by nobody else at the start

    return EVENTS.read(events)


def event_counts(signal: EventSignal | None = None) -> EventCounts:
    """Return the numbers of lifecycle events of this process that went out, are held, and were lost, in all registries.

    Args:
        signal: ``span`` or ``log``: of this signal only. ``None``: of all; an event counts once per signal.

    Raises:
        InvalidValueError: There is no such signal (also a ``ValueError``).
    """
    signals = SIGNALS if signal is None else (check_one_of(signal, SIGNALS, "signal"),)
    counts = [_process.queues[each].count_outcomes() for each in signals]
    return EventCounts(*map(sum, zip(*counts, strict=True)))


class _EmissionState(ProcessState):
    """The state of emission in this process: the signals, and a queue for each."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Start again as in a new process."""
        self.signals: tuple[EventSignal, ...] | None = None
        self.spans = SignalQueue("span", emit_on_span, find_tracer_provider, 0)
        self.records = SignalQueue("log", emit_log_record, find_logger_provider, PROVIDER_RETRY_SECONDS)
        self.queues: dict[EventSignal, SignalQueue] = {"span": self.spans, "log": self.records}
        self.delivering = Guard()

    def after_fork_in_child(self) -> None:
        """Count for the child alone, and replace the lock, which another thread of the parent may have held."""
        self.delivering = Guard()
        for queue in self.queues.values():
            queue.reset_counts()


_sources: Final[set[weakref.WeakMethod[Callable[[], Iterable[Delivery]]]]] = set()
_process: Final = _EmissionState()


def _warn_at_exit() -> None:
    for queue, missing in ((_process.spans, "tracer provider"), (_process.records, "logger provider")):
        held = queue.count_outcomes().held
        if held:
            why = "nothing called flush_events() once there was a" if queue.has_provider() else "there is no"
            logs.warn("model registry: %d events were not delivered: %s %s", held, why, missing)


atexit.register(_warn_at_exit)
