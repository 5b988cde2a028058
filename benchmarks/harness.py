"""Interleaved rounds of all candidates, and the median of their ratios with its interval."""

from __future__ import annotations

import gc
import math
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MISSES = 20
"""One interval in this many does not contain the true median."""


class Interval(NamedTuple):
    """A median and the confidence interval around it."""

    low: float
    median: float
    high: float


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median of the values and its interval, for any distribution.

    Each value is as likely to be below the true median as above it, like a coin toss. The binomial distribution
    therefore determines how many of the smallest and largest values can be dropped. With fewer than six values none
    is dropped, and the confidence is lower.
    """
    ordered = sorted(values)
    outside = max(1, _left_out(len(ordered)))
    return Interval(ordered[outside - 1], statistics.median(ordered), ordered[-outside])


def _left_out(number: int) -> int:
    """Return the rank k for which the k-th smallest and k-th largest value enclose the true median."""
    rank, below = 0, 0
    while 2 * MISSES * (below + math.comb(number, rank)) <= 2**number:
        below += math.comb(number, rank)
        rank += 1
    return rank


def interleaved(
    candidates: Mapping[str, Callable[[], float]], rounds: int, *, has_warm_up: bool = True
) -> list[dict[str, float]]:
    """Return each candidate's figure per round. The first candidate rotates, and a warm-up round is not returned."""
    names = list(candidates)
    found = []
    for number in range(-has_warm_up, rounds):
        begin = number % len(names)
        order = names[begin:] + names[:begin]
        measured = {name: candidates[name]() for name in order}
        if number >= 0:
            found.append(measured)
    return found


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds that the work takes, without the deallocation of its result.

    Earlier garbage is collected first. The garbage collector stays on during the work, as in applications.
    """
    gc.collect()
    start = time.perf_counter()
    result = work()
    elapsed = time.perf_counter() - start
    del result
    return elapsed
