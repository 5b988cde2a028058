"""Python environments with pinned requirements, made once, beside ``.venv``, and the package's wheel in them."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ALL_EXTRAS: Final = "matrix-sdk-newest"
"""The requirements with the newest dependencies of all extras."""


def make_environment(requirements: str, place: str, *options: str, base: str = sys.executable) -> Path:
    """Return the Python of an environment, which is made if there is none yet.

    One process at a time makes it; the others wait.

    Args:
        requirements: The name of a file in ``requirements``, without ``.txt``.
        place: The folder in ``build``, or an absolute path. A digest of the requirements and of the Python is added to
            its name.
        options: Options of ``pip install`` that uv has too.
        base: The Python of which it is made.

    Raises:
        subprocess.CalledProcessError: A requirement cannot be installed.
    """
    pinned = ROOT / "requirements" / f"{requirements}.txt"
    version = subprocess.run([base, "-VV"], check=True, capture_output=True).stdout
    digest = hashlib.sha256(pinned.read_bytes() + version).hexdigest()[:16]
    folder = ROOT / "build" / f"{place}-{digest}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            subprocess.run([base, "-m", "venv", "--clear", "--without-pip", folder], check=True)
            _install(python, *options, "--require-hashes", "--requirement", pinned)
            (folder / "complete").touch()
    return python


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this tree into an empty folder, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(python: Path, wheel: Path) -> None:
    """Install the wheel into an environment without the network; replace an earlier one."""
    _install(python, "--no-index", "--no-deps", "--force-reinstall", wheel)


def _install(python: Path, *arguments: str | Path) -> None:
    """Install with uv, which takes a tenth of the time. If it fails, install with pip, which may have another index."""
    uv = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", python, *arguments]
    if subprocess.run(uv, check=False).returncode:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", python, "install"]
        subprocess.run([*pip, "--no-compile", *arguments], check=True)
