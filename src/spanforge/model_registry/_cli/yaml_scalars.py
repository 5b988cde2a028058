"""Texts as scalars of YAML, which every version of YAML reads as the same text."""

from __future__ import annotations

import re
from typing import Final

_PLAIN_SCALAR: Final = re.compile(r"[^\W\d_](?:[\w ./@()+-]|:(?=[\w/]))*(?<! )")
"""Texts that mean the same without quotes, unless they are among the ``_WORDS_OF_YAML``."""
_WORDS_OF_YAML: Final = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
"""Texts that some version of YAML reads as another type."""
_ESCAPES_OF_YAML: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def is_plain_scalar(text: str) -> bool:
    """Check whether a text needs no quotes."""
    return _PLAIN_SCALAR.fullmatch(text) is not None and text.lower() not in _WORDS_OF_YAML


def quote_scalar(text: str) -> str:
    """Return a text in double quotes, in which each character that is not printable is an escape."""
    return f'"{"".join(map(_escape_character, text))}"'


def _escape_character(character: str) -> str:
    if character in _ESCAPES_OF_YAML:
        return _ESCAPES_OF_YAML[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"
