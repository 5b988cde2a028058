"""Fixtures that every test may use."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core import default, events, settings, watch
from spanforge.model_registry.otel import _instrumentor as instrumentor
from spanforge.model_registry.otel import _metrics as metrics
from spanforge.model_registry.otel import _processor as processor
from spanforge.model_registry.otel import _sampler as sampler
from spanforge.model_registry.otel import _span_access as late_write
from spanforge.model_registry.otel._counters import tallies

if TYPE_CHECKING:
    from collections.abc import Iterator


LINES = [module._lines for module in (default, instrumentor, late_write, metrics, processor, sampler, settings, watch)]
"""What each part of the library has logged already."""


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    """Give each test the state that a new process has."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    events._state.__init__()
    tallies._tallies.clear()
    processor.unregistered_names.clear()
    processor.processors.clear()
    metrics._registries.clear()
    for lines in LINES:
        lines.forget()
    for watcher in list(watch._watchers.values()):
        watcher.stop()
    registry = get_default_registry()
    registry._take_files(())
    registry.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line why tests were skipped that need servers."""
    reasons = [str(report.longrepr[2]) for report in terminalreporter.getreports("skipped") if report.longrepr]
    for reason, number in Counter(reason for reason in reasons if " is not built: " in reason).items():
        terminalreporter.write_line(f"{number} tests skipped: {reason.removeprefix('Skipped: ')}")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Keep the spans that ``provider`` exports."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Give a tracer provider of the real SDK that exports at once."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


@pytest.fixture
def registry(provider: TracerProvider) -> ModelRegistry:
    """Give an empty registry that emits its events through ``provider``."""
    return ModelRegistry(tracer_provider=provider)


FIELDS = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "customer support agent",
}


@pytest.fixture
def fields() -> dict[str, str]:
    """Give the fields that every entry needs."""
    return dict(FIELDS)
