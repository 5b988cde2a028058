"""Environments that have the package's wheel installed, as users have it, and pinned dependencies of all extras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PINNED: Final = ROOT / "requirements" / "matrix-sdk-newest.txt"
"""The newest dependencies of all extras."""


def make_environment(folder: Path) -> Path:
    """Return the Python of an environment with the dependencies; make it if it is missing or has other ones."""
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = f"{sys.version}\n{PINNED.read_text('utf-8')}"
    if not installed.exists() or installed.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        _install(python, "--require-hashes", "--requirement", str(PINNED))
        installed.write_text(wanted, "utf-8")
    return python


def install_wheel(python: Path, wheel: Path) -> None:
    """Install the wheel into an environment without the network; replace an earlier one."""
    _install(python, "--no-index", "--no-deps", "--force-reinstall", str(wheel))


def _install(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *arguments], check=True)
