"""The documentation tells the truth: its code runs, its output is real, its tables are the code's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.october import write_october
from support.prometheus import metric_names
from support.readme import BLOCKS

from spanforge.model_registry._core.attributes import ATTRIBUTES
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

ROOT = Path(__file__).parent.parent
FOLDERS = (
    "",
    "docs",
    "examples",
    "examples/evidence",
    "examples/kubernetes",
    "collector-config",
    "benchmarks",
    "requirements",
    "changelog.d",
    "semconv",
    "tests/servers",
)
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


@pytest.mark.slow
@pytest.mark.parametrize(("code", "output"), EXAMPLES)
def test_examples_print_what_they_say(code: str, output: str, tmp_path: Path) -> None:
    """Each example, run in a process of its own, prints exactly the text that stands under it."""
    if "october.zip" in code:
        write_october(tmp_path)
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


@pytest.mark.slow
def test_tables_are_those_of_the_code() -> None:
    """Generated tables are up to date."""
    subprocess.run([sys.executable, ROOT / "tools" / "docs.py", "--check"], check=True)


def test_the_table_of_attributes_names_every_status_and_tier() -> None:
    """The notes of ``status`` and ``risk_tier`` in ``ATTRIBUTES`` name every value, and no other."""
    notes = {row.name: set(re.findall(r"`(\w+)`", row.note)) for row in ATTRIBUTES}
    assert notes["status"] == {*STATUSES, UNREGISTERED}
    assert notes["risk_tier"] == set(RISK_TIERS)


def test_the_processor_names_all_opt_in_attributes_or_none() -> None:
    """If the docstring of the processor names an attribute that is opt-in, it names all of them."""
    optional = {row.name for row in ATTRIBUTES if row.on_spans == "opt-in"}
    named = {name for name in optional if f"``{name}``" in (ModelRegistrySpanProcessor.__doc__ or "")}
    assert named in (set(), optional)


def test_the_page_of_metrics_names_them_as_prometheus_does() -> None:
    """docs/metrics.md has Prometheus' name of each metric."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert {name for name in metric_names() if f"`{name}`" not in page} == set()


def test_every_example_has_a_test() -> None:
    """The examples are those that the tests run, such as ``tests/e2e`` and ``tests/matrix``; add new ones here."""
    assert {path.name for path in (ROOT / "examples").iterdir()} - {"__pycache__", "README.md"} == {
        "command_line",
        "evidence",
        "fastapi_gunicorn",
        "fleet.py",
        "frameworks",
        "lifecycle.py",
        "nothing_lost.py",
        "plain_sdk.py",
        "recipes",
        "roles",
        "support_agent",
        "kubernetes",
        "zero_code",
    }


PACKAGE = ROOT / "src" / "spanforge" / "model_registry"


def test_contributing_names_files_that_there_are() -> None:
    """Each Python file and each folder that CONTRIBUTING.md names exists, in the package or in the project."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8").replace(".venv/bin/", "")
    names = set(re.findall(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|yml|yaml|json))`", page))
    assert len(names) > 20
    places = (ROOT, ROOT / "src", PACKAGE, ROOT / "tests" / "e2e", ROOT / "collector-config")
    assert {name for name in names if not any((place / name).exists() for place in places)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that are there, and headings that they have."""
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        other = (page.parent / target).resolve() if target else page
        assert other.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), re.MULTILINE)
            assert anchor[1:] in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_links_lead_to_every_page() -> None:
    """Readers of the repository, who have no navigation, reach each page of docs/ by links from its index."""
    reached, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            todo += [(page.parent / target).resolve() for target, _ in LINK.findall(page.read_text("utf-8")) if target]
    assert set((ROOT / "docs").glob("*.md")) - reached == set()


def test_pictures_of_commands_show_each_command() -> None:
    """Each picture of a command exists for light and dark pages, loads nothing, and is on the page of pictures."""
    page = (ROOT / "docs" / "terminal.md").read_text("utf-8")
    names = re.findall(r"images/(cli-\w+-(?:dark|light)\.svg)", page)
    assert sorted(names) == sorted(path.name for path in (ROOT / "docs" / "images").glob("cli-*.svg"))
    for name in names:
        picture = (ROOT / "docs" / "images" / name).read_text("utf-8")
        assert re.findall(r"(?:https?:)?//[^\"' )]+", picture) == ["http://www.w3.org/2000/svg"]


def test_the_quick_start_of_the_readme_is_short() -> None:
    """The registry file of the README has eight lines, and the shell block has three."""
    assert {name: len(block.splitlines()) for name, block in BLOCKS.items()} == {
        "models.yaml": 8,
        "shell": 3,
        "span": 8,
    }
