"""The syntax trees of the package's modules. To parse all of them takes almost a second."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import spanforge.model_registry

PACKAGE = Path(spanforge.model_registry.__file__).parent


@functools.cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_bytes())


def list_trees() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules, by the path in the package."""
    return {str(path.relative_to(PACKAGE)): parse(path) for path in PACKAGE.rglob("*.py")}
