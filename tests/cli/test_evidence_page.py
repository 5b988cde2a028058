"""The commands in docs/evidence-commands.md print the output that the page shows."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.command_server import serving_commands
from support.commands import command_environment, copy_examples
from support.page_commands import hide_varying, list_commands

PAGE = Path(__file__).parents[2] / "docs" / "evidence-commands.md"
LEFT_OUT = "…\n"


def prepare_folder(folder: Path) -> Path:
    """Return a copy of the examples, in a git repository with a commit."""
    examples = copy_examples(folder)
    git = ["git", "-C", str(examples), "-c", "user.name=ci", "-c", "user.email=ci@acme.example"]
    for arguments in (("init", "-q"), ("add", "models.yaml", "media.yaml"), ("commit", "-q", "-m", "first")):
        subprocess.run([*git, *arguments], check=True)
    return examples


@pytest.mark.e2e
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """Each command prints the text under it. Digests and the time of generation differ in each run."""
    examples = prepare_folder(tmp_path)
    commands = list_commands(PAGE)
    assert len(commands) >= 4
    with serving_commands() as programs:
        settings = command_environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}")
        for command, output in commands:
            done = subprocess.run(
                ["bash", "-c", command], capture_output=True, text=True, check=False, cwd=examples, env=settings
            )
            assert done.stderr == "", command
            printed, expected = (hide_varying(text) for text in (done.stdout, output))
            pattern = re.escape(expected).replace(re.escape(LEFT_OUT), "(.*\n)*")
            assert re.fullmatch(pattern, printed), (command, printed)
