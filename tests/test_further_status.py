"""A further status that an operation ends, as rows of the tables only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import further_status
from support.further_status import TABLES

import spanforge.model_registry


@pytest.mark.slow
def test_a_status_that_ends(tmp_path: Path) -> None:
    """Dates, layers, ``emit_changes`` and evidence follow the rows of ``LIFECYCLE`` and ``OPERATIONS``."""
    package = tmp_path / "spanforge" / "model_registry"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spanforge.model_registry.__file__).parent, package, ignore=ignored)
    with (package / "_core" / "lifecycle.py").open("a", encoding="utf-8") as file:
        file.write(TABLES)
    tests = Path(further_status.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(tests)])}
    command = [sys.executable, further_status.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
