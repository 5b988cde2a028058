"""Throughput of eight threads that make and end spans while another registers models."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.comparison import Comparison
from benchmarks.harness import seconds
from benchmarks.models import entries, loggers, registry_of
from benchmarks.spans import FEW, KINDS, Empty, meters
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.comparison import Sizes
    from spanforge.model_registry import ModelRegistry

THREADS: Final = 8
RATE: Final = 1_000
"""Models registered per second."""


class Registering:
    """A thread that registers models at ``RATE`` while others work, and catches up if it was delayed.

    Attributes:
        rate: The models per second that it reached.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        self.registry = registry
        self.rate = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        begin = time.perf_counter()
        done = 0
        while not self._stopped.wait(1 / RATE):
            while done < (time.perf_counter() - begin) * RATE and not self._stopped.is_set():
                self.registry.register(f"new-{done}", "GPT-4o", "1", "low", "ml-platform", "support agent")
                done += 1
        self.rate = done / (time.perf_counter() - begin)


def one_name(sizes: Sizes) -> Comparison:
    """Compare throughput for spans that all name one model."""
    return _compare(sizes, "start")


def random_names(sizes: Sizes) -> Comparison:
    """Compare throughput for spans that name random models, few of which are registered."""
    return _compare(sizes, "random")


def _compare(sizes: Sizes, kind: str) -> Comparison:
    """Compare spans per second with our processor and with an empty one.

    Both have the same registry and the same registering thread, whose events are spans of the same provider.
    """
    rates: list[float] = []

    def throughput(*, ours: bool) -> float:
        provider = TracerProvider(shutdown_on_exit=False)
        registry = registry_of(entries(FEW), tracer_provider=provider, logger_provider=loggers())
        provider.add_span_processor(ModelRegistrySpanProcessor(registry, meter_provider=meters()) if ours else Empty())
        tracer = provider.get_tracer("benchmarks")
        registering = Registering(registry)
        with registering:
            elapsed = seconds(lambda: _in_threads(lambda: KINDS[kind](tracer, None)(sizes.threaded)))
        rates.append(registering.rate)
        return THREADS * sizes.threaded / elapsed

    return Comparison(
        {"ours": lambda: throughput(ours=True), "empty": lambda: throughput(ours=False)},
        lambda rate: rate["ours"] / rate["empty"],
        remark=lambda: f"{statistics.median(rates):,.0f} registrations per second",
    )


def _in_threads(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
