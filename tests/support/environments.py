"""Environments with pinned packages that are not in that of the tests."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def make_environment(group: str, base: str = sys.executable) -> Path:
    """Return the Python of the environment of ``requirements/<group>.txt``, which is made once for each Python."""
    pinned = ROOT / "requirements" / f"{group}.txt"
    version = subprocess.run([base, "-VV"], check=True, capture_output=True).stdout
    digest = hashlib.sha256(pinned.read_bytes() + version).hexdigest()[:16]
    folder = ROOT / "build" / f"{group.replace('-', '/', 1)}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([base, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-compile"]
        subprocess.run([*pip, "--require-hashes", "--requirement", pinned], check=True)
        (folder / "complete").touch()
    return python
