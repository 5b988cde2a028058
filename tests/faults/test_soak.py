"""A service under load, with all that happens to it: calls, lifecycle events, reloads, metrics, forks and registries.

The test makes as many calls as an hour of a small service. ``make soak`` runs this file as a program for longer, and
prints the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import logging
import os
import random
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from support.meters import Meters
from support.processes import end_within, exit_code_of, run_program
from support.threads import run_in_threads

from spanforge.model_registry import ModelRegistry, deprecate_model, event_counts, get_default_registry, retire_model
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

CALLERS = 4
"""Threads that call models. Each makes one span in ten for a name that nobody registered, never the same."""
SAMPLES = 12
"""The number of measurements of memory, threads and descriptors."""
PER_CYCLE = 20
"""Models that a cycle of the lifecycle registers, deprecates and retires."""
VERSIONS = 7
"""The number of different contents of the file. The SDK keeps each set of attributes, also with an old owner or digest,
so contents that never repeat would let its memory grow."""
REQUEST = "gen_ai.request.model"


class Receiver(SpanExporter):
    """Counts what arrives. It has no lock that a forked child could inherit."""

    def __init__(self) -> None:
        self._arrived: deque[str] = deque()
        self.counts: Counter[str] = Counter()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._arrived.append(span.name)
            self._arrived.extend(event.name for event in span.events)
            if (span.attributes or {}).get("model_registry.status") is not None:
                self._arrived.append("enriched")
        return SpanExportResult.SUCCESS

    def count(self) -> Counter[str]:
        """Return the counts of the names of spans and events, and of enriched spans."""
        while self._arrived:
            self.counts[self._arrived.popleft()] += 1
        return self.counts

    def forget(self) -> None:
        """Start again from zero."""
        self._arrived.clear()
        self.counts.clear()


class Service:
    """The service: one provider, the process-wide registry, a followed file, and what it has done so far."""

    def __init__(self, folder: Path, calls: int, seconds: float) -> None:
        self.path = folder / "models.json"
        self.write_file(0)
        self.calls, self.until = calls, time.monotonic() + seconds
        self.made: Counter[str] = Counter()
        self._turns = itertools.count()
        self.number = 0
        self.receiver, self.meters = Receiver(), Meters()
        self.provider = TracerProvider(shutdown_on_exit=False)
        trace.set_tracer_provider(self.provider)
        self.watcher = FileWatcher(get_default_registry(), [str(self.path)], reload_interval=150)
        self.watcher.start()
        self.provider.add_span_processor(ModelRegistrySpanProcessor(meter_provider=self.meters.provider))
        self.provider.add_span_processor(SimpleSpanProcessor(self.receiver))
        self.tracer = self.provider.get_tracer("service")
        self.samples: list[dict[str, int]] = []

    def is_running(self) -> bool:
        return self.number < self.calls or time.monotonic() < self.until

    def write_file(self, version: int) -> None:
        """Replace the registry file, as a deployment does."""
        version %= VERSIONS
        entries = [
            ModelRegistryEntry(
                *(f"model-{number}", "M", f"{version}", "high", f"team-{version}", "a soak"),
                metadata={"aliases": [f"alias-{number}", f"glob-{number}-*"]},
            )
            for number in range(10)
        ]
        new = self.path.with_suffix(".new")
        new.write_bytes(encode_entries(entries))
        new.replace(self.path)

    def call_models(self) -> None:
        chosen = random.Random(threading.get_ident())
        made = 0
        while self.is_running():
            number = self.number = next(self._turns)
            name = chosen.choice(("model-%d", "alias-%d", "openai/model-%d", "glob-%d-x", "model-%d-2026-05-13"))
            attributes = {REQUEST: name % (number % 10) if number % 10 else f"unknown-{number}"}
            operation = "agent" if number % 25 == 24 else "chat"
            if operation == "agent":
                attributes["gen_ai.operation.name"] = "invoke_agent"
            with self.tracer.start_as_current_span(operation, attributes=attributes if number % 2 else None) as span:
                span.set_attributes(attributes)
            made += operation == "chat"
        self.add({"chat": made})

    def add(self, made: dict[str, int]) -> None:
        """Add what a thread has done; each thread calls this once."""
        self.made.update(made)

    def change_lifecycle(self) -> None:
        """Register, deprecate and retire models on the current span, and without one; then start again."""
        registry, operations = get_default_registry(), 0
        for cycle in itertools.takewhile(lambda _: self.is_running(), itertools.count()):
            with self.tracer.start_as_current_span("request") if cycle % 2 else contextlib.nullcontext():
                for number in range(PER_CYCLE):
                    registry.register(f"app-{number}", "A", "1", "low", "app", "a soak")
                    deprecate_model(f"app-{number}", reason="old")
                    retire_model(f"app-{number}")
            operations += PER_CYCLE
            registry.clear()
            time.sleep(0.02)
        self.add({"operations": operations})

    def replace_files(self) -> None:
        files = 0
        while self.is_running():
            files += 1
            self.write_file(files)
            time.sleep(0.1)
        self.add({"files": files})

    def read_metrics(self) -> None:
        reads = 0
        while self.is_running():
            self.meters.read()
            reads += 1
            time.sleep(0.1)
        self.add({"reads": reads})

    def fork_children(self) -> None:
        forks = 0
        while self.is_running():
            assert exit_code_of(self.work_in_child) == 0
            forks += 1
            time.sleep(0.2)
        self.add({"forks": forks})

    def work_in_child(self) -> bool:
        """Do a bit of everything in a child; all of its own spans and events arrive, and it counts from zero."""
        self.receiver.forget()
        before = event_counts().emitted
        for number in range(20):
            with self.tracer.start_as_current_span("child", attributes={REQUEST: f"model-{number % 10}"}):
                pass
        get_default_registry().register("child", "C", "1", "low", "child", "a soak")
        arrived = self.receiver.count()
        return (arrived["child"], arrived["enriched"], arrived["model_registry.registered"]) == (
            20,
            20,
            1,
        ) and event_counts().emitted - before == 1

    def use_brief_registries(self) -> None:
        """Make registries and processors that are soon forgotten, and now and then a provider.

        The SDK keeps 700 bytes for each provider, so most registries have none of their own.
        """
        made: Counter[str] = Counter()
        for turn in itertools.takewhile(lambda _: self.is_running(), itertools.count()):
            registry = ModelRegistry(tracer_provider=self.provider)
            for number in range(3):
                registry.register(f"brief-{number}", "B", "1", "low", "brief", "a soak", aliases=[f"b-{number}-*"])
            assert registry.require("b-1-x").owner == "brief"
            processor = ModelRegistrySpanProcessor(registry, metrics=False)
            made["registries"] += 1
            if turn % 50 == 0:
                provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
                provider.add_span_processor(processor)
                with provider.get_tracer("brief").start_as_current_span("brief", attributes={REQUEST: "b-1-x"}) as span:
                    pass
                assert span.attributes["model_registry.owner"] == "brief"  # type: ignore[attr-defined]
                provider.shutdown()
                made["providers"] += 1
            time.sleep(0.01)
        self.add(made)

    def measure(self) -> None:
        """Measure memory, threads and descriptors at regular intervals of the calls."""
        start, seconds = time.monotonic(), max(self.until - time.monotonic(), 0.001)
        for number in range(1, SAMPLES + 1):
            share = number / (SAMPLES + 1)
            while self.number < share * self.calls or time.monotonic() - start < share * seconds:
                self.receiver.count()
                time.sleep(0.02)
            gc.collect()
            self.samples.append(
                {
                    "KiB": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024,
                    "threads": threading.active_count(),
                    "descriptors": len(os.listdir("/proc/self/fd")),
                    "calls": self.number,
                }
            )

    def run(self) -> dict[str, Any]:
        """Run all threads, and return the figures of both ends."""
        start = time.monotonic()
        works: list[Callable[[], None]] = [self.call_models] * CALLERS
        works += [self.change_lifecycle, self.replace_files, self.read_metrics, self.fork_children]
        run_in_threads(*works, self.use_brief_registries, self.measure)
        self.watcher.stop()
        points = {name: sum(each.value for each in self.meters.points(name)) for name in ("calls", "agent_spans")}
        return {
            "seconds": round(time.monotonic() - start, 1),
            "made": dict(self.made),
            "arrived": dict(self.receiver.count()),
            "events": event_counts()._asdict(),
            "counted": points,
            "spans": next(self._turns),
            "samples": self.samples,
        }


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc")
def test_soak() -> None:
    """Calls, agent spans and events are the same at both ends; memory, threads and descriptors stay flat."""
    check(json.loads(run_program(__file__, "--calls", 40_000, "--seconds", 5)))


def check(report: dict[str, Any]) -> None:
    """Compare both ends, and the samples of the second half with those of the first."""
    made, arrived, counted = report["made"], report["arrived"], report["counted"]
    operations, briefs = made["operations"], 3 * made["registries"]
    assert made["forks"] > 3
    assert made["files"] > 10
    assert report["events"] == {"emitted": 3 * operations + briefs, "held": 0, "dropped": 0, "failed": 0}
    assert arrived["model_registry.registered"] == operations + briefs
    assert arrived["model_registry.deprecated"] == arrived["model_registry.retired"] == operations
    assert arrived["chat"] == made["chat"] == counted["calls"] - made["providers"]
    assert arrived["chat"] + arrived["agent"] == arrived["enriched"] == report["spans"]
    assert arrived["agent"] == counted["agent_spans"]
    middle, last = report["samples"][SAMPLES // 2 : -3], report["samples"][-3:]
    for name, limit in {"KiB": 2_048, "threads": 2, "descriptors": 2}.items():
        growth = min(sample[name] for sample in last) - min(sample[name] for sample in middle)
        assert growth <= limit, (name, report["samples"])


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=360_000, help="the least number of calls")
    parser.add_argument("--seconds", type=float, default=0, help="the least number of seconds")
    parser.add_argument("--check", action="store_true", help="compare the figures, as the test does")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = read_arguments()
    logging.disable(logging.WARNING)  # about models that are retired or unknown
    if not arguments.check:
        end_within()
    sys.setswitchinterval(5e-4)  # threads take turns ten times as often as usual
    warnings.simplefilter("ignore", DeprecationWarning)  # about threads and fork: that is what is tested
    with tempfile.TemporaryDirectory() as temporary:
        figures = Service(Path(temporary), arguments.calls, arguments.seconds).run()
    json.dump(figures, sys.stdout, indent=None if not arguments.check else 2)
    if arguments.check:
        check(figures)
