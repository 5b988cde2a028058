"""The benchmarks run, and their statistics are right; these tests measure no speed."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
METHOD, RESULTS = ((ROOT / "docs" / name).read_text("utf-8") for name in ("performance.md", "performance-results.md"))
NAMES = ["span-llm", "baggage", "span-other", "names", "deprecated", "models", "sampler", "threads"]
NAMES += ["register", "save", "load", "reload", "check", "import", "help", "collector", "evidence", "hostile"]
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
    """Each benchmark reports a finite ratio inside its interval, as text and JSON, and has a row on the page."""
    file = tmp_path / "out.json"
    done = bench("--quick", "--rounds", "1", "--json", str(file))
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text("utf-8"))["results"]
    left_out = {line.partition(":")[0] for line in done.stderr.splitlines() if ": left out: " in line}
    assert left_out <= {"collector"}
    assert list(dict.fromkeys(result["name"] for result in results)) == [name for name in NAMES if name not in left_out]
    table = RESULTS.partition("<!-- bench -->\n")[2].partition("<!-- end -->")[0]
    for result in results:
        assert result["measure"] in done.stdout
        assert f"\n| {result['measure']} | {result['goal']} | " in table
        assert math.isfinite(result["ratio"])
        assert result["low"] <= result["ratio"] <= result["high"]
        assert all(figure > 0 for figure in result["figures"].values())
        assert result["instruction_ratio"] is None
    for name in NAMES:
        assert f"\n| `{name}` | " in METHOD


@pytest.mark.slow
def test_benchmarks_are_chosen_by_name(tmp_path: Path) -> None:
    """Arguments choose benchmarks. Without a Collector each of its rows has a line with the reason; nothing fails."""
    done = bench("--quick", "--rounds", "1", "register", "collector", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4
    lines = [line for line in done.stderr.splitlines() if not line.startswith("register: ")]
    assert len(lines) == 2
    assert all(re.match("collector: .*: left out: ", line) for line in lines)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def main() -> Callable[[list[str]], int]:
    """Return the program as a function, because to start it takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        run: Callable[[list[str]], int] = importlib.import_module("benchmarks.__main__").main
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("span-llm", "spam"), f"bench: no benchmark is called spam: allowed are {', '.join(NAMES)}\n"),
        (("--write", "--quick"), "bench: --write is for all benchmarks at full size: leave out names and --quick\n"),
        (("--json", "none/out.json"), "bench: --json none/out.json: there is no such folder\n"),
        (("--write", "load"), "bench: --write is for all benchmarks at full size: leave out names and --quick\n"),
    ],
)
def test_invalid_arguments_are_refused(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    """One line has the error and the allowed values."""
    with pytest.raises(SystemExit, match="2"):
        main([*arguments])
    assert capsys.readouterr() == ("", message)


@pytest.mark.slow
@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_rounds_are_a_positive_number(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], rounds: str
) -> None:
    """A number of rounds below one is refused."""
    with pytest.raises(SystemExit, match="2"):
        main(["--rounds", rounds])
    assert "argument --rounds" in capsys.readouterr().err


def test_page_has_no_paths_and_dates() -> None:
    """The results on the page have neither paths nor dates."""
    table = RESULTS.partition("<!-- bench -->\n")[2].partition("<!-- end -->")[0]
    assert not re.search(r"/(home|root|work|tmp|usr|build)/|\b20\d\d-\d\d", table)


@pytest.mark.parametrize(
    ("number", "rank"),
    [(6, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10), (50, 18), (100, 40)],
)
def test_median_intervals_equal_published_tables(number: int, rank: int) -> None:
    """The interval ends at the k-th smallest and k-th largest value, with k of published tables for 95 %."""
    values = [float(value) for value in range(1, number + 1)]
    low, median, high = harness["median_interval"](values[::-1])
    assert (low, median, high) == (rank, (number + 1) / 2, number + 1 - rank)


@pytest.mark.parametrize("values", [[3.0], [3.0, 1.0], [2.0, 5.0, 1.0, 4.0, 3.0]])
def test_interval_of_few_values(values: list[float]) -> None:
    """The interval of fewer than six values has all of them."""
    low, median, high = harness["median_interval"](values)
    assert (low, high) == (min(values), max(values))
    assert low <= median <= high


def test_interval_misses_the_median_rarely() -> None:
    """An interval misses the median with a probability of at most 5 %; the next smaller one exceeds that."""
    for number in range(6, 200):
        rank = harness["_left_out"](number)
        misses = [2 * sum(math.comb(number, i) for i in range(k)) / 2**number for k in (rank, rank + 1)]
        assert misses[0] <= 0.05 < misses[1]


def test_rounds_are_interleaved() -> None:
    """Each round runs every candidate once, in another order, after one round that does not count."""
    ran: list[str] = []

    def candidate(name: str) -> float:
        ran.append(name)
        return float(len(ran))

    names = ("a", "b", "c")
    found = harness["interleaved"]({name: lambda name=name: candidate(name) for name in names}, 3)
    assert "".join(ran) == "cababcbcacab"
    assert [sorted(figures) for figures in found] == [list(names)] * 3
    assert found[0] == {"a": 4.0, "b": 5.0, "c": 6.0}
    del ran[:]
    harness["interleaved"]({"a": lambda: candidate("a")}, 1, has_warm_up=False)
    assert ran == ["a"]
