"""Import time of the package, in processes that have imported nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.comparison import Sizes

_SCRIPT: Final = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def comparison(sizes: Sizes) -> Comparison:
    """Compare importing the package with importing the SDK. The warm-up round compiles the modules."""

    def candidate(module: str) -> Callable[[], float]:
        return lambda: sum(_cost(module) for _ in range(sizes.imports)) / sizes.imports * 1e3

    candidates = {"ours": candidate("spanforge.model_registry"), "sdk": candidate("opentelemetry.sdk.trace")}
    return Comparison(candidates, lambda cost: cost["ours"] / cost["sdk"])


def _cost(module: str) -> float:
    command = [sys.executable, "-c", _SCRIPT.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)
