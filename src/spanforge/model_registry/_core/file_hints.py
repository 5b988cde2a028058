"""Hints about files that people write: what is probably meant by text that is not valid JSON or YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_READ: Final = 500
"""The limit of characters that a hint depends on. A pattern may take time that grows with their square."""
_MAX_HINTED_KEY: Final = 50
"""The limit of characters of a key that a hint shows. The keys that people give a list are shorter."""

_USE_YAML: Final = "JSON has no comments: use YAML, in a file whose name ends in .yaml"
_OTHER_FORMAT: Final = "YAML is read only from files whose names end in .yaml or .yml, and all other files must be JSON"
_NO_LAST_COMMA: Final = "JSON allows no comma before a closing bracket"
_ONE_LIST: Final = "several entries must be in one list, with commas between them"

TEMPLATE_HINT: Final = "a template such as {{ owner }} must be rendered first"
QUOTES_HINT: Final = "text that begins with one of * & ! % @ ` ? | > [ { must be in quotes"
UNRENDERED: Final = re.compile(r"\{\{.*\}\}|\{%.*%\}|<%.*%>|\$\{\w+\}", re.DOTALL)
"""A template in a text that was not rendered."""

_TEMPLATE_MARK: Final = re.compile(r"\{[{%]|<%|\$\{")
_OTHER_START: Final = re.compile(r"\s*(?:[^\s\[{\"]|\[+[\w.\"-]*[A-Za-z_][\w.\"-]*\]+\s*(?:#.*)?$)", re.MULTILINE)
"""The start of a text that is neither a JSON array nor an object: for example of YAML, of Markdown, or of TOML."""
_JSON_HINTS: Final = (
    (re.compile(r"['\u2018\u201c\u201d]"), "JSON's texts are in double quotes"),
    (re.compile(r"(?:None|True|False|NULL|Null|undefined|nil)\b"), "JSON's words are null, true and false"),
    (re.compile(r"[\w$-]+\s*:"), "JSON's keys are in double quotes"),
)
"""Hints by the text at the fault."""
_YAML_HINTS: Final = (
    (re.compile(r"^\s*\t"), "indent with spaces, not with tabs"),
    (_TEMPLATE_MARK, TEMPLATE_HINT),
    (
        re.compile(
            r"(?:^\s+|[-:?]\s+|[\[,{]\s*)"
            r"(?:[*!%@`&](?:[^\s&]|\s*(?:$|[,\]}]))|[|>][^\s\d+-]|\[[^\]]*\][^\s,\]}]|\{[^}]*\}[^\s,\]}])"
        ),
        QUOTES_HINT,
    ),
    (re.compile(r":\s+[^'\"\s].*:\s"), "text that contains a colon and a space must be in quotes"),
)
"""Hints by the line of the fault."""
_NOT_MEANT_AS_SYNTAX: Final = re.compile(r"&[^\s,\]}]+\s*(?:$|[,\]}#])|\?\S")
"""An anchor without a value, or the mark of a key without a space: probably both are the start of a glob."""


def add_hint(reason: str, hint: str | None) -> str:
    """Return a reason with a hint after it."""
    return reason if hint is None else f"{reason}; {hint}"


def explain_json_fault(start: str, before: str, rest: str) -> str | None:
    """Return a hint about a text that is not JSON; ``None`` if there is none. ``MAX_READ`` characters of each count.

    Args:
        start: The start of the text.
        before: The text before the place at which it stops being JSON.
        rest: The text from there on.
    """
    if not (start.strip() or before.strip() or rest.strip()):
        return "the file is empty"
    has_comma = before[-MAX_READ:].rstrip().endswith(",") or rest[:1] == ","
    before, rest = before[-MAX_READ:].rstrip(), rest[:MAX_READ].lstrip(", \t\r\n")
    if "\0" in rest[:2]:
        return "the file must be saved as UTF-8"
    if rest.startswith(("//", "/*", "#")):
        return _USE_YAML
    if _OTHER_START.match(start[:MAX_READ]):
        return _OTHER_FORMAT
    if _TEMPLATE_MARK.match(before[-1:] + rest):
        return TEMPLATE_HINT
    return _explain_json_text(rest, has_comma=has_comma)


def _explain_json_text(rest: str, *, has_comma: bool) -> str | None:
    """Return a hint by the text at the fault; ``has_comma`` is ``True`` if a comma is before it."""
    if not rest:
        return "the file ends too early"
    if rest[0] in "]}":
        return _NO_LAST_COMMA if has_comma else None
    if rest[0] in "[{":
        return _ONE_LIST
    return next((hint for pattern, hint in _JSON_HINTS if pattern.match(rest)), None)


def explain_yaml_fault(*lines: str) -> str | None:
    """Return a hint about lines that are not YAML; ``None`` if there is none."""
    hints = (hint for pattern, hint in _YAML_HINTS for line in lines if pattern.search(line[:MAX_READ]))
    return next(hints, None)


def explain_yaml_value(text: str) -> str | None:
    """Return a hint about a value that is not allowed, by its text in the file; ``None`` if there is none."""
    return QUOTES_HINT if _NOT_MEANT_AS_SYNTAX.match(text[:MAX_READ]) else None


def explain_root(keys: Collection[str], lists: Collection[str]) -> str | None:
    """Return a hint about a file that is a mapping instead of a list of entries; ``None`` if there is none.

    Args:
        keys: The keys of the mapping.
        lists: Those whose value is a list.
    """
    if "model_id" in keys:
        return "the entry must be in a list, even if it is the only one"
    if len(lists) == 1:
        return f"the list under {next(iter(lists))[:_MAX_HINTED_KEY]!r} is probably meant; write it without that key"
    return "each entry has its id in the field model_id" if keys else None
