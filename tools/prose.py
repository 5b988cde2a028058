"""Checks the prose of pages, docstrings, comments, errors and log lines: length of sentences, and phrases.

Usage: prose.py [file ...]; without files it checks those of the project.
"""

from __future__ import annotations

import math
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from prose_blocks import read_docstrings, read_documentation, read_page, read_strings
from prose_phrases import find_phrases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sentences import Block

ROOT: Final = Path(__file__).parent.parent
CODE: Final = ("src", "tools", "benchmarks", "examples")
"""Folders whose docstrings and comments are checked."""
SKIPPED: Final = ("build", "dist", "node_modules")
"""Folders without pages of the project, beside those whose names start with a full stop."""

MAX_WORDS: Final = 40
"""Words of the longest sentence."""
MAX_MOST: Final = 25
"""Words that nine in ten sentences of a page have at most."""
MOST: Final = 0.9
MIN_WORDS: Final = 4
"""Words of the shortest sentence: a shorter item or table cell is a label, and would hide long sentences."""
SHOWN: Final = 100
"""Characters of a sentence that a fault shows."""

OPENINGS: Final = {
    "Tell": "'Check whether', or the verb for what the function does",
    "Return what": "'Return the', and name what is returned",
    "Return whether": "'Check whether'",
}
"""How the docstring of a function must not start, each with what to write instead. The rest is ruff's D401."""


class Fault(NamedTuple):
    """A fault of a text.

    Attributes:
        path: The file, relative to the project.
        line: The line.
        rule: The rule's name.
        text: The sentence.
        detail: Its length, or the phrase.
        instead: What to write instead.
    """

    path: str
    line: int
    rule: str
    text: str
    detail: str
    instead: str

    def __str__(self) -> str:
        shown = textwrap.shorten(self.text, SHOWN, placeholder=" …")
        return f"{self.path}:{self.line}: {self.rule}: {shown} ({self.detail}); {self.instead}"


def check(path: str, text: str) -> list[Fault]:
    """Return the faults of a file by line: of a page if its name ends in ``.md``, else of a Python module.

    Strings are checked if the path starts with ``src/``.
    """
    if path.endswith(".md"):
        blocks = list(read_page(text))
        faults = list(_find_long(path, blocks, _find_limit(blocks)))
    else:
        blocks = list(read_documentation(text))
        faults = [*_find_long(path, blocks, MAX_WORDS), *_find_openings(path, text)]
        if path.startswith("src/"):
            blocks += read_strings(text)
    return sorted([*faults, *_find_banned(path, blocks)])


def _find_limit(blocks: Iterable[Block]) -> int:
    """Return the number of words that a sentence of a page may have: fewer if too many sentences are long."""
    lengths = [
        sentence.count_words() for block in blocks if not block.is_heading for sentence in block.find_sentences()
    ]
    lengths = sorted(length for length in lengths if length >= MIN_WORDS)
    if not lengths:
        return MAX_WORDS
    percentile = lengths[math.ceil(len(lengths) * MOST) - 1]
    return MAX_WORDS if percentile <= MAX_MOST else MAX_MOST


def _find_long(path: str, blocks: Iterable[Block], limit: int) -> Iterator[Fault]:
    reason = f"the limit is {limit}"
    if limit == MAX_MOST:
        reason = f"nine in ten sentences of a page have at most {limit}"
    for block in blocks:
        for sentence in block.find_sentences():
            words = sentence.count_words()
            if words > limit:
                detail = f"{words} words; {reason}"
                yield Fault(path, sentence.line, "length", sentence.text, detail, "write several sentences")


def _find_openings(path: str, text: str) -> Iterator[Fault]:
    for docstring in read_docstrings(text):
        for opening, instead in OPENINGS.items():
            if docstring.text.startswith(f"{opening} "):
                yield Fault(path, docstring.line, "opening", docstring.text, f"'{opening}'", f"write {instead}")


def _find_banned(path: str, blocks: Iterable[Block]) -> Iterator[Fault]:
    for block in blocks:
        for sentence in block.find_sentences():
            for phrase, instead in find_phrases(sentence.masked):
                yield Fault(path, sentence.line, "phrase", sentence.text, f"'{phrase}'", f"write {instead}")


def find_files() -> Iterator[Path]:
    """Yield the pages of the project, and the Python modules of the folders in ``CODE``."""
    for name, folders, files in os.walk(ROOT):
        folders[:] = sorted(folder for folder in folders if folder[0] != "." and folder not in SKIPPED)
        folder = Path(name)
        is_code = folder != ROOT and folder.relative_to(ROOT).parts[0] in CODE
        yield from (
            folder / file for file in sorted(files) if file.endswith(".md") or (is_code and file.endswith(".py"))
        )


def main(arguments: list[str]) -> int:
    """Print the faults of the files, or one line if there are none."""
    paths = [Path(argument).resolve() for argument in arguments] or list(find_files())
    names = [path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path) for path in paths]
    faults = [fault for name, path in zip(names, paths, strict=True) for fault in check(name, path.read_text("utf-8"))]
    if not faults:
        print(f"prose: no faults (files: {len(paths)})")
    for fault in faults:
        print(fault)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
