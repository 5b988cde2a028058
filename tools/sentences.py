"""Blocks of prose and their sentences. Code in backticks belongs to a sentence, and is none of its words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE: Final = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_END: Final = re.compile(r"(?<!\b[ei]\.[ge])(?<!\bvs)(?<!\bcf)(?<![.…])[.!?][\"”')\]*_]*(?=\s|$)")
"""The end of a sentence, but not the full stop of an abbreviation, nor an ellipsis."""


class Sentence(NamedTuple):
    """A sentence of a block.

    Attributes:
        line: The line on which it starts.
        text: Its text on one line.
        masked: The text with ``~`` for each character of code.
    """

    line: int
    text: str
    masked: str

    def count_words(self) -> int:
        """Return the number of words, without code."""
        return sum(any(map(str.isalnum, word)) for word in self.masked.split())


class Block(NamedTuple):
    """A paragraph, a list item, a table cell, a heading, a comment, or a string.

    Attributes:
        line: The line on which it starts.
        text: Its text, with the line breaks of the source, and code in backticks.
        is_heading: Whether it is a heading, which is no sentence.
    """

    line: int
    text: str
    is_heading: bool = False

    def find_sentences(self) -> Iterator[Sentence]:
        """Yield the sentences, but not code and figures alone. The end of the block ends one too."""
        masked = _CODE.sub(lambda code: re.sub(r"\S", "~", code[0]), self.text)
        start = 0
        for end in [*(match.end() for match in _END.finditer(masked)), len(masked)]:
            start = end - len(masked[start:end].lstrip())
            line = self.line + masked.count("\n", 0, start)
            sentence = Sentence(line, _join_lines(self.text[start:end]), _join_lines(masked[start:end]))
            if any(map(str.isalpha, sentence.masked)):
                yield sentence
            start = end


def _join_lines(text: str) -> str:
    return " ".join(text.split())
