"""The matrix's environment, made once from pinned requirements, and what was seen in it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "requirements" / "instrumentations.txt"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that renews the documentation."""
    parser.addoption("--write-docs", action="store_true", help="renew the table of instrumentations")


@pytest.fixture(scope="session")
def python() -> Path:
    """Give the Python of an environment with all instrumentations and with this tree."""
    digest = hashlib.sha256(PINNED.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = ROOT / "build" / "matrix" / digest
    found = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [found, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
        subprocess.run([*pip, "--require-hashes", "--requirement", PINNED], check=True)
        (folder / "complete").touch()
    return found


@pytest.fixture(scope="session")
def observed(python: Path) -> Callable[[str, str], dict[str, Any]]:
    """Give what runs a row of the matrix, once, and returns what was exported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}

    @cache
    def run(row: str, order: str) -> dict[str, Any]:
        done = subprocess.run(
            [python, Path(__file__).with_name("instrumented.py"), row, order],
            env={**clean, "PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run
