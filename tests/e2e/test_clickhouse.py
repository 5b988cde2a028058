"""The tests of telemetry in ClickHouse, in an environment with its engine."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import environment

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SECONDS = 570


def test_telemetry_in_clickhouse() -> None:
    """All tests of ``tests/clickhouse`` pass with the real engine."""
    if sys.version_info < (3, 11):
        pytest.skip("ClickHouse's engine has no wheel for this Python: make PYTHON=python3.11")
    make = runpy.run_path(str(ROOT / "tools" / "environments.py"))["make_environment"]
    python = make("clickhouse", "clickhouse/python")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "tests" / "clickhouse"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT / "src")),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
