"""Runs of the command line: in a process of its own, or faster in the process of the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from support.processes import SECONDS, environment

from spanforge.model_registry._cli.app import run

if TYPE_CHECKING:
    import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "command_line"


class Printed(NamedTuple):
    """The end of a command: its exit code, and what it printed to both streams."""

    code: int
    out: str
    err: str


def run_process(*arguments: object, folder: Path, **settings: str) -> Printed:
    """Run a command in a process of its own, in a folder, with these environment variables."""
    done = subprocess.run(
        command_line(*arguments),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=folder,
        env=command_environment(**settings),
    )
    return Printed(done.returncode, done.stdout, done.stderr)


def command_line(*arguments: object) -> list[str]:
    """Return the command that runs the program."""
    return [sys.executable, "-W", "error", "-m", "spanforge.model_registry", *map(str, arguments)]


def command_environment(**settings: str) -> dict[str, str]:
    """Return an environment without settings of OpenTelemetry, colours or widths, with these variables."""
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CI", "GITHUB_ACTIONS")
    return {name: value for name, value in environment(**settings).items() if name in settings or name not in left_out}


def run_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Printed:
    """Run a command in this process."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    return Printed(code, *capsys.readouterr())


def copy_examples(folder: Path) -> Path:
    """Copy the files of the examples; return the copy's folder."""
    return Path(shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns(".*")))


def enter_examples_with_keys(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Copy the files of the examples, with the key pair ``signer``; make the copy the current folder, and return it."""
    copy = copy_examples(folder)
    monkeypatch.chdir(copy)
    assert run_here(capsys, "evidence", "keygen", "--output", "signer").code == 0
    return copy


def fits_terminal(text: str) -> bool:
    """Check whether no line is wider than 80 columns, and no character controls the terminal.

    Some characters have two columns, and others have none.
    """
    return all(cell_len(line) <= 80 and line.isprintable() for line in text.split(os.linesep))
