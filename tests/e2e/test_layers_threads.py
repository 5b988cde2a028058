"""Eight threads on a registry whose files are loaded over and over. Run as a program, this file is they.

A deadlock is a failure too: the program ends itself, and says where every thread stands.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import sys
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from support.processes import end_within, run_program
from support.recording import EndedSpans, LoggedLines
from support.threads import run_in_threads

from spanforge.model_registry import (
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelRegistryEntry,
    event_counts,
)
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 8
ROUNDS = 5
LOADS = 75
SHARED = [f"shared {number}" for number in range(5)]
"""Models that are in the files, and that all threads deprecate."""
RACES = [f"race {number}" for number in range(ROUNDS)]
"""Models that are in the files, and that all threads try to retire."""
BENEATH = [f"beneath {number}" for number in range(5)]
"""Models that are in the files, and that all threads register and deprecate."""
FILED = [*SHARED, *RACES, *BENEATH]


def version(stamp: str) -> list[ModelRegistryEntry]:
    """Return the content of the files at one time. Each version has a model that the other one lacks."""
    return [
        ModelRegistryEntry(
            model_id=model_id,
            name="N",
            version=stamp,
            risk_tier="low",
            owner=f"owner {stamp}",
            purpose="test",
            metadata={"file": stamp, "aliases": [f"alias {model_id}", f"glob {model_id} *"]},
        )
        for model_id in (f"only {stamp}", *FILED)
    ]


VERSIONS = {stamp: version(stamp) for stamp in ("even", "odd")}


def put(registry: LayeredRegistry, model_id: str, stamp: str, **more: Any) -> ModelRegistryEntry:
    return registry.register(model_id, "N", stamp, "low", f"owner {stamp}", "test", **more)


class Stage:
    """The registry that the threads work on, and what they did."""

    def __init__(self) -> None:
        self.collector, provider = EndedSpans(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.collector)
        self.registry = LayeredRegistry(tracer_provider=provider)
        replace_file_entries(self.registry, VERSIONS["even"])
        self.loads = 0
        self.written: list[tuple[str, str]] = []
        self.readings = itertools.count()
        self.start = threading.Barrier(THREADS + 1)

    def note(self, entry: ModelRegistryEntry) -> None:
        """Note an operation that is to be found in the model's history for ever."""
        self.written.append((entry.model_id, entry.metadata["history"][-1]["at"]))

    def load(self) -> None:
        self.start.wait()
        while self.loads < LOADS:
            self.loads += 1
            replace_file_entries(self.registry, VERSIONS["odd" if self.loads % 2 else "even"])

    def run(self, name: int) -> None:
        choice, reader, rounds = random.Random(name), Reader(self), 0
        self.start.wait()
        while rounds < ROUNDS or self.loads < LOADS:
            reader.read(choice)
            if rounds < ROUNDS and self.loads > rounds * LOADS // ROUNDS:
                for operation in choice.sample(OPERATIONS, len(OPERATIONS)):
                    operation(self, f"{name}-{rounds}", choice)
                    reader.read(choice)
                rounds += 1
            time.sleep(1e-3)  # or there were nothing but readings


class Reader:
    """Reads as one thread does, and remembers how far each model was."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.seen: dict[str, int] = {}

    def whole(self, entry: ModelRegistryEntry | None) -> str | None:
        """Check that an entry is one of a file's, whole, and return which."""
        assert entry is not None
        stamp: str | None = entry.metadata.get("file")
        if stamp is not None:
            assert (entry.version, entry.owner) == (stamp, f"owner {stamp}"), entry
        if entry.status != "active":
            last = entry.metadata["history"][-1]
            assert (last["status"], last["owner"]) == (entry.status, entry.owner), entry
        rank = STATUSES.index(entry.status)
        assert rank >= self.seen.get(entry.model_id, 0), f"{entry.model_id} is {entry.status} again"
        self.seen[entry.model_id] = rank
        return stamp

    def read(self, choice: random.Random) -> None:
        registry = self.stage.registry
        entries = registry.list_all()
        stamps = [self.whole(entry) for entry in entries]
        stamp = stamps[0]
        assert [entry.model_id for entry in entries[: len(FILED) + 1]] == [f"only {stamp}", *FILED]
        assert Counter(stamps)[stamp] == len(FILED) + 1, "two versions at once"
        model_id = choice.choice(FILED)
        for name, rule in ((model_id, "id"), (f"alias {model_id}", "alias"), (f"glob {model_id} x", "glob")):
            found = registry.resolve(name)
            assert (found.rule, found.entry and found.entry.model_id) == (rule, model_id), found
            assert found.status == (found.entry and found.entry.status)
            assert self.whole(found.entry) is not None
        assert self.whole(registry.get(model_id)) is not None
        assert self.whole(registry.require(model_id, allow=STATUSES)) is not None
        assert len(registry) > len(FILED)
        next(self.stage.readings)


def register_ones_own(stage: Stage, stamp: str, _choice: random.Random) -> None:
    stage.note(put(stage.registry, f"own {stamp}", stamp, aliases=[f"own alias {stamp}"]))
    stage.note(stage.registry.deprecate(f"own {stamp}"))
    stage.note(put(stage.registry, f"own {stamp}", stamp, replace=True, aliases=[f"new alias {stamp}"]))
    found = stage.registry.resolve(f"new alias {stamp}").entry
    assert found is stage.registry.get(f"own {stamp}")


def register_a_files(stage: Stage, stamp: str, choice: random.Random) -> None:
    model_id = choice.choice(BENEATH)
    answer = put(stage.registry, model_id, stamp, replace=choice.random() < 0.5)
    assert answer.metadata["file"] == answer.version


def deprecate(stage: Stage, stamp: str, choice: random.Random) -> None:
    stage.note(stage.registry.deprecate(choice.choice(SHARED), reason=stamp))
    stage.note(stage.registry.deprecate(choice.choice(BENEATH), reason=stamp))


def retire(stage: Stage, stamp: str, _choice: random.Random) -> None:
    """All threads retire one model: one of them wins."""
    with contextlib.suppress(LifecycleError):
        stage.note(stage.registry.retire(RACES[int(stamp.partition("-")[2])], reason=stamp))


def race(stage: Stage, stamp: str, _choice: random.Random) -> None:
    """All threads register one model of the application: one of them wins."""
    with contextlib.suppress(ModelAlreadyRegisteredError):
        stage.note(put(stage.registry, f"first {stamp.partition('-')[2]}", stamp))


OPERATIONS: list[Callable[[Stage, str, random.Random], None]] = [
    register_ones_own,
    register_a_files,
    deprecate,
    retire,
    race,
]


def play() -> None:
    lines = LoggedLines(logging.WARNING).lines
    stage = Stage()
    run_in_threads(stage.load, *(partial(stage.run, number) for number in range(THREADS)))
    registry = stage.registry
    told = [event for span in stage.collector.spans for event in span.events]
    assert event_counts() == (len(stage.written), 0, 0, 0), event_counts()
    assert len(told) == len(stage.written)
    assert next(stage.readings) > 4 * THREADS * ROUNDS

    def recorded(status: str | None = None) -> list[tuple[str, str]]:
        return [
            (entry.model_id, record["at"])
            for entry in registry
            for record in entry.metadata.get("history", ())
            if status in (None, record["status"])
        ]

    assert sorted(recorded()) == sorted(stage.written), "an operation was lost, or done twice"
    replace_file_entries(registry, VERSIONS["even"])
    assert sorted(recorded()) == sorted(stage.written), "a load lost an operation"
    statuses = {entry.model_id: entry.status for entry in registry}
    assert {statuses[model_id] for model_id in RACES} == {"retired"}
    assert {statuses[model_id] for model_id in (*SHARED, *BENEATH)} == {"deprecated"}
    assert Counter(statuses.values())["retired"] == ROUNDS
    deprecations = Counter(model_id for model_id, _ in recorded("deprecated"))
    assert sum(deprecations[model_id] for model_id in BENEATH) == THREADS * ROUNDS

    names = [message.split("'")[1] for message in lines]
    assert sorted(names) == BENEATH, lines
    assert all(message.endswith("; the file takes precedence") for message in lines)

    replace_file_entries(registry, [])
    left = {entry.model_id: entry for entry in registry}
    assert set(left) == {
        *BENEATH,
        *(f"own {name}-{number}" for name in range(THREADS) for number in range(ROUNDS)),
        *(f"first {number}" for number in range(ROUNDS)),
    }
    for model_id, entry in left.items():
        stamp = entry.version
        assert entry.owner == f"owner {stamp}"
        assert entry.status == ("active" if model_id.startswith("first") else "deprecated"), entry
        moments = [record["at"] for record in entry.metadata["history"]]
        assert moments == sorted(moments)
    for model_id in BENEATH:
        reasons = [record["reason"] for record in left[model_id].metadata["history"] if "reason" in record]
        assert len(reasons) == len(set(reasons)) == deprecations[model_id], "the application's entry missed one"


@pytest.mark.e2e
def test_loads_among_operations() -> None:
    """Readers see one whole version of the files and no status undone; no operation is lost."""
    run_program(__file__)


if __name__ == "__main__":
    end_within()
    sys.setswitchinterval(1e-4)
    play()
