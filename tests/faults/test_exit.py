"""The end of a process: threads, functions at exit and finalizers that use the library. As a program, it ends so."""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from support.processes import end_within, program_command, program_environment

from spanforge.model_registry import ModelRegistry, flush_events, get_default_registry, register_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

LIMIT = 20.0
"""The limit of seconds of such a process: a start, and at most a second at the end."""


class Counting(SpanExporter):
    """Counts spans, and prints their number when the provider shuts down."""

    number = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.number += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        os.write(1, f"{self.number} spans\n".encode())


class Hanging(Counting):
    """Never returns."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        time.sleep(600)
        return super().export(spans)


def set_up(exporter: SpanExporter) -> trace.Tracer:
    provider = TracerProvider()
    provider.add_span_processor(ModelRegistrySpanProcessor())
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider.get_tracer("app")


def use_all(tracer: trace.Tracer, name: str) -> None:
    """Register a model and call it, and an unknown one."""
    register_model(name, "N", "1", "low", "team", "a test")
    for called in (name, f"unknown-{name}"):
        with tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": called}):
            pass


def end_among_threads() -> None:
    """End while daemon threads register, call, and make registries and watchers."""
    tracer = set_up(Counting())

    def work(number: int) -> None:
        turn = 0
        while True:
            turn += 1
            use_all(tracer, f"model-{number}-{turn}")
            registry = ModelRegistry()
            FileWatcher(registry, ["models.json"], reload_interval=100).start()
            flush_events()

    for number in range(4):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    time.sleep(0.3)


def end_with_functions() -> None:
    """Use all in functions that run at exit, before and after the provider's own."""
    tracers: list[trace.Tracer] = []
    atexit.register(lambda: use_all(tracers[0], "after the provider"))
    tracers.append(set_up(Counting()))
    atexit.register(lambda: use_all(tracers[0], "before the provider"))


class Finalized:
    """Uses all when it is freed."""

    def __init__(self, tracer: trace.Tracer, name: str) -> None:
        self.tracer, self.name, self.itself = tracer, name, self

    def __del__(self) -> None:
        use_all(self.tracer, self.name)


KEPT: list[object] = []


def end_with_finalizers() -> None:
    """Use all in finalizers: of a cycle, of a global, and of an attribute of the registry."""
    tracer = set_up(Counting())
    Finalized(tracer, "cycle")
    KEPT.append(Finalized(tracer, "global"))
    get_default_registry().kept = Finalized(tracer, "registry")  # type: ignore[attr-defined]


def end_with_a_hanging_exporter() -> None:
    """Hold events for a provider whose exporter hangs."""
    for number in range(10):
        register_model(f"held-{number}", "N", "1", "low", "team", "a test")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor())
    provider.add_span_processor(BatchSpanProcessor(Hanging()))
    trace.set_tracer_provider(provider)
    provider.get_tracer("app").start_span("first").end()


ENDS: dict[str, tuple[Callable[[], None], str]] = {
    "threads": (end_among_threads, " spans\n"),
    "functions": (end_with_functions, "3 spans\n"),
    "finalizers": (end_with_finalizers, " spans\n"),
    "hanging exporter": (end_with_a_hanging_exporter, ""),
}
"""How a process ends, and the end of what it prints."""


@pytest.mark.e2e
@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends_well(end: str) -> None:
    """It ends with exit code 0 in time, and nothing of the library is on standard error."""
    start = time.monotonic()
    done = subprocess.run(
        program_command(__file__, end),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=program_environment(),
    )
    errors = [line for line in done.stderr.splitlines() if "spanforge" in line or "model registry" in line]
    assert (done.returncode, errors) == (0, []), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith(ENDS[end][1])
    assert time.monotonic() - start < LIMIT


if __name__ == "__main__":
    end_within()
    logging.disable(logging.WARNING)  # about models that are unknown, and a file that is missing
    ENDS[sys.argv[1]][0]()
