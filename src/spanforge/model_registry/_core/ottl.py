"""OTTL, the transform language of the OpenTelemetry Collector: values, tables, groups and patterns as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LOAD: Final = 2
"""Keys in each part of a map, on average."""


def group(condition: str, statements: Iterable[str]) -> str:
    """Return a group of statements, each in a literal block, in which only line breaks mean something to YAML."""
    blocks = "".join(
        f"    - |-\n      {statement}\n" for statement in (s.replace("\n", "\n      ") for s in statements)
    )
    return f"- conditions:\n    - |-\n      {condition}\n  statements:\n{blocks}"


def text(value: str) -> str:
    """Return a text as OTTL has it, with nothing in it that YAML or the Collector's configuration would change."""
    return '"' + "".join(_ESCAPED.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in value) + '"'


_ESCAPED: Final = {'"': '\\"', "\\": "\\\\", "$": "\\u0024"}


def texts(values: Iterable[str]) -> str:
    """Return a list of texts."""
    return f"[{', '.join(map(text, values))}]"


def mapping(values: Mapping[str, object]) -> str:
    """Return a map, whose values are OTTL already."""
    return f"{{{', '.join(f'{text(key)}: {value}' for key, value in values.items())}}}"


def lookup(table: Mapping[str, object], key: str) -> str:
    """Return what looks a key up: in a list of small maps, by the key's hash."""
    size = max(1, len(table) // (2 * _LOAD))
    parts: list[dict[str, object]] = [{} for _ in range(2 * size - 1)]  # a remainder has the sign of the hash
    for name, value in table.items():
        parts[_remainder(_fnv(name), size) + size - 1][name] = value
    place = f"FNV({key}) - FNV({key}) / {size} * {size} + {size - 1}"
    return f"Coalesce([[{', '.join(map(mapping, parts))}]])[{place}][{key}]"


def _fnv(name: str) -> int:
    """Return the hash that ``FNV`` gives: FNV-1a of 64 bits, signed."""
    found = 0xCBF29CE484222325
    for byte in name.encode():
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return found - 2**64 if found >= 2**63 else found


def _remainder(number: int, size: int) -> int:
    """Return what is left of a division towards zero."""
    return number % size if number >= 0 else -(-number % size)


_SET: Final = re.compile(r"(?:[^-](?:-[^-])?)+", re.DOTALL)
_ITEM: Final = re.compile(r"([^-])(?:-([^-]))?", re.DOTALL)


def regex(glob: str) -> str | None:
    """Return a glob as the Collector's regular expression; ``None`` for sets whose hyphens are no plain ranges."""
    found, at = "", 0
    while at < len(glob):
        char, at = glob[at], at + 1
        end = glob.find("]", at + 1 + (glob[at : at + 1] == "!")) if char == "[" else -1
        if end < 0:
            found += {"*": ".*", "?": "."}.get(char) or _literal(char)
            continue
        negated = glob[at] == "!"
        content = glob[at + negated : end]
        items = _ITEM.findall(content) if _SET.fullmatch(content) else []
        if not items or any(last and first > last for first, last in items):
            return None
        found += f"[{'^' * negated}{''.join(_literal(a) + (b and f'-{_literal(b)}') for a, b in items)}]"
        at = end + 1
    return found


def _literal(char: str) -> str:
    return char if char.isascii() and char.isalnum() else rf"\x{{{ord(char):x}}}"


def whole(expression: str) -> str:
    """Return a regular expression that is to match all of a text, line breaks among it."""
    return rf"^(?s:{expression})\z"
