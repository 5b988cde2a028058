"""Fuzzing: the committed corpus, and a minute with atheris."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.fuzz.targets import TARGETS, prepare_target

CORPUS = Path(__file__).parent / "corpus"
TOOL = Path(__file__).parents[2] / "tools" / "fuzz.py"
NO_FUZZER = 3
"""The exit code of the tool if there is no fuzzer for this Python."""
SECONDS = 45
"""The seconds of fuzzing. To import the instrumented modules takes the rest of a minute."""


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str, tmp_path: Path) -> None:
    """A target keeps its promises for each input of its corpus, among them all for which it once did not."""
    run = prepare_target(name, tmp_path)
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        run(path.read_bytes())


@pytest.mark.e2e
def test_minute_of_fuzzing() -> None:
    """No target fails for an input that atheris finds in a minute."""
    command = [sys.executable, TOOL, "--fresh", "--seconds", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NO_FUZZER:
        (pytest.fail if "CI" in os.environ else pytest.skip)(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"^fuzz: (\w+): [1-9]", done.stdout, re.MULTILINE)) == TARGETS.keys()
