"""The documentation tells the truth: its code runs, its output is real, its tables are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("", "docs", "examples", "collector-config", "benchmarks", "requirements", "changelog.d", "tests/servers")
PAGES = [page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]
RECIPES = ROOT / "docs" / "recipes.md"
"""Its programs need the packages of many vendors: ``tests/matrix/test_recipes.py`` runs them in these' environments."""
RUN_HERE = [page for page in PAGES if page != RECIPES]
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")

EXAMPLES = [
    pytest.param(code, output, id=f"{page.relative_to(ROOT)}-{number}")
    for page in RUN_HERE
    for number, (code, output) in enumerate(EXAMPLE.findall(page.read_text("utf-8")))
]


@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_examples_print_what_they_say(code: str, output: str, tmp_path: Path) -> None:
    """Each example, run in a process of its own, prints exactly the text that stands under it."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


def test_every_python_block_has_its_output() -> None:
    """No example stands there without having been run."""
    blocks = sum(page.read_text("utf-8").count("```python") for page in RUN_HERE)
    assert blocks == len(EXAMPLES) > 0


def test_tables_are_those_of_the_code() -> None:
    """Generated tables are up to date."""
    subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "--check"], check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that are there, and headings that they have."""
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        other = (page.parent / target).resolve() if target else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE)
            assert anchor[1:] in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
