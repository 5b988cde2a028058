"""Values as messages show them: on one line, null and booleans as in JSON and YAML, all others as in Python."""

from __future__ import annotations

import itertools
from typing import Any, Final

MAX_LEVELS_SHOWN: Final = 20
"""The limit of levels of lists and mappings that are shown with JSON's words: more than an entry may have."""


def render_value(value: Any, limit: int, levels: int = MAX_LEVELS_SHOWN) -> str:
    """Return a value as a text; of a longer text, list or mapping, at least the first ``limit`` characters or items."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value[: limit + 1])
    if not isinstance(value, (dict, list)) or not levels:
        return repr(value)
    first = itertools.islice(value, limit)
    if isinstance(value, list):
        return f"[{', '.join(render_value(item, limit, levels - 1) for item in first)}]"
    members = (f"{render_value(key, limit)}: {render_value(value[key], limit, levels - 1)}" for key in first)
    return f"{{{', '.join(members)}}}"


def make_printable(text: str) -> str:
    """Return a text in which each character that is not printable is written as an escape.

    Line breaks and terminal escapes in a path or a name could otherwise forge lines of a log.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
