"""A further status that an operation ends, as rows of the tables only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import further_status
from support.further_status import STORIES, TABLES

import spanforge.model_registry


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package whose tables have the status ``suspended``."""
    folder = tmp_path_factory.mktemp("src")
    package = folder / "spanforge" / "model_registry"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spanforge.model_registry.__file__).parent, package, ignore=ignored)
    with (package / "_core" / "lifecycle.py").open("a", encoding="utf-8") as file:
        file.write(TABLES)
    return folder


@pytest.mark.parametrize("story", STORIES)
def test_a_status_that_ends(sources: Path, story: str) -> None:
    """Dates, layers, ``emit_changes`` and evidence follow the rows of ``LIFECYCLE`` and ``OPERATIONS``."""
    command = [sys.executable, further_status.__file__, story]
    tests = Path(further_status.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(sources), str(tests)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
