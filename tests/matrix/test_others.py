"""The benchmark of other packages' processors."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.matrix


def read_rows(text: str) -> list[str]:
    """Return the first cells of the rows of tables."""
    return [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]


def test_other_processors_are_measured(environment: Callable[..., Path], environ: dict[str, str]) -> None:
    """Each candidate runs alone and end to end without the loss of a span, and has its rows on the page."""
    command = [environment("frameworks"), ROOT / "benchmarks" / "others.py", "--quick"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "performance-results.md").read_text("utf-8")
    assert read_rows(done.stdout) == read_rows(
        page.partition("<!-- bench others -->\n")[2].partition("<!-- end -->")[0]
    )
