"""Lifecycle events: put onto spans, the current one or a short root span of their own, and emitted as log records."""

from __future__ import annotations

import atexit
import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import (
    EVENT_FORMS,
    PREFIX,
    SCHEMA_URL,
    SCOPE_NAME,
    __version__,
    event_attributes,
)
from spanforge.model_registry._core.lifecycle import OPERATIONS, OperationName
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.values import one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry._logs import LoggerProvider

    from spanforge.model_registry._core.attributes import EventForm
    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_HELD: Final = 1_000
"""Events that are kept in a form while there is no provider for it; later ones are dropped and counted."""
MAX_ON_SPAN: Final = 64
"""Events put on one span: a span holds 128 and pushes out the oldest, the application's among them."""
OPERATION_SPAN_NAMES: Final = {name: PREFIX + name for name in OPERATIONS}
"""Operation to the name of its root span."""
LOOKS_AGAIN: Final = 1.0
"""Seconds after which spans that start look for a logger provider again, where events are held for one: many
applications never have one, and to ask for it costs two microseconds."""
_MAX_SPANS: Final = 1_024


class LifecycleEvent(NamedTuple):
    """What an operation did, to be told once.

    Attributes:
        operation: The operation.
        entry: The entry after the operation.
        at: When, in nanoseconds since the epoch.
        previous_status: The status before, where the model was known.
        reason: Why, if it was said.
        actor: Who, if it was said.
    """

    operation: OperationName
    entry: ModelRegistryEntry
    at: int
    previous_status: str | None = None
    reason: str | None = None
    actor: str | None = None

    @property
    def name(self) -> str:
        """The event's name: ``model_registry.registered``, ``….deprecated`` or ``….retired``."""
        return OPERATIONS[self.operation].event


class EventCounts(NamedTuple):
    """What became of the events of this process so far, each counted once in every form in which it goes out.

    Attributes:
        emitted: Put on a span that is sampled, or taken as a log record by a logger that is enabled.
        held: Waiting for a provider.
        dropped: Lost: their own span was not sampled, nobody takes log records, or too many were held.
        failed: Lost to an error of a provider, which is logged once for each kind of error.
    """

    emitted: int
    held: int
    dropped: int
    failed: int


class _Queue:
    """The events of one form: those that are held until there is a provider, and what became of the others.

    Args:
        emit: Emits an event by a provider, or by the global one; returns what became of it, ``None``: there is none.
        provider: Returns the global provider; ``None``: there is none yet.
        pause: Seconds after which span hooks look for a provider again.
    """

    def __init__(
        self, emit: Callable[[LifecycleEvent, trace.Span, Any], str | None], provider: Callable[[], Any], pause: float
    ) -> None:
        self._emit = emit
        self._pause = pause
        self._look_again = 0.0
        self.provider = provider
        self.held: deque[tuple[LifecycleEvent, trace.SpanContext]] = deque()
        self.forget()

    def forget(self) -> None:
        """Count from the beginning."""
        self.counts = dict.fromkeys(("emitted", "dropped", "failed"), 0)

    def send(self, event: LifecycleEvent, current: trace.Span, provider: Any) -> None:
        """Emit an event, or hold it. Never raises."""
        try:
            outcome = self._emit(event, current, provider)
        except Exception as error:  # noqa: BLE001 - the operation has succeeded, whatever a provider raises
            outcome = "failed"
            if type(error) not in _state.failures:
                _state.failures.add(type(error))
                logs.warn("event not emitted (further %s not logged)", type(error).__name__, error=error)
        with _state.lock:
            if outcome is not None:
                self.counts[outcome] += 1
            elif len(self.held) < MAX_HELD:
                self.held.append((event, current.get_span_context()))
            else:
                self.counts["dropped"] += 1

    def deliver(self) -> int:
        """Emit the events that are held, if there is a provider by now; return how many."""
        delivered = 0
        try:
            while self.held and (provider := self.provider()) is not None:
                event, link = self.held.popleft()
                self.send(event, trace.NonRecordingSpan(link), provider)
                delivered += 1
        except Exception as error:  # noqa: BLE001 - a provider that cannot be loaded
            logs.debug("model registry events stay held", error=error)
        return delivered

    def is_waiting(self) -> bool:
        """Tell whether there is a provider for events that are held."""
        now = time.monotonic()
        if not self.held or now < self._look_again:
            return False
        self._look_again = now + self._pause
        return self.has_provider()

    def has_provider(self) -> bool:
        """Tell whether there is a global provider by now."""
        try:
            return self.provider() is not None
        except Exception:  # noqa: BLE001 - a provider that cannot be loaded
            return False

    def so_far(self) -> EventCounts:
        """Return what became of its events; the lock is held."""
        return EventCounts(held=len(self.held), **self.counts)


def emit_events(
    events: Iterable[LifecycleEvent],
    tracer_provider: trace.TracerProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> None:
    """Emit each event in the forms that the setting ``events`` names.

    ``span``: on the current span if that is sampled and has room, else on a root span of its own. ``log``: as a log
    record. Without a provider for a form, events are held for it: the first ``MAX_HELD``, to be delivered by the next
    operation, by ``flush_events`` or by the span processor. Never raises: a failure is logged and counted.

    Args:
        events: The events, oldest first.
        tracer_provider: Who makes root spans; ``None``: the global provider, asked for now.
        logger_provider: Who takes log records; ``None``: the global provider, asked for now.
    """
    forms = choose_event_forms() if _state.forms is None else _state.forms
    flush_events()
    given = {"span": tracer_provider, "log": logger_provider}
    current = trace.get_current_span()
    for event in events:
        for form in forms:
            _state.queues[form].send(event, current, given[form])


def flush_events() -> int:
    """Deliver the events held since before there was a provider for them; return how many.

    Spans and log records count apart. Nothing happens while there is still no provider, or while another thread
    delivers them. Never raises.
    """
    held = [queue for queue in _state.queues.values() if queue.held]
    delivering = _state.delivering  # a processor that forks leaves another one to the child
    if not held or not delivering.acquire(blocking=False):
        return 0
    try:
        return sum(queue.deliver() for queue in held)
    finally:
        delivering.release()


def deliver_soon() -> bool:
    """Deliver held events from a thread of its own: for span hooks, which must neither block nor start spans.

    Returns:
        Whether events are held, still or for the moment.
    """
    spans, records = _state.queues.values()
    if (spans.is_waiting() or records.is_waiting()) and not _state.delivering.locked():
        try:
            threading.Thread(target=flush_events, name="model-registry-events").start()
        except RuntimeError as error:  # the interpreter is shutting down
            logs.debug("held model registry events are not delivered", error=error)
    return bool(spans.held or records.held)


def event_forms() -> tuple[EventForm, ...]:
    """Return the forms in which events go out: what was chosen, or what the environment says now.

    What it says when the first event goes out counts from then on.
    """
    return _said() if _state.forms is None else _state.forms


def choose_event_forms(events: object = None) -> tuple[EventForm, ...]:
    """Have events go out in other forms from now on, and return these.

    Args:
        events: The option ``events``; ``None``: the environment decides. A value that is not allowed is logged, and the
            default used.
    """
    _state.forms = _said(events)
    return _state.forms


def _said(events: object = None) -> tuple[EventForm, ...]:
    from spanforge.model_registry._core.settings import EVENTS  # noqa: PLC0415 - imported by nobody else at the start

    return EVENTS.read(events)


def event_counts(form: EventForm | None = None) -> EventCounts:
    """Return what became of this process's lifecycle events, of all registries together.

    Args:
        form: ``span`` or ``log``: of this form only. ``None``: of all; an event counts once in each of its forms.

    Raises:
        InvalidValueError: There is no such form (also a ``ValueError``).
    """
    forms = EVENT_FORMS if form is None else (one_of(form, EVENT_FORMS, "form"),)
    with _state.lock:
        return EventCounts(*map(sum, zip(*(_state.queues[each].so_far() for each in forms), strict=True)))


def _onto_span(event: LifecycleEvent, current: trace.Span, tracer_provider: trace.TracerProvider | None) -> str | None:
    context = current.get_span_context()
    if current.is_recording() and context.trace_flags.sampled and _state.has_room(context):
        current.add_event(event.name, _attributes(event), timestamp=event.at)
        return "emitted"
    provider = tracer_provider or _global_tracer_provider()
    if provider is None:
        return None
    tracer = provider.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL)
    span = tracer.start_span(
        OPERATION_SPAN_NAMES[event.operation],
        context=Context(),
        links=[trace.Link(context)] if context.is_valid else None,
        start_time=event.at,
    )
    try:
        span.add_event(event.name, _attributes(event), timestamp=event.at)
        return "emitted" if span.is_recording() and span.get_span_context().trace_flags.sampled else "dropped"
    finally:
        span.end(event.at)


def _as_log_record(event: LifecycleEvent, current: trace.Span, logger_provider: LoggerProvider | None) -> str | None:
    from opentelemetry._logs import SeverityNumber  # noqa: PLC0415 - for those who want log records only

    provider = logger_provider or _global_logger_provider()
    if provider is None:
        return None
    logger = provider.get_logger(SCOPE_NAME, __version__, SCHEMA_URL)
    context = trace.set_span_in_context(current, Context())
    severity = SeverityNumber.INFO
    if not _is_enabled(logger, context=context, severity_number=severity, event_name=event.name):
        return "dropped"
    logger.emit(
        timestamp=event.at,
        context=context,
        severity_number=severity,
        severity_text=severity.name,
        attributes=_attributes(event),
        event_name=event.name,
    )
    return "emitted"


def _is_enabled(logger: Any, **facts: Any) -> bool:
    """Tell whether somebody takes what a logger emits; older SDKs do not say."""
    return not hasattr(logger, "enabled") or bool(logger.enabled(**facts))


def _attributes(event: LifecycleEvent) -> dict[str, Any]:
    facts = {"previous_status": event.previous_status, "reason": event.reason, "actor": event.actor}
    return event_attributes(event.entry, **facts)


def _global_tracer_provider() -> trace.TracerProvider | None:
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _global_logger_provider() -> LoggerProvider | None:
    from opentelemetry._logs import get_logger_provider  # noqa: PLC0415 - as above
    from opentelemetry._logs._internal import ProxyLoggerProvider  # noqa: PLC0415 - it has no public name

    provider = get_logger_provider()
    return None if isinstance(provider, ProxyLoggerProvider) else provider


class _State(ProcessState):
    """What the process knows of its events: those held, those counted, those put on recent spans."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Start again as in a new process."""
        self.forms: tuple[EventForm, ...] | None = None
        self.queues: dict[EventForm, _Queue] = {
            "span": _Queue(_onto_span, _global_tracer_provider, 0),
            "log": _Queue(_as_log_record, _global_logger_provider, LOOKS_AGAIN),
        }
        self.on_spans: OrderedDict[tuple[int, int], int] = OrderedDict()
        self.failures: set[type[BaseException]] = set()
        self._make_locks()

    def _make_locks(self) -> None:
        self.lock = threading.RLock()  # a signal handler, or what garbage calls, may lead here while it is held
        self.delivering = threading.Lock()

    def has_room(self, span: trace.SpanContext) -> bool:
        """Take one of the places on a span, if there is one left."""
        key = span.trace_id, span.span_id
        with self.lock:
            taken = self.on_spans.pop(key, 0)
            self.on_spans[key] = min(taken + 1, MAX_ON_SPAN)
            if len(self.on_spans) > _MAX_SPANS:
                self.on_spans.popitem(last=False)
        return taken < MAX_ON_SPAN

    def after_fork_in_child(self) -> None:
        """Count for the child alone, and replace locks that another thread of the parent may have held at the fork."""
        self._make_locks()
        for queue in self.queues.values():
            queue.forget()


_state: Final = _State()


def _at_exit() -> None:
    for queue, missing in zip(_state.queues.values(), ("tracer provider", "logger provider"), strict=True):
        if queue.held:
            why = "nothing called flush_events() once there was a" if queue.has_provider() else "there is no"
            logs.warn("%d model registry events were not delivered: %s %s", len(queue.held), why, missing)


atexit.register(_at_exit)
