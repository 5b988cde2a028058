"""Conversion of pages from the Markdown of repositories (CommonMark) to that of the generator (Python-Markdown)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from markdown_it.token import Token

_PARSER: Final = MarkdownIt("commonmark").enable("table")
_LINK: Final = re.compile(r"(\]\()([^)\s]+)(\))")
_IMAGE: Final = re.compile(r'(<img\b[^>]*\bsrc=")([^"]+)(")')
_COMMENT: Final = re.compile(r"\s*<!--.*-->\s*$")
_PICTURE: Final = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*'
    r'<img alt="([^"]+)" src="([^"]+)">\s*</picture>'
)
"""A picture for light and dark pages. The site has a switch for its colours, so it has fragments instead."""
_SCREENSHOT: Final = re.compile(r"(?<!\[)!\[[^\]]+\]\(([^)\s]+\.png)\)")
"""A picture of a window, which is too wide for a phone. It becomes a link to the file."""
_INDENT: Final = 4
"""The blanks before the text of an item for Python-Markdown, whatever the item's marker."""


def convert_page(text: str, rewrite: Callable[[str], str]) -> str:
    """Return a page for the generator.

    Args:
        text: The page as it is in the repository.
        rewrite: A function that returns the address on the site of a link's target.
    """
    text = _PICTURE.sub(r"![\2](\3#only-light)![\2](\1#only-dark)", text)
    lines = text.split("\n")
    tokens = _PARSER.parse(text)
    code = {number for token in tokens if token.map and token.type == "fence" for number in range(*token.map)}
    rows = {number for token in tokens if token.map and token.type == "tr_open" for number in range(*token.map)}
    _colour_commands(lines, tokens)
    shifts = _count_shifts(tokens, len(lines))
    starts = set(_find_starts(tokens, lines))
    converted = []
    for number, line in enumerate(lines):
        if number in starts and number and lines[number - 1].strip():
            converted.append("")
        converted.append(_convert_line(line, shifts[number], rewrite, is_code=number in code, is_row=number in rows))
    return "\n".join(converted)


def _colour_commands(lines: list[str], tokens: list[Token]) -> None:
    """Mark blocks of commands without a prompt as a script. As a console, they would have the colour of output."""
    for token in tokens:
        if token.type == "fence" and token.map and token.info == "console" and not token.content.startswith("$ "):
            lines[token.map[0]] = lines[token.map[0]].replace("console", "sh")


def _convert_line(line: str, shift: int, rewrite: Callable[[str], str], *, is_code: bool, is_row: bool) -> str:
    if not is_code:
        if _COMMENT.match(line):
            return ""
        line = _SCREENSHOT.sub(r"[\g<0>](\1)", line)
        for pattern in (_LINK, _IMAGE):
            line = pattern.sub(lambda link: f"{link[1]}{rewrite(link[2])}{link[3]}", line)
    if is_row:
        line = re.sub(r"`[^`]*`", lambda span: span[0].replace(r"\|", "|"), line)
    return " " * shift + line if line.strip() else line


def _find_starts(tokens: list[Token], lines: list[str]) -> Iterator[int]:
    """Yield the lines that need a blank line before them: of lists, and of items after longer items."""
    for token in tokens:
        if token.map and token.level == 0 and token.type in {"bullet_list_open", "ordered_list_open"}:
            yield token.map[0]
        elif token.map and token.type == "list_item_open":
            first, after = token.map
            if not all(line.strip() for line in lines[first:after]):
                yield after


def _count_shifts(tokens: list[Token], count: int) -> list[int]:
    """Return for each line the blanks to add, so that the text of each item has the indentation of the generator."""
    shifts = [0] * count
    for token in tokens:
        if token.type == "list_item_open" and token.map:
            marker = len(token.info) + len(token.markup) + 1
            for number in range(token.map[0] + 1, token.map[1]):
                shifts[number] += max(0, _INDENT - marker)
    return shifts
