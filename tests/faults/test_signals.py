"""Timeouts of a job, raised by a real SIGALRM at random moments, during operations, spans and sampling."""

from __future__ import annotations

import gc
import itertools
import logging
import random
import signal
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.alarms import wait_for_log_call
from support.recording import EndedSpans

from spanforge.model_registry import ModelRegistry, event_counts, flush_events
from spanforge.model_registry._core.state import get_index
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

pytestmark = pytest.mark.slow

REQUEST, RESPONSE = "gen_ai.request.model", "gen_ai.response.model"
HITS = 240
"""Timeouts of each kind of work."""


class JobTimeout(Exception):  # noqa: N818 - what a job runner calls it
    """The exception of the application's signal handler."""


class Alarm:
    """Raises a timeout at a random moment of some work, again and again; knows where timeouts were swallowed."""

    def __init__(self) -> None:
        self.raised = 0
        self.place = ""
        self.swallowed: list[str] = []
        self.chosen = random.Random(3)

    def handle(self, _number: int, frame: FrameType | None) -> None:
        if wait_for_log_call(frame):
            return
        self.place = "".join(traceback.format_stack(frame)[-5:])
        self.raised += 1
        raise JobTimeout

    def interrupt(self, work: Callable[[], object], longest: float) -> None:
        """Repeat some work until it is interrupted."""
        before = self.raised

        def repeat() -> None:  # Python 3.13 has no exception handler for the jump at the end of a loop in ``try``
            signal.setitimer(signal.ITIMER_REAL, self.chosen.uniform(2e-5, longest))
            while self.raised == before:
                work()

        try:
            repeat()
        except JobTimeout:
            return
        if "/opentelemetry/sdk/" not in self.place:  # the SDK keeps exceptions that hit the making of a tracer
            self.swallowed.append(self.place)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """Give an alarm. Python keeps exceptions that hit the garbage collector or a log handler, so both are off."""
    alarm = Alarm()
    before = signal.signal(signal.SIGALRM, alarm.handle)
    gc.disable()
    logging.disable()
    yield alarm
    logging.disable(logging.NOTSET)
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def registry() -> ModelRegistry:
    """Return a registry with models of each status."""
    registry = ModelRegistry(auto_emit=False)
    for model_id in ("active", "deprecated", "retired"):
        registry.register(model_id, "N", "1", "critical", "team", "a test", aliases=[f"{model_id}-*"])
    registry.deprecate("deprecated", successor="active")
    registry.retire("retired")
    return registry


def check_whole(registry: ModelRegistry) -> None:
    """Each name leads to its entry, and the index is that of the entries."""
    for entry in registry.list_all()[-3:]:
        index = get_index(registry)
        for name in (entry.model_id, f"alias of {entry.model_id}", f"glob of {entry.model_id}, x"):
            assert index.resolve([name]).entry is entry, name


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was just opened
def test_operations_happen_or_do_not(alarm: Alarm, tmp_path: Path) -> None:
    """Each operation happens as a whole or not at all, and if it happened, its event arrives or counts as failed."""
    provider, ended = TracerProvider(shutdown_on_exit=False), EndedSpans()  # the SDK's own processors keep exceptions
    provider.add_span_processor(ended)
    registry, numbers, path = ModelRegistry(tracer_provider=provider), itertools.count(), tmp_path / "models.json"

    def operate() -> None:
        model_id = f"m{next(numbers)}"
        aliases = [f"alias of {model_id}", f"glob of {model_id}, *"]
        registry.register(model_id, "N", "1", "low", "team", "a test", aliases=aliases)
        registry.deprecate(model_id, reason="old")
        registry.retire(model_id)

    for turn in range(HITS):
        alarm.interrupt(operate, 2e-3)
        check_whole(registry)
        if turn % 30 == 29:
            alarm.interrupt(lambda: registry.save(path, overwrite=True), 1e-2)
            registry.save(path, overwrite=True)
            alarm.interrupt(lambda: registry.load(path), 1e-2)
            check_whole(registry)
    assert alarm.raised == HITS + 2 * (HITS // 30)
    assert alarm.swallowed == []
    flush_events()
    happened = sum(len(entry.metadata["history"]) for entry in registry)
    counts, events = event_counts(), [event for span in ended.spans for event in span.events]
    assert (counts.held, counts.dropped) == (0, 0)
    assert counts.emitted <= len(events) <= happened <= len(events) + counts.failed
    moments = [(event.name, (event.attributes or {})["model_registry.model_id"]) for event in events]
    assert len(set(moments)) == len(moments)


SPANS: dict[str, Callable[[int], dict[str, Any]]] = {
    "another model answered": lambda turn: {REQUEST: f"deprecated-{turn}", RESPONSE: f"active-{turn}"},
    "unknown": lambda turn: {REQUEST: f"unknown-{turn}", "gen_ai.provider.name": f"provider-{turn}"},
    "retired": lambda turn: {REQUEST: f"retired-{turn % 7}"},
}


NEVER_FULL: dict[str, Any] = {"max_queue_size": 200_000, "max_export_batch_size": 100_000}
"""A batch processor that wakes its thread only at shutdown.

With a full batch, the end of a span calls ``threading.Event.set``. A timeout that hits this call can leave the lock of
the event locked, because ``Condition.__enter__`` is Python code. Then the next call waits forever, also in shutdown.
"""


@pytest.mark.parametrize("kind", SPANS)
@pytest.mark.parametrize("setup", ["late", "sampled", "beside a batch"])
def test_no_timeout_of_a_span_is_swallowed(alarm: Alarm, registry: ModelRegistry, kind: str, setup: str) -> None:
    """Timeouts during spans all reach the application: models set late, the sampler, and another processor."""
    sampler = ModelRegistrySampler(0.5, flagged=True, registry=registry) if setup == "sampled" else None
    provider, turns = TracerProvider(sampler=sampler, shutdown_on_exit=False), itertools.count()
    if setup == "beside a batch":
        provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter(), **NEVER_FULL))
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False, unregistered="ignore"))
    tracer = provider.get_tracer("app")

    def call() -> None:
        attributes = SPANS[kind](next(turns))
        span = tracer.start_span("chat", attributes=None if setup == "late" else attributes)
        span.set_attributes(attributes)
        span.end()

    for _ in range(HITS // 3):
        alarm.interrupt(call, 2e-3)
    assert alarm.raised == HITS // 3
    assert alarm.swallowed == []
    provider.shutdown()
