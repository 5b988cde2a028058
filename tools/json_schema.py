"""The last step of the generators of JSON Schemas: write the schema, or only compare it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def update(file: Path, schema: dict[str, Any], program: str, arguments: list[str]) -> int:
    """Write a schema if its file differs, or with ``--check`` report that; return the exit code."""
    text = json.dumps(schema, indent=2) + "\n"
    if file.exists() and file.read_text("utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{file.name} is out of date: run tools/{program}", file=sys.stderr)
        return 1
    file.write_text(text, "utf-8")
    return 0
