"""Processes forked while threads operate: a child can use everything at once. Run as a program, this file forks.

A child that hangs is a failure too: it ends itself, and says where it stands.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

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
    from opentelemetry.sdk.trace import ReadableSpan

FORKS = 50
THREADS = 4
SECONDS = 15


class Collector(SpanProcessor):
    """Keeps the last spans that ended, without a lock that a child could inherit."""

    def __init__(self) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=100)

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


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


def work_in_the_child(collector: Collector, tracer: trace.Tracer) -> None:
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
    grandchild = os.fork()
    if grandchild == 0:
        put(fresh, "grandchild", "1")
        os._exit(len(fresh))
    assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 2


def watch_the_child() -> None:
    faulthandler.dump_traceback_later(SECONDS, exit=True)


def fork_one(collector: Collector, tracer: trace.Tracer) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            watch_the_child()
            try:
                work_in_the_child(collector, tracer)
                code = 0
            except BaseException:  # noqa: BLE001 - the parent gets the code, the reader the text
                traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_under_operations() -> dict[str, Any]:
    provider, collector = TracerProvider(shutdown_on_exit=False), Collector()
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
        codes.extend(fork_one(collector, tracer) for _ in range(FORKS // 2))

    other = threading.Thread(target=fork_some)
    other.start()
    fork_some()
    other.join()
    done.set()
    for thread in threads:
        thread.join(SECONDS)
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
    done = threading.Event()

    def make() -> None:
        while not done.is_set():
            registry = ModelRegistry(auto_emit=False)
            for number in range(5):
                put(registry, f"brief {number}", "0")

    threads = [threading.Thread(target=make, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    codes: list[int] = []
    for _ in range(FORKS):
        child = os.fork()
        if child == 0:
            watch_the_child()
            put(kept[0], "kept", "child")
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if codes[-1] != 0:
            break
    done.set()
    return {"codes": codes}


def fork_among_reports() -> dict[str, Any]:
    sys.setswitchinterval(1e-6)
    provider, collector = TracerProvider(shutdown_on_exit=False), Collector()
    provider.add_span_processor(collector)
    trace.set_tracer_provider(provider)
    done = threading.Event()

    def report() -> None:
        while not done.is_set():
            event_counts()
            flush_events()

    threads = [threading.Thread(target=report, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    codes: list[int] = []
    for _ in range(FORKS):
        child = os.fork()
        if child == 0:
            watch_the_child()
            register_model("child", "N", "1", "high", "child team", "test")
            os._exit(event_counts().emitted - 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if codes[-1] != 0:
            break
    done.set()
    return {"codes": codes}


def give_up() -> None:
    faulthandler.dump_traceback()
    os._exit(1)


def run(mode: str) -> dict[str, Any]:
    command = [sys.executable, __file__, mode]
    run = subprocess.run(command, capture_output=True, text=True, timeout=6 * SECONDS, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    report: dict[str, Any] = json.loads(run.stdout)
    return report


@pytest.mark.e2e
def test_children_can_work_at_once() -> None:
    """Each of 50 children, forked from two threads while four others operate, uses registry, events and processor."""
    report = run("operations")
    assert report["codes"] == [0] * FORKS
    assert report["alive"] == []
    assert report["rounds"] >= FORKS
    assert report["counts"][1:] == [0, 0, 0]


@pytest.mark.e2e
def test_forking_among_new_registries() -> None:
    """Registries may come, change and go in other threads at the moment of a fork, and the child may fork again."""
    assert run("registries")["codes"] == [0] * FORKS


@pytest.mark.e2e
def test_forking_among_reports_on_events() -> None:
    """Other threads may be asking what became of the events at the moment of a fork."""
    assert run("reports")["codes"] == [0] * FORKS


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # about models that are deprecated
    watchdog = threading.Timer(5 * SECONDS, give_up)  # faulthandler's own would not survive in the children
    watchdog.daemon = True
    watchdog.start()
    warnings.simplefilter("ignore", DeprecationWarning)  # about threads and fork: that is what is tested
    sys.setswitchinterval(1e-3)
    modes = {
        "operations": fork_under_operations,
        "registries": fork_among_new_registries,
        "reports": fork_among_reports,
    }
    json.dump(modes[sys.argv[1]](), sys.stdout)
