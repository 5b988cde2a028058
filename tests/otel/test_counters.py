"""Counts of spans: exact whatever threads do, bounded, and a child's own after a fork."""

from __future__ import annotations

import gc
import itertools
import threading
from typing import TYPE_CHECKING, Any

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.counter import AtomicCounter
from spanforge.model_registry.otel._counters import MAX_SERIES, Series, SpanCounters, UnregisteredNames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry import ModelRegistryEntry

THREADS, SPANS = 8, 20_000


def in_threads(work: Any) -> None:
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def entry(fields: dict[str, Any], **changes: Any) -> ModelRegistryEntry:
    return ModelRegistry(auto_emit=False).register(**fields | changes)


def test_exact_while_it_is_read() -> None:
    """Eight threads count while another reads all the time: nothing is lost, and no reading is counted."""
    counter, stop, read = AtomicCounter(), threading.Event(), list[int]()

    def count() -> None:
        for _ in range(SPANS):
            next(counter.ticks)

    def watch() -> None:
        while not stop.is_set():
            read.append(counter.value())

    watcher = threading.Thread(target=watch)
    watcher.start()
    in_threads(count)
    stop.set()
    watcher.join()
    assert [counter.value() for _ in range(3)] == [THREADS * SPANS] * 3
    assert read == sorted(read)
    assert read[0] >= 0
    assert read[-1] <= THREADS * SPANS


def test_forgotten() -> None:
    """After ``reset`` a count begins at zero, however often it was read before."""
    counter = AtomicCounter()
    for _ in range(5):
        next(counter.ticks)
    assert counter.value() == counter.value() == 5
    counter.reset()
    assert counter.value() == counter.value() == 0
    next(counter.ticks)
    assert counter.value() == 1


def test_one_count_for_what_spans_have_in_common(fields: dict[str, Any]) -> None:
    """Spans of one model, status, tier and owner are counted together; calls and others, enriched and others, apart."""
    counters, one = SpanCounters(), entry(fields)
    first = counters.counter_for(one, is_call=True, is_enriched=True)
    assert counters.counter_for(entry(fields, name="another", version="2"), is_call=True, is_enriched=True) is first
    others = [
        counters.counter_for(one, is_call=False, is_enriched=True),
        counters.counter_for(one, is_call=True, is_enriched=False),
        counters.counter_for(entry(fields, owner="others"), is_call=True, is_enriched=True),
        counters.counter_for(entry(fields, risk_tier="low"), is_call=True, is_enriched=True),
        counters.counter_for(entry(fields, model_id="gpt-5"), is_call=True, is_enriched=True),
        counters.counter_for(None, is_call=True, is_enriched=True),
    ]
    assert len({id(each) for each in (first, *others)}) == 7
    next(first.ticks)
    assert counters.values()[Series("active", "gpt-4o", "high", "ml-platform", is_call=True, is_enriched=True)] == 1


def test_made_once(fields: dict[str, Any]) -> None:
    """Threads that ask for the same new count at once get the same one."""
    for _ in range(50):
        counters, one, found = SpanCounters(), entry(fields), list[AtomicCounter]()
        barrier = threading.Barrier(THREADS)

        def ask(
            barrier: Any = barrier,
            counters: SpanCounters = counters,
            one: Any = one,
            found: list[AtomicCounter] = found,
        ) -> None:
            barrier.wait()
            found.append(counters.counter_for(one, is_call=True, is_enriched=True))

        in_threads(ask)
        assert len(set(found)) == 1


def test_bounded(fields: dict[str, Any]) -> None:
    """From the 1,001st series on spans are counted together, except those of models that nobody registered."""
    counters = SpanCounters()
    for number in range(MAX_SERIES + 500):
        next(counters.counter_for(entry(fields, model_id=f"m{number}"), is_call=True, is_enriched=True).ticks)
    next(counters.counter_for(None, is_call=True, is_enriched=True).ticks)
    next(counters.counter_for(entry(fields, model_id="m0"), is_call=True, is_enriched=True).ticks)
    counts = counters.values()
    assert len(counts) == MAX_SERIES + 2
    assert counts[Series("", None, None, None, is_call=True, is_enriched=True)] == 500
    assert counts[Series("unregistered", None, None, None, is_call=True, is_enriched=True)] == 1
    assert counts[Series("active", "m0", "high", "ml-platform", is_call=True, is_enriched=True)] == 2


def test_a_child_counts_for_itself(fields: dict[str, Any]) -> None:
    """After a fork the counts are zero, their holders count on, and the lock is a new one."""
    counters = SpanCounters()
    counter = counters.counter_for(entry(fields), is_call=True, is_enriched=True)
    next(counter.ticks)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with counters._lock:
            held.set()
            over.wait()

    holder = threading.Thread(target=hold)  # a thread of the parent, of which the child has the lock only
    holder.start()
    held.wait()
    counters.after_fork_in_child()
    over.set()
    assert counters._lock.acquire(blocking=False)
    counters._lock.release()
    holder.join()
    assert set(counters.values().values()) == {0}
    next(counter.ticks)
    assert set(counters.values().values()) == {1}
    assert counters.counter_for(entry(fields), is_call=True, is_enriched=True) is counter


def adding_counter(counters: SpanCounters, fields: dict[str, Any]) -> Any:
    """Return ticks that add a counter whenever they are read: as a span does that garbage collection ends."""
    numbers = itertools.count()

    class Adding:
        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 0

        def __repr__(self) -> str:
            counters.counter_for(entry(fields, model_id=f"m{next(numbers)}"), is_call=True, is_enriched=True)
            return "count(0)"

    return Adding()


def test_a_span_that_ends_while_a_child_resets(fields: dict[str, Any]) -> None:
    """A span may end while a forked child resets its counts: the reset goes on."""
    counters = SpanCounters()
    counters.counter_for(entry(fields), is_call=True, is_enriched=True).ticks = adding_counter(counters, fields)
    counters.after_fork_in_child()
    assert len(counters.values()) == 2


def test_garbage_collection_while_counts_are_read(fields: dict[str, Any]) -> None:
    """Garbage collection may end a span of another model at any allocation of the thread that reads the counts."""
    counters = SpanCounters()
    entries = [entry(fields, model_id=f"m{number}") for number in range(MAX_SERIES - 1)]
    for one in entries[::2]:
        counters.counter_for(one, is_call=True, is_enriched=True)
    remaining = iter(entries[1::2])

    def end_span(phase: str, _info: dict[str, int]) -> None:
        one = next(remaining, None)
        if phase == "start" and one is not None:
            counters.counter_for(one, is_call=True, is_enriched=True)

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


def test_a_child_has_no_unregistered_names_of_its_parent() -> None:
    """After a fork, the names that the parent met are gone; the child adds its own."""
    names = UnregisteredNames()
    names.add("the parent's")
    names.after_fork_in_child()
    assert names.names() == ()
    names.add("the child's")
    assert names.names() == ("the child's",)


def test_a_span_that_ends_while_counts_are_read(fields: dict[str, Any]) -> None:
    """A span may end at any moment, in the thread that reads, too: where garbage is collected, for example."""
    counters = SpanCounters()

    class Collecting:
        """Ends a span of another model while it is read."""

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 0

        def __repr__(self) -> str:
            next(counters.counter_for(entry(fields, model_id="other"), is_call=True, is_enriched=True).ticks)
            return "count(0)"

    counters.counter_for(entry(fields), is_call=True, is_enriched=True).ticks = Collecting()
    assert len(counters.values()) == 1
    assert len(counters.values()) == 2
