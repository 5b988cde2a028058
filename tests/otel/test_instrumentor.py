"""The instrumentor, called in the process: what it installs, how often it may be called, and what it never raises."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import logging
import os
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import spanforge.model_registry as package
import spanforge_model_registry_otel
from spanforge.model_registry import ModelRegistry, event_counts, get_default_registry, register_model, watch
from spanforge.model_registry._core.attributes import ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS
from spanforge.model_registry._core.emission import get_event_signals
from spanforge.model_registry._core.errors import InvalidEntryError
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.settings import VARIABLES
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REQUEST = "gen_ai.request.model"
MINE = "my.model"
NAMES = "enabled, file, reload_interval, span_attributes, model_attributes, unregistered, events"
NO_SDK = (
    "model registry: no spans are enriched yet: the tracer provider is a ProxyTracerProvider, "
    "not one of opentelemetry-sdk. "
    "Install opentelemetry-distro, or add ModelRegistrySpanProcessor() to your own tracer provider."
)
NO_HOOK = (
    "model registry: this opentelemetry-sdk does not let a processor change an ending span: "
    "spans whose model is set after their start may not be enriched"
)
TOLD = [] if hasattr(SpanProcessor, "_on_ending") else [NO_HOOK]
"""What is said of an old SDK, for each processor that is made."""
FURTHER = "model registry: spans of another tracer provider are enriched too"

needs_ending_hook = pytest.mark.skipif(
    not hasattr(SpanProcessor, "_on_ending"), reason="opentelemetry-sdk before 1.40 cannot remove attributes in time"
)
needs_configuration = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an environment without settings, and no global tracer provider."""
    for name in [name for name in os.environ if name.startswith((VARIABLES, "OTEL_CONFIG_FILE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[ModelRegistryInstrumentor]:
    """Give the instrumentor as it is in a new process: there is one in each."""
    caplog.set_level(logging.INFO, "spanforge.model_registry")
    monkeypatch.setattr(ModelRegistryInstrumentor, "_instance", None)
    monkeypatch.setattr(ModelRegistryInstrumentor, "_installations", weakref.WeakKeyDictionary())
    plugin = ModelRegistryInstrumentor()
    yield plugin
    if plugin.is_instrumented_by_opentelemetry:
        plugin.uninstrument()


@pytest.fixture
def gpt(fields: dict[str, Any]) -> str:
    """Register ``gpt-4o`` in the process-wide registry, which emits nothing of it here; give its owner."""
    entry = ModelRegistry(auto_emit=False).register(**fields)
    replace_file_entries(get_default_registry(), [entry])
    return entry.owner


@pytest.fixture
def models(tmp_path: Path, fields: dict[str, Any]) -> Path:
    """Give a registry file with ``gpt-4o`` in it."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(**fields | {"owner": "filed"})
    registry.save(tmp_path / "models.json")
    return tmp_path / "models.json"


def processors(provider: Any) -> list[ModelRegistrySpanProcessor]:
    every = provider._active_span_processor._span_processors
    return [each for each in every if isinstance(each, ModelRegistrySpanProcessor)]


def call(provider: Any, exporter: Any, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    """Call a model, and return what was exported of it in our namespace."""
    span = provider.get_tracer("app").start_span("call", attributes={REQUEST: model, **more})
    span.end()
    ours: dict[str, Any] = exporter.spans[-1].ours
    return ours


# Installing


@pytest.mark.usefixtures("gpt")
def test_it_adds_the_processor(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """Given a provider of the SDK, the instrumentor has its spans enriched, and says nothing."""
    assert call(provider, exporter) == {}
    assert plugin.instrument(tracer_provider=provider) is None
    assert plugin.is_instrumented_by_opentelemetry
    assert list(call(provider, exporter)) == ["status", "owner", "risk_tier", "model_id", "name", "version"]
    assert lines() == []


@pytest.mark.usefixtures("gpt")
def test_the_global_provider(plugin: Any, provider: Any, exporter: Any, monkeypatch: Any) -> None:
    """Without a provider it takes OpenTelemetry's global one."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    plugin.instrument(tracer_provider=None)
    assert call(provider, exporter)["owner"] == "ml-platform"


@pytest.mark.usefixtures("gpt")
def test_twice(plugin: Any, provider: Any, exporter: Any, lines: Any, caplog: Any) -> None:
    """Called again, it adds no second processor, and nobody warns of it."""
    for _ in range(3):
        plugin.instrument(tracer_provider=provider)
        ModelRegistryInstrumentor().instrument(tracer_provider=provider)
    assert len(processors(provider)) == 1
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert call(provider, exporter, "claude-9")["status"] == "unregistered"
    assert lines() == [message for message in map(logging.LogRecord.getMessage, caplog.records) if message not in TOLD]
    assert lines() == ["model registry: model 'claude-9' is not registered (owner: nobody)"]


@pytest.mark.usefixtures("gpt")
def test_beside_a_processor_added_by_hand(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """Where the application has added the processor itself, spans are enriched and logged once."""
    provider.add_span_processor(ModelRegistrySpanProcessor())
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert call(provider, exporter, "claude-9")["status"] == "unregistered"
    assert lines() == ["model registry: model 'claude-9' is not registered (owner: nobody)"]


@pytest.mark.usefixtures("gpt")
def test_off_and_on_again(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """After ``uninstrument`` spans are untouched; after ``instrument`` the processor that is there works again."""
    for _ in range(3):
        plugin.instrument(tracer_provider=provider)
        assert call(provider, exporter)["owner"] == "ml-platform"
        plugin.uninstrument()
        assert not plugin.is_instrumented_by_opentelemetry
        assert call(provider, exporter) == {}
        assert call(provider, exporter, "claude-9", **{"model_registry.owner": "me"}) == {"owner": "me"}
    assert len(processors(provider)) == 1
    assert lines() == []


@pytest.mark.usefixtures("gpt")
def test_again_with_other_options(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """Called with other options, those are in force, whether it was off in between or not."""
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=provider, span_attributes="owner", unregistered="ignore")
    assert call(provider, exporter) == {"owner": "ml-platform"}
    assert call(provider, exporter, "claude-9") == {}
    plugin.uninstrument()
    assert call(provider, exporter) == {}
    plugin.instrument(tracer_provider=provider, span_attributes=["owner", "status"])
    assert call(provider, exporter) == {"status": "active", "owner": "ml-platform"}
    plugin.instrument(tracer_provider=provider, span_attributes="owner , status", unregistered="warn")
    assert len(processors(provider)) == 3
    assert call(provider, exporter) == {"status": "active", "owner": "ml-platform"}
    assert lines() == []


@pytest.mark.usefixtures("gpt")
def test_again_without_options(plugin: Any, provider: Any, exporter: Any) -> None:
    """Called without options while it is on, what is in force stays; after ``uninstrument`` it begins anew."""
    plugin.instrument(tracer_provider=provider, span_attributes="owner")
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=provider, enabled=True, skip_dep_check=True)
    assert call(provider, exporter) == {"owner": "ml-platform"}
    assert len(processors(provider)) == 1
    plugin.uninstrument()
    plugin.instrument(tracer_provider=provider)
    assert set(call(provider, exporter)) < set(ON_SPANS)
    assert len(call(provider, exporter)) == 6


@pytest.mark.usefixtures("gpt")
def test_the_registry_was_put_in_place(plugin: Any, provider: Any, exporter: Any, monkeypatch: Any) -> None:
    """It serves the registry that is process-wide when it is called, and another one after the next call."""
    plugin.instrument(tracer_provider=provider)
    mine = ModelRegistry(auto_emit=False)
    mine.register("gpt-4o", "N", "1", "low", "mine", "test")
    monkeypatch.setattr(package, "_registry", mine)
    assert call(provider, exporter)["owner"] == "ml-platform"
    plugin.uninstrument()
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "mine"


@pytest.mark.usefixtures("gpt")
def test_a_second_provider(plugin: Any, provider: Any, exporter: Any, lines: Any, caplog: Any) -> None:
    """Called for another provider, it serves both, says so at level INFO, and switches both."""
    other = TracerProvider(shutdown_on_exit=False)
    other.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    for _ in range(2):
        plugin.instrument(tracer_provider=other)
    assert [call(each, exporter)["owner"] for each in (provider, other)] == ["ml-platform"] * 2
    assert lines() == [FURTHER]
    assert [record.levelname for record in caplog.records if record.getMessage() not in TOLD] == ["INFO"]
    plugin.uninstrument()
    assert [call(each, exporter) for each in (provider, other)] == [{}, {}]
    other.shutdown()


def test_providers_are_not_kept(plugin: Any) -> None:
    """A provider that nobody else uses is not kept in memory."""
    provider = TracerProvider(shutdown_on_exit=False)
    reference = weakref.ref(provider)
    plugin.instrument(tracer_provider=provider)
    assert processors(provider)
    del provider
    gc.collect()
    assert reference() is None


# Without the SDK


@pytest.mark.usefixtures("gpt")
def test_no_provider_of_the_sdk(plugin: Any, provider: Any, exporter: Any, lines: Any, caplog: Any) -> None:
    """Without a provider of the SDK one line says what to do, however often it is called; later it can be made good."""
    for _ in range(3):
        plugin.instrument()
    assert lines() == [NO_SDK]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert lines() == [NO_SDK]


def test_the_application_sets_its_provider_later(
    plugin: Any, provider: Any, exporter: Any, gpt: str, monkeypatch: Any
) -> None:
    """A provider that is set after the first call is served by the second one."""
    plugin.instrument()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    assert call(provider, exporter) == {}
    plugin.instrument()
    assert call(provider, exporter)["owner"] == gpt


def test_files_without_a_provider(plugin: Any, models: Path) -> None:
    """Without a provider of the SDK the files are read all the same: the registry can be asked."""
    plugin.instrument(file=str(models))
    assert [entry.owner for entry in get_default_registry()] == ["filed"]


# Files and events


def test_files_are_loaded_and_followed(plugin: Any, provider: Any, exporter: Any, models: Path, lines: Any) -> None:
    """The file is in force when ``instrument`` returns, is followed, and is followed no longer when it is off."""
    plugin.instrument(tracer_provider=provider, file=str(models), reload_interval=100)
    assert call(provider, exporter)["owner"] == "filed"
    watcher = watch._watchers.by_registry[get_default_registry()]
    assert (watcher.files, watcher.reload_interval) == ((str(models),), 100)
    plugin.instrument(tracer_provider=provider)
    assert watch._watchers.by_registry[get_default_registry()] is watcher
    plugin.uninstrument()
    assert get_default_registry() not in watch._watchers.by_registry
    assert watcher._stopped.is_set()
    plugin.instrument(tracer_provider=provider, file=str(models))
    assert get_default_registry() in watch._watchers.by_registry
    assert lines() == []


@pytest.mark.parametrize("by", ["option", "environment"])
def test_whose_file(plugin: Any, provider: Any, models: Path, monkeypatch: Any, by: str) -> None:
    """The file is the option's, else the environment's."""
    monkeypatch.setenv(VARIABLES + "FILE", str(models if by == "environment" else models.with_name("other.json")))
    plugin.instrument(tracer_provider=provider, **({"file": [str(models)]} if by == "option" else {}))
    assert [entry.owner for entry in get_default_registry()] == ["filed"]


@pytest.mark.parametrize("given", [[], 7])
def test_no_file_by_option(plugin: Any, provider: Any, models: Path, monkeypatch: Any, given: Any) -> None:
    """An option that gives no file, or a bad one, counts also when ``opentelemetry-instrument`` calls afterwards."""
    monkeypatch.setenv(VARIABLES + "FILE", str(models))
    plugin.instrument(tracer_provider=provider, file=given)
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    assert get_default_registry().list_all() == []


def test_events_held_are_delivered(plugin: Any, provider: Any, exporter: Any, monkeypatch: Any) -> None:
    """Models registered before there was a provider have their events delivered when ``instrument`` returns."""
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    assert event_counts().held == 1
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    plugin.instrument()
    assert event_counts() == (1, 0, 0, 0)
    assert exporter.span.events[0].name == "model_registry.registered"


def test_events_are_held_without_a_provider(plugin: Any) -> None:
    """Without a provider events stay held."""
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    plugin.instrument()
    assert event_counts().held == 1


class _Taking(LogRecordProcessor):
    def on_emit(self, log_record: Any) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        return True


@pytest.fixture
def loggers(monkeypatch: pytest.MonkeyPatch) -> LoggerProvider:
    """Give a logger provider that is the global one."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(_Taking())
    monkeypatch.setattr(_logs._internal, "_LOGGER_PROVIDER", provider)
    return provider


@pytest.mark.parametrize("given", ["log", "span,log", ["log"]])
def test_log_records_held_are_delivered(plugin: Any, monkeypatch: Any, request: Any, given: Any) -> None:
    """Log records that were held go out when ``instrument`` returns, also where no spans are enriched."""
    monkeypatch.setenv(VARIABLES + "EVENTS", "log")
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    assert event_counts("log") == (0, 1, 0, 0)
    request.getfixturevalue("loggers")
    plugin.instrument(events=given)
    assert event_counts("log") == (1, 0, 0, 0)
    assert get_event_signals() == (("span", "log") if given == "span,log" else ("log",))


@pytest.mark.usefixtures("loggers")
def test_the_forms_of_events(plugin: Any, provider: Any, monkeypatch: Any) -> None:
    """The option ``events`` comes before the environment, and stays when ``instrument`` is called without it."""
    monkeypatch.setenv(VARIABLES + "EVENTS", "span")
    plugin.instrument(tracer_provider=provider, events="log")
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    assert (event_counts("span"), event_counts("log")) == ((0, 0, 0, 0), (1, 0, 0, 0))
    plugin.instrument(tracer_provider=provider, events="none")
    register_model("gpt-5", "GPT-5", "1", "low", "team", "test")
    assert event_counts() == (1, 0, 0, 0)


@pytest.mark.usefixtures("gpt")
def test_meter_providers(plugin: Any, provider: Any, exporter: Any) -> None:
    """Every meter provider that is given asks for the metrics, from when it is given."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    for number, reader in enumerate(readers, 1):
        plugin.instrument(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
        call(provider, exporter)
        for each in readers[:number]:
            data: Any = each.get_metrics_data()
            found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
            assert [point.value for point in found["model_registry.calls"].data.data_points] == [number]
    assert len(processors(provider)) == 1


# Options


@pytest.mark.usefixtures("gpt")
def test_options_of_declarative_configuration(plugin: Any, provider: Any, exporter: Any) -> None:
    """Options given through the dataclass are those of ``instrument``; a next call without any changes nothing."""
    assert ModelRegistryInstrumentor.configuration is Options
    options = Options(span_attributes="owner", model_attributes=[MINE], unregistered=None)
    given = {name: value for name, value in vars(options).items() if value is not None}
    assert given == {"span_attributes": "owner", "model_attributes": [MINE]}
    plugin.instrument(tracer_provider=provider, **given)
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    span = provider.get_tracer("app").start_span("call", attributes={MINE: "gpt-4o"})
    span.end()
    assert exporter.spans[-1].ours == {"owner": "ml-platform"}


@pytest.mark.usefixtures("gpt")
@pytest.mark.parametrize("way", ["instrument", "Options"])
def test_options_that_do_not_exist(plugin: Any, provider: Any, exporter: Any, lines: Any, way: str) -> None:
    """An option that does not exist is left out and logged once; the others count."""
    for _ in range(2):
        if way == "instrument":
            plugin.instrument(tracer_provider=provider, span_atributes="status", span_attributes="owner")
        else:
            options = Options(span_atributes="status", span_attributes="owner")
            plugin.instrument(tracer_provider=provider, span_attributes=options.span_attributes)
    assert call(provider, exporter) == {"owner": "ml-platform"}
    assert lines() == [f"model registry: option 'span_atributes' is unknown and ignored; options are {NAMES}"]


@pytest.mark.usefixtures("gpt")
def test_arguments_that_all_instrumentors_are_given(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """What OpenTelemetry and applications give to every instrumentor alike is accepted and does nothing."""
    plugin.instrument(
        tracer_provider=provider,
        skip_dep_check=True,
        raise_exception_on_conflict=True,
        meter_provider=None,
        logger_provider=object(),
        event_logger_provider=object(),
    )
    assert call(provider, exporter)["owner"] == "ml-platform"
    plugin.instrument(tracer_provider=provider, logger_provider=object())
    assert len(processors(provider)) == 1
    assert lines() == []


@pytest.mark.usefixtures("gpt")
def test_bad_values(plugin: Any, provider: Any, exporter: Any, lines: Any, monkeypatch: Any) -> None:
    """Each bad value is told in one line, and its default used; the good ones count."""
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "drop")
    for _ in range(2):
        plugin.instrument(
            tracer_provider=provider, enabled="perhaps", file=7, reload_interval="soon", span_attributes="owner"
        )
    assert call(provider, exporter) == {"owner": "ml-platform"}
    assert len(processors(provider)) == 1
    assert [line.partition(" must be ")[0] for line in lines()] == [
        "model registry: enabled",
        "model registry: file",
        "model registry: reload_interval",
        "model registry: OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED",
    ]


@pytest.mark.usefixtures("gpt")
@pytest.mark.parametrize(
    ("option", "variable", "on"),
    [
        (None, "false", False),
        (None, " False ", False),
        (None, "true", True),
        (None, "no", True),
        (None, None, True),
        (False, None, False),
        (False, "true", False),
        ("false", "true", False),
        (True, "false", True),
        ("TRUE", "false", True),
        ("", "false", False),
    ],
)
def test_enabled(  # noqa: PLR0913 - two are what is tested
    plugin: Any, provider: Any, exporter: Any, monkeypatch: Any, option: Any, variable: str | None, *, on: bool
) -> None:
    """Off, nothing is installed and no file read; an option counts before the environment."""
    monkeypatch.setenv(VARIABLES + "FILE", "/no/such/file.json")
    if variable is not None:
        monkeypatch.setenv(VARIABLES + "ENABLED", variable)
    plugin.instrument(tracer_provider=provider, **({} if option is None else {"enabled": option}))
    assert plugin.is_instrumented_by_opentelemetry is on
    assert bool(call(provider, exporter)) is on
    assert (get_default_registry() in watch._watchers.by_registry) is on


@pytest.mark.usefixtures("gpt")
def test_off_and_called_again(plugin: Any, provider: Any, exporter: Any) -> None:
    """``enabled=False`` keeps it out of a further provider, and leaves the one that it serves alone."""
    other = TracerProvider(shutdown_on_exit=False)
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=other, enabled=False)
    assert processors(other) == []
    assert call(provider, exporter)["owner"] == "ml-platform"


@pytest.mark.usefixtures("gpt")
@needs_configuration
@pytest.mark.parametrize(
    ("written", "option", "variable", "on"),
    [
        ("{enabled: false}", None, None, False),
        ("{enabled: false}", None, "true", False),
        ("{enabled: false}", True, None, True),
        ("{enabled: true}", None, "false", True),
        ("{enabled: true}", False, None, False),
        ("{enabled: null}", None, None, False),
        ('{enabled: "false"}', None, None, False),
        ("{enabled: '${NO_SUCH_VARIABLE:-false}'}", None, None, False),
        ("{}", None, None, True),
        ("{unregistered: warn}", None, "false", False),
        ("null", None, None, True),
        ("[", None, None, True),
    ],
)
def test_enabled_in_a_declarative_file(  # noqa: PLR0913 - three are what is tested
    plugin: Any,
    provider: Any,
    tmp_path: Path,
    monkeypatch: Any,
    written: str,
    option: Any,
    variable: str | None,
    *,
    on: bool,
) -> None:
    """What the declarative configuration file says counts after the option and before the environment."""
    file = tmp_path / "otel.yaml"
    file.write_text(f'file_format: "1.0"\ninstrumentation/development:\n  python:\n    model_registry: {written}\n')
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    if variable is not None:
        monkeypatch.setenv(VARIABLES + "ENABLED", variable)
    plugin.instrument(tracer_provider=provider, **({} if option is None else {"enabled": option}))
    assert bool(processors(provider)) is on


@needs_configuration
def test_a_declarative_file_is_read_again_after_a_reset(
    plugin: Any, provider: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """The option ``enabled`` of a declarative configuration file is cached until the process is reset."""
    file = tmp_path / "otel.yaml"
    text = 'file_format: "1.0"\ninstrumentation/development:\n  python:\n    model_registry: {enabled: %s}\n'
    file.write_text(text % "false")
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    plugin.instrument(tracer_provider=provider)
    file.write_text(text % "true")
    plugin.instrument(tracer_provider=provider)
    assert not processors(provider)
    reset_process()
    plugin.instrument(tracer_provider=provider)
    assert processors(provider)


def test_a_declarative_file_without_us(plugin: Any, provider: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A declarative configuration file that does not name the model registry, or is missing, keeps nobody out."""
    (tmp_path / "a.yaml").write_text('file_format: "1.0"\n')
    for name in ("a.yaml", "missing.yaml"):
        monkeypatch.setenv("OTEL_CONFIG_FILE", str(tmp_path / name))
        plugin.instrument(tracer_provider=provider)
        assert processors(provider)
        plugin.uninstrument()


# Failures


class _Refusing(TracerProvider):
    """A provider that takes processors only when it wants to."""

    refuses = True

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        if self.refuses:
            msg = "the chain is\nfull"
            raise RuntimeError(msg)
        super().add_span_processor(span_processor)


@pytest.mark.usefixtures("gpt")
def test_a_provider_that_raises(plugin: Any, exporter: Any, lines: Any) -> None:
    """A provider that refuses the processor is told in one line; when it takes one later, all is well."""
    provider = _Refusing(shutdown_on_exit=False)
    plugin.instrument(tracer_provider=provider)
    assert lines() == [
        r"model registry: the plugin was not installed, so no span is enriched: RuntimeError('the chain is\nfull')"
    ]
    provider.refuses = False
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "ml-platform"
    provider.refuses = True
    plugin.instrument(tracer_provider=provider, span_attributes="owner")
    assert call(provider, exporter)["status"] == "active"
    assert len(lines()) == 2


class _Replacing(TracerProvider):
    """A provider like that of arize-phoenix-otel, which the matrix runs: a processor replaces those that are there."""

    def add_span_processor(self, *processors: SpanProcessor, replace_default_processor: bool = True) -> None:
        if replace_default_processor:
            self._active_span_processor._span_processors = ()
        super().add_span_processor(*processors)


@pytest.mark.usefixtures("gpt")
def test_a_provider_that_would_replace_its_processor(plugin: Any, exporter: Any, lines: Any) -> None:
    """What a provider has already stays there: nothing stops being exported."""
    provider = _Replacing(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert lines() == []


class _Unsigned:
    """A method that does not say what it takes, as one written in C may not."""

    __signature__ = "none"

    def __init__(self, provider: TracerProvider) -> None:
        self.add = provider.add_span_processor

    def __call__(self, processor: SpanProcessor) -> None:
        self.add(processor)


@pytest.mark.usefixtures("gpt")
def test_a_provider_that_does_not_say_what_it_takes(plugin: Any, provider: Any, exporter: Any, lines: Any) -> None:
    """A provider whose method has no signature gets the processor all the same."""
    provider.add_span_processor = _Unsigned(provider)
    plugin.instrument(tracer_provider=provider)
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert lines() == []


class _Slotted:
    """A provider that takes processors, and no weak references."""

    __slots__ = ()

    def add_span_processor(self, _: SpanProcessor) -> None:
        """Take no notice."""


def test_a_provider_without_weak_references(plugin: Any, lines: Any) -> None:
    """A provider that cannot be remembered gets no processor, which one line says."""
    plugin.instrument(tracer_provider=_Slotted())
    reason = "TypeError(\"cannot create weak reference to '_Slotted' object\")"
    assert lines() == [f"model registry: the plugin was not installed, so no span is enriched: {reason}"]


@pytest.mark.usefixtures("gpt")
def test_files_that_cannot_be_taken(plugin: Any, provider: Any, lines: Any, models: Path, monkeypatch: Any) -> None:
    """A registry that does not take the files' entries is told in one line, and spans are enriched all the same."""

    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spanforge.model_registry.watch.replace_file_entries", refuse)
    for _ in range(2):
        plugin.instrument(tracer_provider=provider, file=str(models))
    assert processors(provider)
    assert lines() == [
        "model registry: cannot read the registry files, so the previous entries stay in force: ZeroDivisionError()"
    ]


class _Full(logging.Handler):
    """A log handler that raises, and counts how often it did."""

    calls = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.calls += 1
        msg = "no space left on device"
        raise OSError(msg)


@pytest.fixture
def full() -> Iterator[_Full]:
    """Give a log handler that raises, at work."""
    handler, logger = _Full(), logging.getLogger("spanforge.model_registry")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.mark.usefixtures("gpt")
def test_a_log_handler_that_raises(plugin: Any, provider: Any, exporter: Any, full: _Full, tmp_path: Path) -> None:
    """An error of the application's log handler reaches nobody, and keeps nothing from being installed."""
    plugin.instrument()
    plugin.instrument(tracer_provider=_Slotted())
    plugin.instrument(tracer_provider=provider, nonsense=1, reload_interval="soon", file=str(tmp_path / "missing"))
    assert call(provider, exporter)["owner"] == "ml-platform"
    assert call(provider, exporter, "claude-9")["status"] == "unregistered"
    assert full.calls == 6 + len(TOLD)
    assert Options(nonsense=2, file="a").file == "a"


@pytest.mark.usefixtures("gpt")
def test_a_log_handler_that_instruments(plugin: Any, provider: Any, exporter: Any) -> None:
    """A log handler may call the instrumentor itself."""

    class Calling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            ModelRegistryInstrumentor().instrument(tracer_provider=provider, nonsense=1)

    handler, logger = Calling(), logging.getLogger("spanforge.model_registry")
    logger.addHandler(handler)
    try:
        plugin.instrument(nonsense=1)
        assert call(provider, exporter)["owner"] == "ml-platform"
    finally:
        logger.removeHandler(handler)


# The entry point


def test_the_entry_point_gives_the_instrumentor(plugin: Any) -> None:
    """The entry point is called, and asked for ``configuration``, as the instrumentor's class would be."""
    entry = spanforge_model_registry_otel.instrumentor
    assert entry() is plugin
    assert entry.configuration is Options


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemError("broken"), "SystemError: broken"),
        (SyntaxError("no", ("a.py", 3, 1, "x", 3, 2)), "SyntaxError: no (a.py, line 3)"),
        (ImportError("no\nlibrary"), "ImportError: no library"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_an_instrumentor_that_cannot_be_loaded(lines: Any, monkeypatch: Any, error: Exception, reason: str) -> None:
    """The entry point then gives one that does nothing, without options, and says why in one line."""
    entry = spanforge_model_registry_otel._Entry()

    class Broken:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("Model"):
                raise error
            raise AttributeError(name)

    monkeypatch.setitem(sys.modules, "spanforge.model_registry.otel.instrumentor", Broken())
    for _ in range(2):
        nothing = entry()
        assert nothing.instrument(skip_dep_check=True, file="a") is None
        assert nothing.is_instrumented_by_opentelemetry is False
        assert nothing.uninstrument() is None
        assert entry.configuration is None
    assert lines() == [f"model registry: the plugin was not installed, so no span is enriched: {reason}"]


def test_the_module_of_the_entry_points_imports_nothing() -> None:
    """Loading it loads no other module: it is loaded where nobody guards against errors."""
    script = "import sys; before = {*sys.modules, '__future__'}; import spanforge_model_registry_otel as m; "
    script += "print(*sorted({*sys.modules} - before))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["spanforge_model_registry_otel"]


# Options of the processor


def matched(pipes: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    ours = pipes.run(attributes).ours
    return ours.get("owner"), ours.get("matched_by")


@pytest.fixture
def with_extra_keys(pipeline: Any, registry: ModelRegistry) -> Callable[..., Any]:
    """Give what makes a pipeline whose processor knows further keys and shows what matched."""
    registry.register("o1", "O1", "1", "low", "azure team", "test", provider="azure")
    registry.register("o1-mini", "O1", "1", "low", "mini team", "test")

    def make(*keys: str, **options: Any) -> Any:
        names = ["status", "owner", "matched_by"]
        ours = ModelRegistrySpanProcessor(registry, span_attributes=names, model_attributes=keys, **options)
        return pipeline(ours)

    return make


@pytest.mark.parametrize("when", ["start", "late"])
def test_further_keys(with_extra_keys: Any, when: str) -> None:
    """A key named by setting holds a model's name, at the start or late, and is shown as what matched."""
    pipes = with_extra_keys(MINE, "other")
    for _ in range(3):
        given = {MINE: "gpt-4o"}
        span = pipes.run(given) if when == "start" else pipes.run({}, given)
        assert span.ours == {"status": "active", "owner": "ml-platform", "matched_by": MINE}
        assert span.others == given
    assert pipes.run({"mine": "gpt-4o"}).ours == {}
    assert pipes.run({MINE: 7}).ours == pipes.run({MINE: ""}).ours == {}


def test_the_order_of_further_keys(with_extra_keys: Any) -> None:
    """Further keys are tried after those known, in their order; a name that matches counts before one that does not."""
    pipes = with_extra_keys("b", "a")
    for _ in range(2):
        assert matched(pipes, {"a": "gpt-4o", "b": "o1-mini"}) == ("mini team", "b")
        assert matched(pipes, {"b": "o1-mini", REQUEST: "gpt-4o"}) == ("ml-platform", REQUEST)
        assert matched(pipes, {"b": "o1-mini", REQUEST: "claude-9"}) == ("mini team", "b")
        assert matched(pipes, {"a": "gpt-4o", "b": "claude-9"}) == ("ml-platform", "a")
    unknown = pipes.run({"a": "first", "b": "second"})
    assert unknown.ours == {"status": "unregistered"}


def test_what_warns_of_further_keys(with_extra_keys: Any, lines: Any) -> None:
    """Where no name matches, the warning quotes the one that was tried first."""
    with_extra_keys("b", "a").run({"a": "first", "b": "second"})
    assert lines() == ["model registry: model 'second' is not registered (owner: nobody)"]


def test_the_provider_counts_for_further_keys(with_extra_keys: Any) -> None:
    """An entry with a provider matches a further key on spans of that provider only."""
    pipes = with_extra_keys(MINE)
    for _ in range(2):
        for key in PROVIDER_KEYS:
            assert matched(pipes, {MINE: "o1", key: "azure"}) == ("azure team", MINE)
            assert matched(pipes, {MINE: "o1", key: "openai"}) == (None, None)
        assert matched(pipes, {MINE: "o1"}) == ("azure team", MINE)


def test_a_scoped_key_named_by_setting(with_extra_keys: Any) -> None:
    """``model_name`` named by setting counts in every instrumentation scope."""
    pipes = with_extra_keys("model_name")
    for scope in ("app", "pydantic-ai", "app"):
        assert pipes.run({"model_name": "gpt-4o"}, scope=scope).ours["matched_by"] == "model_name"
    assert with_extra_keys().run({"model_name": "gpt-4o"}, scope="app").ours == {}


def test_a_key_of_json_named_by_setting(with_extra_keys: Any) -> None:
    """A key that is known to hold JSON may hold a name as well, if a setting says so."""
    key = "llm.invocation_parameters"
    pipes = with_extra_keys(key)
    for _ in range(2):
        assert matched(pipes, {key: "gpt-4o"}) == ("ml-platform", key)
        assert matched(pipes, {key: '{"model": "o1-mini"}'}) == ("mini team", key)


def test_keys_known_already(with_extra_keys: Any, registry: ModelRegistry) -> None:
    """A key that is known already keeps its place."""
    pipes = with_extra_keys(MINE, REQUEST, "gen_ai.response.model")
    assert matched(pipes, {MINE: "o1-mini", REQUEST: "gpt-4o"}) == ("ml-platform", REQUEST)
    given = {REQUEST: "gpt-4o", "gen_ai.response.model": "o1-mini"}
    assert matched(pipes, given) == ("mini team", "gen_ai.response.model")
    processor = pipes.provider._active_span_processor._span_processors[0]
    assert len(processor._plan_cache._conventions) == len(CONVENTIONS) + 1
    assert registry.get("gpt-4o")


@pytest.mark.parametrize("unregistered", ["warn", "ignore"])
def test_what_is_remembered_of_further_keys(with_extra_keys: Any, registry: ModelRegistry, unregistered: str) -> None:
    """Spans like earlier ones get the same as by the long way, in every mixture of keys, through changes as well."""
    keys = (MINE, REQUEST, "model_name", "gen_ai.system", "model_registry.owner")
    pipes = with_extra_keys(MINE, "model_name", unregistered=unregistered)
    values = (None, "gpt-4o"), (None, "o1", "claude-9")
    spans = [
        dict(zip(keys, found, strict=True))
        for found in itertools.product(*values, (None, "o1-mini"), (None, "openai"), (None, "me"))
    ]
    spans = [{key: value for key, value in span.items() if value is not None} for span in spans]
    for change in (None, lambda: registry.deprecate("gpt-4o"), registry.clear):
        if change:
            change()
        slow = [with_extra_keys(MINE, "model_name", unregistered=unregistered).run(span).attributes for span in spans]
        for _ in range(3):
            assert [pipes.run(span).attributes for span in spans] == slow


@pytest.mark.parametrize("when", ["start", "late"])
def test_spans_of_models_nobody_registered(pipeline: Any, registry: ModelRegistry, lines: Any, when: str) -> None:
    """Told to ignore models that are not registered, spans are left as they are and no line is logged."""
    registry.register("old", "Old", "1", "low", "team", "test")
    registry.deprecate("old")
    pipes = pipeline(ModelRegistrySpanProcessor(registry, unregistered="ignore"))
    given = lambda model: ({REQUEST: model}, {}) if when == "start" else ({}, {REQUEST: model})  # noqa: E731
    for _ in range(3):
        assert pipes.run(*given("claude-9")).attributes == {REQUEST: "claude-9"}
        assert pipes.run(*given("gpt-4o")).ours["status"] == "active"
        assert pipes.run(*given("old")).ours["warnings"] == ("model 'old' is deprecated",)
    assert lines() == ["model registry: model 'old' is deprecated (owner: team)"]
    registry.register("claude-9", "C", "1", "low", "team", "test")
    assert pipes.run(*given("claude-9")).ours["owner"] == "team"
    registry.clear()
    assert pipes.run(*given("claude-9")).attributes == {REQUEST: "claude-9"}


@needs_ending_hook
@pytest.mark.parametrize("when", ["start", "late"])
def test_forged_keys_of_models_nobody_registered(pipeline: Any, registry: ModelRegistry, lines: Any, when: str) -> None:
    """Told to ignore them, what somebody else says in our namespace is removed all the same."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry, unregistered="ignore"))
    forged = {"model_registry.owner": "me", "model_registry.approved": True}
    for _ in range(2):
        given = {REQUEST: "claude-9", "a": 1}
        span = pipes.run(given | forged) if when == "start" else pipes.run(forged, given)
        assert span.attributes == given
    assert lines() == []


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("owner", {"owner"}),
        (" owner, status ", {"owner", "status"}),
        ("+purpose,-version", {*ON_SPANS, "purpose"} - {"version"}),
        (["+matched_by"], {*ON_SPANS, "matched_by"}),
        (SPAN_ATTRIBUTE_NAMES, set(SPAN_ATTRIBUTE_NAMES)),
        ([], set()),
    ],
)
def test_span_attributes(pipeline: Any, registry: ModelRegistry, given: Any, names: set[str]) -> None:
    """What spans get may be given as a text or as a list, whole or as changes to the default."""
    registry.deprecate("gpt-4o")
    pipes = pipeline(ModelRegistrySpanProcessor(registry, span_attributes=given))
    span = pipes.run({REQUEST: "gpt-4o"})
    assert set(span.ours) == names - {"decommission_date"}


def test_the_environment_of_the_processor(pipeline: Any, registry: ModelRegistry, monkeypatch: Any) -> None:
    """What is not given in code comes from the environment, each setting for itself."""
    monkeypatch.setenv(VARIABLES + "SPAN_ATTRIBUTES", "owner")
    monkeypatch.setenv(VARIABLES + "MODEL_ATTRIBUTES", MINE)
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "ignore")
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    assert pipes.run({MINE: "gpt-4o"}).ours == {"owner": "ml-platform"}
    assert pipes.run({MINE: "claude-9"}).ours == {}
    pipes = pipeline(ModelRegistrySpanProcessor(registry, span_attributes="status", unregistered="warn"))
    assert pipes.run({MINE: "gpt-4o"}).ours == {"status": "active"}
    assert pipes.run({MINE: "claude-9"}).ours == {"status": "unregistered"}
    pipes = pipeline(ModelRegistrySpanProcessor(registry, model_attributes=[]))
    assert pipes.run({MINE: "gpt-4o"}).ours == {}


def test_the_file_of_the_processor(provider: Any, exporter: Any, models: Path, monkeypatch: Any) -> None:
    """A processor for the process-wide registry has it follow the environment's file; one with its own does not."""
    monkeypatch.setenv(VARIABLES + "FILE", str(models))
    ModelRegistrySpanProcessor(ModelRegistry())
    assert get_default_registry() not in watch._watchers.by_registry
    provider.add_span_processor(ModelRegistrySpanProcessor())
    assert call(provider, exporter)["owner"] == "filed"


def test_a_bad_environment_of_the_processor(registry: ModelRegistry, lines: Any, monkeypatch: Any) -> None:
    """A bad value in the environment is logged once, and the default used."""
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "drop")
    for _ in range(2):
        ModelRegistrySpanProcessor(registry)
    rule = "OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED must be one of warn, ignore; got 'drop'"
    assert lines() == [f"model registry: {rule}; using the default, warn"]


@pytest.mark.parametrize(
    ("argument", "value", "text"),
    [
        ("span_attributes", "color", r"span_attributes must be names of status, .*; got 'color'"),
        ("span_attributes", 7, r"span_attributes must be names of .*; got 7"),
        ("model_attributes", "model_registry.name", r"model_attributes must be at most 32 attribute keys .*"),
        ("unregistered", "drop", "unregistered must be one of warn, ignore; got 'drop'"),
        ("unregistered", "", "unregistered must be one of warn, ignore; got ''"),
    ],
)
def test_bad_arguments(registry: ModelRegistry, lines: Any, argument: str, value: Any, text: str) -> None:
    """In code, a bad argument of the processor is an error that names it."""
    with pytest.raises(InvalidEntryError, match=f"^{text}$"):
        ModelRegistrySpanProcessor(registry, **{argument: value})
    assert lines() == []


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("when", ["start", "late"])
def test_switched_off(pipeline: Any, registry: ModelRegistry, lines: Any, when: str, first: str) -> None:
    """Switched off, the processor touches no span, forged keys included; switched on, it works again."""
    if first == "exporter" and when == "late" and not hasattr(SpanProcessor, "_on_ending"):
        pytest.skip("opentelemetry-sdk before 1.40 does not tell processors of an ending span")
    ours = ModelRegistrySpanProcessor(registry)
    pipes = pipeline(ours, first=first)
    given = {REQUEST: "claude-9", "model_registry.owner": "me"}
    both = ({REQUEST: "gpt-4o"}, {}) if when == "start" else ({}, {REQUEST: "gpt-4o"})
    for _ in range(3):
        assert pipes.run(*both).ours["owner"] == "ml-platform"
        ours.switch(on=False)
        assert pipes.run(*both).attributes == {REQUEST: "gpt-4o"}
        assert pipes.run(given).attributes == given
        ours.switch(on=True)
    assert lines() == []


@pytest.mark.parametrize("order", ["off first", "off last"])
def test_one_of_two_is_off(pipeline: Any, registry: ModelRegistry, order: str) -> None:
    """Of two processors one may be off, wherever it stands: the other one serves the spans."""
    on, off = ModelRegistrySpanProcessor(registry), ModelRegistrySpanProcessor(registry, span_attributes="owner")
    off.switch(on=False)
    pipes = pipeline(*((off, on) if order == "off first" else (on, off)))
    for _ in range(2):
        assert len(pipes.run({REQUEST: "gpt-4o"}).ours) == 6
        assert len(pipes.run({}, {REQUEST: "gpt-4o"}).ours) == 6
