"""The files of ``collector-config``, and the versions that they are for."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config"
VARIABLES = re.compile(r"\$\{env:(\w+):-([^}]*)\}")
"""A variable in a configuration, and its default."""


def _pinned(file: str, version: str) -> str:
    """Return the version that a file of the servers' modules names."""
    match = re.search(version, (ROOT / "tests" / "servers" / file).read_text("utf-8"))
    assert match is not None
    return match[1]


COLLECTOR = _pinned("otelcol/builder.yaml", r"version: ([\d.]+)\}")
JAEGER = _pinned("jaeger/go.mod", r"jaegertracing/jaeger v([\d.]+)")
