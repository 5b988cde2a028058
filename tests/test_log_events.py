"""Lifecycle events as log records, alone and beside span events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import NoOpLoggerProvider, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk import _logs as sdk_logs
from opentelemetry.sdk._logs import LoggerProvider, _internal
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from support.entries import register_many
from support.log_lines import library_records, log_handler
from support.telemetry import (
    Keeping,
    Raising,
    RecordOnly,
    exported_events,
    loggers_with,
    models_of,
    tracers_with,
)

from spanforge.model_registry import EventCounts, InvalidEntryError, ModelRegistry, event_counts, flush_events
from spanforge.model_registry._core.emission import get_event_signals, set_event_signals
from spanforge.model_registry._core.settings import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTHING = EventCounts(0, 0, 0, 0)
says_whether_enabled = pytest.mark.skipif(
    not hasattr(sdk_logs.Logger, "enabled"), reason="this opentelemetry-sdk does not say whether anybody takes records"
)


@pytest.fixture
def keeping() -> Keeping:
    """Return the processor of ``loggers``."""
    return Keeping()


@pytest.fixture
def loggers(keeping: Keeping) -> Iterator[LoggerProvider]:
    """Return a logger provider of the real SDK."""
    provider = loggers_with(keeping)
    yield provider
    provider.shutdown()


@pytest.fixture
def registry(provider: TracerProvider, loggers: LoggerProvider) -> ModelRegistry:
    """Return an empty registry whose events go to both providers, in the signals that are set."""
    return ModelRegistry(tracer_provider=provider, logger_provider=loggers)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the lines that the library has logged."""
    return lambda: [record.getMessage() for record in library_records(caplog)]


def operate(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    registry.register(**fields, metadata={"team": "a", "tags": ["x", "y"], "mixed": [1, "a"]}, actor="ci")
    registry.deprecate("gpt-4o", reason="old", successor="gpt-5")
    registry.retire("gpt-4o", reason="gone")


NAMES = [f"model_registry.{step}" for step in ("registered", "deprecated", "retired")]


# Signals


@pytest.mark.parametrize(
    ("setting", "spans", "records"),
    [(None, 3, 0), ("", 3, 0), ("span", 3, 0), ("log", 0, 3), ("span,log", 3, 3), ("LOG, span", 3, 3), ("none", 0, 0)],
)
def test_signals_of_the_setting(  # noqa: PLR0913 - fixtures
    registry: ModelRegistry,
    exporter: InMemorySpanExporter,
    keeping: Keeping,
    fields: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    spans: int,
    records: int,
) -> None:
    """Each event is emitted once in each signal of the environment variable; the default is ``span``."""
    monkeypatch.delenv(EVENTS.variable, raising=False)
    if setting is not None:
        monkeypatch.setenv(EVENTS.variable, setting)
    operate(registry, fields)
    assert [event.name for event in exported_events(exporter)] == NAMES[:spans]
    assert keeping.names() == NAMES[:records]
    assert event_counts("span") == EventCounts(spans, 0, 0, 0)
    assert event_counts("log") == EventCounts(records, 0, 0, 0)
    assert event_counts() == EventCounts(spans + records, 0, 0, 0)


def test_invalid_setting(
    registry: ModelRegistry, exporter: Any, fields: Any, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    """An invalid value is logged once, and events are span events."""
    monkeypatch.setenv(EVENTS.variable, "logs")
    operate(registry, fields)
    assert len(exporter.get_finished_spans()) == 3
    assert event_counts("log") == NOTHING
    rule = f"{EVENTS.variable} must be span, log, both with a comma between them, or none; got 'logs'"
    assert lines() == [f"model registry: {rule}; using the default, span"]


def test_setting_is_read_at_the_first_event(
    registry: ModelRegistry, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable counts as it is at the first event, and a later choice from then on."""
    monkeypatch.setenv(EVENTS.variable, "span")
    assert get_event_signals() == ("span",)
    monkeypatch.setenv(EVENTS.variable, "log")
    assert get_event_signals() == ("log",)
    registry.register(**fields)
    monkeypatch.setenv(EVENTS.variable, "span,log")
    registry.deprecate("gpt-4o")
    assert get_event_signals() == ("log",)
    assert (event_counts("span"), event_counts("log")) == (NOTHING, EventCounts(2, 0, 0, 0))
    assert set_event_signals("none") == get_event_signals() == ()
    assert set_event_signals() == get_event_signals() == ("span", "log")


def test_unknown_signal() -> None:
    """An unknown signal is an error that names the signals."""
    with pytest.raises(InvalidEntryError, match="signal must be one of span, log; got 'logs'"):
        event_counts("logs")  # type: ignore[arg-type]


# The record


def test_record(registry: ModelRegistry, exporter: Any, keeping: Keeping, fields: dict[str, Any]) -> None:
    """A record has name, time and attributes of the span event, severity INFO and no body."""
    set_event_signals("span,log")
    before = time.time_ns()
    operate(registry, fields)
    events = exported_events(exporter)
    assert len(events) == 3
    for event, kept in zip(events, keeping.kept, strict=True):
        record = kept.log_record
        assert record.event_name == event.name
        assert list(record.attributes.items()) == list((event.attributes or {}).items())
        assert record.timestamp == event.timestamp
        assert before <= record.timestamp <= record.observed_timestamp <= time.time_ns()
        assert (record.severity_number, record.severity_text, record.body) == (SeverityNumber.INFO, "INFO", None)
        scope = kept.instrumentation_scope
        assert (scope.name, scope.version) == ("spanforge.model_registry", "0.1.0")
        assert not scope.schema_url  # no published schema defines model_registry.*
    assert keeping.records[0].attributes["model_registry.metadata.tags"] == ("x", "y")
    assert keeping.records[1].attributes["model_registry.reason"] == "old"


@pytest.mark.parametrize("kind", ["sampled", "recorded only", "not sampled", "remote", "none"])
def test_trace_context_of_a_record(
    registry: ModelRegistry, provider: TracerProvider, keeping: Keeping, fields: Any, kind: str
) -> None:
    """A record has the ids and flags of the current span, sampled or not."""
    set_event_signals("log")
    current: trace.Span = trace.INVALID_SPAN
    if kind == "sampled":
        current = provider.get_tracer("app").start_span("request")
    elif kind == "recorded only":
        current = TracerProvider(sampler=RecordOnly(), shutdown_on_exit=False).get_tracer("app").start_span("hidden")
        assert current.is_recording()
    elif kind != "none":
        flags = trace.TraceFlags(1 if kind == "remote" else 0)
        current = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=kind == "remote", trace_flags=flags))
    with trace.use_span(current):
        registry.register(**fields)
    (record,) = keeping.records
    context = current.get_span_context()
    assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id)
    assert record.trace_flags == context.trace_flags


def test_many_records_within_one_span(
    registry: ModelRegistry, provider: TracerProvider, exporter: Any, keeping: Keeping
) -> None:
    """The limit of events on a span does not limit records, and each has the ids of the span."""
    set_event_signals("span,log")
    with provider.get_tracer("app").start_as_current_span("request") as request:
        register_many(registry, 100)
    assert {record.span_id for record in keeping.records} == {request.get_span_context().span_id}
    assert len(keeping.records) == 100
    assert len(exporter.get_finished_spans()) == 37
    assert event_counts("span") == event_counts("log") == EventCounts(100, 0, 0, 0)


def test_limit_on_attributes_drops_the_metadata_first(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on attributes keeps the most important fields of the entry."""
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "6")
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "6")
    set_event_signals("log")
    keeping = Keeping()
    registry = ModelRegistry(logger_provider=loggers_with(keeping))
    with pytest.warns(UserWarning, match="attributes were dropped due to limits"):
        registry.register(**fields, metadata={f"key-{number}": number for number in range(20)})
    (record,) = keeping.records
    names = ("version", "name", "model_id", "risk_tier", "owner", "status")
    assert list(record.attributes) == [f"model_registry.{name}" for name in names]


def test_emit_changes_emits_records(registry: ModelRegistry, keeping: Keeping, fields: dict[str, Any]) -> None:
    """Events of ``emit_changes`` are emitted as records too."""
    set_event_signals("log")
    other = ModelRegistry(auto_emit=False)
    other.register(**fields)
    other.deprecate("gpt-4o", reason="old")
    told = registry.emit_changes((), other, actor="pipeline", source_revision="1a2b3c4")
    assert keeping.names() == [event.name for event in told] == NAMES[:2]
    assert [record.timestamp for record in keeping.records] == [event.at for event in told]
    for name, value in {"actor": "pipeline", "source_revision": "1a2b3c4"}.items():
        assert {record.attributes[f"model_registry.{name}"] for record in keeping.records} == {value}


# Losses


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [0, 0.01])
def test_sampling_loses_no_record(keeping: Keeping, loggers: LoggerProvider, ratio: float) -> None:
    """All records arrive under head sampling, and each span event that does not arrive is counted."""
    set_event_signals("span,log")
    exporter = InMemorySpanExporter()
    provider = tracers_with(exporter, sampler=TraceIdRatioBased(ratio))
    registry = ModelRegistry(tracer_provider=provider, logger_provider=loggers)
    register_many(registry, 1_000)
    assert models_of(keeping.records) == [f"m{number}" for number in range(1_000)]
    arrived = exported_events(exporter)
    assert event_counts("log") == EventCounts(1_000, 0, 0, 0)
    assert event_counts("span") == EventCounts(len(arrived), 0, 1_000 - len(arrived), 0)


@says_whether_enabled
@pytest.mark.parametrize("kind", ["no processor", "no-op", "deaf", "disabled", "SDK disabled"])
def test_record_without_a_taker_is_dropped(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """A record that no processor takes counts as dropped."""
    set_event_signals("log")
    monkeypatch.setenv("OTEL_SDK_DISABLED", str(kind == "SDK disabled"))
    provider: Any = NoOpLoggerProvider() if kind == "no-op" else LoggerProvider(shutdown_on_exit=False)
    if kind == "deaf":

        class Deaf(Keeping):
            def enabled(self, **_facts: Any) -> bool:
                return False

        provider.add_log_record_processor(Deaf())
    elif kind == "disabled":
        configurator = getattr(_internal, "_disable_logger_configurator", None)
        if configurator is None:
            pytest.skip("loggers of this opentelemetry-sdk cannot be disabled")
        provider = LoggerProvider(shutdown_on_exit=False, _logger_configurator=configurator)
        provider.add_log_record_processor(Raising())
    elif kind == "SDK disabled":
        provider.add_log_record_processor(Raising())
    registry = ModelRegistry(logger_provider=provider)
    registry.register(**fields)
    assert event_counts("log") == EventCounts(0, 0, 1, 0)


@says_whether_enabled
def test_processor_that_takes_some_records(provider: TracerProvider, fields: dict[str, Any]) -> None:
    """A processor decides by severity, name and current span whether it takes a record."""
    set_event_signals("log")

    class Choosy(Keeping):
        def enabled(
            self, *, context: Any = None, severity_number: Any = None, event_name: Any = None, **_: Any
        ) -> bool:
            asked.append((trace.get_current_span(context or Context()), severity_number, event_name))
            return bool(event_name == NAMES[2])

    asked: list[Any] = []
    choosy = Choosy()
    with provider.get_tracer("app").start_as_current_span("request") as request:
        operate(ModelRegistry(logger_provider=loggers_with(choosy)), fields)
    assert asked[:3] == [(request, SeverityNumber.INFO, name) for name in (NAMES[0], NAMES[1], NAMES[2])]
    assert choosy.names() == NAMES[2:]
    assert event_counts("log") == EventCounts(1, 0, 2, 0)


@pytest.mark.parametrize("where", ["provider", "processor"])
def test_failing_logger_provider(provider: Any, exporter: Any, fields: dict[str, Any], lines: Any, where: str) -> None:
    """The operation succeeds, the span event is emitted, and the failure is counted and logged once."""
    set_event_signals("span,log")
    loggers: Any = loggers_with(Raising()) if where == "processor" else object()
    registry = ModelRegistry(tracer_provider=provider, logger_provider=loggers)
    operate(registry, fields)
    assert [event.name for event in exported_events(exporter)] == NAMES
    assert event_counts("span") == EventCounts(3, 0, 0, 0)
    assert event_counts("log") == EventCounts(0, 0, 0, 3)
    kind = {"provider": "AttributeError", "processor": "LookupError"}[where]
    assert lines() == [f"model registry: an event was not emitted; further {kind} errors are not logged"]


def test_each_type_of_error_is_logged_once(lines: Any) -> None:
    """Errors of two types are logged once each."""
    set_event_signals("log")

    class Failing(Keeping):
        def on_emit(self, log_record: Any) -> None:
            super().on_emit(log_record)
            raise (LookupError if len(self.kept) % 2 else OSError)("no room")

    loggers = loggers_with(Failing())
    registry = ModelRegistry(logger_provider=loggers)
    register_many(registry, 6)
    assert event_counts("log") == EventCounts(0, 0, 0, 6)
    assert lines() == [
        f"model registry: an event was not emitted; further {kind} errors are not logged"
        for kind in ("LookupError", "OSError")
    ]


def test_failing_tracer_provider(keeping: Keeping, loggers: LoggerProvider, fields: dict[str, Any]) -> None:
    """Records are emitted if span events fail."""
    set_event_signals("span,log")
    ModelRegistry(tracer_provider=object(), logger_provider=loggers).register(**fields)  # type: ignore[arg-type]
    assert keeping.names() == NAMES[:1]
    assert event_counts() == EventCounts(1, 0, 0, 1)


# Held events


def test_each_signal_is_held_separately(keeping: Keeping, loggers: LoggerProvider) -> None:
    """Events of a signal without a provider are held, at most 1,000, while the other signal is emitted."""
    set_event_signals("span,log")
    registry = ModelRegistry(logger_provider=loggers)
    register_many(registry, 1_003)
    assert event_counts("log") == EventCounts(1_003, 0, 0, 0)
    assert event_counts("span") == EventCounts(0, 1_000, 3, 0)
    assert event_counts() == EventCounts(1_003, 1_000, 3, 0)
    assert flush_events() == 0
    assert len(keeping.records) == 1_003


def test_no_signal_holds_no_events(fields: dict[str, Any]) -> None:
    """No event is held if there is no signal."""
    set_event_signals("none")
    ModelRegistry().register(**fields)
    assert event_counts() == NOTHING


# Processors that use the registry


def test_log_processor_may_register_models(loggers: LoggerProvider, fields: dict[str, Any]) -> None:
    """A log processor may use the registry and start spans, and their events have records."""
    set_event_signals("span,log")

    class Busy(Keeping):
        def on_emit(self, log_record: Any) -> None:
            super().on_emit(log_record)
            if len(self.kept) < 5:
                with provider.get_tracer("app").start_as_current_span("inside"):
                    registry.register(**fields | {"model_id": f"m{len(self.kept)}"})

    busy, provider = Busy(), TracerProvider(shutdown_on_exit=False)
    loggers.add_log_record_processor(busy)
    registry = ModelRegistry(tracer_provider=provider, logger_provider=loggers)
    registry.register(**fields)
    assert len(registry) == len(busy.records) == 5
    assert event_counts() == EventCounts(10, 0, 0, 0)


def test_error_of_a_handler_for_python_logs(loggers: LoggerProvider, fields: dict[str, Any], caplog: Any) -> None:
    """An error that a handler turns into a record again ends."""
    set_event_signals("log")

    loggers.add_log_record_processor(Raising())
    with log_handler(lambda record: loggers.get_logger(record.name).emit(body=record.getMessage())):
        ModelRegistry(logger_provider=loggers).register(**fields)
    assert event_counts("log") == EventCounts(0, 0, 0, 1)
    assert len(library_records(caplog)) <= 1
