"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import logging
import os
import re
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.entries import FIELDS, METADATA
from support.telemetry import tracers_with

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.process import is_owned, reset_process

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from opentelemetry.sdk.trace import TracerProvider

os.environ["PYDANTIC_DISABLE_PLUGINS"] = "true"  # logfire's plugin makes each import of openai slower
NOT_AVAILABLE = re.compile(" is not built: | has no wheel ")
"""The reasons to skip tests that a person can remove."""


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    """Give each test the state that a new process has, and find the test that leaves the lock of ``logging`` locked."""
    reset_process()
    yield
    reset_process()
    assert not is_owned(logging._lock), "a log call was interrupted; the next one in another thread would wait for ever"  # type: ignore[attr-defined]


def pytest_configure() -> None:
    """Accept SIGINT, which ``nohup`` and background jobs ignore: tests send it, and child processes inherit this."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are processors, because tests also wait for files and other processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what pytest collects: to look at it again and again takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the matrix out unless ``-m`` names it: it needs environments of its own."""
    if "matrix" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("matrix")])
        items[:] = [item for item in items if not item.get_closest_marker("matrix")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what was captured of a test: processes of pytest-xdist exchange valid Unicode only."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line why tests were skipped that need servers or a fuzzer."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.getreports("skipped") if report.longrepr]
    for reason, number in Counter(reason for reason in reasons if NOT_AVAILABLE.search(reason)).items():
        terminalreporter.write_line(f"{number} tests skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keep the spans that ``provider`` exports."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Give a tracer provider of the real SDK that exports at once."""
    provider = tracers_with(exporter)
    yield provider
    provider.shutdown()


@pytest.fixture
def registry(provider: TracerProvider) -> ModelRegistry:
    """Give an empty registry that emits its events through ``provider``."""
    return ModelRegistry(tracer_provider=provider)


@pytest.fixture
def fields() -> dict[str, str]:
    """Give the fields that every entry needs."""
    return dict(FIELDS)


@pytest.fixture
def complete_entry(fields: dict[str, Any]) -> ModelRegistryEntry:
    """Give a deprecated entry with a value for every field, every reserved key of metadata, and a key of the user's."""
    return ModelRegistryEntry(
        **fields,
        status="deprecated",
        deployment_date="2024-05-13",
        decommission_date="2025-05-13",
        metadata={"team": "a", **METADATA},
    )
