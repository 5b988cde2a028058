"""The README's quick start, as written, in a fresh environment."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.models_api import serving_models
from support.readme import ANSWERS, INSTALL, START, check_span, write_application

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.matrix


def test_the_quick_start_of_the_readme(environ: dict[str, str], wheel: Path, tmp_path: Path) -> None:
    """The lines, with the wheel instead of the clone, give an LLM span the attributes that the README shows.

    Only the application and the settings of its client are not in the block.
    """
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    write_application(tmp_path)
    assert INSTALL.startswith("pip install '/path/to/clone[yaml,cli]' ")
    install = INSTALL.replace("/path/to/clone", str(wheel))
    with serving_models(ANSWERS) as url:
        settings = {
            "PATH": f"{python.parent}{os.pathsep}{environ['PATH']}",
            "PYTHONPATH": "",
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "none",
        }
        done = subprocess.run(
            ["/bin/sh", "-e"],
            input="\n".join([install, *START]),
            env={**environ, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    check_span(done.stdout[done.stdout.index("{") :])
    assert "no span named a model" not in done.stderr
