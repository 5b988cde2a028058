"""Texts from the network and from registries in OSCAL: as strings, as tokens, and in its Markdown.

OSCAL's data types: https://pages.nist.gov/OSCAL/reference/datatypes/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.shown_values import make_printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKUP: Final = re.compile(r"[\\`*{}\[\]<>&~^\"|!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""The characters with a meaning anywhere in a line of OSCAL's Markdown. A single underscore within a word has none."""
_BLOCK_START: Final = re.compile(r"^(\d*)([#+=.)-])")
"""The beginning of a heading, a list or a line under a heading."""
_NO_TOKEN: Final = re.compile(r"[^A-Za-z0-9._-]+")


def clean_string(text: str) -> str:
    """Return a text on one line: other white space and control characters are escaped as in Python."""
    return make_printable(text).strip()


def escape_markup(text: str) -> str:
    """Return a text on one line that OSCAL's Markdown shows as it is."""
    return _BLOCK_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", clean_string(text)))


def write_list(texts: Iterable[str]) -> str:
    """Return texts as a list in OSCAL's Markdown."""
    return "\n".join(f"- {escape_markup(text)}" for text in texts)


def make_tokens(names: Iterable[str]) -> list[str]:
    """Return a token for each name: letters, digits, dots, hyphens and underscores. No two tokens are equal."""
    tokens: list[str] = []
    for name in names:
        plain = _NO_TOKEN.sub("-", name).strip("-")
        token = plain if plain[:1].isalpha() or plain[:1] == "_" else f"clause-{plain}"
        while token in tokens:
            token = f"{token}-{len(tokens) + 1}"
        tokens.append(token)
    return tokens
