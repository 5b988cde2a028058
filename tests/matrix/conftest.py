"""The matrix's environment, made once from pinned requirements, and what was seen in it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools"))

from docs import render  # noqa: E402 - it is a script's
from environments import build_wheel, make_environment  # noqa: E402 - likewise

HERE = Path(__file__).parent
ROWS: list[dict[str, str]] = json.loads((HERE / "rows.json").read_text("utf-8"))
KEYS = (
    "ANTHROPIC_",
    "AWS_",
    "LANGFUSE_",
    "LANGCHAIN_",
    "LANGSMITH_",
    "LITELLM_",
    "LOGFIRE_",
    "OPENAI_",
    "OTEL_",
    "PYTHON",
)
"""How settings begin that the calls must not have: nobody's key is used, and nothing leaves the machine."""


SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or importing it asks the network for prices
    "NO_PROXY": "127.0.0.1",
    "PYTHONPATH": str(ROOT / "src"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that renews the documentation."""
    parser.addoption("--write-docs", action="store_true", help="renew what the matrix writes into the documentation")


def python_of(name: str, base: str = sys.executable) -> Path:
    """Return the Python of one of the matrix's environments; if there is none, make it of another Python."""
    return make_environment(f"matrix-{name}", f"matrix/{name}", base=base)


@pytest.fixture
def documented(request: pytest.FixtureRequest) -> Callable[[Path, dict[str, Any]], None]:
    """Give what compares blocks of a page, by their marks, with the text or the rows that are to be there.

    With ``--write-docs`` it renews them.
    """

    def compare(page: Path, blocks: dict[str, Any]) -> None:
        text = page.read_text("utf-8")
        for mark, given in blocks.items():
            content = given if isinstance(given, str) else render(given)
            block = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
            text, number = block.subn(lambda found, content=content: f"{found[1]}{content}{found[2]}", text)
            assert number == 1, mark
        if request.config.getoption("--write-docs"):
            page.write_text(text, "utf-8")
        assert page.read_text("utf-8") == text, "run make matrix ARGS=--write-docs"

    return compare


@pytest.fixture(scope="session")
def environment() -> Callable[..., Path]:
    """Give what returns the Python of an environment by name."""
    return python_of


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of the package, as users install it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def environ() -> dict[str, str]:
    """Give the environment variables that what is run here has: the matrix's settings, and nobody's others."""
    return {name: value for name, value in os.environ.items() if not name.startswith(KEYS)} | SETTINGS


@pytest.fixture(scope="session")
def rows() -> dict[str, dict[str, str]]:
    """Give the matrix's rows by name."""
    return {row["row"]: row for row in ROWS}


@pytest.fixture(scope="session")
def observed(
    rows: dict[str, dict[str, str]], environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """Give what runs a row of the matrix, once, and returns what was exported."""
    folder = tmp_path_factory.mktemp("observed")

    @cache
    def run(row: str, order: str, **settings: str) -> dict[str, Any]:
        file = folder / f"{row}-{order}.json"
        done = subprocess.run(
            [python_of(rows[row]["environment"]), HERE / "instrumented.py", row, order, file],
            env={**environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found

    return run
