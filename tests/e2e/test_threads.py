"""Eight threads on one registry, under span hooks that register models themselves. Run as a program, this file is they.

A deadlock is a failure too: the program ends itself, and says where every thread stands.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import logging
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from support.processes import run_program
from support.recording import EndedSpans

from spanforge.model_registry import (
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
    event_counts,
)
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

THREADS = 8
ROUNDS = 20
MODELS = 40
SHARED = [f"shared-{number}" for number in range(5)]
SECONDS = 100


def whole(entry: ModelRegistryEntry | None) -> ModelRegistryEntry | None:
    """Check that an entry's fields, which always change together, belong together."""
    if entry is None:
        return None
    stamp = entry.version
    assert (entry.owner, entry.purpose, entry.metadata["stamp"]) == (f"owner {stamp}", f"purpose {stamp}", stamp), entry
    assert entry.metadata.get("successor") == entry.metadata.get("deprecation_reason"), entry
    assert (entry.decommission_date is not None) == (entry.status == "retired"), entry
    assert ("deprecation_date" in entry.metadata) >= (entry.status == "deprecated"), entry
    history = entry.metadata["history"]
    assert (history[-1]["owner"], history[-1]["status"]) == (entry.owner, entry.status), entry
    return entry


def put(registry: ModelRegistry, model_id: str, stamp: str, **more: Any) -> ModelRegistryEntry:
    return registry.register(
        model_id, "N", stamp, "low", f"owner {stamp}", f"purpose {stamp}", metadata={"stamp": stamp}, **more
    )


class RegisteringHook(SpanProcessor):
    """Registers a model for every span that starts, except those that its own registration starts."""

    def __init__(self) -> None:
        self.registry: ModelRegistry | None = None
        self.busy = threading.local()
        self.numbers = itertools.count()
        self.made: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's names
        if self.registry is None or getattr(self.busy, "now", False):
            return
        self.busy.now = True
        try:
            model_id = f"hook-{next(self.numbers)}"
            put(self.registry, model_id, "hook")
            self.made.append(model_id)
        finally:
            self.busy.now = False


class Stage:
    """The registry that the threads work on, and another one that is loaded over and over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hook, self.collector = RegisteringHook(), EndedSpans()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.hook)
        self.registry = self.hook.registry = ModelRegistry(tracer_provider=self.provider)
        self.provider.add_span_processor(ModelRegistrySpanProcessor(self.registry))
        self.provider.add_span_processor(self.collector)
        self.tracer = self.provider.get_tracer("app")
        self.loaded = ModelRegistry(auto_emit=False)
        self.written: list[str] = []
        self.errors: list[BaseException] = []
        self.start = threading.Barrier(THREADS)
        for generation in "ab":
            source = ModelRegistry(auto_emit=False)
            for number in range(MODELS):
                put(source, f"model-{number}", generation, aliases=[f"alias-{number}", f"glob-{number}-*"])
            source.save(folder / f"{generation}.json")
        self.loaded.load(folder / "a.json")

    def note(self, entry: ModelRegistryEntry) -> None:
        whole(entry)
        self.written.append(entry.metadata["history"][-1]["at"])

    def run(self, name: int) -> None:
        try:
            self.start.wait()
            choice = random.Random(name)
            for number in range(ROUNDS):
                for action in choice.sample(ACTIONS, len(ACTIONS)):
                    action(self, f"{name}-{number}", choice)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self.errors.append(error)


def register(stage: Stage, stamp: str, choice: random.Random) -> None:
    names = [f"own alias {stamp}", f"own glob {stamp} *"] if choice.random() < 0.1 else []
    stage.note(put(stage.registry, f"own {stamp}", stamp, aliases=names))


def replace(stage: Stage, stamp: str, choice: random.Random) -> None:
    stage.note(put(stage.registry, choice.choice(SHARED), stamp, replace=True, aliases=[f"shared alias {stamp}"]))


def deprecate(stage: Stage, stamp: str, choice: random.Random) -> None:
    stage.note(stage.registry.deprecate(choice.choice(SHARED), reason=stamp, successor=stamp))


def retire(stage: Stage, stamp: str, _choice: random.Random) -> None:
    stage.note(
        stage.registry.retire(f"own {stamp}") if f"own {stamp}" in stage.registry else put_and_retire(stage, stamp)
    )


def put_and_retire(stage: Stage, stamp: str) -> ModelRegistryEntry:
    stage.note(put(stage.registry, f"brief {stamp}", stamp))
    return stage.registry.retire(f"brief {stamp}")


def race(stage: Stage, stamp: str, _choice: random.Random) -> None:
    """All threads register and retire one model: one of them wins each."""
    model_id = f"race {stamp.partition('-')[2]}"
    with contextlib.suppress(ModelAlreadyRegisteredError):
        stage.note(put(stage.registry, model_id, stamp))
    with contextlib.suppress(LifecycleError):
        stage.note(stage.registry.retire(model_id))


def read(stage: Stage, stamp: str, choice: random.Random) -> None:
    registry = stage.registry
    model_id = choice.choice(SHARED)
    entries = registry.list_all()
    assert {entry.model_id for entry in entries} >= set(SHARED)
    for entry in (*entries[-20:], *registry.list_active()[-20:], registry.get(model_id), registry.require(model_id)):
        whole(entry)
    assert len(registry) >= len(entries)
    assert whole(registry.resolve(model_id).entry) is not None
    for name in (f"own alias {stamp}", f"own glob {stamp} x", f"shared alias {stamp}", stamp):
        whole(registry.resolve(name).entry)
    try:
        registry.require("nothing")
    except ModelNotFoundError:
        return
    raise AssertionError


def call_a_model(stage: Stage, _stamp: str, choice: random.Random) -> None:
    with stage.tracer.start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.request.model", choice.choice(SHARED))


def register_in_a_span(stage: Stage, stamp: str, _choice: random.Random) -> None:
    with stage.tracer.start_as_current_span("request"):
        stage.note(put(stage.registry, f"inside {stamp}", stamp))


def save(stage: Stage, _stamp: str, choice: random.Random) -> None:
    if choice.random() < 0.1:
        path = stage.folder / choice.choice(["one.json", "two.json"])
        stage.registry.save(path)
        copy = ModelRegistry(auto_emit=False)
        copy.load(path)
        for entry in copy:
            whole(entry)


def load(stage: Stage, _stamp: str, choice: random.Random) -> None:
    stage.loaded.load(stage.folder / f"{choice.choice('ab')}.json")


def read_what_is_loaded(stage: Stage, _stamp: str, choice: random.Random) -> None:
    for _ in range(5):
        number = choice.randrange(MODELS)
        entries = list(stage.loaded)
        assert len(entries) == MODELS
        assert len({whole(entry).version for entry in entries}) == 1  # type: ignore[union-attr]
        for name, rule in ((f"model-{number}", "id"), (f"alias-{number}", "alias"), (f"glob-{number}-x", "glob")):
            found = stage.loaded.resolve(name)
            assert (found.rule, found.status) == (rule, "active"), found
            whole(found.entry)
        assert len(stage.loaded) == MODELS


ACTIONS: list[Callable[[Stage, str, random.Random], None]] = [
    register,
    replace,
    deprecate,
    retire,
    race,
    read,
    call_a_model,
    register_in_a_span,
    save,
    load,
    read_what_is_loaded,
]


def play(folder: Path) -> None:
    stage = Stage(folder)
    for model_id in SHARED:
        stage.note(put(stage.registry, model_id, "first"))
    threads = [threading.Thread(target=stage.run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if stage.errors:
        raise stage.errors[0]
    entries = stage.registry.list_all()
    histories = [[record["at"] for record in entry.metadata["history"]] for entry in entries]
    moments = [moment for history in histories for moment in history]
    hooks = [entry.metadata["history"][0]["at"] for entry in entries if entry.version == "hook"]

    assert all(history == sorted(history) for history in histories), "timestamps out of order"
    assert len(moments) == len(set(moments)), "one timestamp twice"
    assert sorted(moments) == sorted([*stage.written, *hooks]), "an update was lost"
    assert len(hooks) == len(stage.hook.made) > ROUNDS * THREADS
    assert [entry.deployment_date for entry in entries] == sorted(entry.deployment_date or "" for entry in entries)
    retired = Counter(entry.status for entry in entries)["retired"]
    assert retired == THREADS * ROUNDS + ROUNDS, retired

    told = [event for span in stage.collector.spans for event in span.events]
    assert event_counts() == (len(moments), 0, 0, 0), event_counts()
    assert len(told) == len(moments)
    calls = [span for span in stage.collector.spans if span.name == "chat"]
    assert len(calls) == THREADS * ROUNDS
    for span in calls:
        attributes = span.attributes or {}
        assert attributes["model_registry.owner"] == "owner " + str(attributes["model_registry.version"])


@pytest.mark.e2e
def test_mixed_operations_of_eight_threads(tmp_path: Path) -> None:
    """No lost update, no torn read, no deadlock, timestamps in order, every event told once."""
    run_program(__file__, tmp_path)


def test_a_name_never_leads_to_an_entry_that_does_not_bear_it() -> None:
    """A reader sees a replaced model with its old names or its new ones, never the new model by an old name."""
    registry = ModelRegistry(auto_emit=False)
    for number in range(300):
        put(registry, f"model-{number}", "0", aliases=[f"alias-{number}", f"glob-{number}-*"])
    names = ["even", "even-*"], ["odd", "odd-*"]
    put(registry, "moving", "0", aliases=names[0])
    wrong: list[tuple[str, tuple[str, ...]]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for name in ("even", "odd", "even-1", "odd-1"):
                entry = registry.resolve(name).entry
                if entry is not None and not any(alias.startswith(name.partition("-")[0]) for alias in entry.aliases):
                    wrong.append((name, entry.aliases))

    reader = threading.Thread(target=look, daemon=True)
    reader.start()
    for number in range(100):
        put(registry, "moving", f"{number}", aliases=names[number % 2], replace=True)
    done.set()
    reader.join(SECONDS)
    assert not reader.is_alive()
    assert not wrong, f"{len(wrong)} times, first {wrong[0]}"


class WaitingHook(SpanProcessor):
    """Has another thread register a model whenever a span starts, and waits for it."""

    def __init__(self) -> None:
        self.registry: ModelRegistry | None = None
        self.finished: list[bool] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's names
        registry, self.registry = self.registry, None
        if registry is not None:
            thread = threading.Thread(target=put, args=(registry, "by the hook", "1"), daemon=True)
            thread.start()
            thread.join(10)
            self.finished.append(not thread.is_alive())


def test_a_hook_may_wait_for_another_thread() -> None:
    """Events go out after the registry's lock is released: a span hook may wait for someone who registers."""
    hook, provider = WaitingHook(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(hook)
    registry = hook.registry = ModelRegistry(tracer_provider=provider)
    put(registry, "first", "1")
    assert hook.finished == [True]
    assert [entry.model_id for entry in registry] == ["first", "by the hook"]


def interrupt(seconds: float) -> None:
    """Register models in the main thread and in a handler that interrupts it, at any instant."""
    registry = ModelRegistry(auto_emit=False)
    interrupting, interrupted = itertools.count(), itertools.count()
    end = time.monotonic() + seconds

    def handle(_number: int, _frame: object) -> None:
        put(registry, f"handler {next(interrupting)}", "1")
        if time.monotonic() < end:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 1e-3))

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 1e-3)
    while time.monotonic() < end:
        put(registry, f"main {next(interrupted)}", "1")
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(registry) == next(interrupting) + next(interrupted)
    assert next(interrupting) > 100


@pytest.mark.e2e
def test_a_signal_handler_may_register() -> None:
    """A signal handler that registers a model does not wait for the operation that it interrupts."""
    run_program(__file__)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # about models that are deprecated
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    if len(sys.argv) > 1:
        sys.setswitchinterval(1e-4)
        play(Path(sys.argv[1]))
    else:
        interrupt(1)
