"""``status``: each of its fields, its text for bug reports, and its line at level DEBUG."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import platform
import re
import threading
from importlib import import_module
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import opentelemetry.metrics._internal as metrics_api
import pytest
from opentelemetry import trace
from opentelemetry.metrics._internal import _ProxyMeterProvider as ProxyMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBasedTraceIdRatio, Sampler
from support.spans import REQUEST, FullDisk, Redacting, StartsAndEnds
from support.threads import in_background, switching_often

import spanforge.model_registry as package
from spanforge.model_registry import ModelRegistry, __version__, get_default_registry, register_model
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.settings import FILE as FILE_SETTING
from spanforge.model_registry._core.settings import HEADERS, SETTINGS, VARIABLES
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor, PluginStatus, status
from spanforge.model_registry.otel._span_access import SWAPPABLE_CONTAINER
from spanforge.model_registry.watch import FileState, FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeProvider = Callable[..., TracerProvider]

pytestmark = pytest.mark.usefixtures("no_settings")

MODULE = import_module("spanforge.model_registry.otel._status")
"""The module: as an attribute of its package, the name is the function's."""
OTHER_FORMAT = "YAML is read only from files whose names end in .yaml or .yml, and all other files must be JSON"
FILE = VARIABLES + "FILE"
HOOK = "_on_ending" if SWAPPABLE_CONTAINER else "on_end"
PROXY = f"{ProxyMeterProvider.__module__}.{ProxyMeterProvider.__qualname__}"
NOTHING = """\
processors: 0
enrichment: off: no span processor was made
late_writes: none
tracer_provider: opentelemetry.trace.ProxyTracerProvider
sampler: none
meter_provider: PROXY
metrics: off: no span processor was made
settings: none
files: none
models: NONE
event_signals: 'span'
events: span (emitted 0, held 0, dropped 0, failed 0), log (emitted 0, held 0, dropped 0, failed 0)
calls: 0
agent_spans: 0
substitutions: 0
spans_enriched: 0
unregistered: none
nearest: none""".replace("NONE", ", ".join(f"{status} 0" for status in STATUSES)).replace("PROXY", PROXY)
"""The text where nothing is installed, after the versions."""


@pytest.fixture
def global_provider(set_global: Any) -> MakeProvider:
    """Give a function that makes the global tracer provider, with a processor of the plugin."""

    def make(processor: SpanProcessor | None = None, **options: Any) -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False, **options)
        provider.add_span_processor(processor or ModelRegistrySpanProcessor())
        set_global(provider)
        return provider

    return make


def call(provider: TracerProvider, model: str = "gpt-4o", **attributes: Any) -> None:
    provider.get_tracer("app").start_span("call", attributes={REQUEST: model, **attributes}).end()


def line(name: str, found: PluginStatus | None = None) -> str:
    """Return the line of a field."""
    (text,) = [each for each in str(found or status()).splitlines() if each.startswith(f"{name}: ")]
    return text.removeprefix(f"{name}: ")


def test_nothing_is_installed() -> None:
    """If nothing is installed, each field says so, and the versions are those of the packages."""
    found = status()
    assert found[:3] == (__version__, version("opentelemetry-sdk"), platform.python_version())
    no_events = {"span": (0, 0, 0, 0), "log": (0, 0, 0, 0)}
    off = "off: no span processor was made"
    assert found[3:10] == (0, off, "none", "opentelemetry.trace.ProxyTracerProvider", "none", PROXY, off)
    assert found[10:] == ({}, (), dict.fromkeys(STATUSES, 0), ("span",), no_events, 0, 0, 0, 0, (), {})
    assert str(found) == f"version: {found.version}\nsdk: {found.sdk}\npython: {found.python}\n{NOTHING}"


def test_provider_classes(global_provider: MakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The global providers are named by their full class names."""
    global_provider()
    monkeypatch.setattr(metrics_api, "_METER_PROVIDER", MeterProvider(shutdown_on_exit=False))
    found = status()
    assert found.tracer_provider == "opentelemetry.sdk.trace.TracerProvider"
    assert found.meter_provider.startswith("opentelemetry.sdk.metrics.")
    assert found.meter_provider.endswith(".MeterProvider")


def test_processors(global_provider: MakeProvider) -> None:
    """The count has the processors that are on and alive."""
    one, two = ModelRegistrySpanProcessor(), ModelRegistrySpanProcessor()
    global_provider(one)
    assert status().processors == 2
    two.switch(on=False)
    assert status().processors == 1
    one.switch(on=False)
    assert (status().processors, status().late_writes) == (0, "none")
    two.switch(on=True)
    assert status().processors == 1
    del two
    assert status().processors == 0


@pytest.mark.skipif(SWAPPABLE_CONTAINER is None, reason="opentelemetry-sdk before 1.40 has no such hook")
def test_late_writes(global_provider: MakeProvider) -> None:
    """The field has the hooks by which the processors enrich spans."""
    plain = ModelRegistrySpanProcessor()
    call(global_provider(plain))
    assert status().late_writes == "_on_ending"
    wrapped = ModelRegistrySpanProcessor()
    call(global_provider(StartsAndEnds(wrapped)))
    assert status().late_writes == line("late_writes") == "_on_ending, on_end"
    plain.switch(on=False)
    assert status().late_writes == "on_end"
    call(global_provider(wrapped))
    provider = global_provider(Redacting(dict))
    provider.add_span_processor(wrapped)
    call(provider)
    assert status().late_writes == "on_end"


def test_reasons_are_shown(plugin: Any, provider: Any, monkeypatch: Any) -> None:
    """If spans are not enriched, or if there are no metrics, the reason is shown."""
    monkeypatch.setenv(f"{VARIABLES}METRICS", "false")
    plugin.instrument(enabled=False)
    assert status().enrichment == line("enrichment") == "off: the setting enabled is false"
    plugin.instrument()
    assert status().enrichment == "off: the tracer provider is a ProxyTracerProvider"
    plugin.instrument(tracer_provider=provider)
    assert (status().enrichment, status().metrics) == ("on", "off: the setting metrics is false")
    plugin.uninstrument()
    assert status().enrichment == "off: uninstrument() was called"


@pytest.mark.parametrize("names", ["openai, model_registry", "*"])
def test_disabled_instrumentation_is_the_reason(names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If OpenTelemetry does not load the plugin because a variable names it, the reason names the variable."""
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", names)
    reason = "no span processor was made, because OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names model_registry"
    assert status().enrichment == line("enrichment") == f"off: {reason}"


@pytest.mark.parametrize(
    "sampler", [ModelRegistrySampler(0.25, flagged=True), ParentBasedTraceIdRatio(0.5), ALWAYS_OFF]
)
def test_sampler_description(global_provider: MakeProvider, sampler: Sampler) -> None:
    """The global provider's sampler is described."""
    global_provider(sampler=sampler)
    assert status().sampler == line("sampler") == sampler.get_description()


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin's variables that are set are shown, also empty ones; others may hold secrets and are not."""
    given = {setting.variable: f"value of {setting.name}" for setting in SETTINGS if setting is not HEADERS}
    others = {f"{VARIABLES}SECRET": "s3cret", "OTEL_EXPORTER_OTLP_HEADERS": "key=s3cret", "OPENAI_API_KEY": "s3cret"}
    for name, text in {**given, **others}.items():
        monkeypatch.setenv(name, text)
    assert status().settings == given
    monkeypatch.setenv(HEADERS.variable, "authorization=s3cret, X-Team=a%20b")
    monkeypatch.setenv(FILE_SETTING.variable, "/a.json:https://user:s3cret@example.com/b.json?token=s3cret")
    shown = status().settings
    assert shown[HEADERS.variable] == "authorization=…,X-Team=…"
    assert re.fullmatch(r"/a.json:https://example.com/b.json\?…[0-9a-f]{8}", shown[FILE_SETTING.variable])
    assert "s3cret" not in str(status()) + repr(status())
    monkeypatch.delenv(HEADERS.variable)
    for name in list(given)[2:]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(FILE, "")
    assert line("settings") == f"{VARIABLES}ENABLED 'value of enabled', {FILE} ''"


def test_files(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each followed file has its path, version, models, age, failures and error."""
    bad = models.with_name("bad.json")
    bad.write_text("models: []")
    monkeypatch.setenv(FILE, os.pathsep.join(map(str, (models, bad, models.with_name("none.json")))))
    monkeypatch.setenv(f"{VARIABLES}RELOAD_INTERVAL", "0")
    processor = ModelRegistrySpanProcessor()
    good, broken, missing = status().files
    digest = hashlib.sha256(models.read_bytes()).hexdigest()[:12]
    assert good._replace(age=0.0) == (str(models), digest, 1, 0.0, 0, None)
    assert broken[:3] == (str(bad), None, 0)
    assert broken[4:] == (1, f"{bad}, line 1, column 1: is not valid JSON: Expecting value; {OTHER_FORMAT}")
    assert missing[4:] == (1, f"{models.with_name('none.json')}: no such file")
    assert all(file.age >= 0 for file in status().files)
    assert status().models["active"] == 1
    text = line("files", status()._replace(files=(good._replace(age=12.345), broken._replace(age=0.0))))
    assert text == (
        f"(path {str(models)!r}, version {digest!r}, models 1, age 12.3 s, failures 0, error none), "
        f"(path {str(bad)!r}, version none, models 0, age 0.0 s, failures 1, "
        f"error '{bad}, line 1, column 1: is not valid JSON: Expecting value; {OTHER_FORMAT}')"
    )
    del processor


def test_version_of_a_file_that_changes(models: Path, fields: dict[str, Any]) -> None:
    """The version is that of the content in force, also after the file becomes invalid."""
    registry = ModelRegistry(auto_emit=False)
    watcher = FileWatcher(registry, [str(models)], reload_interval=0)
    watcher.start()
    first = status().files[0].version
    registry.register(**fields | {"model_id": "another"})
    registry.save(models)
    second = hashlib.sha256(models.read_bytes()).hexdigest()[:12]
    for _ in range(3):
        watcher.look()
    assert status().files[0][1:3] == (second, 2)
    assert first != second
    models.write_text("[")
    for _ in range(3):
        watcher.look()
    (file,) = status().files
    assert (file.version, file.models, file.failures) == (second, 2, 1)
    assert "is not valid JSON" in str(file.error)
    watcher.stop()
    assert status().files == ()


def test_models_by_status(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of the process-wide registry are counted by status."""
    registry = get_default_registry()
    for number in range(6):
        register_model(**fields | {"model_id": f"m{number}"})
    for number in range(3):
        registry.deprecate(f"m{number}")
    registry.retire("m0")
    ModelRegistry(auto_emit=False).register(**fields)
    counts = {**dict.fromkeys(STATUSES, 0), "active": 3, "deprecated": 2, "retired": 1}
    assert status().models == counts
    assert line("models") == ", ".join(f"{name} {number}" for name, number in counts.items())
    monkeypatch.setattr(package, "_registry", ModelRegistry(auto_emit=False))
    assert sum(status().models.values()) == 0


def test_events_by_signal(global_provider: MakeProvider, fields: dict[str, Any]) -> None:
    """Events are counted by signal, as held, emitted or dropped."""
    set_event_signals("span,log")
    register_model(**fields)
    assert status().events == {"span": (0, 1, 0, 0), "log": (0, 1, 0, 0)}
    global_provider(sampler=ModelRegistrySampler(0))
    register_model(**fields | {"model_id": "another"})
    assert status().events == {"span": (2, 0, 0, 0), "log": (0, 2, 0, 0)}
    global_provider(sampler=ALWAYS_OFF)
    get_default_registry().retire("another")
    assert status().events == {"span": (2, 0, 1, 0), "log": (0, 3, 0, 0)}
    shown = "span (emitted 2, held 0, dropped 1, failed 0), log (emitted 0, held 3, dropped 0, failed 0)"
    assert line("events") == shown


@pytest.mark.parametrize(
    ("chosen", "forms", "shown"),
    [("log", ("log",), "'log'"), ("log,span", ("span", "log"), "'span', 'log'"), ("none", (), "none")],
)
def test_event_signals(chosen: str, forms: tuple[str, ...], shown: str) -> None:
    """The signals are those that were chosen."""
    set_event_signals(chosen)
    assert status().event_signals == forms
    assert line("event_signals") == shown


def test_unregistered_names(global_provider: MakeProvider, fields: dict[str, Any]) -> None:
    """Unregistered names are listed once, in the order in which they were met."""
    replace_file_entries(get_default_registry(), [ModelRegistry(auto_emit=False).register(**fields)])
    provider = global_provider()
    for name in ("claude-9", "gpt-4o", "b", "claude-9", "a, b", "none"):
        call(provider, name)
    ignoring = global_provider(ModelRegistrySpanProcessor(unregistered="ignore"))
    call(ignoring, "ignored")
    assert status().unregistered == ("claude-9", "b", "a, b", "none", "ignored")
    assert line("unregistered") == "'claude-9', 'b', 'a, b', 'none', 'ignored'"


def test_substitutions_are_calls(global_provider: MakeProvider, fields: dict[str, Any]) -> None:
    """A call that another model answered is a substitution; a span of an agent with two models is none."""
    register_model("o1", *list(fields.values())[1:])
    register_model(**fields)
    provider = global_provider(ModelRegistrySpanProcessor())
    names = {REQUEST: fields["model_id"], "gen_ai.response.model": "o1"}
    for operation in ("chat", "invoke_agent"):
        attributes = {**names, "gen_ai.operation.name": operation}
        provider.get_tracer("test").start_span(operation, attributes=attributes).end()
    assert (status().calls, status().agent_spans, status().substitutions) == (1, 1, 1)


def test_limit_of_unregistered_names(global_provider: MakeProvider) -> None:
    """The first 100 names are kept, and the beginning of each."""
    provider = global_provider()
    for number in range(150):
        call(provider, f"{number:03}" + "x" * 1_000)
    found = status().unregistered
    assert found == tuple(f"{number:03}" + "x" * 253 for number in range(100))
    assert status().calls == 150


HOSTILE = [
    *("a\nversion: 9", "\x1b[31mred\x1b[0m", "\x00\r\t\x7f", "right to left \u202e", "lone \udcff surrogate"),
    *("line\u2028paragraph\u2029next\x85", "'quoted'", '"doubly"', "\\n", "", "日本語"),
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_every_line_is_printable(text: str) -> None:
    """Each field is one printable line, for any names, settings, paths and descriptions."""
    file = FileState(text, text, 1, 0.0, 1, text)
    found = status()._replace(
        sampler=text,
        settings={FILE: text},
        files=(file,),
        unregistered=(text, text),
        late_writes=text,
        tracer_provider=text,
    )
    shown = str(found)
    assert [each.partition(": ")[0] for each in shown.splitlines()] == list(PluginStatus._fields)
    assert all(each.isprintable() for each in shown.split("\n"))
    shown.encode()
    assert line("unregistered", found) == f"{text!r}, {text!r}"
    assert line("sampler", found) == (text if text and text.isprintable() else repr(text))


@pytest.mark.parametrize(
    ("find", "shown"),
    [
        (lambda: None, "none"),
        ([].pop, "cannot be described: IndexError('pop from empty list')"),
        (lambda: SimpleNamespace(get_description=lambda: 7), "7"),
        (lambda: SimpleNamespace(get_description=[].pop), "cannot be described: IndexError('pop from empty list')"),
    ],
)
def test_provider_of_another_kind(set_global: Any, find: Callable[[], Any], shown: str) -> None:
    """A provider of another kind is named, and its sampler is described as far as possible."""

    class Foreign(trace.NoOpTracerProvider):
        sampler = property(lambda _: find())

    set_global(Foreign())
    assert status().tracer_provider == f"{__name__}.{Foreign.__qualname__}"
    assert status().sampler == line("sampler") == shown


def test_provider_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the environment names unknown providers, the error is shown."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "no_such")
    monkeypatch.setenv("OTEL_PYTHON_METER_PROVIDER", "no_such")
    found = status()
    assert found.tracer_provider == found.meter_provider == "cannot be loaded: StopIteration()"
    assert found.sampler == "none"
    assert ModelRegistrySpanProcessor().is_on


def registering(stop: threading.Event) -> None:
    name, registry = threading.get_ident(), get_default_registry()
    for number in itertools.count():
        registry.register(f"{name}-{number}", "N", "1", "low", "team", "test")
        if number % 500 == 499:
            registry.clear()
        if stop.is_set():
            return


def making_processors(stop: threading.Event) -> None:
    kept: list[ModelRegistrySpanProcessor] = []
    while not stop.is_set():
        kept = [*kept[-20:], ModelRegistrySpanProcessor(ModelRegistry(auto_emit=False))]


def following_files(stop: threading.Event) -> None:
    while not stop.is_set():
        watcher = FileWatcher(ModelRegistry(auto_emit=False), ["none.json"], reload_interval=0)
        watcher.start()
        watcher.stop()


@pytest.mark.slow
def test_status_while_all_changes() -> None:
    """Other threads may register models, make processors and follow files meanwhile."""
    with switching_often(1e-6), in_background(registering, registering, making_processors, following_files):
        for _ in range(2_000):
            found = status()
            assert all(count >= 0 for count in found.models.values())
            assert len(str(found).splitlines()) == len(PluginStatus._fields)


@pytest.fixture
def debug_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Give a function that returns the log lines at level DEBUG that have the status."""
    caplog.set_level(logging.DEBUG, "spanforge.model_registry")
    return lambda: [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.DEBUG and record.getMessage().startswith("model registry: version: ")
    ]


def test_debug_line_for_each_processor(debug_lines: Any, global_provider: MakeProvider) -> None:
    """Each new processor logs the status in one line; spans log nothing more."""
    provider = global_provider()
    facts = NOTHING.replace("processors: 0", "processors: 1").replace("late_writes: none", f"late_writes: {HOOK}")
    facts = facts.replace("off: no span processor was made", "on")
    assert debug_lines()[0].endswith("; " + "; ".join(facts.splitlines()))
    assert len(debug_lines()) == 1
    call(provider, "a\nb")
    call(provider)
    assert len(debug_lines()) == 1
    second = ModelRegistrySpanProcessor()
    assert len(debug_lines()) == 2
    assert "; processors: 2; " in debug_lines()[1]
    assert "; sampler: ParentBased{root:AlwaysOnSampler" in debug_lines()[1]
    assert r"; unregistered: 'a\nb', 'gpt-4o'" in debug_lines()[1]
    assert debug_lines()[1].isprintable()
    second.switch(on=False)
    assert len(debug_lines()) == 2


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_no_line_at_other_levels(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    """At other levels, nothing is logged and no status is made."""
    asked: list[None] = []
    monkeypatch.setattr(MODULE, "status", lambda: asked.append(None))
    caplog.set_level(level, "spanforge.model_registry")
    ModelRegistrySpanProcessor()
    assert asked == []
    assert not [record for record in caplog.records if "version: " in record.getMessage()]
    caplog.set_level(logging.DEBUG, "spanforge.model_registry")
    ModelRegistrySpanProcessor()
    assert asked == [None]


@pytest.mark.parametrize("broken", ["status", "__str__", "the log"])
def test_debug_line_never_raises(caplog: Any, monkeypatch: Any, log_to: Any, broken: str) -> None:
    """If the status or the log fails, the processor is made and works."""
    caplog.set_level(logging.DEBUG, "spanforge.model_registry")

    def fail(*_arguments: object) -> Any:
        raise RuntimeError("broken")

    if broken == "the log":
        log_to(FullDisk())
    else:
        monkeypatch.setattr(MODULE if broken == "status" else PluginStatus, broken, fail)
    assert ModelRegistrySpanProcessor().is_on
