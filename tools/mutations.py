"""Mutations of a module, which are small faults: a swapped comparison, a missing statement, another constant."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Replacement = tuple[Any, str]
    """A node, and the text in its place."""

_COMPARISONS: Final = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
"""The operators in place of a comparison."""
_OPERATORS: Final = dict(zip((ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod), "-++***", strict=True))
"""The operator in place of another one."""
_NAMES_ONLY: Final = {"cast", "TypeVar", "ParamSpec", "NewType"}
"""Functions for type checkers."""
_LISTS_OF_NAMES: Final = {"__all__", "__slots__"}


class Mutation(NamedTuple):
    """A fault of a module.

    Attributes:
        line: The line where it starts.
        function: The first line of the function around it, with its decorators, or 0.
        start: The offset in bytes of the text that it replaces.
        end: The offset of that text's end.
        text: The text in its place.
    """

    line: int
    function: int
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """Return the source with the fault."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def describe(self, source: bytes) -> str:
        """Return the old and the new text on one line."""
        return " ".join(f"{source[self.start : self.end].decode()}  ->  {self.text}".split())


def find_mutations(source: bytes) -> list[Mutation]:
    """Return all mutations of a module in the order of its lines. Docstrings and annotations have none."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    mutations = set()
    for node, function in _walk(ast.parse(source), 0):
        for part, text in _MUTATE.get(type(node), _keep)(node):
            start = starts[part.lineno - 1] + part.col_offset
            end = starts[part.end_lineno - 1] + part.end_col_offset
            mutations.add(Mutation(part.lineno, function, start, end, text))
    return sorted(mutations)


def _walk(node: ast.AST, function: int) -> Iterator[tuple[ast.AST, int]]:
    """Yield the nodes whose change can change what the program does, and the function of each."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in {"annotation", "returns"} and not _is_inert(child):
                yield child, function
                yield from _walk(child, function)


def _is_inert(node: ast.AST) -> bool:
    """Check whether a node is only for type checkers or readers, or an f-string, whose parts have no exact place."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.JoinedStr() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in _NAMES_ONLY
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in _LISTS_OF_NAMES
    return False


def _keep(_node: ast.AST) -> Iterator[Replacement]:
    return iter(())


def _mutate_comparison(node: ast.Compare) -> Iterator[Replacement]:
    if len(node.ops) == 1:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        for operator in _COMPARISONS[type(node.ops[0])]:
            yield node, f"(({left}) {operator} ({right}))"


def _mutate_condition(node: ast.BoolOp) -> Iterator[Replacement]:
    values = [f"({ast.unparse(value)})" for value in node.values]
    yield node, f"({(' or ' if isinstance(node.op, ast.And) else ' and ').join(values)})"
    yield from ((node, value) for value in values)


def _mutate_calculation(node: ast.BinOp) -> Iterator[Replacement]:
    operator = _OPERATORS.get(type(node.op))
    if operator:
        yield node, f"(({ast.unparse(node.left)}) {operator} ({ast.unparse(node.right)}))"


def _drop_not(node: ast.UnaryOp) -> Iterator[Replacement]:
    if isinstance(node.op, ast.Not):
        yield node, f"bool({ast.unparse(node.operand)})"


def _choose_branch(node: ast.IfExp) -> Iterator[Replacement]:
    yield node, f"({ast.unparse(node.body)})"
    yield node, f"({ast.unparse(node.orelse)})"


def _negate(node: ast.If | ast.While) -> Iterator[Replacement]:
    if isinstance(node.test, ast.Name | ast.Attribute | ast.Call):  # the others have mutations of their own
        yield node.test, f"(not {ast.unparse(node.test)})"


def _mutate_constant(node: ast.Constant) -> Iterator[Replacement]:
    value = node.value
    if isinstance(value, bool):
        yield node, str(not value)
    elif isinstance(value, int):
        yield node, str(value + 1)
    elif isinstance(value, str) and value and " " not in value:  # a name, not a message
        yield node, repr(f"{value}~")


def _return_none(node: ast.Return) -> Iterator[Replacement]:
    if node.value and ast.unparse(node.value) != "None":
        yield node, "return None"


def _drop_call(node: ast.Expr) -> Iterator[Replacement]:
    if isinstance(node.value, ast.Call):
        yield node, "pass"


def _drop_statement(node: ast.stmt) -> Iterator[Replacement]:
    yield node, "pass"


def _swap_jump(node: ast.stmt) -> Iterator[Replacement]:
    yield node, "continue" if isinstance(node, ast.Break) else "break"


_MUTATE: Final[dict[type[ast.AST], Callable[[Any], Iterator[Replacement]]]] = {
    ast.Compare: _mutate_comparison,
    ast.BoolOp: _mutate_condition,
    ast.BinOp: _mutate_calculation,
    ast.UnaryOp: _drop_not,
    ast.IfExp: _choose_branch,
    ast.If: _negate,
    ast.While: _negate,
    ast.Constant: _mutate_constant,
    ast.Return: _return_none,
    ast.Expr: _drop_call,
    ast.AugAssign: _drop_statement,
    ast.Raise: _drop_statement,
    ast.Delete: _drop_statement,
    ast.Break: _swap_jump,
    ast.Continue: _swap_jump,
}
