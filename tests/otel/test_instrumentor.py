"""The instrumentor: what it installs, its options, and repeated calls."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import inspect
import logging
import weakref
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NoOpTracerProvider
from support.calendars import announce
from support.log_lines import not_registered
from support.plugin import NO_HOOK_LINES, NO_SDK, find_processors
from support.telemetry import Keeping, loggers_with
from support.watching import LONG, content, put, threads, wait_until

import spanforge.model_registry as package
from spanforge.model_registry import ModelRegistry, event_counts, get_default_registry, register_model, watch
from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.emission import get_event_signals
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.settings import VARIABLES
from spanforge.model_registry.calendar import Calendar, get_calendar
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor, Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk._logs import LoggerProvider

MINE = "my.model"
CLAUDE_LINE = not_registered("claude-9")

pytestmark = pytest.mark.usefixtures("no_settings")
needs_configuration = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
)


def test_instrument_adds_the_processor(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """``instrument`` adds the processor to a provider of the SDK, and logs nothing."""
    assert call() == {}
    assert plugin.instrument(tracer_provider=provider) is None
    assert plugin.is_instrumented_by_opentelemetry
    assert list(call()) == ["status", "owner", "risk_tier", "model_id", "name", "version"]
    assert lines() == []


def test_global_provider_is_the_default(plugin: Any, provider: Any, call: Any, set_global: Any) -> None:
    """Without a provider, ``instrument`` uses OpenTelemetry's global one."""
    set_global(provider)
    plugin.instrument(tracer_provider=None)
    assert call()["owner"] == "ml-platform"


def test_repeated_calls_add_one_processor(plugin: Any, provider: Any, call: Any, lines: Any, caplog: Any) -> None:
    """Repeated calls add no second processor, and log no warning."""
    for _ in range(3):
        plugin.instrument(tracer_provider=provider)
        ModelRegistryInstrumentor().instrument(tracer_provider=provider)
    assert len(find_processors(provider)) == 1
    assert call()["owner"] == "ml-platform"
    assert call("claude-9")["status"] == "unregistered"
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message for message in messages if message not in NO_HOOK_LINES] == lines() == [CLAUDE_LINE]


def test_uninstrument_and_instrument_again(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """``uninstrument`` switches the processor off, and ``instrument`` switches the same one on again."""
    for _ in range(3):
        plugin.instrument(tracer_provider=provider)
        assert call()["owner"] == "ml-platform"
        plugin.uninstrument()
        assert not plugin.is_instrumented_by_opentelemetry
        assert call() == {}
        assert call("claude-9", **{"model_registry.owner": "me"}) == {"owner": "me"}
    assert len(find_processors(provider)) == 1
    assert lines() == []


def test_other_options_replace_the_processor(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """A call with other options puts them in force, also after ``uninstrument``."""
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=provider, span_attributes="owner", unregistered="ignore")
    assert call() == {"owner": "ml-platform"}
    assert call("claude-9") == {}
    plugin.uninstrument()
    assert call() == {}
    plugin.instrument(tracer_provider=provider, span_attributes=["owner", "status"])
    assert call() == {"status": "active", "owner": "ml-platform"}
    plugin.instrument(tracer_provider=provider, span_attributes="owner , status", unregistered="warn")
    assert len(find_processors(provider)) == 3
    assert call() == {"status": "active", "owner": "ml-platform"}
    assert lines() == []


def test_call_without_options_keeps_options(plugin: Any, provider: Any, call: Any) -> None:
    """A call without options keeps the options in force; after ``uninstrument`` it uses the defaults."""
    plugin.instrument(tracer_provider=provider, span_attributes="owner")
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=provider, enabled=True, skip_dep_check=True)
    assert call() == {"owner": "ml-platform"}
    assert len(find_processors(provider)) == 1
    plugin.uninstrument()
    plugin.instrument(tracer_provider=provider)
    assert set(call()) < set(ON_SPANS)
    assert len(call()) == 6


def test_registry_that_is_process_wide_at_the_call(plugin: Any, provider: Any, call: Any, monkeypatch: Any) -> None:
    """The processor uses the registry that is process-wide when ``instrument`` is called."""
    plugin.instrument(tracer_provider=provider)
    mine = ModelRegistry(auto_emit=False)
    mine.register("gpt-4o", "N", "1", "low", "mine", "test")
    monkeypatch.setattr(package, "_registry", mine)
    assert call()["owner"] == "ml-platform"
    plugin.uninstrument()
    plugin.instrument(tracer_provider=provider)
    assert call()["owner"] == "mine"


def test_second_provider(  # noqa: PLR0913 - fixtures
    plugin: Any, provider: Any, exporter: Any, call: Any, lines: Any, caplog: Any
) -> None:
    """A second provider is enriched too, which is logged at level INFO; ``uninstrument`` switches both off."""
    other = TracerProvider(shutdown_on_exit=False)
    other.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    for _ in range(2):
        plugin.instrument(tracer_provider=other)
    assert [call(via=each)["owner"] for each in (provider, other)] == ["ml-platform"] * 2
    assert lines() == ["model registry: spans of another tracer provider are enriched too"]
    assert {record.levelname for record in caplog.records if record.getMessage() not in NO_HOOK_LINES} == {"INFO"}
    plugin.uninstrument()
    assert [call(via=each) for each in (provider, other)] == [{}, {}]
    other.shutdown()


class _Unhashable(TracerProvider):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment] # like the proxy providers of logfire


class _UnhashableMeters(MeterProvider):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_providers_without_a_hash(plugin: Any, exporter: Any, call: Any, lines: Any) -> None:
    """Providers that cannot be hashed are enriched and get the metrics, each once, even if all of them are equal."""
    providers = [_Unhashable(shutdown_on_exit=False) for _ in range(2)]
    for number, provider in enumerate(providers):
        reader = InMemoryMetricReader()
        meters = _UnhashableMeters([reader])
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        for _ in range(2):
            plugin.instrument(tracer_provider=provider, meter_provider=meters)
        assert len(find_processors(provider)) == 1
        assert call(via=provider)["owner"] == "ml-platform"
        found = [metric for each in reader.get_metrics_data().resource_metrics for metric in each.scope_metrics]
        assert {scope.scope.name for scope in found} == {"spanforge.model_registry"}
        assert lines() == ["model registry: spans of another tracer provider are enriched too"][:number]


@pytest.mark.slow
def test_providers_are_not_kept(plugin: Any) -> None:
    """The instrumentor does not keep a provider alive."""
    provider = TracerProvider(shutdown_on_exit=False)
    reference = weakref.ref(provider)
    plugin.instrument(tracer_provider=provider)
    assert find_processors(provider)
    del provider
    gc.collect()
    assert reference() is None


def test_provider_that_is_set_later(  # noqa: PLR0913 - a matrix
    plugin: Any, provider: Any, call: Any, lines: Any, caplog: Any, set_global: Any
) -> None:
    """Without a provider of the SDK, one line has the remedy; spans of a provider that is set later are enriched."""
    for _ in range(3):
        plugin.instrument(span_attributes="owner,purpose")
    assert lines() == [NO_SDK]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    set_global(provider)
    assert call().keys() == {"owner", "purpose"}
    plugin.instrument()
    assert call()["owner"] == "ml-platform"
    assert lines() == [NO_SDK]


def test_plugin_that_is_off_when_a_provider_is_set(plugin: Any, provider: Any, call: Any, set_global: Any) -> None:
    """If the plugin is uninstalled before there is a provider, a provider that is set later is left alone."""
    plugin.instrument()
    plugin.uninstrument()
    set_global(provider)
    assert call() == {}
    assert find_processors(provider) == []


def test_provider_without_processors_is_set(plugin: Any, provider: Any, call: Any, set_global: Any) -> None:
    """A provider that is not the SDK's changes nothing, and the next one that is the SDK's is used."""
    plugin.instrument()
    set_global(NoOpTracerProvider())
    set_global(provider)
    assert call()["owner"] == "ml-platform"
    assert len(find_processors(provider)) == 1


def test_files_are_loaded_without_a_provider(plugin: Any, models: Path) -> None:
    """Without a provider of the SDK, the files are loaded too."""
    plugin.instrument(file=str(models))
    assert [entry.owner for entry in get_default_registry()] == ["filed"]


@pytest.mark.parametrize("text", [None, "[]"], ids=["missing", "empty"])
def test_one_line_about_a_file_without_models(  # noqa: PLR0913 - fixtures
    plugin: Any, provider: Any, call: Any, lines: Any, tmp_path: Path, text: str | None
) -> None:
    """If a file is missing or has no models, one line says so, and there is no line about each name."""
    path = tmp_path / "models.json"
    if text is not None:
        path.write_text(text)
    plugin.instrument(tracer_provider=provider, file=str(path), reload_interval=0)
    for name in ("claude-9", "o9", "claude-9"):
        assert call(name)["status"] == "unregistered"
    missing = f"cannot load registry file {path}: no such file; its models show as unregistered until the file is fixed"
    empty = f"no models are registered, so every model shows as unregistered; add models to {path}"
    assert lines() == [f"model registry: {missing if text is None else empty}"]


def test_files_are_followed_until_uninstrument(plugin: Any, provider: Any, call: Any, models: Path, lines: Any) -> None:
    """The file is in force when ``instrument`` returns, and is followed until ``uninstrument``."""
    plugin.instrument(tracer_provider=provider, file=str(models), reload_interval=100)
    assert call()["owner"] == "filed"
    (thread,) = threads()
    plugin.instrument(tracer_provider=provider)
    assert threads() == [thread]
    put(models, content("changed", "gpt-4o"))
    wait_until(lambda: call()["owner"] == "changed")
    plugin.uninstrument()
    assert not watch.file_states()
    thread.join(LONG)
    assert not thread.is_alive()
    plugin.instrument(tracer_provider=provider, file=str(models))
    assert [file.path for file in watch.file_states()] == [str(models)]
    (reload,) = lines()
    assert reload.startswith(f"model registry: loaded {models} (version ")


def test_the_calendar_is_followed_until_uninstrument(plugin: Any, provider: Any, tmp_path: Path) -> None:
    """The option ``calendar``, also of declarative configuration, puts the file in force until ``uninstrument``."""
    path = tmp_path / "calendar.json"
    Calendar([announce()]).save(path)
    options = plugin.configuration(calendar=str(path), reload_interval=100)
    plugin.instrument(tracer_provider=provider, **dataclasses.asdict(options))
    assert get_calendar() == Calendar([announce()])
    Calendar([announce("gpt-5")]).save(path)
    wait_until(lambda: get_calendar() == Calendar([announce("gpt-5")]))
    assert [file.path for file in watch.file_states()] == [str(path)]
    plugin.uninstrument()
    assert not watch.file_states()
    assert get_calendar() == Calendar([announce("gpt-5")])
    reset_process()
    assert get_calendar() is None


@pytest.mark.parametrize(
    ("option", "variable", "owners"),
    [
        (["models.json"], "other.json", ["filed"]),
        (None, "models.json", ["filed"]),
        ([], "models.json", []),
        (7, "models.json", []),
    ],
)
def test_file_option_comes_before_the_environment(  # noqa: PLR0913 - a matrix
    plugin: Any, provider: Any, models: Path, monkeypatch: Any, option: Any, variable: str, owners: list[str]
) -> None:
    """The option ``file`` comes before the environment, even if it is empty or bad; a later call keeps it."""
    monkeypatch.chdir(models.parent)
    monkeypatch.setenv(VARIABLES + "FILE", variable)
    plugin.instrument(tracer_provider=provider, **({} if option is None else {"file": option}))
    assert [entry.owner for entry in get_default_registry()] == owners
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    assert [entry.owner for entry in get_default_registry()] == owners


def test_events_stay_held_without_a_provider(plugin: Any) -> None:
    """Without a provider, events stay held."""
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    plugin.instrument()
    assert event_counts().held == 1


@pytest.fixture
def loggers(monkeypatch: pytest.MonkeyPatch) -> LoggerProvider:
    """Give a logger provider that is the global one."""
    provider = loggers_with(Keeping())
    monkeypatch.setattr("opentelemetry._logs._internal._LOGGER_PROVIDER", provider)
    return provider


@pytest.mark.parametrize("given", ["log", "span,log", ["log"]])
def test_held_log_records_are_delivered(plugin: Any, monkeypatch: Any, request: Any, given: Any) -> None:
    """``instrument`` delivers held log records, also if no spans are enriched."""
    monkeypatch.setenv(VARIABLES + "EVENTS", "log")
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    assert event_counts("log") == (0, 1, 0, 0)
    request.getfixturevalue("loggers")
    plugin.instrument(events=given)
    assert event_counts("log") == (1, 0, 0, 0)
    assert get_event_signals() == (("span", "log") if given == "span,log" else ("log",))


@pytest.mark.usefixtures("loggers")
def test_events_option_comes_before_the_environment(plugin: Any, provider: Any, monkeypatch: Any) -> None:
    """The option ``events`` comes before the environment, and a call without it keeps it."""
    monkeypatch.setenv(VARIABLES + "EVENTS", "span")
    plugin.instrument(tracer_provider=provider, events="log")
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    register_model("gpt-4o", "GPT-4o", "1", "low", "team", "test")
    assert (event_counts("span"), event_counts("log")) == ((0, 0, 0, 0), (1, 0, 0, 0))
    plugin.instrument(tracer_provider=provider, events="none")
    register_model("gpt-5", "GPT-5", "1", "low", "team", "test")
    assert event_counts() == (1, 0, 0, 0)


def test_every_meter_provider_gets_the_metrics(plugin: Any, provider: Any, call: Any) -> None:
    """Every meter provider that is given gets the metrics from then on."""
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    for number, reader in enumerate(readers, 1):
        plugin.instrument(tracer_provider=provider, meter_provider=MeterProvider([reader], shutdown_on_exit=False))
        call()
        for each in readers[:number]:
            data: Any = each.get_metrics_data()
            found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
            assert [point.value for point in found["model_registry.calls"].data.data_points] == [number]
    assert len(find_processors(provider)) == 1


def test_match_is_an_option(plugin: Any, provider: Any, call: Any) -> None:
    """With ``match="exact"``, forms of a name do not match."""
    plugin.instrument(tracer_provider=provider)
    assert call("GPT-4o")["status"] == "active"
    plugin.instrument(tracer_provider=provider, match="exact")
    assert call("GPT-4o")["status"] == "unregistered"
    assert call("gpt-4o")["status"] == "active"


@pytest.mark.usefixtures("gpt")
def test_options_class_has_the_options_of_instrument(plugin: Any, provider: Any, exporter: Any) -> None:
    """The options of the dataclass are those of ``instrument``, and a later call without any keeps them."""
    assert ModelRegistryInstrumentor.configuration is Options
    options = Options(span_attributes="owner", model_attributes=[MINE], unregistered=None)
    given = {name: value for name, value in vars(options).items() if value is not None}
    assert given == {"span_attributes": "owner", "model_attributes": [MINE]}
    plugin.instrument(tracer_provider=provider, **given)
    plugin.instrument(tracer_provider=provider, skip_dep_check=True)
    span = provider.get_tracer("app").start_span("call", attributes={MINE: "gpt-4o"})
    span.end()
    assert exporter.spans[-1].ours == {"owner": "ml-platform"}


def test_every_argument_of_the_processor_is_an_option(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """Each argument of the span processor is an option too, and reaches the processor."""
    arguments = set(inspect.signature(ModelRegistrySpanProcessor).parameters) & {row.name for row in fields(Options)}
    assert arguments >= {"span_attributes", "model_attributes", "unregistered", "match"}
    plugin.instrument(tracer_provider=provider, **dict.fromkeys(arguments, 7))
    assert {line.split()[2] for line in lines()} == arguments
    plugin.instrument(tracer_provider=provider, match="exact")
    assert call("GPT-4o")["status"] == "unregistered"
    plugin.instrument(tracer_provider=provider, match="forms")
    assert call("GPT-4o")["status"] == "active"


def test_common_arguments_are_ignored(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """Arguments that OpenTelemetry passes to every instrumentor are accepted and ignored."""
    plugin.instrument(
        tracer_provider=provider,
        skip_dep_check=True,
        raise_exception_on_conflict=True,
        meter_provider=None,
        logger_provider=object(),
        event_logger_provider=object(),
    )
    assert call()["owner"] == "ml-platform"
    plugin.instrument(tracer_provider=provider, logger_provider=object())
    assert len(find_processors(provider)) == 1
    assert lines() == []


def test_bad_values_are_logged(plugin: Any, provider: Any, call: Any, lines: Any, monkeypatch: Any) -> None:
    """Each bad value is logged in one line, and its default is used."""
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "drop")
    for _ in range(2):
        plugin.instrument(
            tracer_provider=provider, enabled="perhaps", file=7, reload_interval="soon", span_attributes="owner"
        )
    assert call() == {"owner": "ml-platform"}
    assert len(find_processors(provider)) == 1
    assert [line.partition(" must be ")[0] for line in lines()] == [
        "model registry: enabled",
        "model registry: file",
        "model registry: reload_interval",
        "model registry: OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED",
    ]


@pytest.mark.parametrize(
    ("option", "variable", "on"),
    [
        (None, " False ", False),
        (None, "no", False),
        (None, "flase", True),
        (None, None, True),
        (False, "true", False),
        ("TRUE", "false", True),
        ("", "false", False),
    ],
)
def test_enabled(  # noqa: PLR0913 - a matrix
    plugin: Any, provider: Any, call: Any, monkeypatch: Any, option: Any, variable: str | None, *, on: bool
) -> None:
    """If ``enabled`` is off, nothing is installed and no file is read; an option comes before the environment."""
    monkeypatch.setenv(VARIABLES + "FILE", "/no/such/file.json")
    if variable is not None:
        monkeypatch.setenv(VARIABLES + "ENABLED", variable)
    plugin.instrument(tracer_provider=provider, **({} if option is None else {"enabled": option}))
    assert plugin.is_instrumented_by_opentelemetry is on
    assert bool(call()) is on
    assert bool(watch.file_states()) is on


def test_enabled_off_for_a_second_provider(plugin: Any, provider: Any, call: Any) -> None:
    """``enabled=False`` skips the given provider, and leaves an earlier one as it is."""
    other = TracerProvider(shutdown_on_exit=False)
    plugin.instrument(tracer_provider=provider)
    plugin.instrument(tracer_provider=other, enabled=False)
    assert find_processors(other) == []
    assert call()["owner"] == "ml-platform"


@pytest.fixture
def write_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give a function that writes the declarative configuration file with options of the plugin."""
    file = tmp_path / "otel.yaml"
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    start = 'file_format: "1.0"\ninstrumentation/development:\n  python:\n    model_registry: '
    return lambda options: file.write_text(f"{start}{options}\n")


@pytest.mark.usefixtures("gpt")
@needs_configuration
@pytest.mark.parametrize(
    ("written", "option", "variable", "on"),
    [
        ("{enabled: false}", None, "true", False),
        ("{enabled: false}", True, None, True),
        ("{enabled: true}", None, "false", True),
        ("{enabled: true}", False, None, False),
        ("{enabled: null}", None, None, False),
        ("{enabled: '${NO_SUCH_VARIABLE:-false}'}", None, None, False),
        ("{}", None, None, True),
        ("{unregistered: warn}", None, "false", False),
        ("null", None, None, True),
        ("[", None, None, True),
    ],
)
def test_enabled_in_a_declarative_file(  # noqa: PLR0913 - a matrix
    plugin: Any,
    provider: Any,
    write_config: Any,
    monkeypatch: Any,
    written: str,
    option: Any,
    variable: Any,
    *,
    on: bool,
) -> None:
    """A declarative configuration file comes after the option and before the environment."""
    write_config(written)
    if variable is not None:
        monkeypatch.setenv(VARIABLES + "ENABLED", variable)
    plugin.instrument(tracer_provider=provider, **({} if option is None else {"enabled": option}))
    assert bool(find_processors(provider)) is on


@pytest.mark.slow
@needs_configuration
def test_declarative_file_is_read_again_after_a_reset(plugin: Any, provider: Any, write_config: Any) -> None:
    """The option ``enabled`` of a declarative configuration file is cached until the process is reset."""
    write_config("{enabled: false}")
    plugin.instrument(tracer_provider=provider)
    write_config("{enabled: true}")
    plugin.instrument(tracer_provider=provider)
    assert not find_processors(provider)
    reset_process()
    plugin.instrument(tracer_provider=provider)
    assert find_processors(provider)


@pytest.mark.slow
def test_declarative_file_without_the_plugin(plugin: Any, provider: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """If a declarative configuration file is missing or does not name the plugin, the plugin is installed."""
    (tmp_path / "a.yaml").write_text('file_format: "1.0"\n')
    for name in ("a.yaml", "missing.yaml"):
        monkeypatch.setenv("OTEL_CONFIG_FILE", str(tmp_path / name))
        plugin.instrument(tracer_provider=provider)
        assert find_processors(provider)
        plugin.uninstrument()
