"""The instrumentor and its entry point never raise an error into the application."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.plugin import NO_HOOK_LINES, NOT_INSTALLED, find_processors
from support.spans import FullDisk

import spanforge_model_registry_otel
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor, Options

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


class _Refusing(TracerProvider):
    """A provider that takes processors only when it wants to."""

    refuses = True

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        if self.refuses:
            msg = "the chain is\nfull"
            raise RuntimeError(msg)
        super().add_span_processor(span_processor)


def test_provider_that_refuses_the_processor(plugin: Any, exporter: Any, call: Any, lines: Any) -> None:
    """If a provider refuses the processor, one line says so; a later call can succeed."""
    provider = _Refusing(shutdown_on_exit=False)
    plugin.instrument(tracer_provider=provider)
    assert lines() == [NOT_INSTALLED + r"RuntimeError('the chain is\nfull')"]
    provider.refuses = False
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    assert call(via=provider)["owner"] == "ml-platform"
    provider.refuses = True
    plugin.instrument(tracer_provider=provider, span_attributes="owner")
    assert call(via=provider)["status"] == "active"
    assert len(lines()) == 2


def test_later_provider_that_refuses_the_processor(plugin: Any, set_global: Any, lines: Any) -> None:
    """If a provider that is set later refuses the processor, setting it raises nothing, and a line has the reason."""
    plugin.instrument()
    set_global(_Refusing(shutdown_on_exit=False))
    assert lines()[-1] == NOT_INSTALLED + r"RuntimeError('the chain is\nfull')"


class _Replacing(TracerProvider):
    """A provider like that of arize-phoenix-otel, which the matrix runs: a processor replaces those that are there."""

    def add_span_processor(self, *processors: SpanProcessor, replace_default_processor: bool = True) -> None:
        if replace_default_processor:
            self._active_span_processor._span_processors = ()
        super().add_span_processor(*processors)


def test_provider_keeps_its_processors(plugin: Any, exporter: Any, call: Any, lines: Any) -> None:
    """A provider whose ``add_span_processor`` replaces processors by default keeps those that it has."""
    provider = _Replacing(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plugin.instrument(tracer_provider=provider)
    assert call(via=provider)["owner"] == "ml-platform"
    assert lines() == []


class _Unsigned:
    """A method without a signature, like one written in C."""

    __signature__ = "none"

    def __init__(self, provider: TracerProvider) -> None:
        self.add = provider.add_span_processor

    def __call__(self, processor: SpanProcessor) -> None:
        self.add(processor)


def test_provider_method_without_a_signature(plugin: Any, provider: Any, call: Any, lines: Any) -> None:
    """A provider whose method has no signature gets the processor too."""
    provider.add_span_processor = _Unsigned(provider)
    plugin.instrument(tracer_provider=provider)
    assert call()["owner"] == "ml-platform"
    assert lines() == []


class _Slotted:
    """A provider that takes processors, and no weak references."""

    __slots__ = ("processors",)

    def __init__(self) -> None:
        self.processors: list[SpanProcessor] = []

    def add_span_processor(self, processor: SpanProcessor) -> None:
        """Keep the processor."""
        self.processors.append(processor)


def test_provider_without_weak_references(plugin: Any, lines: Any) -> None:
    """A provider that takes no weak references gets one processor too."""
    provider = _Slotted()
    for _ in range(2):
        plugin.instrument(tracer_provider=provider)
    assert [processor.is_on for processor in provider.processors] == [True]
    assert lines() == []


def test_registry_that_refuses_the_files(
    plugin: Any, provider: Any, lines: Any, models: Path, monkeypatch: Any
) -> None:
    """If the registry refuses the files' entries, one line says so, and spans are enriched."""

    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("spanforge.model_registry.watch.replace_file_entries", refuse)
    for _ in range(2):
        plugin.instrument(tracer_provider=provider, file=str(models))
    assert find_processors(provider)
    assert lines() == [
        "model registry: cannot read the registry files, so the previous entries stay in force: ZeroDivisionError()"
    ]


def test_log_handler_that_raises(plugin: Any, provider: Any, call: Any, log_to: Any, tmp_path: Path) -> None:
    """An error of the application's log handler is not raised, and the plugin is installed."""
    full_disk = log_to(FullDisk())
    plugin.instrument()
    plugin.instrument(tracer_provider=_Slotted())
    plugin.instrument(tracer_provider=provider, nonsense=1, reload_interval="soon", file=str(tmp_path / "missing"))
    assert call()["owner"] == "ml-platform"
    assert call("claude-9")["status"] == "unregistered"
    assert full_disk.lines == 6 + len(NO_HOOK_LINES)
    assert Options(nonsense=2, file="a").file == "a"


def test_log_handler_that_instruments(plugin: Any, provider: Any, call: Any, log_to: Any) -> None:
    """A log handler may call the instrumentor itself."""

    class Calling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            ModelRegistryInstrumentor().instrument(tracer_provider=provider, nonsense=1)

    log_to(Calling())
    plugin.instrument(nonsense=1)
    assert call()["owner"] == "ml-platform"


def test_entry_point_is_the_instrumentor(plugin: Any) -> None:
    """The entry point returns the instrumentor and has its ``configuration``."""
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
def test_instrumentor_that_cannot_be_loaded(lines: Any, monkeypatch: Any, error: Exception, reason: str) -> None:
    """If the instrumentor cannot be loaded, the entry point returns one that does nothing and logs the reason."""
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
    assert lines() == [f"{NOT_INSTALLED}{reason}"]


def test_entry_point_module_imports_nothing() -> None:
    """The module of the entry points imports no other module, because nobody catches errors there."""
    script = "import sys; before = {*sys.modules, '__future__'}; import spanforge_model_registry_otel as m; "
    script += "print(*sorted({*sys.modules} - before))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["spanforge_model_registry_otel"]
