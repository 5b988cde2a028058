"""Hundreds of registries and providers in one process: nothing of those that are gone stays."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from support.meters import Meters
from support.processes import exit_code_of
from support.recording import EndedSpans
from support.watching import wait_until

import spanforge.model_registry
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher, file_states

REQUEST = "gen_ai.request.model"
LIBRARY = Path(spanforge.model_registry.__file__).parent


def use_registry(path: Path | None = None, meters: Meters | None = None) -> ModelRegistry:
    """Make a registry, a processor and a provider, and use them."""
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)  # making a usual resource takes 50 ms
    ended = EndedSpans()
    registry = ModelRegistry(tracer_provider=provider)
    options: dict[str, Any] = {"metrics": False} if meters is None else {"meter_provider": meters.provider}
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, **options))
    provider.add_span_processor(ended)
    if path is not None:
        FileWatcher(registry, [str(path)], reload_interval=300).start()
    registry.register("m", "M", "1", "low", "team", "a test", aliases=["alias", "m-*"])
    registry.deprecate("m", reason="old")
    with provider.get_tracer("app").start_as_current_span("chat", attributes={REQUEST: "m-1"}):
        pass
    spans = [span.name for span in ended.spans]
    assert spans == ["model_registry.register", "model_registry.deprecate", "chat"]
    assert (ended.spans[-1].attributes or {})["model_registry.owner"] == "team"
    provider.shutdown()
    return registry


@pytest.mark.slow
def test_registries_that_are_gone_leave_nothing(tmp_path: Path) -> None:
    """After 100 more registries, memory, threads, descriptors and followed files are as after the first ones.

    Only the library's own memory counts, because the SDK keeps 700 bytes for each provider.
    """
    path = tmp_path / "models.json"
    ModelRegistry(auto_emit=False).save(path)
    gc.collect()  # earlier tests may have left files that are still open
    threads, descriptors = threading.active_count(), len(os.listdir("/dev/fd"))
    tracemalloc.start()
    try:
        for number in range(30):
            use_registry(path if number % 10 == 0 else None)
        before = measure_own_memory(threads)
        freed = [weakref.ref(use_registry(path if number % 10 == 0 else None)) for number in range(100)]
        assert measure_own_memory(threads) - before < 5_000
    finally:
        tracemalloc.stop()
    assert [ref for ref in freed if ref() is not None] == []
    assert file_states() == []
    assert len(os.listdir("/dev/fd")) == descriptors


def measure_own_memory(threads: int) -> int:
    """Return the bytes that the library's code allocated and that are in use when there are only so many threads."""
    gc.collect()
    wait_until(lambda: threading.active_count() == threads)
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"{LIBRARY}/*")])
    return sum(trace.size for trace in snapshot.traces)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork_with_hundreds_of_registries() -> None:
    """A child can use each of 200 registries, and its changes stay its own."""
    registries = [use_registry() for _ in range(200)]

    def work() -> bool:
        for number, registry in enumerate(registries):
            registry.register("child", "C", "1", "low", f"child-{number}", "a test")
            registry.retire("m")
        return all(len(registry) == 2 for registry in registries)

    assert exit_code_of(work) == 0
    assert {len(registry) for registry in registries} == {1}


@pytest.mark.slow
def test_replaced_providers() -> None:
    """Providers that are shut down and replaced: each call is counted once, and the last provider enriches."""
    meters = Meters()
    for _ in range(50):
        registry = use_registry(meters=meters)
    gc.collect()
    assert sum(point.value for point in meters.points("calls")) == 50
    assert registry.require("m").status == "deprecated"
