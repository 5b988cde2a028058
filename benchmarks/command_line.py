"""Start of the command line: ``--help`` in a new process."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.comparison import Sizes

_EMPTY: Final = """
import typer

app = typer.Typer()

@app.command()
def first() -> None:
    "Do nothing."

@app.command()
def second() -> None:
    "Do nothing."

app()
"""
"""A program with two commands that do nothing."""
_PROGRAMS: Final = {"ours": ["-m", "spanforge.model_registry"], "empty": ["-c", _EMPTY]}


def comparison(sizes: Sizes) -> Comparison:
    """Compare the program's help with that of an empty one. The warm-up round compiles the modules."""

    def candidate(program: list[str]) -> Callable[[], float]:
        return lambda: sum(_measure_help(program) for _ in range(sizes.imports)) / sizes.imports * 1e3

    candidates = {name: candidate(program) for name, program in _PROGRAMS.items()}
    return Comparison(candidates, lambda cost: cost["ours"] / cost["empty"])


def _measure_help(program: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *program, "--help"], capture_output=True, check=True)
    return time.perf_counter() - start
