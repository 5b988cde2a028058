"""Measure which branches of the code in the application's process the tests without servers take.

Usage: branches.py [OPTION OF pytest ...]

The code is ``_core`` and ``otel``. The figures are those of coverage.py: the share of branches that a test took, and
the share of lines and branches together. The measurement fails if one of them is below ``GOAL``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "build" / "coverage"
GOAL: Final = 95.0
"""The lowest share of branches, in per cent. The rest is for rare faults of systems, such as a full disk."""
LEFT_OUT: Final = ("architecture", "test_benchmarks.py", "test_docs.py", "test_prose.py")
"""Tests that read the source instead of running it."""
DISTURBED: Final = ("compliance/analysis/test_workers.py::test_scan_from_a_script",)
"""Tests of processes without ``multiprocessing``, or with an odd ``sys.path``. Coverage.py imports the one, and cannot
run with the other."""
TESTS: Final = (
    *("-q", "-n", "auto", "-m", "not e2e and not matrix"),
    *(f"--ignore=tests/{path}" for path in LEFT_OUT),
    *(f"--deselect=tests/{name}" for name in DISTURBED),
)


def run_coverage(*arguments: str) -> int:
    """Run a command of coverage.py, and return its exit code."""
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=ROOT, check=False).returncode


def main(options: list[str]) -> int:
    """Run the tests, print the places that no test reaches, and return 1 if they are too many."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    run_coverage("erase")
    failed = run_coverage("run", "-m", "pytest", *TESTS, *options)
    run_coverage("combine", "--quiet")
    run_coverage("report")
    report = FOLDER / "report.json"
    run_coverage("json", "--quiet", "-o", str(report))
    totals = json.loads(report.read_text("utf-8"))["totals"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    print(f"coverage: {branches:.1f} % of branches, {totals['percent_covered']:.1f} % of lines and branches")
    return int(failed != 0 or min(branches, totals["percent_covered"]) < GOAL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
