"""Deliveries: lifecycle events on their way to a span or to a logger, and a queue for each of the two signals.

A delivery is claimed for a signal directly before a provider is given its event. So no event goes out twice, whatever
thread delivers it and whatever interrupts; an exception that comes while the provider has it leaves it as failed.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import trace
from opentelemetry.context import Context

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import SCHEMA_URL, SCOPE_NAME, __version__
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES, EventCounts, LifecycleEvent
from spanforge.model_registry._core.process import ProcessState, WarnOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry._logs import LoggerProvider

    from spanforge.model_registry._core.attributes import EventSignal

DeliveryOutcome = Literal["emitted", "dropped", "no provider", "claimed before"]

MAX_HELD: Final = 1_000
"""Events that are kept for a signal while there is no provider for it; later ones are dropped and counted."""
MAX_ON_SPAN: Final = 64
"""Events put on one span: a span holds 128 and pushes out the oldest, the application's among them."""
_MAX_SPANS: Final = 1_024


class Delivery:
    """A lifecycle event on its way.

    Attributes:
        event: The event; set before the registry's state that contains this delivery is published.
        span: The span that was current at the operation; of an event that is held, its context only.
        providers: The provider of each signal that the registry was given; ``None``: the global one.
        unclaimed: The signals that have not taken the event.
        held: The signals that keep it until there is a provider.
        is_open: Whether its operation is under way, and sends it.
    """

    __slots__ = ("event", "held", "is_open", "providers", "span", "unclaimed")

    def __init__(
        self, signals: Iterable[EventSignal], providers: Mapping[EventSignal, Any], event: LifecycleEvent | None = None
    ) -> None:
        self.event = event
        self.span = trace.get_current_span()
        self.providers = providers
        self.unclaimed: dict[EventSignal, bool] = dict.fromkeys(signals, True)
        self.held: set[EventSignal] = set()
        self.is_open = True

    def claim(self, signal: EventSignal) -> bool:
        """Take the event for a signal, in one step; ``False``: it was taken before."""
        return self.unclaimed.pop(signal, False)

    def close(self) -> None:
        """End the operation: from now on, any thread may deliver what is left."""
        self.is_open = False
        if not self.unclaimed:
            self.span = trace.INVALID_SPAN

    def is_unfinished(self) -> bool:
        """Check whether a signal has neither taken the event nor keeps it."""
        return self.event is not None and not self.held.issuperset(self.unclaimed)


def emit_on_span(delivery: Delivery, event: LifecycleEvent, provider: trace.TracerProvider | None) -> DeliveryOutcome:
    """Put the event on the operation's span, if that is sampled and has room, else on a root span of its own."""
    current = delivery.span
    context = current.get_span_context()
    if current.is_recording() and context.trace_flags.sampled and _span_room.take(context):
        event_name, attributes = event.name, event.attributes()
        if not delivery.claim("span"):
            return "claimed before"
        current.add_event(event_name, attributes, timestamp=event.at)
        return "emitted"
    provider = provider or find_tracer_provider()
    return "no provider" if provider is None else _emit_on_root_span(delivery, event, provider)


def _emit_on_root_span(delivery: Delivery, event: LifecycleEvent, provider: trace.TracerProvider) -> DeliveryOutcome:
    """Put the event on a root span of its own, with a link to the operation's span."""
    event_name, attributes = event.name, event.attributes()
    context = delivery.span.get_span_context()
    links = [trace.Link(context)] if context.is_valid else None
    tracer = provider.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL)
    span_name = OPERATION_SPAN_NAMES[event.operation]
    if not delivery.claim("span"):
        return "claimed before"
    span = tracer.start_span(span_name, context=Context(), links=links, start_time=event.at)
    try:
        span.add_event(event_name, attributes, timestamp=event.at)
        return "emitted" if span.is_recording() and span.get_span_context().trace_flags.sampled else "dropped"
    finally:
        span.end(event.at)


def emit_log_record(delivery: Delivery, event: LifecycleEvent, provider: LoggerProvider | None) -> DeliveryOutcome:
    """Emit the event as a log record."""
    from opentelemetry._logs import SeverityNumber  # noqa: PLC0415 - for those who want log records only

    provider = provider or find_logger_provider()
    if provider is None:
        return "no provider"
    logger = provider.get_logger(SCOPE_NAME, __version__, SCHEMA_URL)
    context = trace.set_span_in_context(delivery.span, Context())
    event_name, attributes = event.name, event.attributes()
    severity = SeverityNumber.INFO
    is_enabled = _is_logger_enabled(logger, context=context, severity_number=severity, event_name=event_name)
    if not delivery.claim("log"):
        return "claimed before"
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


def _is_logger_enabled(logger: Any, **facts: Any) -> bool:
    """Check whether a logger is enabled; those of older SDKs always are."""
    return not hasattr(logger, "enabled") or bool(logger.enabled(**facts))


def find_tracer_provider() -> trace.TracerProvider | None:
    """Return the global tracer provider; ``None``: there is none yet."""
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def find_logger_provider() -> LoggerProvider | None:
    """Return the global logger provider; ``None``: there is none yet."""
    from opentelemetry._logs import get_logger_provider  # noqa: PLC0415 - as above
    from opentelemetry._logs._internal import ProxyLoggerProvider  # noqa: PLC0415 - it has no public name

    provider = get_logger_provider()
    return None if isinstance(provider, ProxyLoggerProvider) else provider


class SignalQueue:
    """The deliveries of one signal: those held until there is a provider, and the numbers of the others.

    Args:
        signal: The signal.
        emit: Claims a delivery, and emits its event by a provider; returns the outcome.
        find_provider: Returns the global provider; ``None``: there is none yet.
        retry_seconds: Seconds after which span hooks look for a provider again.
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
        """Count from the beginning."""
        self._counters = {name: itertools.count() for name in ("emitted", "dropped", "failed")}

    def send(self, delivery: Delivery, provider: Any = None) -> None:
        """Emit a delivery's event, or hold it. Never raises an error of a provider."""
        try:
            outcome = self._emit_or_hold(delivery, provider or delivery.providers.get(self.signal))
        except Exception as error:  # noqa: BLE001 - the operation has succeeded, whatever a provider raises
            delivery.claim(self.signal)
            self._count("failed")
            text = "model registry: event not emitted (further %s not logged)"
            _warnings.warn(type(error), text, type(error).__name__, error=error)
        except BaseException:
            if self.signal not in delivery.unclaimed:
                self._count("failed")
            raise
        else:
            self._count(outcome)

    def _emit_or_hold(self, delivery: Delivery, provider: Any) -> str:
        if delivery.event is None or self.signal not in delivery.unclaimed:
            return "claimed before"
        outcome = self._emit(delivery, delivery.event, provider)
        return self._hold(delivery) if outcome == "no provider" else outcome

    def _hold(self, delivery: Delivery) -> str:
        """Keep a delivery until there is a provider, if there is room for it."""
        if len(self.held) >= MAX_HELD:
            return "dropped" if delivery.claim(self.signal) else "claimed before"
        delivery.span = trace.NonRecordingSpan(delivery.span.get_span_context())
        self.held.append(delivery)
        delivery.held.add(self.signal)
        return "held"

    def deliver(self) -> int:
        """Emit the events that are held, if there is a provider by now; return their number."""
        delivered = 0
        try:
            while self.held and (provider := self._find_provider()) is not None:
                delivery = self.held[0]
                delivered += self.signal in delivery.unclaimed
                self.send(delivery, provider)
                if self.held and self.held[0] is delivery:  # a child may have been forked, and have delivered it all
                    self.held.popleft()
        except Exception as error:  # noqa: BLE001 - a provider that cannot be loaded
            logs.debug("model registry: events stay held", error=error)
        return delivered

    def can_deliver(self) -> bool:
        """Check whether there is a provider for events that are held."""
        now = time.monotonic()
        if not self.held or now < self._retry_at:
            return False
        self._retry_at = now + self._retry_seconds
        return self.has_provider()

    def has_provider(self) -> bool:
        """Check whether there is a global provider by now."""
        try:
            return self._find_provider() is not None
        except Exception:  # noqa: BLE001 - a provider that cannot be loaded
            return False

    def count_outcomes(self) -> EventCounts:
        """Return the numbers of events that went out, are held, and were lost."""
        held = {id(delivery) for delivery in tuple(self.held) if self.signal in delivery.unclaimed}
        counts: dict[str, Any] = {name: counter.__reduce__()[1][0] for name, counter in self._counters.items()}
        return EventCounts(held=len(held), **counts)

    def _count(self, outcome: str) -> None:
        if outcome in self._counters:
            next(self._counters[outcome])  # one step, which no signal and no other thread can come between


class _SpanRoom(ProcessState):
    """How many events recent spans were given."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Forget all spans."""
        self._places: OrderedDict[tuple[int, int], itertools.count[int]] = OrderedDict()

    def take(self, span: trace.SpanContext) -> bool:
        """Take one of the places on a span, if there is one left. Each step is one that nothing can come between."""
        key = span.trace_id, span.span_id
        places = self._places.setdefault(key, itertools.count())
        if len(self._places) > _MAX_SPANS:
            self._places.popitem(last=False)
        return next(places) < MAX_ON_SPAN


_span_room: Final = _SpanRoom()
_warnings: Final = WarnOnce(100)
