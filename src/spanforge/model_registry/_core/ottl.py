"""OTTL, the transform language of the OpenTelemetry Collector: text for values, lookup tables, groups and patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEYS_PER_MAP: Final = 2
"""The average number of keys in each small map of a lookup table."""


def group(condition: str, statements: Iterable[str]) -> str:
    """Return a group of statements as YAML. Each is a literal block, in which only line breaks are special."""
    blocks = "".join(
        f"    - |-\n      {statement}\n" for statement in (s.replace("\n", "\n      ") for s in statements)
    )
    return f"- conditions:\n    - |-\n      {condition}\n  statements:\n{blocks}"


def encode(value: str) -> str:
    """Return a string literal that neither YAML nor the Collector's configuration changes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\u0024")
    if not escaped.isprintable():
        escaped = "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped)
    return f'"{escaped}"'


def encode_all(values: Iterable[str]) -> str:
    """Return a list of string literals."""
    return f"[{', '.join(map(encode, values))}]"


def mapping(values: Mapping[str, object]) -> str:
    """Return a map whose keys become string literals; the values are OTTL already."""
    return f"{{{', '.join(f'{encode(key)}: {value}' for key, value in values.items())}}}"


def lookup(table: Mapping[str, object], key: str) -> str:
    """Return an expression that looks up a key in a list of small maps, by the key's hash.

    A single map would be slow: OTTL searches a map from its beginning, but reads an item of a list directly.
    """
    size = max(1, len(table) // (2 * _KEYS_PER_MAP))
    parts: list[dict[str, object]] = [{} for _ in range(2 * size - 1)]  # the remainder can be negative
    for name, value in table.items():
        parts[_remainder(_fnv(name), size) + size - 1][name] = value
    place = f"FNV({key}) - FNV({key}) / {size} * {size} + {size - 1}"
    return f"Coalesce([[{', '.join(map(mapping, parts))}]])[{place}][{key}]"


def _fnv(name: str) -> int:
    """Return the hash that OTTL's ``FNV`` computes: FNV-1a of 64 bits, signed."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return state - 2**64 if state >= 2**63 else state


def _remainder(number: int, size: int) -> int:
    """Return the remainder of a division that rounds towards zero, as Go's does."""
    return number % size if number >= 0 else -(-number % size)


_CHARACTER_SET: Final = re.compile(r"(?:[^-](?:-[^-])?)+", re.DOTALL)
_CHARACTER_RANGE: Final = re.compile(r"([^-])(?:-([^-]))?", re.DOTALL)
_WILDCARDS: Final = {"*": ".*", "?": "."}


def regex(glob: str) -> str | None:
    """Return a glob as a regular expression of the Collector, without anchors.

    Return ``None`` if the Collector cannot express the glob, because a set has a hyphen outside a plain range.
    """
    expression, at = "", 0
    while at < len(glob):
        char, at = glob[at], at + 1
        end = glob.find("]", at + 1 + (glob[at : at + 1] == "!")) if char == "[" else -1
        if end < 0:
            expression += _WILDCARDS.get(char) or _escape_literal(char)
            continue
        character_set = _convert_set(glob[at:end])
        if character_set is None:
            return None
        expression, at = expression + character_set, end + 1
    return expression


def _convert_set(content: str) -> str | None:
    """Return a set of characters as a regular expression; ``None`` if its hyphens are not plain ranges.

    Args:
        content: The text between the brackets of a glob's set.
    """
    negated = content[0] == "!"
    content = content[negated:]
    if not _CHARACTER_SET.fullmatch(content):
        return None
    ranges = _CHARACTER_RANGE.findall(content)
    if any(last and first > last for first, last in ranges):
        return None
    inside = "".join(_escape_literal(first) + (last and f"-{_escape_literal(last)}") for first, last in ranges)
    return f"[{'^' * negated}{inside}]"


def _escape_literal(char: str) -> str:
    return char if char.isascii() and char.isalnum() else rf"\x{{{ord(char):x}}}"


def anchored(expression: str) -> str:
    """Return a regular expression that matches only a whole text, and whose dots match line breaks."""
    return rf"^(?s:{expression})\z"


def any_of(texts: Iterable[str]) -> str:
    """Return a regular expression, without anchors, that matches each of these texts."""
    return "|".join(map(re.escape, texts)).replace("\\-", "-")
