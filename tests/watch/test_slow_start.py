"""A start whose files cannot be read: the application goes on after a second.

A network disk that does not respond cannot be had in tests, so ``os.open`` waits in its place.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.log_lines import library_records
from support.watching import content, owners, wait_until

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.calendar_watch import CalendarWatcher, stop_calendar
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let no file in a folder named ``mount`` be opened until the event is set."""
    responds, opened = threading.Event(), os.open

    def wait(path: Any, *arguments: Any, **options: Any) -> int:
        if "mount" in str(path):
            responds.wait(30)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", wait)
    yield responds
    responds.set()


@pytest.mark.parametrize("reload_interval", [0, 300])
def test_disk_that_does_not_respond(
    disk: threading.Event, tmp_path: Path, caplog: pytest.LogCaptureFixture, reload_interval: int
) -> None:
    """The start takes about a second and logs one line; the models come when the disk responds."""
    (tmp_path / "mount").mkdir()
    path = tmp_path / "mount" / "models.json"
    path.write_bytes(content("team", "a"))
    registry = ModelRegistry(auto_emit=False)
    watcher = FileWatcher(registry, [str(path)], reload_interval=reload_interval)
    start = time.monotonic()
    watcher.start()
    assert 1 <= time.monotonic() - start < 10
    assert (owners(registry), watcher.lacks_files) == ({}, True)
    disk.set()
    wait_until(lambda: owners(registry) == {"a": "team"})
    assert [record.getMessage() for record in library_records(caplog)] == [
        f"model registry: {path} cannot be read within a second, so the application starts without these models"
    ]
    watcher.stop()


def test_spans_and_events_after_a_late_first_look(disk: threading.Event, tmp_path: Path) -> None:
    """A span before the disk responds names an unregistered model; later spans and events have its entry."""
    (tmp_path / "mount").mkdir()
    path = tmp_path / "mount" / "models.json"
    path.write_bytes(content("team", "a"))
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    registry = ModelRegistry(tracer_provider=provider)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    watcher = FileWatcher(registry, [str(path)], reload_interval=0)
    watcher.start()

    def call() -> dict[str, Any]:
        with provider.get_tracer("test").start_as_current_span("chat", attributes={"gen_ai.request.model": "a"}):
            pass
        return dict(exporter.get_finished_spans()[-1].attributes or {})

    assert call()["model_registry.status"] == "unregistered"
    disk.set()
    wait_until(lambda: "a" in registry)
    assert call()["model_registry.owner"] == "team"
    registry.deprecate("a")
    (event,) = exporter.get_finished_spans()[-1].events
    assert (event.name, (event.attributes or {})["model_registry.owner"]) == ("model_registry.deprecated", "team")
    assert call()["model_registry.status"] == "deprecated"
    watcher.stop()


def test_calendar_on_a_disk_that_does_not_respond(
    disk: threading.Event, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A calendar does not keep the application waiting either."""
    (tmp_path / "mount").mkdir()
    path = tmp_path / "mount" / "calendar.json"
    fields = {"provider": "openai", "model": "a", "source": "test"}
    path.write_text(json.dumps([{**fields, "shutdown_on": "2020-01-01", "checked_on": "2020-01-01"}]))
    registry = ModelRegistry(auto_emit=False)
    registry.register("a", "A", "1", "low", "team", "a test")
    start = time.monotonic()
    CalendarWatcher(registry, str(path), None, 300).start()
    assert 1 <= time.monotonic() - start < 10
    assert registry.check("a", provider="openai") == ()
    disk.set()
    wait_until(lambda: len(registry.check("a", provider="openai")) == 1)
    assert [record.getMessage() for record in library_records(caplog)] == [
        "model registry: the calendar cannot be read within a second, so the application starts without it"
    ]
    stop_calendar(registry)
