"""A check of users' programs with mypy and pyright against the installed wheel.

The programs are those in ``tests/typing`` and in the documentation. Those in ``tests/typing`` state the types that they
get, and contain lines that must be errors. An environment in ``build/typing`` has the wheel of this tree, and no path
to the source. Users' type checkers see the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from environments import ALL_EXTRAS, ROOT, build_wheel, install_wheel, make_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES: Final = ROOT / "tests" / "typing"
BLOCK: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)
NOT_OURS: Final = ("attr-defined", "import-not-found", "import-untyped", "union-attr")
"""mypy's codes for what the documentation's programs do with other packages, and for the shortcuts that they take."""


def write_blocks(folder: Path) -> None:
    """Write the Python programs of the documentation into a folder, each into a file with the name of its page."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, block in enumerate(BLOCK.findall(page.read_text("utf-8"))):
            (folder / f"{page.stem.replace('-', '_').lower()}_{number}.py").write_text(block, "utf-8")


def check_samples(python: Path) -> list[str]:
    """Return the faults that mypy and pyright find in the samples."""
    return [*_run_mypy(python, SAMPLES), *_run(SAMPLES, ("pyright", "--pythonpath", str(python)))]


def check_pages(python: Path) -> list[str]:
    """Return the faults that mypy finds in the documentation's use of the package."""
    with tempfile.TemporaryDirectory() as folder:
        write_blocks(Path(folder))
        return _run_mypy(python, Path(folder), *(f"--disable-error-code={code}" for code in NOT_OURS))


def _run_mypy(python: Path, folder: Path, *options: str) -> list[str]:
    settings = ("--no-error-summary", "--cache-dir", os.devnull, "--python-executable", str(python))
    return _run(folder, ("mypy", *settings, *options, "."))


def _run(folder: Path, command: Sequence[str]) -> list[str]:
    """Return the lines that a checker prints if it finds something."""
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    variables["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), variables["PATH"]))
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    return [f"{command[0]}: {line}" for line in (done.stdout + done.stderr).splitlines()] if done.returncode else []


def main() -> int:
    """Check the samples, and print the faults."""
    python = make_environment(ALL_EXTRAS, "typing/python")
    with tempfile.TemporaryDirectory() as folder:
        install_wheel(python, build_wheel(Path(folder)))
    faults = [*check_samples(python), *check_pages(python)]
    print("\n".join(faults) or f"tests/typing: mypy and pyright agree with {len(list(SAMPLES.glob('*.py')))} samples")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
