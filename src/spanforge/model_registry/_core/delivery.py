"""Deliveries: lifecycle events to emit as span events or log records, and a queue per signal.

A delivery is claimed for a signal directly before its event is passed to a provider. So no event is emitted twice, in
any thread and after any interruption. If an exception interrupts the provider, the event counts as failed.

The states of an event:

- *unclaimed*: The signal has not claimed the event yet.
- *held*: The event is unclaimed and in the signal's queue, because the signal has no provider.
- *undelivered*: A signal has neither claimed nor held the event. Its operation is running or was interrupted.
- *waiting*: The event is held, or it is undelivered and its operation was interrupted by an exception.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import trace
from opentelemetry.context import Context

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import SCOPE_NAME, __version__
from spanforge.model_registry._core.counter import AtomicCounter
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES, EventCounts, LifecycleEvent
from spanforge.model_registry._core.interruptions import is_interruption, pass_interruption
from spanforge.model_registry._core.process import ProcessState, WarnOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry._logs import LoggerProvider

    from spanforge.model_registry._core.attributes import EventSignal

DeliveryOutcome = Literal["emitted", "held", "dropped", "failed", "no provider", "already claimed"]

MAX_HELD: Final = 1_000
"""The limit of events that are held for a signal without a provider. Later events are dropped and counted, so that an
application without a provider does not fill its memory."""
MAX_ON_SPAN: Final = 64
"""The limit of lifecycle events on one span. By default a span keeps 128 events and drops older ones, also the
application's."""
_MAX_SPANS: Final = 1_024
"""The limit of spans whose lifecycle events are counted; the oldest span is forgotten."""

_warnings: Final = WarnOnce(100)


class Delivery:
    """A lifecycle event to emit.

    Attributes:
        event: The event. It is set before the registry state that contains this delivery is published.
        span: The current span of the operation. If the event is held, only its context is kept.
        providers: The registry's provider of each signal; ``None`` for the global one.
        unclaimed: The signals that have not claimed the event. A dict, because removing a key is atomic.
        held_for: The signals whose queue holds the event until there is a provider.
        is_open: ``True`` while the operation is running. The operation then sends the event itself.
    """

    __slots__ = ("event", "held_for", "is_open", "providers", "span", "unclaimed")

    def __init__(
        self, signals: Iterable[EventSignal], providers: Mapping[EventSignal, Any], event: LifecycleEvent | None = None
    ) -> None:
        self.event = event
        self.span = trace.get_current_span()
        self.providers = providers
        self.unclaimed: dict[EventSignal, bool] = dict.fromkeys(signals, True)
        self.held_for: set[EventSignal] = set()
        self.is_open = True

    def claim(self, signal: EventSignal) -> bool:
        """Claim the event for a signal, in one atomic step; ``False`` if it was already claimed."""
        return self.unclaimed.pop(signal, False)

    def close(self) -> None:
        """End the operation. Any thread may then deliver the event in the signals that have not claimed it."""
        self.is_open = False
        if not self.unclaimed:
            self.span = trace.INVALID_SPAN

    def is_undelivered(self) -> bool:
        """Check whether a signal has neither claimed nor held the event."""
        return self.event is not None and not self.held_for.issuperset(self.unclaimed)


def emit_on_span(delivery: Delivery, event: LifecycleEvent, provider: trace.TracerProvider | None) -> DeliveryOutcome:
    """Add the event to the operation's span if the span is sampled and has room; otherwise use a new root span."""
    if _take_place_on_span(delivery.span):
        return _emit_on_current_span(delivery, event)
    provider = provider or find_tracer_provider()
    if provider is None:
        return "no provider"
    return _emit_on_root_span(delivery, event, provider)


def _take_place_on_span(span: trace.Span) -> bool:
    """Take a place for an event on a span; ``False`` if the span is not sampled or no place is left."""
    context = span.get_span_context()
    if not span.is_recording() or not context.trace_flags.sampled:
        return False
    return _has_room(span) and _span_room.take_place(context)


def _has_room(span: Any) -> bool:
    """Check whether a span can take an event without dropping another one. The API has no method for this."""
    limit = getattr(getattr(span, "_limits", None), "max_events", None)
    return limit is None or len(getattr(span, "events", ())) < limit


def _emit_on_current_span(delivery: Delivery, event: LifecycleEvent) -> DeliveryOutcome:
    """Add the event to the operation's span."""
    # Computed before the claim, because an interruption after the claim would lose the event.
    event_name, attributes = event.name, event.attributes()
    current_span = delivery.span
    if not delivery.claim("span"):
        return "already claimed"
    current_span.add_event(event_name, attributes, timestamp=event.at)
    return "emitted"


def _emit_on_root_span(delivery: Delivery, event: LifecycleEvent, provider: trace.TracerProvider) -> DeliveryOutcome:
    """Add the event to a new root span, which links to the operation's span."""
    event_name, attributes = event.name, event.attributes()
    context = delivery.span.get_span_context()
    links = [trace.Link(context)] if context.is_valid else None
    tracer = provider.get_tracer(SCOPE_NAME, __version__)
    span_name = OPERATION_SPAN_NAMES[event.operation]
    if not delivery.claim("span"):
        return "already claimed"
    span = tracer.start_span(span_name, context=Context(), links=links, start_time=event.at)
    try:
        span.add_event(event_name, attributes, timestamp=event.at)
        is_sampled = span.is_recording() and span.get_span_context().trace_flags.sampled
        is_kept = bool(getattr(span, "events", True))  # an SDK's span; its limit may be 0
        return "emitted" if is_sampled and is_kept else "dropped"
    finally:
        span.end(event.at + 1)  # Jaeger reports an end that is not after the start as a fault of the span


def emit_log_record(delivery: Delivery, event: LifecycleEvent, provider: LoggerProvider | None) -> DeliveryOutcome:
    """Emit the event as a log record."""
    from opentelemetry._logs import SeverityNumber  # noqa: PLC0415 - log records are optional

    provider = provider or find_logger_provider()
    if provider is None:
        return "no provider"
    logger = provider.get_logger(SCOPE_NAME, __version__)
    context = trace.set_span_in_context(delivery.span, Context())
    event_name, attributes = event.name, event.attributes()
    severity = SeverityNumber.INFO
    is_enabled = _is_logger_enabled(logger, context=context, severity_number=severity, event_name=event_name)
    if not delivery.claim("log"):
        return "already claimed"
    if not is_enabled:
        return "dropped"
    logger.emit(
        timestamp=event.at,
        context=context,
        severity_number=severity,
        severity_text=severity.name,
        attributes=attributes,
        event_name=event_name,
    )
    return "emitted"


def _is_logger_enabled(logger: Any, **parameters: Any) -> bool:
    """Check whether a logger is enabled. In older SDKs, all loggers are."""
    if not hasattr(logger, "enabled"):
        return True
    return bool(logger.enabled(**parameters))


def find_tracer_provider() -> trace.TracerProvider | None:
    """Return the global tracer provider; ``None`` if it is not set yet."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def find_logger_provider() -> LoggerProvider | None:
    """Return the global logger provider; ``None`` if it is not set yet."""
    from opentelemetry._logs import get_logger_provider  # noqa: PLC0415 - log records are optional
    from opentelemetry._logs._internal import ProxyLoggerProvider  # noqa: PLC0415 - it has no public name

    provider = get_logger_provider()
    return None if isinstance(provider, ProxyLoggerProvider) else provider


class SignalQueue:
    """Emits, holds and counts the events of one signal.

    Args:
        signal: The signal.
        emit: The function that claims a delivery, emits its event through a provider and returns the outcome.
        find_provider: The function that returns the global provider, or ``None`` if it is not set yet.
        retry_seconds: The interval at which span hooks look for a provider.
    """

    def __init__(
        self,
        signal: EventSignal,
        emit: Callable[[Delivery, LifecycleEvent, Any], DeliveryOutcome],
        find_provider: Callable[[], Any],
        retry_seconds: float,
    ) -> None:
        self.signal: EventSignal = signal
        self._emit = emit
        self._find_provider = find_provider
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self.held: deque[Delivery] = deque()
        self.reset_counts()

    def reset_counts(self) -> None:
        """Start the counts again from zero."""
        self._counters = {name: AtomicCounter() for name in ("emitted", "dropped", "failed")}

    def send(self, delivery: Delivery, provider: Any = None) -> None:
        """Emit a delivery's event, or hold it. An error of a provider is logged and not raised."""
        try:
            outcome = self._emit_or_hold(delivery, provider or delivery.providers.get(self.signal))
        except BaseException as error:
            if not isinstance(error, Exception) or is_interruption(error):
                if self.signal not in delivery.unclaimed:  # after the claim: the provider may not have emitted it
                    self._count("failed")
                raise
            delivery.claim(self.signal)
            self._count("failed")
            text = "model registry: an event was not emitted; further %s errors are not logged"
            _warnings.warn(type(error), text, type(error).__name__, error=error)
        else:
            self._count(outcome)

    def _emit_or_hold(self, delivery: Delivery, provider: Any) -> DeliveryOutcome:
        if delivery.event is None or self.signal not in delivery.unclaimed:
            return "already claimed"
        outcome = self._emit(delivery, delivery.event, provider)
        if outcome == "no provider":
            return self._hold(delivery)
        return outcome

    def _hold(self, delivery: Delivery) -> DeliveryOutcome:
        """Hold a delivery until there is a provider; drop its event if the queue is full."""
        if len(self.held) >= MAX_HELD:
            return "dropped" if delivery.claim(self.signal) else "already claimed"
        # A link or a log record needs only the context. The span itself may be large.
        delivery.span = trace.NonRecordingSpan(delivery.span.get_span_context())
        self.held.append(delivery)
        delivery.held_for.add(self.signal)
        return "held"

    def deliver(self) -> int:
        """Emit the held events if there is a provider, and return their number."""
        delivered = 0
        try:
            while self.held:
                provider = self._find_provider()
                if provider is None:
                    break
                delivery = self.held[0]
                if self.signal in delivery.unclaimed:
                    delivered += 1
                self.send(delivery, provider)
                # The provider may have forked. In the child, another call may have emptied the queue by now.
                if self.held and self.held[0] is delivery:
                    self.held.popleft()
        except Exception as error:  # noqa: BLE001 - the provider cannot be loaded
            pass_interruption(error)
            logs.debug("model registry: events stay held", error=error)
        return delivered

    def check_provider_if_due(self) -> bool:
        """Check whether held events have a provider. Before the next check is due, return ``False``."""
        now = time.monotonic()
        if not self.held or now < self._retry_at:
            return False
        self._retry_at = now + self._retry_seconds
        return self.has_provider()

    def has_provider(self) -> bool:
        """Check whether there is a global provider."""
        try:
            return self._find_provider() is not None
        except Exception as error:  # noqa: BLE001 - the provider cannot be loaded
            pass_interruption(error)
            return False

    def count_outcomes(self) -> EventCounts:
        """Return the number of events that were emitted, held and lost."""
        # A set, because a delivery may be in the queue twice after an interruption.
        held = {delivery for delivery in tuple(self.held) if self.signal in delivery.unclaimed}
        counts = {name: counter.value() for name, counter in self._counters.items()}
        return EventCounts(held=len(held), **counts)

    def _count(self, outcome: DeliveryOutcome) -> None:
        if outcome in self._counters:
            next(self._counters[outcome].ticks)


class _SpanRoom(ProcessState):
    """Counts the lifecycle events on recent spans to limit their number. Each step is atomic."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Remove all spans."""
        self._places: OrderedDict[tuple[int, int], itertools.count[int]] = OrderedDict()

    def take_place(self, span: trace.SpanContext) -> bool:
        """Take one of the span's ``MAX_ON_SPAN`` places; ``False`` if no place is left."""
        key = span.trace_id, span.span_id
        places = self._places.setdefault(key, itertools.count())
        if len(self._places) > _MAX_SPANS:
            self._places.popitem(last=False)
        return next(places) < MAX_ON_SPAN


_span_room: Final = _SpanRoom()
