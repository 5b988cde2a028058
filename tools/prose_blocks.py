"""Reads the blocks of prose in Markdown pages and in Python modules."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt
from sentences import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

_PARSER: Final = MarkdownIt("commonmark").enable("table")
_SECTION: Final = re.compile(r"\s*(?:Args|Attributes|Raises|Returns|Usage|Warns|Yields):$")
_ITEM: Final = re.compile(r"\s*(?:[-*]|\d+\.) ")
_FIELD: Final = re.compile(rf"{_ITEM.pattern}|\s+[*\w.]+: ")
"""The name before the description of an argument, an attribute or an error; or an item."""
_ROW: Final = re.compile(r"\s*\S.*?\S {2,}\S")
"""A row of a table or of a list of commands: it has blanks between its columns."""
_DIRECTIVE: Final = re.compile(r"^(?:!|noqa\b|(?:fmt|mypy|pragma|pyright|ruff|type):).*?(?: - |# |$)")
"""A comment for a tool, up to the reason after it."""
_PROSE: Final = re.compile(r"[A-Za-z]{2},? [A-Za-z]{2}")


def read_page(text: str) -> Iterator[Block]:
    """Yield the paragraphs, list items, table cells and headings of a Markdown page."""
    parent = ""
    for token in _PARSER.parse(text):
        if token.type == "inline":
            first_line = token.map[0] + 1 if token.map else 1
            prose = "".join(map(_render_inline, token.children or ()))
            yield Block(first_line, prose, is_heading=parent == "heading_open")
        parent = token.type


def _render_inline(token: Token) -> str:
    """Return the text of a part of a paragraph: of code with backticks, of links without their targets."""
    if token.type == "code_inline":
        code = token.content.replace("`", "'")
        return f"`{code}`"
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    return token.content if token.type in {"text", "image"} else ""


def read_docstrings(text: str) -> Iterator[Block]:
    """Yield the docstrings of the functions and methods of a module, each as one block."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = ast.get_docstring(node)
            if docstring:
                yield Block(node.body[0].lineno, docstring)


def read_documentation(text: str) -> Iterator[Block]:
    """Yield the paragraphs and items of a module's docstrings, also those of variables, and its comments."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from _split_docstring(node.lineno, node.value.value)
    yield from _read_comments(text)


def _split_docstring(first_line: int, text: str) -> Iterator[Block]:
    """Yield the paragraphs, items, rows and descriptions of a docstring."""
    block: Block | None = None
    item = _ITEM
    for number, line in enumerate(text.splitlines(), first_line):
        is_section = _SECTION.match(line) is not None
        if is_section:
            item = _FIELD
        start = item.match(line)
        is_first = start is not None or _ROW.match(line) is not None
        if block is not None and (is_first or is_section or not line.strip()):
            yield block
            block = None
        if block is not None:
            block = block._replace(text=f"{block.text}\n{line}")
        elif line.strip() and not is_section:
            block = Block(number, line[start.end() :] if start else line)
    if block is not None:
        yield block


def _read_comments(text: str) -> Iterator[Block]:
    """Yield the comments. Comments on consecutive lines of their own are one block."""
    block: Block | None = None
    place = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        comment = _DIRECTIVE.sub("", token.string.removeprefix("#").strip(), count=1)
        is_alone = not token.line[: token.start[1]].strip()
        if block is not None and is_alone and token.start == (place[0] + 1, place[1]):
            block = block._replace(text=f"{block.text}\n{comment}")
        else:
            if block is not None:
                yield block
            block = Block(token.start[0], comment)
        place = token.start if is_alone else (0, 0)
    if block is not None:
        yield block


def read_strings(text: str) -> Iterator[Block]:
    """Yield the strings of a module that are prose: errors, log lines and the texts of tables, but not docstrings."""
    reader = _StringReader()
    reader.visit(ast.parse(text))
    return (block for block in reader.blocks if _PROSE.search(block.text))


class _StringReader(ast.NodeVisitor):
    """Gathers the strings of a module. Values in an f-string become an ellipsis."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        self.blocks.append(Block(node.lineno, "".join(map(str, parts))))

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.blocks.append(Block(node.lineno, node.value))
