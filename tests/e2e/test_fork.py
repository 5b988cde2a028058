"""Processes forked while threads operate: a child can use everything at once. Run as a program, this file forks.

A child that hangs is a failure too: it ends itself, and says where it stands.
"""

from __future__ import annotations

import itertools
import json
import logging
import sys
import threading
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from support.processes import end_within, exit_code_of, run_program
from support.recording import EndedSpans

from spanforge.model_registry import (
    ModelRegistry,
    deprecate_model,
    event_counts,
    flush_events,
    get_default_registry,
    get_model,
    list_models,
    register_model,
)
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

FORKS = 20
THREADS = 4


def put(registry: ModelRegistry, model_id: str, stamp: str, **more: Any) -> None:
    registry.register(model_id, "N", stamp, "low", f"owner {stamp}", f"purpose {stamp}", **more)


def call(tracer: trace.Tracer, model: str) -> None:
    with tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": model}):
        pass


def operate(name: int, done: threading.Event, tracer: trace.Tracer) -> None:
    """Do a bit of everything until told to stop: on the process-wide registry, and on short-lived ones."""
    registry = get_default_registry()
    for number in itertools.count():
        if done.is_set():
            return
        put(registry, f"shared-{name}", str(number), replace=True, aliases=[f"alias-{name}-{number}"])
        registry.deprecate(f"shared-{name}", reason=str(number))
        call(tracer, f"shared-{name}")
        with tracer.start_as_current_span("request"):
            put(registry, f"shared-{name}", str(number), replace=True)
        brief = ModelRegistry()
        put(brief, "brief", "0")
        registry.resolve(f"alias-{name}-{number}")
        flush_events()
        event_counts()


def work_in_the_child(collector: EndedSpans, tracer: trace.Tracer) -> None:
    before = event_counts()
    collector.spans.clear()
    for name in range(THREADS):
        entry = get_model(f"shared-{name}")
        assert entry is not None
        assert entry.owner == f"owner {entry.version}"
        assert entry.purpose == f"purpose {entry.version}"
        put(get_default_registry(), f"shared-{name}", "child", replace=True)
    register_model("child", "N", "1", "high", "child team", "test", aliases=["mine"])
    deprecate_model("child", reason="short life")
    assert [entry.model_id for entry in list_models()][-1] == "child"
    call(tracer, "mine")
    flush_events()
    after = event_counts()
    assert after.emitted - before.emitted == THREADS + 2, (before, after)
    assert after[1:] == (0, 0, 0)
    events = Counter(event.name for span in collector.spans for event in span.events)
    assert events == {"model_registry.registered": THREADS + 1, "model_registry.deprecated": 1}
    (chat,) = (span for span in collector.spans if span.name == "chat")
    assert chat.attributes is not None
    assert chat.attributes["model_registry.owner"] == "child team"
    assert chat.attributes["model_registry.warnings"] == ("model 'child' is deprecated",)
    fresh = ModelRegistry()
    put(fresh, "fresh", "1")

    def add() -> bool:
        put(fresh, "grandchild", "1")
        return len(fresh) == 2

    grandchild = exit_code_of(add)
    assert (grandchild, len(fresh)) == (0, 1)


def fork_beside(work: Callable[[], object], child: Callable[[], object]) -> dict[str, Any]:
    """Fork until a child fails, while threads do some work again and again; return the exit codes."""
    done = threading.Event()

    def repeat() -> None:
        while not done.is_set():
            work()

    for _ in range(THREADS):
        threading.Thread(target=repeat, daemon=True).start()
    codes: list[int] = []
    while len(codes) < FORKS and not any(codes):
        codes.append(exit_code_of(child))
    done.set()
    return {"codes": codes}


def fork_under_operations() -> dict[str, Any]:
    provider, collector = TracerProvider(shutdown_on_exit=False), EndedSpans(limit=100)
    provider.add_span_processor(ModelRegistrySpanProcessor())
    provider.add_span_processor(collector)
    trace.set_tracer_provider(provider)
    tracer = provider.get_tracer("app")
    for name in range(THREADS):
        put(get_default_registry(), f"shared-{name}", "first")
    done = threading.Event()
    threads = [threading.Thread(target=operate, args=(name, done, tracer), daemon=True) for name in range(THREADS)]
    for thread in threads:
        thread.start()
    codes: list[int] = []

    def fork_some() -> None:
        codes.extend(exit_code_of(lambda: work_in_the_child(collector, tracer)) for _ in range(FORKS // 2))

    other = threading.Thread(target=fork_some)
    other.start()
    fork_some()
    other.join()
    done.set()
    for thread in threads:
        thread.join(60)
    entries = [get_model(f"shared-{name}") for name in range(THREADS)]
    return {
        "codes": codes,
        "alive": [thread.name for thread in threads if thread.is_alive()],
        "rounds": min(int(entry.version) for entry in entries if entry),
        "counts": event_counts(),
    }


def fork_among_new_registries() -> dict[str, Any]:
    sys.setswitchinterval(1e-5)
    kept = [ModelRegistry(auto_emit=False) for _ in range(1_000)]

    def make() -> None:
        registry = ModelRegistry(auto_emit=False)
        for number in range(5):
            put(registry, f"brief {number}", "0")

    def change_and_fork() -> bool:
        put(kept[0], "kept", "child")
        return exit_code_of(lambda: None) == 0

    return fork_beside(make, change_and_fork)


def fork_among_deliveries() -> dict[str, Any]:
    sys.setswitchinterval(1e-6)
    register_model("parent", "N", "1", "high", "parent team", "test")  # its event waits, because there is no provider

    def deliver() -> bool:
        provider, collector = TracerProvider(shutdown_on_exit=False), EndedSpans()
        provider.add_span_processor(collector)
        trace.set_tracer_provider(provider)
        register_model("child", "N", "1", "high", "child team", "test")
        flush_events()
        return event_counts() == (2, 0, 0, 0) and len(collector.spans) == 2

    return fork_beside(lambda: (event_counts(), flush_events()), deliver)


@pytest.mark.e2e
def test_children_can_work_at_once() -> None:
    """Each of 20 children, forked from two threads while four others operate, uses registry, events and processor."""
    report = json.loads(run_program(__file__, "operations"))
    assert report["codes"] == [0] * FORKS
    assert report["alive"] == []
    assert report["rounds"] >= FORKS
    assert report["counts"][1:] == [0, 0, 0]


@pytest.mark.e2e
@pytest.mark.parametrize("mode", ["registries", "deliveries"])
def test_forking_among_threads(mode: str) -> None:
    """During a fork, other threads may make registries or deliver events that waited. Children may fork too."""
    assert json.loads(run_program(__file__, mode)) == {"codes": [0] * FORKS}


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # about models that are deprecated
    end_within()
    warnings.simplefilter("ignore", DeprecationWarning)  # about threads and fork: that is what is tested
    sys.setswitchinterval(1e-3)
    modes = {
        "operations": fork_under_operations,
        "registries": fork_among_new_registries,
        "deliveries": fork_among_deliveries,
    }
    json.dump(modes[sys.argv[1]](), sys.stdout)
