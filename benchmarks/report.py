"""Reports of results for the terminal, the documentation and programs."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import MISSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.comparison import Result

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance-results.md"
BLOCK: Final = re.compile(r"(<!-- bench -->\n).*?(<!-- end -->)", re.DOTALL)
_CPU: Final = re.compile(r"^model name\s*: (.*)$", re.MULTILINE)
_HUNDRED: Final = 100

HEAD: Final = ("measure", "goal", "ratio", f"{1 - 1 / MISSES:.0%} interval", "instructions", "result", "figures")


def environment(rounds: int, uncounted: str) -> dict[str, Any]:
    """Return the versions and hardware that results depend on, without anything that identifies a machine."""
    return {
        "python": platform.python_version(),
        "opentelemetry-sdk": version("opentelemetry-sdk"),
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "rounds": rounds,
        "instructions": f"not counted: {uncounted}" if uncounted else "counted",
    }


def _processor() -> str | None:
    try:
        found = _CPU.search(Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        return None
    return found and found[1]


def cells(result: Result) -> list[str]:
    """Return the cells of one table row."""
    low, median, high = result.clock
    figures = ", ".join(f"{name} {_number(value)}" for name, value in result.figures.items())
    return [
        result.benchmark.measure,
        result.benchmark.goal,
        f"{median:.3f}",
        f"{low:.3f} to {high:.3f}",
        "-" if result.instructions is None else f"{result.instructions:.3f}",
        result.outcome,
        f"{figures} {result.benchmark.unit}{result.remark and f'; {result.remark}'}",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= _HUNDRED else f"{value:.1f}"


def summary(known: dict[str, Any]) -> str:
    """Return the environment as a sentence."""
    processor = known["processor"] and f", {known['processor']}"
    return (
        f"Python {known['python']}, opentelemetry-sdk {known['opentelemetry-sdk']}, "
        f"{known['cpus']} CPUs{processor or ''}; {known['rounds']} rounds; instructions {known['instructions']}."
    )


def as_text(known: dict[str, Any], results: Sequence[Result]) -> str:
    """Return environment and results as text for a terminal."""
    lines = [list(HEAD), *map(cells, results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([summary(known), "", *table])


def as_markdown(known: dict[str, Any], results: Sequence[Result]) -> str:
    """Return environment and results as Markdown for the documentation."""
    lines = [HEAD, ["---"] * len(HEAD), *map(cells, results)]
    return f"{summary(known)}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_json(known: dict[str, Any], results: Sequence[Result]) -> str:
    """Return environment and results as JSON for programs."""
    found = {"environment": known, "results": [result.to_dict() for result in results]}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def write(known: dict[str, Any], results: Sequence[Result]) -> None:
    """Write environment and results into the documentation."""
    table = as_markdown(known, results)
    PAGE.write_text(BLOCK.sub(lambda block: block[1] + table + block[2], PAGE.read_text("utf-8")), "utf-8")
