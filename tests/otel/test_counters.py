"""Counters of spans: exact with threads, bounded, and separate in a forked child."""

from __future__ import annotations

import gc
import itertools
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from support.threads import run_in_threads

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.counter import AtomicCounter
from spanforge.model_registry._core.resolution import Resolution
from spanforge.model_registry._core.span_models import ModelMatch
from spanforge.model_registry.otel import _counters
from spanforge.model_registry.otel._counters import MAX_SERIES, Series, SpanCounters, UnregisteredNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from spanforge.model_registry import ModelRegistryEntry
    from spanforge.model_registry._core.span_kinds import SpanKind

THREADS = 8


def entry(fields: dict[str, Any], **changes: Any) -> ModelRegistryEntry:
    return ModelRegistry(auto_emit=False).register(**fields | changes)


def counter_of(
    counters: SpanCounters, one: ModelRegistryEntry | None, *, kind: SpanKind = "call", is_enriched: bool = True
) -> AtomicCounter:
    """Return the counter of spans that name this model, or an unregistered one."""
    match = ModelMatch(Resolution(one, "unregistered" if one is None else one.status, (), None, ""), None, kind=kind)
    return counters.counter_for(match, is_enriched=is_enriched)


def test_reset_counter_starts_at_zero() -> None:
    """After ``reset``, a counter starts at zero, also if it was read before."""
    counter = AtomicCounter()
    for _ in range(5):
        next(counter.ticks)
    assert counter.value() == counter.value() == 5
    counter.reset()
    assert counter.value() == counter.value() == 0
    next(counter.ticks)
    assert counter.value() == 1


def test_series_of_a_counter(fields: dict[str, Any]) -> None:
    """Spans with the same model, status, tier, owner, kind and enrichment share a counter."""
    counters, one = SpanCounters(), entry(fields)
    first = counter_of(counters, one)
    assert counter_of(counters, entry(fields, name="another", version="2")) is first
    others = [
        counter_of(counters, one, kind="agent"),
        counter_of(counters, one, is_enriched=False),
        counter_of(counters, entry(fields, owner="others")),
        counter_of(counters, entry(fields, risk_tier="low")),
        counter_of(counters, entry(fields, model_id="gpt-5")),
        counter_of(counters, None),
    ]
    assert len({id(each) for each in (first, *others)}) == 7
    next(first.ticks)
    assert counters.values()[Series("active", "gpt-4o", "high", "ml-platform", kind="call", is_enriched=True)] == 1


def test_models_beyond_the_limit_share_a_counter(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, registered models are counted together, and unregistered ones have their own counter."""
    monkeypatch.setattr(_counters, "MAX_SERIES", 3)
    counters = SpanCounters()
    own = [counter_of(counters, entry(fields, model_id=f"m{number}")) for number in range(3)]
    shared = [counter_of(counters, entry(fields, model_id=f"m{number}")) for number in (3, 4)]
    assert shared[0] is shared[1]
    assert counter_of(counters, entry(fields, model_id="m0")) is own[0]
    assert counter_of(counters, None) not in [*own, *shared]


def test_counter_is_made_once(fields: dict[str, Any]) -> None:
    """Threads that ask for the same new counter at once get the same one."""
    one = entry(fields)
    for _ in range(50):
        ask = partial(counter_of, SpanCounters(), one)
        found, barrier = list[AtomicCounter](), threading.Barrier(THREADS)
        run_in_threads(*[partial(_ask_together, barrier, ask, found)] * THREADS)
        assert len(set(found)) == 1


def _ask_together(barrier: threading.Barrier, ask: Callable[[], AtomicCounter], found: list[AtomicCounter]) -> None:
    barrier.wait()
    found.append(ask())


def test_forked_child_counts_from_zero(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork the counts are zero, cached ticks still count, and the lock is free."""
    counters = SpanCounters()
    counter = counter_of(counters, entry(fields))
    next(counter.ticks)
    held, over = threading.Event(), threading.Event()

    def make_slowly() -> AtomicCounter:
        held.set()
        assert over.wait(20)
        return AtomicCounter()

    def add(model_id: str) -> AtomicCounter:
        return counter_of(counters, entry(fields, model_id=model_id))

    with monkeypatch.context() as patch:
        patch.setattr(_counters, "AtomicCounter", make_slowly)
        holder = threading.Thread(target=add, args=("slow",))  # of the parent: the child has its lock only
        holder.start()
        assert held.wait(20)
    counters.after_fork_in_child()
    run_in_threads(partial(add, "new"))
    over.set()
    holder.join()
    assert set(counters.values().values()) == {0}
    next(counter.ticks)
    assert sum(counters.values().values()) == 1
    assert counter_of(counters, entry(fields)) is counter


class Adding:
    """Ticks that count a span of another model whenever they are read, as if garbage collection had ended a span."""

    def __init__(self, counters: SpanCounters, fields: dict[str, Any]) -> None:
        self.counters, self.fields, self.numbers = counters, fields, itertools.count()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return 0

    def __repr__(self) -> str:
        other = entry(self.fields, model_id=f"m{next(self.numbers)}")
        next(counter_of(self.counters, other).ticks)
        return "count(0)"


def test_span_ends_while_a_child_resets(fields: dict[str, Any]) -> None:
    """A span may end while a forked child resets its counts."""
    counters = SpanCounters()
    counter_of(counters, entry(fields)).ticks = Adding(counters, fields)
    counters.after_fork_in_child()
    assert len(counters.values()) == 2


def test_garbage_collection_while_counts_are_read(fields: dict[str, Any]) -> None:
    """Garbage collection may end a span of another model at any allocation of the thread that reads the counts."""
    counters = SpanCounters()
    entries = [entry(fields, model_id=f"m{number}") for number in range(MAX_SERIES - 1)]
    for one in entries[::2]:
        counter_of(counters, one)
    remaining = iter(entries[1::2])

    def end_span(phase: str, _info: dict[str, int]) -> None:
        one = next(remaining, None)
        if phase == "start" and one is not None:
            counter_of(counters, one)

    threshold = gc.get_threshold()
    free_list = [(number, None) for number in range(5_000)]  # takes the tuples that need no allocation
    gc.callbacks.append(end_span)
    gc.set_threshold(1)
    try:
        counts = counters.values()
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(end_span)
    assert len(free_list) == 5_000
    assert len(counts) >= len(entries) // 2


def test_forked_child_has_no_names_of_its_parent() -> None:
    """After a fork, the parent's unregistered names are gone, and the child adds its own."""
    names = UnregisteredNames()
    names.add("the parent's")
    names.after_fork_in_child()
    assert names.names() == ()
    names.add("the child's")
    assert names.names() == ("the child's",)


def test_span_ends_while_counts_are_read(fields: dict[str, Any]) -> None:
    """A span may end in the thread that reads the counts, for example during garbage collection."""
    counters = SpanCounters()
    counter_of(counters, entry(fields)).ticks = Adding(counters, fields)
    assert len(counters.values()) == 1
    assert len(counters.values()) == 2
