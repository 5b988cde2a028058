"""Fuzzing: the committed corpus, and some seconds with atheris."""

from __future__ import annotations

import logging
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.fuzz.targets import TARGETS, prepare_target

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parent / "corpus"
TOOL = Path(__file__).parents[2] / "tools" / "fuzz.py"
NO_FUZZER = 3
"""The exit code of the tool if there is no fuzzer for this Python."""
SECONDS = 5
"""The seconds of fuzzing. To import the instrumented modules takes longer."""


@pytest.fixture
def _restored_loggers() -> Iterator[None]:
    """Restore the loggers that a target changes."""
    loggers = [logging.getLogger(name) for name in ("spanforge.model_registry", "opentelemetry")]
    before = [(logger, logger.level, logger.propagate, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, logger.propagate, logger.handlers in before:
        logger.setLevel(level)


@pytest.mark.usefixtures("_restored_loggers")
@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str, tmp_path: Path) -> None:
    """A target keeps its promises for each input of its corpus, among them all for which it once did not."""
    run = prepare_target(name, tmp_path)
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs
    for path in inputs:
        run(path.read_bytes())


def test_failed_target_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that ends with another status than 0 has failed, and its input is named."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    read_outcome = runpy.run_path(str(TOOL))["read_outcome"]
    lines = ["#2\tINITED cov: 10 ft: 1", "#9\tNEW    cov: 12 ft: 3", "stat::number_of_executed_units: 9", ""]
    good = read_outcome("\n".join(["names", *lines, "fuzz: end 0"]))
    assert str(good) == "fuzz: names: 9 inputs, coverage 10 to 12: ok"
    bad = read_outcome("names\nTest unit written to build/fuzz/names-crash-1\nfuzz: end 19712")
    assert (bad.has_failed, bad.failed_input) == (True, "build/fuzz/names-crash-1")


@pytest.mark.e2e
def test_seconds_of_fuzzing() -> None:
    """No target fails for an input that atheris finds in some seconds."""
    command = [sys.executable, TOOL, "--fresh", "--seconds", str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == NO_FUZZER:
        (pytest.fail if "CI" in os.environ else pytest.skip)(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"^fuzz: (\w+): [1-9]", done.stdout, re.MULTILINE)) == TARGETS.keys()
