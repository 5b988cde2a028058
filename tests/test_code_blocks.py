"""Code blocks of the documentation that no other test runs: registry files, configuration, commands and settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._cli.commands import COMMANDS, PROGRAM, build_command
from spanforge.model_registry._core.settings import SETTINGS

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    ROOT / "collector-config" / "README.md",
]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"console", "json", "nginx", "promql", "py", "python", "sh", "sql", "text", "yaml"}
MISSPELT = {"OTEL_PYTHON_MODEL_REGISTRY_FILES"}
"""Names of settings that a page shows as mistakes."""
OPTIONS_OF_ALL = {"--help", "--install-completion", "--show-completion", "--version"}


def list_blocks(*languages: str) -> list[Any]:
    """Return the blocks in these languages without their indentation, each with the name of its page."""
    return [
        pytest.param(re.sub(rf"^{indent}", "", block, flags=re.MULTILINE), id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (indent, language, block) in enumerate(FENCE.findall(page.read_text("utf-8")))
        if language in languages
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_have_a_known_language(page: Path) -> None:
    """Each block has a language, so that pages show it in colours and tests can find it."""
    assert {language for _, language, _ in FENCE.findall(page.read_text("utf-8"))} <= LANGUAGES
    assert len(re.findall(r"^ *```", page.read_text("utf-8"), re.MULTILINE)) % 2 == 0


@pytest.mark.parametrize("block", list_blocks("yaml", "json"))
def test_files_on_pages_are_valid(block: str, tmp_path: Path) -> None:
    """Each block in YAML or JSON can be read, and the library loads each registry file without fields to fill in."""
    content = yaml.safe_load(block)
    if isinstance(content, list) and "model_id" in content[0] and None not in content[0].values():
        (tmp_path / "models.yaml").write_text(block, "utf-8")
        registry = ModelRegistry()
        registry.load(tmp_path / "models.yaml")
        assert len(registry) == len(content)


def find_commands(block: str) -> list[list[str]]:
    """Return the command lines of the program in a block of shell commands, each as its arguments."""
    lines = [line.removeprefix("$ ").strip() for line in block.replace("\\\n", " ").splitlines()]
    found = [line.partition(f"{PROGRAM} ")[2] for line in lines if re.match(rf"(?:\w+=\S+ )*{PROGRAM} ", line)]
    return [shlex.split(re.split(r" [|>] | && |;$", command)[0], comments=True) for command in found]


@pytest.mark.parametrize("block", [block for block in list_blocks("console", "sh") if PROGRAM in block.values[0]])
def test_commands_on_pages_exist(block: str) -> None:
    """Each command line names a command that there is, with options that it has."""
    rows = {row.name: row for row in COMMANDS}
    for arguments in find_commands(block):
        name = next((" ".join(arguments[:words]) for words in (2, 1) if " ".join(arguments[:words]) in rows), "")
        used = {word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
        assert name or used & OPTIONS_OF_ALL, arguments
        assert used <= find_options(name) | OPTIONS_OF_ALL, arguments


def find_options(name: str) -> set[str]:
    """Return the options of a command."""
    if not name:
        return set()
    group, _, last = name.rpartition(" ")
    command: Any = build_command(group or last)
    command = command.get_command(None, last) if group else command
    return {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_on_pages_exist(page: Path) -> None:
    """Each setting that a page names is one of the library, and each command of ``make`` is one of the project."""
    text = page.read_text("utf-8")
    known = {row.variable for row in SETTINGS} | MISSPELT
    assert set(re.findall(r"OTEL_PYTHON_MODEL_REGISTRY_[A-Z_]*[A-Z]", text)) <= known
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    scripts = "".join(block for _, language, block in FENCE.findall(text) if language in {"console", "sh"})
    assert {
        *re.findall(r"`make ([a-z]+)", text),
        *re.findall(r"^(?:\w+=\S+ )*make ([a-z]+)", scripts, re.MULTILINE),
    } <= targets
