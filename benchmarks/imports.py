"""Importing the package, in processes that have imported nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.contest import Contest

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contest import Sizes

_SCRIPT: Final = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def contest(sizes: Sizes) -> Contest:
    """Return the contest: importing the package, against the SDK; the round to warm up compiles what has to be."""

    def contender(module: str) -> Callable[[], float]:
        return lambda: sum(_cost(module) for _ in range(sizes.imports)) / sizes.imports * 1e3

    contenders = {"ours": contender("spanforge.model_registry"), "sdk": contender("opentelemetry.sdk.trace")}
    return Contest(contenders, lambda cost: cost["ours"] / cost["sdk"])


def _cost(module: str) -> float:
    command = [sys.executable, "-c", _SCRIPT.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)
