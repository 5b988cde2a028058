"""Instructions per span, counted by valgrind's callgrind. They are steadier than the clock.

As a program, this module makes spans: ``python -m benchmarks.instructions PROCESSOR KIND KEYS MODELS SAMPLER NUMBER``.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from benchmarks.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Mapping

FEWER: Final = 1_000
MORE: Final = 3_000
"""Spans of two processes. The difference of their counts is the cost of the further spans."""
SEEDS: Final = ("0", "1", "2")
"""Hash seeds. The layout of memory changes a count by up to one per cent."""
_CALLGRIND: Final = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
_COLLECTED: Final = re.compile(r"Collected : (\d+)")


def unavailable() -> str:
    """Return why instructions cannot be counted here; an empty string if they can."""
    if not shutil.which("valgrind"):
        return "valgrind is not installed"
    command = [*_CALLGRIND, sys.executable, "-c", ""]
    return "" if subprocess.run(command, capture_output=True, check=False).returncode == 0 else "valgrind does not work"


def count(spans: Mapping[str, Spans]) -> list[dict[str, float]]:
    """Return the instructions per span of each candidate, once per seed."""
    for which in spans.values():
        subprocess.run(_program(which, 1), check=True)  # compiles the remaining modules
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {(which, seed): pool.submit(_a_span, which, seed) for seed in SEEDS for which in spans.values()}
    return [{name: runs[which, seed].result() for name, which in spans.items()} for seed in SEEDS] if spans else []


@functools.cache
def _a_span(spans: Spans, seed: str) -> float:
    return (_total(spans, MORE, seed) - _total(spans, FEWER, seed)) / (MORE - FEWER)


def _total(spans: Spans, number: int, seed: str) -> int:
    command = [*_CALLGRIND, *_program(spans, number)]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = _COLLECTED.search(done.stderr)
    if found is None:
        msg = f"valgrind reported no count: {done.stderr}"
        raise ValueError(msg)
    return int(found[1])


def _program(spans: Spans, number: int) -> list[str]:
    return [sys.executable, "-m", __name__, *map(str, spans), str(number)]


def main(*given: str) -> None:
    """Make and end spans."""
    processor, kind, keys, models, sampler, number = given
    Spans(processor, kind, int(keys), int(models), sampler).prepared()(int(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
