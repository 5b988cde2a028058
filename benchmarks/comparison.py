"""Benchmarks: what they compare, and their results."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.harness import Interval, interleaved, median_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTLED = 0.03
"""Where the clock is this close to the goal, relative to it, instructions decide: they are steadier."""


class Sizes(NamedTuple):
    """How much one round does.

    Attributes:
        folder: Where files may be written.
        spans: Spans that a turn makes: so few that whatever else the machine does meets both neighbours.
        turns: How often a round does so.
        threaded: Spans that each thread makes.
        models: Entries of a large registry.
        some: Entries of a smaller one.
        registered: Models that a round registers.
        imports: Processes that a round starts for each import.
        rendered: Entries of a large registry that is rendered for the Collector.
        requests: Requests that a round sends to each Collector.
        archived: Spans of the archive that evidence is about.
    """

    folder: str
    spans: int = 250
    turns: int = 16
    threaded: int = 2_500
    models: int = 100_000
    some: int = 1_000
    registered: int = 500
    imports: int = 2
    rendered: int = 5_000
    requests: int = 60
    archived: int = 2_000_000


class Comparison(NamedTuple):
    """Contenders to be run in turn, prepared.

    Attributes:
        candidates: Name to what runs once and returns its figure.
        ratio: Makes the one number that counts of theirs.
        spans: The same candidates, for those whose instructions can be counted.
        repeated: How often a round runs all of them, where one turn is short.
        remark: Returns what else was measured, when all is done.
        end: Ends what was started for it.
    """

    candidates: Mapping[str, Callable[[], float]]
    ratio: Callable[[Mapping[str, float]], float]
    spans: Mapping[str, Any] = {}
    repeated: int = 1
    remark: Callable[[], str] = str
    end: Callable[[], object] = str


class Benchmark(NamedTuple):
    """One benchmark.

    Attributes:
        name: What it is called on the command line.
        measure: What is measured, for people.
        goal: What is wanted: ``<= 1.12``.
        unit: Of the candidates' figures.
        prepare: Makes its comparison.
        unavailable: Returns why it cannot be run here; nothing if it can.
    """

    name: str
    measure: str
    goal: str
    unit: str
    prepare: Callable[[Sizes], Comparison]
    unavailable: Callable[[], str] = str

    def holds(self, ratio: float) -> bool:
        """Tell whether a ratio reaches the goal."""
        return ratio <= self.limit if self.goal.startswith("<=") else ratio >= self.limit

    @property
    def limit(self) -> float:
        """The goal's number."""
        return float(self.goal.split()[1])


class Result(NamedTuple):
    """What came out of one benchmark.

    Attributes:
        benchmark: The benchmark.
        clock: The median of the rounds' ratios, and its interval.
        figures: Median figure of each candidate, in the benchmark's unit.
        instructions: The ratio by instruction counts; ``None`` where they were not counted.
        counted: Instructions a span of each candidate.
        remark: What else was measured.
    """

    benchmark: Benchmark
    clock: Interval
    figures: dict[str, float]
    instructions: float | None
    counted: dict[str, float]
    remark: str

    @property
    def by_instructions(self) -> bool:
        """Whether the clock is too close to the goal to decide, and instructions were counted."""
        limit = self.benchmark.limit
        close = abs(self.clock.median - limit) < SETTLED * limit or self.clock.low <= limit <= self.clock.high
        return close and self.instructions is not None

    @property
    def outcome(self) -> str:
        """``holds`` or ``missed``, and by what if it was close."""
        ratio = self.clock.median
        if self.by_instructions and self.instructions is not None:
            ratio = self.instructions
        return ("holds" if self.benchmark.holds(ratio) else "missed") + (
            " (instructions)" if self.by_instructions else ""
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        benchmark, clock = self.benchmark, self.clock
        return {
            "name": benchmark.name,
            "measure": benchmark.measure,
            "goal": benchmark.goal,
            "ratio": clock.median,
            "low": clock.low,
            "high": clock.high,
            "unit": benchmark.unit,
            "figures": self.figures,
            "instruction_ratio": self.instructions,
            "instructions_a_span": self.counted,
            "outcome": self.outcome,
            "remark": self.remark,
        }


def run(
    benchmark: Benchmark, sizes: Sizes, rounds: int, count: Callable[[Mapping[str, Any]], list[dict[str, float]]]
) -> Result:
    """Run one benchmark.

    Args:
        benchmark: The benchmark.
        sizes: How much one round does.
        rounds: How many there are.
        count: Returns repeated instruction counts of the candidates; empty where there is no counting them.
    """
    comparison = benchmark.prepare(sizes)
    try:
        measured = interleaved(comparison.candidates, rounds * comparison.repeated)
        counted = count(comparison.spans)
    finally:
        comparison.end()
    return Result(
        benchmark=benchmark,
        clock=median_interval([comparison.ratio(figures) for figures in measured]),
        figures=_medians(measured),
        instructions=statistics.median(map(comparison.ratio, counted)) if counted else None,
        counted=_medians(counted),
        remark=comparison.remark(),
    )


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(figures[name] for figures in found) for name in (found[0] if found else ())}
