"""The mutations with which ``make mutants`` measures the tests."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry._core import globs

if TYPE_CHECKING:
    from collections.abc import Callable

TOOL = Path(__file__).parent.parent / "tools" / "mutations.py"
find_mutations: Callable[[bytes], list[Any]] = runpy.run_path(str(TOOL))["find_mutations"]


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", {"x = ((a) <= (b))", "x = ((a) > (b))"}),
        ("x = a is b", {"x = ((a) is not (b))"}),
        ("x = a < b < c", set()),
        ("x = a and not b", {"x = ((a) or (not b))", "x = (a)", "x = (not b)", "x = a and bool(b)"}),
        ("x = a + b", {"x = ((a) - (b))"}),
        ("x = a if c else b", {"x = (a)", "x = (b)"}),
        ("x = 1, True, 'a b'", {"x = 2, True, 'a b'", "x = 1, False, 'a b'"}),
        ("x = 'key'", {"x = 'key~'"}),
        ("if a(): pass", {"if (not a()): pass"}),
        ("def f() -> 'T': return 'é', a", {"def f() -> 'T': return None", "def f() -> 'T': return 'é~', a"}),
        ("for x in y: f(x); break", {"for x in y: pass; break", "for x in y: f(x); continue"}),
        ("raise E", {"pass"}),
        ("'''A docstring.'''\n__all__ = ['name']\nx: 'T' = cast('T', f'{a + 1}')", set()),
    ],
)
def test_mutations_of_a_statement(source: str, mutants: set[str]) -> None:
    """Each kind of node has its mutations; texts for readers and type checkers have none."""
    text = source.encode()
    found = {mutation.apply(text).decode() for mutation in find_mutations(text)}
    assert found == mutants


@pytest.mark.slow
def test_mutations_of_a_module() -> None:
    """Each mutation is another program, on the line and in the function that it names."""
    source = Path(globs.__file__).read_bytes()
    mutations = find_mutations(source)
    lines = source.decode().splitlines()
    assert len(mutations) > 50
    assert len({mutation.apply(source) for mutation in mutations}) == len(mutations)
    for mutation in mutations:
        assert ast.dump(ast.parse(mutation.apply(source))) != ast.dump(ast.parse(source))
        assert source[mutation.start : mutation.end].decode().splitlines()[0] in lines[mutation.line - 1]
        assert not mutation.function or lines[mutation.function - 1].lstrip().startswith(("def ", "@"))
