"""The report of a start of the plugin: one line about it, and one if no span names a model."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from support.log_lines import LOGGER, library_records
from support.processes import exit_code_of
from support.watching import content, wait_until

from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry.otel import _startup
from spanforge.model_registry.otel._llm_instrumentations import DISABLED_VARIABLE, find_cause

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

SILENT = "model registry: no span named a model within a minute; likely cause: "


class _OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[no-any-unimported, misc, unused-ignore]
    """An instrumentation that does nothing."""

    def instrumentation_dependencies(self) -> tuple[str, ...]:
        return ()

    def _instrument(self, **_options: Any) -> None: ...

    def _uninstrument(self, **_options: Any) -> None: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that makes the given instrumentations, for these clients, the only ones that are installed."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()

    def install(*clients: str, **modules: str) -> None:
        requirements = "".join(f"Requires-Dist: {each}; extra == 'instruments'\n" for each in clients)
        for name, module in modules.items():
            info = tmp_path / f"opentelemetry_instrumentation_{name}-1.dist-info"
            info.mkdir()
            text = f"Metadata-Version: 2.1\nName: opentelemetry-instrumentation-{name}\nVersion: 1\n{requirements}"
            (info / "METADATA").write_text(text)
            (info / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{name} = {module}\n")

    return install


OURS = f"{__name__}:_OpenAIInstrumentor"
"""An entry point of a module that is loaded, with one of the words of LLM instrumentations."""


def test_likely_causes(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause depends on the LLM instrumentations: none, disabled, not active, or active without a model's name."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    assert find_cause(has_spans=False) == ("OTEL_TRACES_SAMPLER=parentbased_always_off records no spans", False)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER")
    install(requests="opentelemetry.instrumentation.requests:RequestsInstrumentor")
    for has_spans in (True, False):
        assert find_cause(has_spans=has_spans).text == (
            "no LLM instrumentation is installed; install the one for your client, "
            "such as opentelemetry-instrumentation-genai-openai"
        )
    install(openai_v2="opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor", mine=OURS)
    both = "mine (opentelemetry-instrumentation-mine), openai_v2 (opentelemetry-instrumentation-openai_v2)"
    for disabled in ("openai_v2, mine", "*"):
        monkeypatch.setenv(DISABLED_VARIABLE, disabled)
        assert find_cause(has_spans=True) == (f"{DISABLED_VARIABLE} disables {both}", True)
    monkeypatch.setenv(DISABLED_VARIABLE, "requests")
    cause = find_cause(has_spans=False)
    in_code = "without opentelemetry-instrument, call instrument()"
    assert cause == (
        f"{both} is installed but not active; install the client in a version that it supports; {in_code}",
        True,
    )
    _OpenAIInstrumentor().instrument()
    try:
        cause = find_cause(has_spans=True)
        assert cause.text.startswith("no known attribute of the spans names a model; if another one does, set OTEL_")
        assert cause.is_fault
        assert not find_cause(has_spans=False).is_fault
    finally:
        _OpenAIInstrumentor().uninstrument()


def test_missing_clients(install: Any) -> None:
    """If no client of an instrumentation is installed, the cause names the clients to install."""
    module = "opentelemetry.instrumentation.openai_v2:OpenAIInstrumentor"
    install("acme-client<4,>=1.26", "acme_other (>=2)", openai_v2=module)
    package = "openai_v2 (opentelemetry-instrumentation-openai_v2)"
    text = f"the client of {package} is not installed; install acme-client, acme_other"
    assert find_cause(has_spans=True) == (text, True)
    install(acme_other=f"{__name__}:no_llm")  # not an LLM instrumentation, but an installed package
    install("opentelemetry-instrumentation-acme_other", anthropic=module.replace("openai_v2", "anthropic"))
    text = "anthropic (opentelemetry-instrumentation-anthropic) is installed but not active; install the client in"
    assert find_cause(has_spans=True).text.startswith(text)


def start_lines(caplog: Any) -> list[str]:
    """Return the lines about the start."""
    return [text for record in library_records(caplog) if (text := record.getMessage()).startswith("model registry: v")]


def test_one_line_about_the_start(plugin: Any, provider: Any, call: Any, caplog: Any, tmp_path: Path) -> None:
    """The start logs one line at INFO: version, models and files; if INFO is not logged yet, at the first span."""
    path = tmp_path / "models.json"
    path.write_bytes(content("team", "o1", "o3"))
    caplog.set_level(logging.WARNING, LOGGER)
    plugin.instrument(tracer_provider=provider, file=str(path), reload_interval=0)
    assert start_lines(caplog) == []
    caplog.set_level(logging.INFO, LOGGER)
    for _ in range(2):
        call()
        plugin.instrument(tracer_provider=provider, span_attributes="+purpose")
    assert start_lines(caplog) == [
        f"model registry: version {__version__} is active; models: 2; registry files: {path}"
    ]


def test_the_line_about_the_start_is_logged_without_spans(
    plugin: Any, provider: Any, install: Any, caplog: Any
) -> None:
    """An application that sets up its logging after the start, and starts no span, gets the line at exit."""
    caplog.set_level(logging.WARNING, LOGGER)
    plugin.instrument(tracer_provider=provider)
    install()
    caplog.set_level(logging.INFO, LOGGER)
    for _ in range(2):
        _startup.start_report.report_at_exit()
    (line,) = start_lines(caplog)
    assert line.endswith("; models: 0; registry files: none")


def test_line_about_silence(
    plugin: Any, provider: Any, install: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no span names a model within a minute, one line names the likely cause; the waiting thread is a daemon."""
    install()
    monkeypatch.setattr(_startup, "SILENCE_SECONDS", 0.05)
    plugin.instrument(tracer_provider=provider)
    waiting = [thread for thread in threading.enumerate() if thread.name == "model-registry-start"]
    assert all(thread.daemon for thread in waiting)
    provider.get_tracer("app").start_span("no model").end()
    wait_until(lambda: any(SILENT in record.getMessage() for record in library_records(caplog)))
    _startup.start_report.report_at_exit()
    (record,) = [each for each in library_records(caplog) if "no span named a model" in each.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{SILENT}no LLM instrumentation is installed")


@pytest.mark.parametrize("end", ["a span names a model", "uninstrumented", "SDK disabled", "reset"])
def test_no_line_about_silence(  # noqa: PLR0913 - fixtures
    plugin: Any, provider: Any, call: Any, install: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """If a span named a model, or the plugin is switched off, there is no line about silence and no thread."""
    if end == "SDK disabled":
        monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    plugin.instrument(tracer_provider=provider)
    install()
    if end == "a span names a model":
        call()
    elif end == "uninstrumented":
        plugin.uninstrument()
    elif end == "reset":
        reset_process()
    _startup.start_report.report_at_exit()
    wait_until(lambda: all(thread.name != "model-registry-start" for thread in threading.enumerate()))
    assert not [record for record in library_records(caplog) if "no span named a model" in record.getMessage()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_children_report_after_a_fork(plugin: Any, provider: Any, install: Any, caplog: Any) -> None:
    """A process that forks leaves the report to its children. Each waits for its own spans, whatever others had."""
    caplog.set_level(logging.INFO, LOGGER)
    plugin.instrument(tracer_provider=provider)
    install(mine=OURS)
    _OpenAIInstrumentor().instrument()
    provider.get_tracer("app").start_span("no model").end()

    def report(spans: int) -> tuple[bool, str]:
        for _ in range(spans):
            provider.get_tracer("app").start_span("no model").end()
        is_waiting = any(thread.name == "model-registry-start" for thread in threading.enumerate())
        _startup.start_report.report_at_exit()
        line = next((line for line in caplog.messages if "no span named a model until exit" in line), "")
        return is_waiting, line.partition("likely cause: ")[2].partition(";")[0]

    try:
        for spans, cause in enumerate(["no span was started", *["no known attribute of the spans names a model"] * 2]):
            assert exit_code_of(lambda: report(spans) == (True, cause)) == 0  # noqa: B023 - called at once
        wait_until(lambda: report(1) == (False, ""))
    finally:
        _OpenAIInstrumentor().uninstrument()
