"""The recipes of the documentation, each run as it stands there with the real packages: the page tells the truth."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Printed = Callable[[str], str]

pytestmark = pytest.mark.matrix

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "recipes"
PAGE = ROOT / "docs" / "recipes.md"
PROXY = "litellm_proxy"
SECOND = {
    "langchain": "unregistered",
    "langfuse": "unregistered",
    PROXY: "deprecated",
    "logfire": "deprecated",
    "phoenix": "unregistered",
    "pydantic_ai": "unregistered",
    "traceloop": "unregistered",
}
"""The recipes, and the status of the model that each calls beside the registered one."""


def files(name: str) -> list[Path]:
    """Return the parts of a recipe."""
    if name == PROXY:
        return [RECIPES / PROXY / "config.yaml", RECIPES / PROXY / "registry_callback.py"]
    return [RECIPES / f"with_{name}.py"]


@pytest.fixture(scope="module")
def printed(environment: Callable[..., Path], environ: dict[str, str]) -> Printed:
    """Give what runs a recipe, once, and returns what it printed."""

    @cache
    def run(name: str) -> str:
        python = environment("litellm" if name == PROXY else "frameworks")
        command = [python, RECIPES / "run.py", name]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=180)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.mark.parametrize("name", SECOND)
def test_a_recipe(name: str, printed: Printed) -> None:
    """The registered model's spans say whose it is; the other's say that it is deprecated, or registered nowhere."""
    registered, other = set(), set()
    for span in re.split(r"^(?=\S)", printed(name), flags=re.MULTILINE)[1:]:
        ours = dict(re.findall(r"^  model_registry\.(\w+) = (.*)$", span, re.MULTILINE))
        kind = (
            registered
            if re.search(r"^  (?!model_registry).* = (openai/)?gpt-4o(-2024-08-06)?$", span, re.MULTILINE)
            else other
        )
        kind.add((ours["status"], ours.get("owner"), ours.get("risk_tier"), "warnings" in ours))
    assert registered == {("active", "ml-platform", "high", False)}
    deprecated = ("deprecated", "support-team", "medium", True)
    assert other == {deprecated if SECOND[name] == "deprecated" else ("unregistered", None, None, True)}


@pytest.mark.parametrize("name", sorted(SECOND.keys() - {PROXY}))
def test_it_is_short(name: str) -> None:
    """A recipe takes ten lines or fewer beside its imports, and nothing in it is there for the stand-ins."""
    source = files(name)[0].read_text("utf-8")
    lines = [line for line in source.splitlines() if line and not line.startswith(("from ", "import ", '"""'))]
    assert len(lines) <= 10
    assert not re.search(r"127\.0\.0\.1|localhost|_key|base_url", source)


def test_all_are_run() -> None:
    """A recipe that nobody runs does not stay true."""
    there = {path for path in RECIPES.rglob("*.*") if path.suffix in {".py", ".yaml"}}
    assert there == {RECIPES / "run.py"}.union(*map(files, SECOND))
    assert set(re.findall(r"<!-- recipe: (\w+) -->\n", PAGE.read_text("utf-8"))) == SECOND.keys()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 gets older releases of some packages")
def test_the_documentation(printed: Printed, documented: Callable[..., None]) -> None:
    """The page has each recipe's files and what it printed, and no other program; ``--write-docs`` renews it."""
    documented(PAGE, {f"recipe: {name}": section(name, printed(name)) for name in SECOND})
    assert PAGE.read_text("utf-8").count("```python") == len(SECOND)


def section(name: str, output: str) -> str:
    """Return a recipe as it stands on the page."""
    language = {".py": "python", ".yaml": "yaml"}
    blocks = [(language[file.suffix], file.read_text("utf-8")) for file in files(name)]
    return "\n".join(f"```{kind}\n{text}```\n" for kind, text in [*blocks, ("text", output)])
