"""Counts of spans: exact whatever threads do, bounded, and a child's own after a fork."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel._counters import MAX_SERIES, Series, Tallies, Tally

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
    tally, stop, read = Tally(), threading.Event(), list[int]()

    def count() -> None:
        for _ in range(SPANS):
            next(tally.count)

    def watch() -> None:
        while not stop.is_set():
            read.append(tally.value())

    watcher = threading.Thread(target=watch)
    watcher.start()
    in_threads(count)
    stop.set()
    watcher.join()
    assert [tally.value() for _ in range(3)] == [THREADS * SPANS] * 3
    assert read == sorted(read)
    assert read[0] >= 0
    assert read[-1] <= THREADS * SPANS


def test_forgotten() -> None:
    """After ``forget`` a count begins at zero, however often it was read before."""
    tally = Tally()
    for _ in range(5):
        next(tally.count)
    assert tally.value() == tally.value() == 5
    tally.forget()
    assert tally.value() == tally.value() == 0
    next(tally.count)
    assert tally.value() == 1


def test_one_count_for_what_spans_have_in_common(fields: dict[str, Any]) -> None:
    """Spans of one model, status, tier and owner are counted together; calls and others, enriched and others, apart."""
    tallies, one = Tallies(), entry(fields)
    first = tallies.of(one, is_call=True, is_enriched=True)
    assert tallies.of(entry(fields, name="another", version="2"), is_call=True, is_enriched=True) is first
    others = [
        tallies.of(one, is_call=False, is_enriched=True),
        tallies.of(one, is_call=True, is_enriched=False),
        tallies.of(entry(fields, owner="others"), is_call=True, is_enriched=True),
        tallies.of(entry(fields, risk_tier="low"), is_call=True, is_enriched=True),
        tallies.of(entry(fields, model_id="gpt-5"), is_call=True, is_enriched=True),
        tallies.of(None, is_call=True, is_enriched=True),
    ]
    assert len({id(each) for each in (first, *others)}) == 7
    next(first.count)
    assert tallies.values()[Series("active", "gpt-4o", "high", "ml-platform", is_call=True, is_enriched=True)] == 1


def test_made_once(fields: dict[str, Any]) -> None:
    """Threads that ask for the same new count at once get the same one."""
    for _ in range(50):
        tallies, one, found = Tallies(), entry(fields), list[Tally]()
        barrier = threading.Barrier(THREADS)

        def ask(barrier: Any = barrier, tallies: Tallies = tallies, one: Any = one, found: list[Tally] = found) -> None:
            barrier.wait()
            found.append(tallies.of(one, is_call=True, is_enriched=True))

        in_threads(ask)
        assert len(set(found)) == 1


def test_bounded(fields: dict[str, Any]) -> None:
    """From the 1,001st series on spans are counted together, except those of models that nobody registered."""
    tallies = Tallies()
    for number in range(MAX_SERIES + 500):
        next(tallies.of(entry(fields, model_id=f"m{number}"), is_call=True, is_enriched=True).count)
    next(tallies.of(None, is_call=True, is_enriched=True).count)
    next(tallies.of(entry(fields, model_id="m0"), is_call=True, is_enriched=True).count)
    counts = tallies.values()
    assert len(counts) == MAX_SERIES + 2
    assert counts[Series("", None, None, None, is_call=True, is_enriched=True)] == 500
    assert counts[Series("unregistered", None, None, None, is_call=True, is_enriched=True)] == 1
    assert counts[Series("active", "m0", "high", "ml-platform", is_call=True, is_enriched=True)] == 2


def test_a_child_counts_for_itself(fields: dict[str, Any]) -> None:
    """After a fork the counts are zero, their holders count on, and the lock is a new one."""
    tallies = Tallies()
    tally = tallies.of(entry(fields), is_call=True, is_enriched=True)
    next(tally.count)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with tallies._lock:
            held.set()
            over.wait()

    holder = threading.Thread(target=hold)  # a thread of the parent, of which the child has the lock only
    holder.start()
    held.wait()
    tallies.after_fork_in_child()
    over.set()
    assert tallies._lock.acquire(blocking=False)
    tallies._lock.release()
    holder.join()
    assert set(tallies.values().values()) == {0}
    next(tally.count)
    assert set(tallies.values().values()) == {1}
    assert tallies.of(entry(fields), is_call=True, is_enriched=True) is tally


def test_a_span_that_ends_while_counts_are_read(fields: dict[str, Any]) -> None:
    """A span may end at any moment, in the thread that reads, too: where garbage is collected, for example."""
    tallies = Tallies()

    class Collecting:
        """Counts as the real one does, and ends a span of another model meanwhile."""

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            next(tallies.of(entry(fields, model_id="other"), is_call=True, is_enriched=True).count)
            return 0

    tallies.of(entry(fields), is_call=True, is_enriched=True).count = Collecting()
    assert len(tallies.values()) == 1
    assert len(tallies.values()) == 2
