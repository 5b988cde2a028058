"""The shape of the code: short modules, flat and simple functions, and one meaning per name."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import spanforge.model_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(spanforge.model_registry.__file__).parent

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


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules."""
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of all modules, each with its module."""
    for path, tree in modules().items():
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
    lengths = {path: (PACKAGE / path).read_text("utf-8").count("\n") for path in modules()}
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
    for path, tree in modules().items():
        for name in top_level_names(tree):
            if not name.startswith("__"):
                places[name.lstrip("_")].add(path)
    shared = {name for name, paths in places.items() if len(paths) > 1}
    assert shared == set(SHARED_NAMES)
