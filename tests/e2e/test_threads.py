"""Eight threads on one registry, under span hooks that register models themselves. Run as a program, this file is they.

A deadlock is a failure too: the program ends itself, and says where every thread stands.
"""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import logging
import random
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from support.processes import run_program
from support.recording import EndedSpans
from support.threads import in_background, run_in_threads

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
ROUNDS = 10
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
        self.start.wait()
        choice = random.Random(name)
        for number in range(ROUNDS):
            for action in choice.sample(ACTIONS, len(ACTIONS)):
                action(self, f"{name}-{number}", choice)


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
    run_in_threads(*(partial(stage.run, number) for number in range(THREADS)))
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


@pytest.mark.slow
def test_a_name_never_leads_to_an_entry_that_does_not_bear_it() -> None:
    """A reader sees a replaced model with its old names or its new ones, never the new model by an old name."""
    registry = ModelRegistry(auto_emit=False)
    for number in range(300):
        put(registry, f"model-{number}", "0", aliases=[f"alias-{number}", f"glob-{number}-*"])
    names = ["even", "even-*"], ["odd", "odd-*"]
    put(registry, "moving", "0", aliases=names[0])
    wrong: list[tuple[str, tuple[str, ...]]] = []

    def look(stop: threading.Event) -> None:
        while not stop.is_set():
            for name in ("even", "odd", "even-1", "odd-1"):
                entry = registry.resolve(name).entry
                if entry is not None and not any(alias.startswith(name.partition("-")[0]) for alias in entry.aliases):
                    wrong.append((name, entry.aliases))

    with in_background(look):
        for number in range(100):
            put(registry, "moving", f"{number}", aliases=names[number % 2], replace=True)
    assert not wrong, f"{len(wrong)} times, first {wrong[0]}"


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # about models that are deprecated
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    sys.setswitchinterval(1e-4)
    play(Path(sys.argv[1]))
