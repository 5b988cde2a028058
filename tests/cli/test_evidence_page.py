"""The commands in docs/evidence-commands.md print the output that the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from support.commands import command_environment, command_line, copy_examples

PAGE = Path(__file__).parents[2] / "docs" / "evidence-commands.md"
BLOCK = re.compile(r"```console\n(\$ .*?)```", re.DOTALL)
VARYING = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC(?=, by the clock))")
"""Digests, key ids, commits, and the time of generation."""
LEFT_OUT = "…\n"


class PageCommand(NamedTuple):
    """A command on the page, and the output under it."""

    line: str
    output: str


def list_commands() -> list[PageCommand]:
    """Return the commands of the page, in its order."""
    blocks = BLOCK.findall(PAGE.read_text("utf-8"))
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    return [split_command(part) for part in parts if part]


def split_command(part: str) -> PageCommand:
    """Return the command at the beginning of a text, which continues after a backslash and in quotes."""
    lines = part.splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        line = "".join(lines[:number])
        if line.count("'") % 2 == 0 and not line.endswith("\\\n"):
            return PageCommand(line, "".join(lines[number:]))
    raise ValueError(part)


def prepare_folder(folder: Path) -> Path:
    """Return a copy of the examples, in a git repository with a commit, and with the program in a folder ``bin``."""
    examples = copy_examples(folder)
    program = folder / "bin" / "spanforge-models"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(command_line())} "$@"\n')
    program.chmod(0o755)
    (program.parent / "python3").symlink_to(sys.executable)
    git = ["git", "-C", str(examples), "-c", "user.name=ci", "-c", "user.email=ci@acme.example"]
    for arguments in (("init", "-q"), ("add", "models.yaml", "media.yaml"), ("commit", "-q", "-m", "first")):
        subprocess.run([*git, *arguments], check=True)
    return examples


@pytest.mark.e2e
def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """Each command prints the text under it. Digests and the time of generation differ in each run."""
    examples = prepare_folder(tmp_path)
    settings = command_environment(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    commands = list_commands()
    assert len(commands) >= 8
    for command, output in commands:
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=False, cwd=examples, env=settings
        )
        assert done.stderr == "", command
        printed, expected = (VARYING.sub("*", text) for text in (done.stdout, output))
        pattern = re.escape(expected).replace(re.escape(LEFT_OUT), "(.*\n)*")
        assert re.fullmatch(pattern, printed), (command, printed)
