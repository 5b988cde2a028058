"""The paths of the Collector's statements: the state of a span, and of each of its names."""

from __future__ import annotations

from typing import Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.values import MAX_NAME

MAX_NAMES: Final = 4
"""The limit of different names of a span that are looked up, the most important first."""
STATE: Final = {
    "otelcol.registry_entry": "the place of the entry",
    "otelcol.registry_more": "map: further attributes, and warnings by place; odd if a warning has control characters",
}
"""The state between groups, in span attributes. The last group removes it."""


def cached(key: str) -> str:
    return f'span.cache["{key}"]'


def attribute(key: str, holder: str = "span") -> str:
    """Return the path of an attribute of a span, or of another holder of attributes."""
    return f"{holder}.attributes[{ottl.encode(key)}]"


def join_texts(*parts: str) -> str:
    """Return an expression for a text of several parts."""
    return f'Concat([{", ".join(parts)}], "")'


def fill(sentence: str, *texts: str) -> str:
    """Return an expression for a sentence of ``warning_texts`` in which each ``%s`` is a text in single quotes."""
    first, *others = sentence.split("%s")
    parts = [ottl.encode(f"{first}'")]
    for number, (text, words) in enumerate(zip(texts, others, strict=True), 1):
        parts += [text, ottl.encode(f"'{words}" + ("'" if number < len(texts) else ""))]
    return join_texts(*parts)


def matches(text: str, pattern: str) -> str:
    return f"IsMatch({text}, {ottl.encode(pattern)})"


def replace(target: str, pattern: str, replacement: str) -> str:
    return f"replace_pattern({target}, {ottl.encode(pattern)}, {ottl.encode(replacement)})"


ENTRY, MORE = map(attribute, STATE)
STATUS: Final = attribute(f"{PREFIX}status")
WARNINGS: Final = attribute(f"{PREFIX}warnings")

# Maps: each name to the rank of its convention.
NAMES, REQUESTS, RESPONSES, KEPT = map(cached, ("names", "requests", "responses", "kept"))
OPERATION: Final = cached("operation")
"""A regular expression of the operation's name."""
VALUE, JSON = map(cached, ("value", "json"))
"""The value of one attribute, and the parsed JSON of one."""
COPIED: Final = cached("copied")
"""A flag: the names on the span were copied from the request that it is a part of."""
PROVIDER, CODE, WRITTEN, SPELLING = map(cached, ("provider", "code", "written", "spelling"))
"""The span's provider; its code; its code if it is written before a slash in a name; its known spelling."""
HITS, FAILED = cached("hits"), cached("failed")
"""Maps of the keys that a table has, and of those that match no entry."""
REFUSED, FIRST_REFUSED = cached("refused"), cached("first_refused")
"""Map of the keys whose entries are limited to other providers, and the first such key of the first name."""
PARSED, WHOLE, OPAQUE, MARKED, PREFIX_OF_PARTS = map(cached, ("parsed", "whole", "opaque", "marked", "start"))
GLOBBED: Final = cached("globbed")
MATCHES: Final = cached("matches")
"""Map: each name that matches to its key."""
ANY, ANSWER, REQUEST = map(cached, ("any", "answer", "request"))
"""The keys with which the span, its response model and its request model match."""
REPLIED, ANSWERED = map(cached, ("replied", "answered"))
"""The first response model that is no copy of a requested name, and the first such one that matches."""
NUMBER, REQUESTED = cached("number"), cached("requested")
"""The places of the entries of the first match and of the request model."""
ASKED, SERVED, OTHER, EXPECTED, FORM, ID, BASES = map(
    cached, ("asked", "served", "other", "expected", "form", "id", "bases")
)
FORMS, KEYS = cached("forms"), cached("keys")
"""Maps: each name to the key of its form; each name to all keys of entries that cover it."""
WARNED: Final = cached("warned")

BLANK: Final = r"[\s\x{1c}-\x{1f}\x{85}\p{Z}]*"
PUNCTUATION: Final = r"[!-/:-@\[-`{-~]"
ESCAPED: Final = r"\${0}"
BEYOND_MAX_NAME: Final = f"^(?s:(.{{{MAX_NAME}}}).+)"
QUOTES: Final = r"['\\]"
ESCAPED_QUOTE: Final = r"\${0}"
CONTROL: Final = r"[\x00-\x1f\x7f]"
ESCAPES: Final = (
    *((rf"\{letter}", rf"\{letter}") for letter in "tnr"),
    (r"\x7f", r"\x7f"),
    (r"[\x00-\x0f]", r"\x0${0}"),
    (r"[\x10-\x1f]", r"\x1${0}"),
    *((rf"[\x0{digit:x}\x1{digit:x}]", f"{digit:x}") for digit in range(16)),
)
"""Patterns of control characters with their replacements. Together, they escape a name as ``values.quote`` does."""


class Slot:
    """The paths of the state of one of the names on a span."""

    def __init__(self, number: int) -> None:
        self.place = str(number)
        self.name = cached(f"name{number}")
        self.key = cached(f"key{number}")
        self.failure = cached(f"failure{number}")
        self.exact = [cached(f"exact{number}{kind}") for kind in "wcn"]
        self.parts = cached(f"parts{number}")
        self.code = cached(f"code{number}")
        self.base = cached(f"base{number}")
        self.globbed = cached(f"globbed{number}")
        self.numbered = cached(f"numbered{number}")
        self.joined = cached(f"joined{number}")
        self.forms = [cached(f"form{number}{level}") for level in range(5)]
        self.limited = [cached(f"limited{number}{level}") for level in range(5)]

    def part(self, name: str) -> str:
        """Return the path of a part of the parsed name."""
        return f'{self.parts}["{name}"]'


SLOTS: Final = tuple(map(Slot, range(MAX_NAMES)))
