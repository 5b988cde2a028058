"""The sending of lifecycle events of a change, complete or with the reason why not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk import environment_variables
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from spanforge.model_registry import ModelRegistryError
from spanforge.model_registry._cli.commands import PROGRAM
from spanforge.model_registry._cli.exporters import SIGNAL_NAMES, WatchedExporter, keep_messages, open_exporters
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.emission import emit_events
from spanforge.model_registry._core.timestamps import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry import LifecycleEvent
    from spanforge.model_registry._core.attributes import EventSignal

_BATCH: Final = 512
"""The events of one request: the SDK's own default."""
_MAX_WAIT: Final = 3_600_000
"""Milliseconds until batches would be sent without a flush, which comes long before."""
_LIMIT_VARIABLES: Final = tuple(
    name for name in vars(environment_variables) if name.startswith("OTEL_") and name.endswith("_LIMIT")
)
"""The variables that limit attributes and events."""


class SendError(ModelRegistryError):
    """Events were not sent, or not all of them. ``str()`` has the number, the reason and the remedy."""


def send_events(events: Sequence[LifecycleEvent], signals: Sequence[EventSignal], *, console: bool = False) -> None:
    """Send events in each signal, and return when the receivers have accepted all of them.

    Args:
        events: The events.
        signals: The signals.
        console: ``True`` to print the spans and log records instead.

    Raises:
        SendError: A receiver did not accept all events.
        UsageError: An exporter cannot be set up.
    """
    with keep_messages() as messages, _lift_limits():
        watched = {signal: _open(signal, messages, console=console) for signal in signals}
        resource = Resource.create({} if _has_service_name() else {SERVICE_NAME: PROGRAM})
        providers: dict[EventSignal, Any] = {}
        for signal, exporters in watched.items():
            providers[signal] = _MAKERS[signal](resource, exporters, events)
        emit_events(events, providers)
        for provider in providers.values():
            provider.force_flush()
            provider.shutdown()
    for signal, exporters in watched.items():
        for exporter in exporters:
            _check_sent(signal, exporter, events)


@contextlib.contextmanager
def _lift_limits() -> Iterator[None]:
    """Set the variables of all limits to the empty text, which means no limit, so that no event loses an attribute."""
    given = {name: os.environ.get(name) for name in _LIMIT_VARIABLES}
    os.environ.update(dict.fromkeys(_LIMIT_VARIABLES, ""))
    try:
        yield
    finally:
        for name, value in given.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _open(signal: EventSignal, messages: list[str], *, console: bool) -> list[WatchedExporter]:
    if not console:
        return open_exporters(signal, messages)
    name = "ConsoleLogRecordExporter" if hasattr(log_export, "ConsoleLogRecordExporter") else "ConsoleLogExporter"
    exporter_class = ConsoleSpanExporter if signal == "span" else getattr(log_export, name)  # SDK 1.38 has the latter
    return [WatchedExporter(exporter_class(out=sys.stdout), messages)]


def _has_service_name() -> bool:
    return "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _check_sent(signal: EventSignal, exporter: WatchedExporter, events: Sequence[LifecycleEvent]) -> None:
    if exporter.accepted == len(events):
        return
    reason = escape_controls(exporter.problem or "OpenTelemetry did not pass them to the exporter")
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        reason = "OTEL_SDK_DISABLED is true"
    msg = (
        f"{exporter.accepted} of {len(events)} events were sent as {SIGNAL_NAMES[signal].items}: {reason}. "
        f"Remove the cause and run the command again{_describe_repeat(events[0])}"
    )
    raise SendError(msg)


def _describe_repeat(first: LifecycleEvent) -> str:
    """Return the end of the sentence about a repeat. Without a revision, it must state the time of the first event."""
    if first.source_revision is not None:
        return ": evidence counts a repeated event once"
    return f" with --at {format_micros(first.at // 1_000)}: evidence then counts a repeated event once"


def _make_tracer_provider(
    resource: Resource, exporters: Sequence[WatchedExporter], events: Sequence[LifecycleEvent]
) -> TracerProvider:
    """Return a provider that keeps every span, whatever the environment's sampler is."""
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=resource,
        shutdown_on_exit=False,
        id_generator=RepeatableIds(events),
    )
    for exporter in exporters:
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,  # type: ignore[arg-type] # it has the methods of an exporter
                max_queue_size=len(events) + _BATCH,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_MAX_WAIT,
            )
        )
    return provider


def _make_logger_provider(
    resource: Resource, exporters: Sequence[WatchedExporter], events: Sequence[LifecycleEvent]
) -> LoggerProvider:
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_log_record_processor(
            log_export.BatchLogRecordProcessor(
                exporter,  # type: ignore[arg-type] # it has the methods of an exporter
                max_queue_size=len(events) + _BATCH,
                max_export_batch_size=_BATCH,
                schedule_delay_millis=_MAX_WAIT,
            )
        )
    return provider


_MAKERS: Final = {"span": _make_tracer_provider, "log": _make_logger_provider}


class RepeatableIds(RandomIdGenerator):
    """Makes the ids of the spans of events. A repeat of the same change, from the same revision, has the same ids.

    So backends that know a span by its ids have it once. Events without a revision have random ids.

    Args:
        events: The events, in the order of their spans.
    """

    def __init__(self, events: Sequence[LifecycleEvent]) -> None:
        digests = [_digest(event) for event in events if event.source_revision is not None]
        self._trace_ids = iter([int.from_bytes(digest[:16], "big") for digest in digests])
        self._span_ids = iter([int.from_bytes(digest[16:24], "big") for digest in digests])

    def generate_trace_id(self) -> int:
        """Return the trace id of the next event."""
        return next(self._trace_ids, 0) or super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the span id of the next event."""
        return next(self._span_ids, 0) or super().generate_span_id()


def _digest(event: LifecycleEvent) -> bytes:
    facts = (event.source_revision or "", event.name, event.entry.model_id, str(event.at))
    return hashlib.sha256("\0".join(facts).encode()).digest()
