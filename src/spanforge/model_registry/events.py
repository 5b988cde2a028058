"""Lifecycle events, put onto spans: the current one, or a short root span of their own."""

from __future__ import annotations

import atexit
import os
import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context

from spanforge.model_registry import logs
from spanforge.model_registry.attributes import PREFIX, SCHEMA_URL, SCOPE_NAME, __version__, event_attributes
from spanforge.model_registry.entry import LIFECYCLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry.entry import ModelRegistryEntry, ModelStatus

MAX_HELD: Final = 1_000
"""Events that are kept while there is no tracer provider; later ones are dropped and counted."""
MAX_ON_SPAN: Final = 64
"""Events put on one span: a span holds 128 and pushes out the oldest, the application's among them."""
_MAX_SPANS: Final = 1_024


class LifecycleEvent(NamedTuple):
    """What an operation did, to be told once.

    Attributes:
        stage: The status that the operation leads to: ``active`` for a registration, though a ``replace`` may have
            kept another.
        entry: The entry after the operation.
        at: When, in nanoseconds since the epoch.
        previous_status: The status before, where the model was known.
        reason: Why, if it was said.
        actor: Who, if it was said.
    """

    stage: ModelStatus
    entry: ModelRegistryEntry
    at: int
    previous_status: str | None = None
    reason: str | None = None
    actor: str | None = None

    @property
    def name(self) -> str:
        """The event's name: ``model_registry.registered``, ``….deprecated`` or ``….retired``."""
        return LIFECYCLE[self.stage].event


class EventCounts(NamedTuple):
    """What became of the events of this process so far.

    Attributes:
        emitted: Put on a span that is sampled.
        held: Waiting for a tracer provider.
        dropped: Lost: their own span was not sampled, or too many were held.
        failed: Lost to an error of the tracer provider, which is logged once for each kind of error.
    """

    emitted: int
    held: int
    dropped: int
    failed: int


class _State:
    """What the process knows of its events: those held, those counted, those put on recent spans."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.delivering = threading.Lock()
        self.held: deque[tuple[LifecycleEvent, trace.SpanContext]] = deque()
        self.counts = dict.fromkeys(("emitted", "dropped", "failed"), 0)
        self.on_spans: OrderedDict[tuple[int, int], int] = OrderedDict()
        self.failures: set[type[BaseException]] = set()

    def count(self, outcome: str) -> None:
        with self.lock:
            self.counts[outcome] += 1

    def hold(self, event: LifecycleEvent, link: trace.SpanContext) -> None:
        with self.lock:
            if len(self.held) < MAX_HELD:
                self.held.append((event, link))
            else:
                self.counts["dropped"] += 1

    def has_room(self, span: trace.SpanContext) -> bool:
        """Take one of the places on a span, if there is one left."""
        key = span.trace_id, span.span_id
        with self.lock:
            taken = self.on_spans.pop(key, 0)
            self.on_spans[key] = min(taken + 1, MAX_ON_SPAN)
            if len(self.on_spans) > _MAX_SPANS:
                self.on_spans.popitem(last=False)
        return taken < MAX_ON_SPAN

    def after_fork(self) -> None:
        """Replace locks that another thread of the parent may have held at the fork."""
        self.lock = threading.Lock()
        self.delivering = threading.Lock()


_state: Final = _State()


def emit_events(events: Iterable[LifecycleEvent], tracer_provider: trace.TracerProvider | None = None) -> None:
    """Put each event on the current span if that is sampled and has room, else on a root span of its own.

    Without a tracer provider they are held: the first ``MAX_HELD``, to be delivered by the next operation, by
    ``flush_events`` or by the span processor. Never raises: a failure is logged and counted.

    Args:
        events: The events, oldest first.
        tracer_provider: Who makes root spans; ``None``: the global provider, asked for now.
    """
    if _state.held:
        flush_events()
    for event in events:
        _guarded(event, trace.get_current_span(), tracer_provider)


def flush_events() -> int:
    """Deliver the events held since before there was a tracer provider, a root span each; return how many.

    Nothing happens while there is still no provider, or while another thread delivers them. Never raises.
    """
    if not _state.delivering.acquire(blocking=False):
        return 0
    delivered = 0
    try:
        provider = _global_provider()
        while _state.held and provider is not None:
            event, link = _state.held.popleft()
            _guarded(event, trace.NonRecordingSpan(link), provider)
            delivered += 1
    except Exception as error:  # noqa: BLE001 - a provider that cannot be loaded
        logs.debug("model registry events stay held", error=error)
    finally:
        _state.delivering.release()
    return delivered


def deliver_soon() -> bool:
    """Deliver held events from a thread of its own: for span hooks, which must neither block nor start spans.

    Returns:
        Whether events are held, still or for the moment.
    """
    if not _state.held:
        return False
    if not _state.delivering.locked() and _global_provider() is not None:
        try:
            threading.Thread(target=flush_events, name="model-registry-events").start()
        except RuntimeError as error:  # the interpreter is shutting down
            logs.debug("held model registry events are not delivered", error=error)
    return True


def event_counts() -> EventCounts:
    """Return what became of this process's lifecycle events, of all registries together."""
    with _state.lock:
        return EventCounts(held=len(_state.held), **_state.counts)


def _guarded(event: LifecycleEvent, current: trace.Span, tracer_provider: trace.TracerProvider | None) -> None:
    try:
        outcome = _emit(event, current, tracer_provider)
    except Exception as error:  # noqa: BLE001 - the operation has succeeded, whatever a provider raises
        outcome = "failed"
        if type(error) not in _state.failures:
            _state.failures.add(type(error))
            logs.warn("event not emitted (further %s not logged)", type(error).__name__, error=error)
    if outcome is not None:
        _state.count(outcome)


def _emit(event: LifecycleEvent, current: trace.Span, tracer_provider: trace.TracerProvider | None) -> str | None:
    context = current.get_span_context()
    if current.is_recording() and context.trace_flags.sampled and _state.has_room(context):
        _add_event(current, event)
        return "emitted"
    provider = tracer_provider or _global_provider()
    if provider is None:
        _state.hold(event, context)
        return None
    tracer = provider.get_tracer(SCOPE_NAME, __version__, schema_url=SCHEMA_URL)
    span = tracer.start_span(
        PREFIX + LIFECYCLE[event.stage].verb,
        context=Context(),
        links=[trace.Link(context)] if context.is_valid else None,
        start_time=event.at,
    )
    try:
        _add_event(span, event)
        return "emitted" if span.is_recording() and span.get_span_context().trace_flags.sampled else "dropped"
    finally:
        span.end(event.at)


def _add_event(span: trace.Span, event: LifecycleEvent) -> None:
    facts = event_attributes(event.entry, previous_status=event.previous_status, reason=event.reason, actor=event.actor)
    span.add_event(event.name, facts, timestamp=event.at)


def _global_provider() -> trace.TracerProvider | None:
    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider) else provider


def _at_exit() -> None:
    if _state.held:
        logs.warn("%d model registry events were not delivered: there is no tracer provider", len(_state.held))


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_state.after_fork)
