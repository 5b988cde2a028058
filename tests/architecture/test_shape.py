"""The shape of the code: short modules, flat and simple functions, one meaning per name, and limits with reasons."""

from __future__ import annotations

import ast
import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from support.syntax import PACKAGE, list_trees

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LINES = 330
MAX_COMPLEXITY = 10
MAX_NESTING = 4

COMPLEX: dict[str, str] = {
    "compliance/_analysis/scan.py:_count_spans": "it runs for each span of an archive",
    "_core/validation.py:_freeze_plain_metadata": "runs for each of a file's entries, and a call per key would slow it",
    "otel/_span_access.py:on_ending": "runs for each span, and a further call would slow it",
    "otel/_processor.py:_handle_span": "runs for each span that names a model, and a further call would slow it",
    **dict.fromkeys(
        (
            "_core/collector_choice.py:_find_base_models",
            "_core/collector_forms.py:_match_form",
            "_core/collector_forms.py:match_exactly",
            "_core/collector_names.py:_list_part_rules",
            "_core/collector_statements.py:_warn_of_near_matches",
            "_core/collector_tables.py:add_forms",
        ),
        "it lists the Collector's statements in the order in which they run",
    ),
}
"""Functions that may be more complex, each with its reason."""
SHARED_NAMES: dict[str, str] = {
    "T": "a type variable",
    "warnings": "a module's warnings, each logged once",
}
"""Top-level names that several modules have, each with the one meaning that it has in all of them."""

BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.Assert)
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of all modules, each with its module."""
    for path, tree in list_trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                yield f"{path}:{node.name}", node


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of the functions in it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, SCOPES):
            yield child
            yield from own_nodes(child)


def complexity(function: ast.FunctionDef) -> int:
    """Return the number of paths: branches, ``and`` and ``or``, and the loops and conditions of comprehensions."""
    total = 1
    for node in own_nodes(function):
        if isinstance(node, BRANCHES):
            total += 1
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            total += 1 + len(node.ifs)
    return total


def nesting(node: ast.AST, depth: int = 0) -> int:
    """Return how many blocks the deepest statement is in; ``elif`` counts as its ``if``."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        if not isinstance(child, SCOPES):
            deepest = max(deepest, nesting(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def test_modules_are_short() -> None:
    """A module has one idea, in about 300 lines."""
    lengths = {path: (PACKAGE / path).read_text("utf-8").count("\n") for path in list_trees()}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_functions_are_simple() -> None:
    """No function has more than ten paths, except those with a reason."""
    complex_ones = {name for name, function in functions() if complexity(function) > MAX_COMPLEXITY}
    assert complex_ones == set(COMPLEX)


def test_functions_are_flat() -> None:
    """No statement is nested deeper than four blocks."""
    assert {name: nesting(node) for name, node in functions() if nesting(node) > MAX_NESTING} == {}


def top_level_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, SCOPES):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_a_name_means_one_thing() -> None:
    """A top-level name is in one module, unless it means the same in all that have it."""
    places: defaultdict[str, set[str]] = defaultdict(set)
    for path, tree in list_trees().items():
        for name in top_level_names(tree):
            if not name.startswith("__"):
                places[name.lstrip("_")].add(path)
    shared = {name for name, paths in places.items() if len(paths) > 1}
    assert shared == set(SHARED_NAMES)


LIMIT = re.compile(r"(^|_)(MAX|MIN|LONGEST|SHOWN|WAIT|SECONDS|TIMEOUT|CHUNK|LIKE|BUFFERED|CACHED)(_|$)")
"""How the names of limits are written."""
SMALL = 20
"""A smaller number in a slice is a place in a text of a known form, such as a date."""


def list_numbers() -> Iterator[tuple[str, bool]]:
    """Yield each constant that is a number, and whether it, or the last one of several in a row, has a docstring."""
    for path, tree in list_trees().items():
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
    for path, tree in list_trees().items():
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
