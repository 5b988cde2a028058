"""Benchmarks, their comparisons and their results."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.harness import Interval, interleaved, median_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTLED = 0.03
"""Relative distance to the goal within which instructions decide, because they are steadier than the clock."""


class Sizes(NamedTuple):
    """Sizes of one round.

    Attributes:
        folder: The folder for files.
        spans: Spans per turn. They are so few that other load on the machine affects neighbouring turns alike.
        turns: Turns per round.
        threaded: Spans per thread.
        models: Entries of a large registry.
        some: Entries of a smaller one.
        registered: Models registered per round.
        imports: Processes started per round for each import.
        rendered: Entries of a large registry that is rendered for the Collector.
        requests: Requests sent per round to each Collector.
        archived: Spans in the archive for evidence.
        hostile: Bytes of each kind of hostile input.
        checked: Entries of a registry file that is checked, or reloaded.
        bad: Bytes of each kind of bad registry file.
        globs: Globs of a registry with very many.
        has_warm_up: Whether each candidate runs once before the first round.
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
    hostile: int = 4_000_000
    checked: int = 10_000
    bad: int = 30_000_000
    globs: int = 100_000
    has_warm_up: bool = True


class Comparison(NamedTuple):
    """Candidates that are ready to run in turn.

    Attributes:
        candidates: For each name, a function that runs the candidate once and returns its figure.
        ratio: Computes the ratio from the figures.
        spans: The candidates whose instructions can be counted.
        repeated: Times that each round runs all candidates, for short turns.
        remark: Returns a further measurement after all rounds.
        end: Stops the processes that the comparison started.
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
        name: The name on the command line.
        measure: A description of the ratio.
        goal: The target, such as ``<= 1.12``.
        unit: The unit of the candidates' figures.
        prepare: Returns the comparison.
        unavailable: Returns why the benchmark cannot run here; an empty string if it can.
    """

    name: str
    measure: str
    goal: str
    unit: str
    prepare: Callable[[Sizes], Comparison]
    unavailable: Callable[[], str] = str

    def holds(self, ratio: float) -> bool:
        """Check whether a ratio meets the goal."""
        return ratio <= self.limit if self.goal.startswith("<=") else ratio >= self.limit

    @property
    def limit(self) -> float:
        """The goal's number."""
        return float(self.goal.split()[1])


class Result(NamedTuple):
    """The result of one benchmark.

    Attributes:
        benchmark: The benchmark.
        clock: The median of the rounds' ratios by the clock, and its interval.
        figures: The median figure of each candidate, in the benchmark's unit.
        instructions: The ratio of instruction counts; ``None`` if they were not counted.
        counted: Instructions per span for each candidate.
        remark: A further measurement.
    """

    benchmark: Benchmark
    clock: Interval
    figures: dict[str, float]
    instructions: float | None
    counted: dict[str, float]
    remark: str

    @property
    def by_instructions(self) -> bool:
        """Whether instructions decide: they were counted, and the clock is too close to the goal."""
        limit = self.benchmark.limit
        close = abs(self.clock.median - limit) < SETTLED * limit or self.clock.low <= limit <= self.clock.high
        return close and self.instructions is not None

    @property
    def outcome(self) -> str:
        """``holds`` or ``missed``, with a note if instructions decided."""
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
    """Run one benchmark and return its result.

    Args:
        benchmark: The benchmark.
        sizes: The sizes of one round.
        rounds: The number of rounds.
        count: Returns repeated instruction counts of the candidates; an empty list if they cannot be counted.
    """
    comparison = benchmark.prepare(sizes)
    try:
        measured = interleaved(comparison.candidates, rounds * comparison.repeated, has_warm_up=sizes.has_warm_up)
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
