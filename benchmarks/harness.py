"""Rounds in which every candidate runs in turn, and the median of what they gave, with its interval."""

from __future__ import annotations

import gc
import math
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MISSES = 20
"""One interval in so many does not have the true median inside."""


class Interval(NamedTuple):
    """A median, and the interval that it lies in."""

    low: float
    median: float
    high: float


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median of some values and its interval, whatever their distribution.

    Each value is below the true median as often as above it, like a coin; so the binomial distribution tells how many
    of the smallest and of the largest may be left out. Fewer than six values: none, and less sure.
    """
    ordered = sorted(values)
    outside = max(1, _left_out(len(ordered)))
    return Interval(ordered[outside - 1], statistics.median(ordered), ordered[-outside])


def _left_out(number: int) -> int:
    """Return the rank k such that the k-th smallest and k-th largest of so many values enclose their true median."""
    rank, below = 0, 0
    while 2 * MISSES * (below + math.comb(number, rank)) <= 2**number:
        below += math.comb(number, rank)
        rank += 1
    return rank


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> list[dict[str, float]]:
    """Return what each candidate measured in each round; another one begins each time, after a round to warm up."""
    names = list(candidates)
    found = []
    for number in range(-1, rounds):
        begin = number % len(names)
        order = names[begin:] + names[:begin]
        measured = {name: candidates[name]() for name in order}
        if number >= 0:
            found.append(measured)
    return found


def seconds(work: Callable[[], Any]) -> float:
    """Return the time that some work takes, its result's end of life not included.

    Garbage of others is collected before; during the work the collector is on, as in applications.
    """
    gc.collect()
    start = time.perf_counter()
    result = work()
    elapsed = time.perf_counter() - start
    del result
    return elapsed
