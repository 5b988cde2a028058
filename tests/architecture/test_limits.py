"""Limits: each is a constant with a name, and its docstring has the reason."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import spanforge.model_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(spanforge.model_registry.__file__).parent
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}

LIMIT = re.compile(r"(^|_)(MAX|MIN|LONGEST|SHOWN|WAIT|SECONDS|TIMEOUT|CHUNK|LIKE|BUFFERED|CACHED)(_|$)")
"""How the names of limits are written."""
SMALL = 20
"""A smaller number in a slice is a place in a text of a known form, such as a date."""


def list_numbers() -> Iterator[tuple[str, bool]]:
    """Yield each constant that is a number, and whether it, or the last one of several in a row, has a docstring."""
    for path, tree in MODULES.items():
        for number, node in enumerate(tree.body):
            if not is_number(node):
                continue
            rest = list(itertools.dropwhile(is_number, tree.body[number:]))
            assert isinstance(node, ast.AnnAssign)
            yield f"{path}:{ast.unparse(node.target)}", bool(rest) and isinstance(rest[0], ast.Expr)


def is_number(node: ast.AST) -> bool:
    """Check whether a statement gives a number a name."""
    parts = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    return isinstance(node, ast.AnnAssign) and all(isinstance(each, parts) for each in ast.walk(node.value or node))


def list_bare_numbers() -> Iterator[str]:
    """Yield each number without a name that ends a slice or limits a cache."""
    for path, tree in MODULES.items():
        for node in ast.walk(tree):
            limit = None
            if isinstance(node, ast.Slice):
                limit = node.upper
            elif isinstance(node, ast.keyword) and node.arg in ("maxsize", "maxlen", "timeout", "limit"):
                limit = node.value
            if isinstance(limit, ast.Constant) and isinstance(limit.value, (int, float)) and limit.value > SMALL:
                yield f"{path}:{limit.lineno}: {limit.value}"


def test_limits_have_reasons() -> None:
    """Each limit has a docstring; several limits in a row may share one."""
    limits = {name: has_reason for name, has_reason in list_numbers() if LIMIT.search(name.partition(":")[2])}
    assert [name for name, has_reason in limits.items() if not has_reason] == []


def test_limits_have_names() -> None:
    """No slice and no cache is limited by a number without a name, except parts of ids."""
    ids = {"_cli/sending.py", "_cli/sarif.py", "compliance/_analysis/copies.py", "compliance/_analysis/duplicates.py"}
    assert [place for place in list_bare_numbers() if place.partition(":")[0] not in ids] == []
