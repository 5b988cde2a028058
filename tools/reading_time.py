"""How long people read a page: the measure, and its limit.

Prose is read word by word: paragraphs, items of lists, headings. Tables and code are looked up, so a word there counts
a quarter.
"""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt

WORDS_PER_MINUTE: Final = 220
"""The speed at which people read technical English on a screen."""
LIMIT: Final = 5.0
"""The limit of minutes for a page, so at most 1,100 words of prose."""
LOOKED_UP: Final = 0.25
"""The part of the words in tables and code that one reader reads."""

_PARSER: Final = MarkdownIt("commonmark").enable("table")


def count_minutes(text: str) -> float:
    """Return the minutes that a page in Markdown takes to read."""
    prose = looked_up = 0
    in_table = False
    for token in _PARSER.parse(text):
        if token.type in {"table_open", "table_close"}:
            in_table = token.type == "table_open"
        elif token.type in {"fence", "code_block"}:
            looked_up += len(token.content.split())
        elif token.type == "inline":
            texts = [child.content if child.type in {"text", "code_inline"} else " " for child in token.children or ()]
            words = len("".join(texts).split())
            prose, looked_up = (prose, looked_up + words) if in_table else (prose + words, looked_up)
    return (prose + LOOKED_UP * looked_up) / WORDS_PER_MINUTE
