"""The benchmarks run, and their statistics are right. How fast anything is, is not asked here."""

from __future__ import annotations

import json
import math
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "performance.md").read_text("utf-8")
NAMES = ["span-llm", "baggage", "span-other", "names", "deprecated", "models", "sampler", "threads"]
NAMES += ["register", "save", "load", "import", "collector", "evidence"]
harness = runpy.run_path(str(ROOT / "benchmarks" / "harness.py"))


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
def test_every_benchmark_runs_and_is_documented(tmp_path: Path) -> None:
    """Each gives a finite ratio inside its interval, for people and for programs, and has its row on the page."""
    file = tmp_path / "out.json"
    done = bench("--quick", "--rounds", "3", "--json", str(file))
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text("utf-8"))["results"]
    left_out = {line.partition(":")[0] for line in done.stderr.splitlines() if ": left out: " in line}
    assert left_out <= {"collector"}
    assert list(dict.fromkeys(result["name"] for result in results)) == [name for name in NAMES if name not in left_out]
    table = PAGE.partition("<!-- bench -->\n")[2].partition("<!-- end -->")[0]
    for result in results:
        assert result["measure"] in done.stdout
        assert f"\n| {result['measure']} | {result['goal']} | " in table
        assert math.isfinite(result["ratio"])
        assert result["low"] <= result["ratio"] <= result["high"]
        assert all(figure > 0 for figure in result["figures"].values())
        assert result["instruction_ratio"] is None
    for name in NAMES:
        assert f"\n| `{name}` | " in PAGE


def test_some_can_be_chosen() -> None:
    """Names choose what runs."""
    done = bench("--quick", "--rounds", "1", "register")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4


def test_what_cannot_run_here_is_left_out(tmp_path: Path) -> None:
    """Without a Collector its rows say so in a line each, and nothing fails."""
    done = bench("--quick", "--rounds", "1", "collector", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(re.match("collector: .*: left out: ", line) for line in lines)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("span-llm", "spam"), f"bench: no benchmark is called spam: allowed are {', '.join(NAMES)}\n"),
        (("--write", "--quick"), "bench: --write is for all benchmarks at full size: leave out names and --quick\n"),
        (("--json", "none/out.json"), "bench: --json none/out.json: there is no such folder\n"),
        (("--write", "load"), "bench: --write is for all benchmarks at full size: leave out names and --quick\n"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], message: str) -> None:
    """One line says what is wrong and what is allowed."""
    done = bench(*arguments)
    assert done.returncode == 2
    assert done.stderr == message
    assert not done.stdout


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_rounds_are_a_positive_number(rounds: str) -> None:
    """There is no measuring without a round."""
    done = bench("--rounds", rounds)
    assert done.returncode == 2
    assert "argument --rounds" in done.stderr


def test_the_page_tells_nothing_of_a_machine() -> None:
    """The written results name neither a path nor a date."""
    table = PAGE.partition("<!-- bench -->\n")[2].partition("<!-- end -->")[0]
    assert not re.search(r"/(home|root|work|tmp|usr|build)/|\b20\d\d-\d\d", table)


@pytest.mark.parametrize(
    ("number", "rank"),
    [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10), (50, 18), (100, 40)],
)
def test_median_intervals_are_those_of_the_tables(number: int, rank: int) -> None:
    """The interval goes from the k-th smallest to the k-th largest value, with k as in published tables of 95 %."""
    values = [float(value) for value in range(1, number + 1)]
    low, median, high = harness["median_interval"](values[::-1])
    assert (low, median, high) == (rank, (number + 1) / 2, number + 1 - rank)


@pytest.mark.parametrize("values", [[3.0], [3.0, 1.0], [2.0, 5.0, 1.0, 4.0, 3.0]])
def test_a_few_values_lie_between_the_least_and_the_greatest(values: list[float]) -> None:
    """Of fewer than six values none can be left out."""
    low, median, high = harness["median_interval"](values)
    assert (low, high) == (min(values), max(values))
    assert low <= median <= high


def test_intervals_hold_what_they_promise() -> None:
    """The chance that an interval misses the median is at most 5 %, and would be more with one value less."""
    for number in range(6, 200):
        rank = harness["_left_out"](number)
        misses = [2 * sum(math.comb(number, i) for i in range(k)) / 2**number for k in (rank, rank + 1)]
        assert misses[0] <= 0.05 < misses[1]


def test_rounds_are_interleaved() -> None:
    """Each round runs every candidate once, another one first each time, after one that is not counted."""
    ran: list[str] = []

    def candidate(name: str) -> float:
        ran.append(name)
        return float(len(ran))

    names = ("a", "b", "c")
    found = harness["interleaved"]({name: lambda name=name: candidate(name) for name in names}, 3)
    assert "".join(ran) == "cababcbcacab"
    assert [sorted(figures) for figures in found] == [list(names)] * 3
    assert found[0] == {"a": 4.0, "b": 5.0, "c": 6.0}
