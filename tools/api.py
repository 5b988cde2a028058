"""Renders the public names of modules from their source, so that every Python gives the same text."""

from __future__ import annotations

import ast
import functools
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sentences import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = Path(__file__).parent.parent / "src"
PACKAGE: Final = "spanforge.model_registry"
MODULES: Final = (
    PACKAGE,
    *(
        f"{PACKAGE}.{name}"
        for name in ("calendar", "collector", "compliance", "otel", "otel.instrumentor", "testing", "watch")
    ),
)
"""The public modules."""
WIDTH: Final = 100
"""Characters of a line of code."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_TYPE_NAME: Final = re.compile(r"(?<![\w.\"'])_?[A-Z]\w+\b(?!\.)")
"""A name that may be a type, but not in a string."""


class Definition(NamedTuple):
    """The definition of a name in a module or a class.

    Attributes:
        module: The module.
        name: The name.
        node: The class, function or assignment.
        docstring: The docstring; empty if there is none.
    """

    module: str
    name: str
    node: ast.stmt
    docstring: str


@functools.cache
def _read_source(module: str) -> str:
    path = SOURCE.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")


@functools.cache
def _list_lines(module: str) -> list[bytes]:
    """Return the lines of a module's source, in bytes, which are the unit of columns in its syntax tree."""
    return _read_source(module).encode().split(b"\n")


@functools.cache
def _parse(module: str) -> ast.Module:
    return ast.parse(_read_source(module))


def _find_definitions(module: str, body: list[ast.stmt]) -> dict[str, Definition]:
    """Return the classes, functions and assignments in the body of a module or a class, by name."""
    definitions: dict[str, Definition] = {}
    statements = list(_list_statements(body))
    for node, following in zip(statements, [*statements[1:], None], strict=True):
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            name, docstring = node.name, ast.get_docstring(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name, docstring = getattr(target, "id", ""), _read_string(following)
        else:
            continue
        definitions.setdefault(name, Definition(module, name, node, docstring or ""))
    return definitions


def _list_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that a type checker sees."""
    for node in body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from node.body
        else:
            yield node


def _read_string(node: ast.stmt | None) -> str | None:
    """Return the string that a statement consists of, as after a variable; ``None`` if it is another statement."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return None


@functools.cache
def find_definition(module: str, name: str) -> Definition | None:
    """Return the definition of a name in a module, or in the module that it is imported from; ``None`` if elsewhere."""
    definition = _find_definitions(module, _parse(module).body).get(name)
    if definition is not None:
        return definition
    for node in ast.walk(_parse(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find_definition(node.module or "", alias.name)
    return None


@functools.cache
def list_public_names(module: str) -> tuple[str, ...]:
    """Return the names in ``__all__``; without it, the names of the module's own that have no underscore."""
    definitions = _find_definitions(module, _parse(module).body)
    if "__all__" not in definitions:
        return tuple(name for name in definitions if not name.startswith("_"))
    node = definitions["__all__"].node
    return tuple(ast.literal_eval(node.value)) if isinstance(node, ast.Assign) else ()


def render_module(module: str) -> str:
    """Return the public names of a module as Markdown: a heading, the signature, and a sentence for each.

    Raises:
        LookupError: A name is not defined in the package.
    """
    return "\n".join(part for name in list_public_names(module) for part in _render_name(module, name))


def _render_name(module: str, name: str) -> Iterator[str]:
    definition = find_definition(module, name)
    if definition is None:
        msg = f"{module}: {name} is not defined in {PACKAGE}"
        raise LookupError(msg)
    yield _render_part(f"### `{name}`", definition)
    for member in _find_members(definition).values():
        if isinstance(member.node, _FUNCTIONS) and not member.name.startswith("_"):
            yield _render_part(f"#### `{name}.{member.name}`", member)


def _render_part(heading: str, definition: Definition) -> str:
    sentences = Block(1, definition.docstring.split("\n\n")[0].replace("``", "`")).find_sentences()
    first = next(sentences, None)
    summary = f"\n{textwrap.fill(first.text, WIDTH)}\n" if first is not None else ""
    return f"{heading}\n\n```py\n{_render_definition(definition)}\n```\n{summary}"


def _render_definition(definition: Definition) -> str:
    node = definition.node
    if isinstance(node, ast.ClassDef):
        return _render_class(definition, node)
    if isinstance(node, _FUNCTIONS):
        return _render_function(definition.module, node)
    return _render_variable(definition)


def _render_class(definition: Definition, node: ast.ClassDef) -> str:
    """Return the head of a class, its fields, and its constructor."""
    bases = ", ".join(_list_bases(definition.module, node))
    body = "\n".join(
        _render_variable(member) if isinstance(member.node, ast.AnnAssign) else _render_definition(member)
        for member in _find_members(definition).values()
        if member.name == "__init__" or (isinstance(member.node, ast.AnnAssign) and not member.name.startswith("_"))
    )
    head = f"class {node.name}({bases})" if bases else f"class {node.name}"
    return f"{head}:\n{textwrap.indent(body, '    ')}" if body else head


def _list_bases(module: str, node: ast.ClassDef) -> Iterator[str]:
    """Yield the bases of a class; instead of a private one, yield the bases of that one."""
    for base in node.bases:
        name = _read_text(module, base)
        private_base = _find_private(module, name)
        if private_base is not None and isinstance(private_base.node, ast.ClassDef):
            yield from _list_bases(private_base.module, private_base.node)
        else:
            yield name


def _find_private(module: str, name: str) -> Definition | None:
    """Return the definition of a name of the package that is not public; ``None`` for other names."""
    if any(name in list_public_names(public) for public in MODULES):
        return None
    return find_definition(module, name)


def _find_members(definition: Definition) -> dict[str, Definition]:
    """Return the members of a class and of its private bases; of another definition, none."""
    node = definition.node
    members: dict[str, Definition] = {}
    if isinstance(node, ast.ClassDef):
        for base in node.bases:
            private_base = _find_private(definition.module, _read_text(definition.module, base))
            members |= {} if private_base is None else _find_members(private_base)
        members |= _find_definitions(definition.module, node.body)
    return members


def _render_variable(definition: Definition) -> str:
    """Return a field with its type and default, a type alias with its value, or a constant with its type."""
    module, name, node = definition.module, definition.name, definition.node
    if isinstance(node, ast.AnnAssign) and _read_text(module, node.annotation) != "Final":
        return f"{name}: {_render_type(module, node.annotation)}{_render_default(module, node.value, ' = ')}"
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    if isinstance(value, ast.Constant):
        return f"{name}: {type(value.value).__name__}"
    return f"{name} = {_read_text(module, value)}"


def _render_function(module: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return decorators and signature; a signature that is too long has a line for each parameter."""
    decorators = "".join(f"@{_read_text(module, decorator)}\n" for decorator in node.decorator_list)
    returned = f" -> {_render_type(module, node.returns)}" if node.returns else ""
    start = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    parameters = list(_render_parameters(module, node.args))
    signature = f"{start} {node.name}({', '.join(parameters)}){returned}"
    if len(signature) > WIDTH:
        lines = "".join(f"    {parameter},\n" for parameter in parameters)
        signature = f"{start} {node.name}(\n{lines}){returned}"
    return decorators + signature


def _render_parameters(module: str, arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [*([None] * (len(positional) - len(arguments.defaults))), *arguments.defaults]
    for number, (argument, default) in enumerate(zip(positional, defaults, strict=True), 1):
        yield _render_parameter(module, argument, default)
        if number == len(arguments.posonlyargs):
            yield "/"
    if arguments.vararg is not None:
        yield f"*{_render_parameter(module, arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _render_parameter(module, argument, keyword_default)
    if arguments.kwarg is not None:
        yield f"**{_render_parameter(module, arguments.kwarg)}"


def _render_parameter(module: str, argument: ast.arg, default: ast.expr | None = None) -> str:
    if argument.annotation is None:
        return f"{argument.arg}{_render_default(module, default, '=')}"
    return f"{argument.arg}: {_render_type(module, argument.annotation)}{_render_default(module, default, ' = ')}"


def _render_default(module: str, default: ast.expr | None, sign: str) -> str:
    """Return a default after its sign, ``...`` for one that only the source explains; empty if there is none."""
    if default is None:
        return ""
    text = _read_text(module, default)
    return f"{sign}..." if isinstance(default, ast.Name) or text.startswith("field(") else f"{sign}{text}"


def _render_type(module: str, annotation: ast.expr) -> str:
    """Return an annotation with the values of type aliases that are not public."""

    def expand(name: re.Match[str]) -> str:
        definition = _find_private(module, name[0])
        alias = None if definition is None else getattr(definition.node, "value", None)
        if definition is None or not isinstance(alias, (ast.Subscript, ast.BinOp)):
            return name[0]
        return _render_type(definition.module, alias)

    if isinstance(annotation, ast.Subscript) and _read_text(module, annotation.value) == "Annotated":
        parts = annotation.slice
        return _render_type(module, parts.elts[0] if isinstance(parts, ast.Tuple) else parts)
    return _TYPE_NAME.sub(expand, _read_text(module, annotation))


def _read_text(module: str, node: ast.expr | None) -> str:
    """Return the source of an expression, on one line."""
    if node is None:
        return ""
    lines = _list_lines(module)[node.lineno - 1 : node.end_lineno]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return " ".join(b" ".join(lines).decode().split())
