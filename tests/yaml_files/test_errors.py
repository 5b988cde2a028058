"""Invalid registry files in YAML and their errors. The registry stays as it was."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

import pytest
import yaml
from support.registry_files import load, refused
from support.yaml_files import ENTRY, OTHER, needs_libyaml

from spanforge.model_registry._core import yaml_events
from spanforge.model_registry._core.yaml_nodes import MAX_ALIASED, MAX_LEVELS

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = """\
  metadata:
    history:
    - {at: 2026-01-01, status: active, owner: a, risk_tier: low}
    -
      at: 2025-01-01
      status: active
      owner: a
      risk_tier: low
"""
STAT = "{'at': '2026-01-01', 'stat': 'active', 'owner': 'a', 'risk_tier': 'low'}"
TIERS = "must be one of low, medium, high, critical"
FIELDS = "model_id, name, version, risk_tier, owner, purpose, status, deployment_date, decommission_date, metadata"
ARGUMENTS = (
    "aliases, provider, base_model, reason, deprecation_reason, deprecation_date, successor, sunset_date, contact"
)
UNKNOWN = f"is unknown; keys of your own belong in metadata; the fields are {FIELDS}, {ARGUMENTS}"
OWNER_MEANT = "is unknown; did you mean owner?"
QUOTES = "text that begins with one of * & ! % @ ` ? | > [ { must be in quotes"
TEXT = "must be text that is not blank, of at most 4,096 characters"
DATE = "must be an RFC 3339 date or date-time such as 2026-05-13 or 2026-05-13T08:00:00Z"
NOT_YAML = "is not valid YAML:"
ESCAPE = "must be written as an escape, in double quotes"
LIST = "must be a YAML list of entries"
ONE = "must be one YAML document; another one starts here"
NAMES = "must be a name or glob of 1 to 256 characters with at most 8 stars, without white space around it"
ORDER = "must be no earlier than that of the record before"
RECORD = "must be a mapping with at, status, owner, risk_tier, and optionally reason and actor"
ENCODABLE = "must be Unicode text without lone surrogates"


def meta(text: str) -> str:
    """Return two entries, of which the second one has this metadata in line 13; column 13 is its first character."""
    return f"{ENTRY}{OTHER}  metadata: {text}\n"


def second(old: str, new: str) -> str:
    """Return two entries; in the second one, a text is replaced by another one."""
    return ENTRY + OTHER.replace(old, new)


def expand(message: str) -> tuple[int | None, str]:
    """Return the entry and the message in full of ``13:17 1/b/owner: …``: line, column, entry, model, field.

    ``1/b/`` is optional.
    """
    match = re.match(r"(\d+):(\d+)(?: (?:(\d+)/([^/:]*)/)?([^:]*))?: ", message)
    if match is None:
        return None, message
    line, column, entry, model_id, field = match.groups()
    if field is not None and entry is None:
        entry, model_id = "1", "b"
    names = {"model": model_id and repr(model_id), "field": field and repr(field)}
    place = {"line": line, "column": column, **names}
    where = "".join(f", {name} {value}" for name, value in place.items() if value)
    return None if entry is None else int(entry), f"{where}: {message[match.end() :]}"


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": (b"", f": {LIST}; the file is empty"),
    "byte order mark": (codecs.BOM_UTF8, f": {LIST}; the file is empty"),
    "only a comment": ("# no models\n", f": {LIST}; the file is empty"),
    "an empty document": ("---\n", f": {LIST}; the file is empty"),
    "null": ("null\n", f": {LIST}; the file is empty"),
    "a text": ("\n models\n", f"2:2: {LIST}; got text"),
    "an empty text": ("''", f"1:1: {LIST}; got text"),
    "a mapping": (
        "# models\nmodels:\n" + ENTRY,
        f"2:1: {LIST}; got a mapping; the list under 'models' is probably meant; write it without that key",
    ),
    "two documents": (ENTRY + "---\n" + OTHER, f"7:1: {ONE}"),
    "an empty document first": ("---\n---\n" + OTHER, f"2:1: {ONE}"),
    "null as entry": (ENTRY + "-\n", "7:2 1//: must be a mapping; got null"),
    "a text as entry": (ENTRY + "- 1.10\n", "7:3 1//: must be a mapping; got text"),
    "a list as entry": ("- - a", "1:3 0//: must be a mapping; got a list"),
    "tier": (second("high", "hgih"), f"10:14 risk_tier: {TIERS}; got 'hgih'"),
    "tier is a list": (second("high", "[low]"), f"10:14 risk_tier: {TIERS}; got ['low']"),
    "owner is null": (second("ml-platform", "~"), f"11:10 owner: {TEXT}; got null"),
    "owner is empty": (ENTRY + OTHER.replace(" ml-platform", ""), f"11:9 owner: {TEXT}; got null"),
    "owner is blank": (second("ml-platform", "' '"), f"11:10 owner: {TEXT}; got ' '"),
    "owner is missing": (second("owner", "# owner"), "7:3 owner: is missing"),
    "id is null": (ENTRY + OTHER.replace("b", "~", 1), f"7:13 1//model_id: {TEXT}; got null"),
    "unknown field": (second("owner", "ownr"), f"11:3 ownr: {OWNER_MEANT}"),
    "unknown field entry": (ENTRY + OTHER + "  entry: 1", f"13:3 entry: {UNKNOWN}"),
    "unknown field with dots": (ENTRY + OTHER + "  name.a[0]: 1", f"13:3 name.a[0]: {UNKNOWN}"),
    "date": (ENTRY + OTHER + "  deployment_date: May 2024", f"13:20 deployment_date: {DATE}; got 'May 2024'"),
    "metadata is null": (meta(""), "13:12 metadata: must be a mapping with string keys and JSON values; got null"),
    "infinite": (meta("{x: [0, .inf]}"), "13:21 metadata.x[1]: must be a finite number; got inf"),
    "minus infinite": (meta("{x: -.INF}"), "13:17 metadata.x: must be a finite number; got -inf"),
    "no number": (meta("{x: .NaN}"), "13:17 metadata.x: must be a finite number; got nan"),
    "1e999": (meta("{x: 1e999}"), "13:17 metadata.x: must be a finite number; got inf"),
    "65 bits": (
        meta("{x: 0x8000000000000000}"),
        "13:17 metadata.x: must be an integer of 64 bits; got 9223372036854775808",
    ),
    "many digits": (meta("{x: " + "7" * 5_000 + "}"), "13:17 metadata.x: must be a finite number; got inf"),
    "empty key": (meta("{a: 1, '': 2}"), "13:20 metadata key: must be a string that is not empty; got ''"),
    "empty key inside": (
        meta("{a: {b: 1, '': 2}}"),
        "13:24 metadata.a key: must be a string that is not empty; got ''",
    ),
    "keys with dots": (
        meta("{a: 1, a.b: {c: {'d[0]': .inf}}, a.b.c: 2, x: {y: 1}}"),
        "13:38 metadata.a.b.c.d[0]: must be a finite number; got inf",
    ),
    "keys that begin alike": (
        meta("{aa: 1, a: 2, aaa: [.inf]}"),
        "13:33 metadata.aaa[0]: must be a finite number; got inf",
    ),
    "aliases": (meta("{aliases: gpt}"), "13:23 metadata.aliases: must be a list of names; got 'gpt'"),
    "alias": (meta("\n    aliases:\n    - a\n    - ''"), f"16:7 metadata.aliases[1]: {NAMES}; got ''"),
    "provider": (
        meta("{provider: []}"),
        "13:24 metadata.provider: must be text, or a list of 1 to 1,000 texts; got []",
    ),
    "history out of order": (
        ENTRY + OTHER + HISTORY,
        f"17:11 metadata.history[1].at: {ORDER}, 2026-01-01; got '2025-01-01'",
    ),
    "record's tier": (
        ENTRY + OTHER + HISTORY.replace("low", "''", 1),
        f"15:61 metadata.history[0].risk_tier: {TIERS}; got ''",
    ),
    "record": (ENTRY + OTHER + HISTORY.replace("status", "stat", 1), f"15:7 metadata.history[0]: {RECORD}; got {STAT}"),
    "deep metadata": (
        meta("{x: " + "[" * 17 + "]" * 17 + "}"),
        f"13:33 metadata.x{'[0]' * 16}: is nested more than 16 levels deep",
    ),
    "too much": (
        meta("{x: 1, y: " + "y" * 70_000 + "}"),
        "13:13 metadata: is too large: at most 65,536 characters and values in total",
    ),
    "an id twice": (ENTRY + OTHER + ENTRY, "13:13 2/gpt-4o/model_id: must be unique; line 1 has it too"),
    "an entry twice": (
        "- &a {model_id: a, name: A, version: 1, risk_tier: low, owner: a, purpose: p}\n- *a",
        "1:17 1/a/model_id: must be unique; line 1 has it too",
    ),
    "a merged id": (
        "- &a {model_id: a, name: A, version: 1, risk_tier: low, owner: a, purpose: p}\n- {<<: [{}, *a], owner: b}",
        "1:17 1/a/model_id: must be unique; line 1 has it too",
    ),
    "a field twice": (ENTRY + OTHER + "  owner: a", "13:3: duplicate key 'owner'"),
    "a field twice in quotes": (ENTRY + '- "a": 1\n  a: 2', "8:3: duplicate key 'a'"),
    "a key twice": (meta("{x: [{}, {y: 1, z: [], y: 1}]}"), "13:36: duplicate key 'y'"),
    "a key twice in a file that is no list": ("a: 1\na: 2", "2:1: duplicate key 'a'"),
    "two merges": (ENTRY + "- <<: {}\n  <<: {}", "8:3: duplicate key '<<'"),
    "a list as key": (meta("{[a]: 1}"), "13:14: keys must be text; got a list"),
    "a mapping as key": (
        "- ? {a: 1}\n  : 2",
        "1:5: keys must be text; got a mapping; a template such as {{ owner }} must be rendered first",
    ),
    "an alias of a list as key": (meta("{x: &x [], *x : 1}"), "13:24: keys must be text; got a list"),
    "merge of a text": (ENTRY + "- <<: a", "7:7: << must be a mapping or a list of mappings; got text"),
    "merge of null": (ENTRY + "- <<:", "7:6: << must be a mapping or a list of mappings; got null"),
    "merge of texts": (ENTRY + OTHER + "  <<: [{}, a]", "13:12: << must be a mapping or a list of mappings; got text"),
    "merge that adds what is unknown": ("- &a {<<: {ownr: a}, model_id: a}", f"1:12 0/a/ownr: {OWNER_MEANT}"),
    "merge from elsewhere that adds what is unknown": (
        meta("{x: &x {ownr: a}}") + "- model_id: c\n  <<: *x\n",
        f"13:21 2/c/ownr: {OWNER_MEANT}",
    ),
    "merge of a list from elsewhere that adds what is unknown": (
        meta("{x: &x [{ownr: a}]}") + "- model_id: c\n  <<: *x\n",
        f"13:22 2/c/ownr: {OWNER_MEANT}",
    ),
    "a value inside one that is merged": (
        meta("{x: &x {metadata: {aliases: ['']}}}") + OTHER.replace("b", "c\n  <<: *x", 1),
        f"13:42 2/c/metadata.aliases[0]: {NAMES}; got ''",
    ),
    "a value from elsewhere": (
        meta("{x: &x [1]}") + OTHER.replace("b", "c", 1).replace("high", "*x"),
        f"13:17 2/c/risk_tier: {TIERS}; got ['1']",
    ),
    "a value in what is elsewhere": (meta("{x: &x {ownr: a}}") + "- *x", f"13:21 2//ownr: {OWNER_MEANT}"),
    "alias of nothing": (meta("{x: [1, *y]}"), "13:21: alias *y has no anchor before it; " + QUOTES),
    "alias of what comes later": ("- *a\n- &a {}", "1:3: alias *a has no anchor before it; " + QUOTES),
    "alias of what it is in": (meta("&m {x: [1, *m]}"), "13:24: alias *m refers to the node that contains it"),
    "merge of what it is in": ("- &a\n  <<: *a", "2:7: alias *a refers to the node that contains it"),
    "an anchor twice": (meta("{x: &x 1, y: &x 2}"), "13:26: duplicate anchor 'x'"),
    "Python object": (
        meta("{x: !!python/object/apply:os.system [ls]}"),
        "13:17: unsupported tag '!!python/object/apply:os.system'; only text may have a tag",
    ),
    "binary": (meta("{x: !!binary aGk=}"), "13:17: unsupported tag '!!binary'; only !!str is allowed"),
    "number": (meta("{x: !!int 5}"), "13:17: unsupported tag '!!int'; only !!str is allowed"),
    "custom tag": (
        ENTRY + OTHER.replace("ml-", "!c "),
        "11:10: unsupported tag '!c'; only !!str is allowed; " + QUOTES,
    ),
    "mark of a tag": (meta("{x: ! 5}"), "13:17: unsupported tag '!'; only !!str is allowed; " + QUOTES),
    "tag of a mapping": ("- !!map {}", "1:3: unsupported tag '!!map'; only text may have a tag"),
    "tag of a list": ("!!str []", "1:1: unsupported tag '!!str'; only text may have a tag"),
    "tag of a key": (meta("{!k x: 1}"), "13:14: unsupported tag '!k'; only !!str is allowed; " + QUOTES),
    "tag directive": ("# a\n%TAG !e! tag:e,2026:\n---\n[]", f"2:1: {NOT_YAML} '%TAG' directives are not supported"),
    "NUL": (b"- a\n- \x00", f"2:3: {NOT_YAML} '\\x00' {ESCAPE}"),
    "control character": (b"- a\r- 'b\x1b[0m'", f"2:5: {NOT_YAML} '\\x1b' {ESCAPE}"),
    "DEL": (b"[\x7f]", f"1:2: {NOT_YAML} '\\x7f' {ESCAPE}"),
    "next line": ("é:\r\n- 'a\x85b'", f"2:5: {NOT_YAML} '\\x85' {ESCAPE}"),
    "line separator": ("# a\n\n🚆\u2028", f"3:2: {NOT_YAML} '\\u2028' {ESCAPE}"),
    "paragraph separator": ("\u2029", f"1:1: {NOT_YAML} '\\u2029' {ESCAPE}"),
    "two byte order marks": (codecs.BOM_UTF8 * 2 + b"[]", f"1:1: {NOT_YAML} '\\ufeff' {ESCAPE}"),
    "no character": ("- \uffff", f"1:3: {NOT_YAML} '\\uffff' {ESCAPE}"),
    "Latin-1": ("- a\n- 'Zürich Genève'".encode("latin-1"), f"2:5: {NOT_YAML} it is not UTF-8: invalid start byte"),
    "half a character": ("- é東".encode()[:-1], f"1:4: {NOT_YAML} it is not UTF-8: unexpected end of data"),
    "surrogate bytes": (b"- \xed\xa0\x80", f"1:3: {NOT_YAML} it is not UTF-8: invalid continuation byte"),
    "half of UTF-16": ("- é".encode("utf-16") + b"x", f"1:4: {NOT_YAML} it is not UTF-16: truncated data"),
    "UTF-16 without mark": ("- a".encode("utf-16-le"), f"1:2: {NOT_YAML} '\\x00' {ESCAPE}"),
    "nested too deeply": (
        "\n".join("  " * i + "-" for i in range(101)),
        "101:201: is nested more than 100 levels deep",
    ),
    "nested as deeply as is read": ("- " * 100 + "a", "1:3 0//: must be a mapping; got a list"),
    "nested as deeply as is read by aliases": (
        meta("{a: &a " + "[" * 57 + "]" * 57 + ", b: " + "[" * 40 + "*a" + "]" * 40 + "}"),
        f"13:36 metadata.a{'[0]' * 16}: is nested more than 16 levels deep",
    ),
    "nested too deeply by aliases": (
        meta("{a: &a " + "[" * 58 + "]" * 58 + ", b: " + "[" * 40 + "*a"),
        "13:181: is nested more than 100 levels deep",
    ),
}


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
def test_invalid_file(path: Path, monkeypatch: pytest.MonkeyPatch, bad: tuple[str | bytes, str]) -> None:
    """The error has line, column, entry and field, and both parsers report the same."""
    content, message = bad
    for parser in {yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}:
        monkeypatch.setattr(yaml_events, "_LOADER", parser)
        error = refused(path, content)
        assert (error.index, str(error).removeprefix(str(path))) == expand(message)


@pytest.mark.usefixtures("loader")
def test_error_has_attributes(path: Path) -> None:
    """Each part of the message is an attribute of the error."""
    error = refused(path, ENTRY + OTHER.replace("high", "hgih"))
    assert (error.path, error.line, error.column) == (str(path), 10, 14)
    assert (error.index, error.model_id, error.field) == (1, "b", "risk_tier")
    assert error.reason == f"{TIERS}; got 'hgih'"
    assert isinstance(error, ValueError)
    assert error.__cause__ is None


@pytest.mark.usefixtures("loader")
def test_first_error_is_reported(path: Path) -> None:
    """The first of two mistakes is reported."""
    twice = ENTRY.replace("high", "x") + OTHER.replace("high", "x")
    assert refused(path, twice).line == 4


@pytest.mark.slow
@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ", "!!str [", "&a [", "- ["])
def test_deep_nesting(path: Path, opening: str) -> None:
    """Nesting of any depth is an error of the file."""
    closing = {"[": "]", "{": "}"}
    for depth in (101, 20_000):
        closed = "".join(closing[letter] for letter in reversed(opening) if letter in closing) * depth
        for content in (opening * depth, opening * depth + "1" + closed, meta(f"{{x: {opening * depth}")):
            refused(path, content)


@pytest.mark.usefixtures("loader")
def test_nesting_by_aliases(path: Path) -> None:
    """Aliases of aliases count with the depth of their values."""
    lists = "".join(f"    a{i}: &a{i} [*a{i - 1}, 1]\n" for i in range(1, 1_000))
    error = refused(path, f"{ENTRY}  metadata:\n    a0: &a0 []\n{lists}")
    assert (error.line, error.column) == (105, 16)
    assert error.reason == f"is nested more than {MAX_LEVELS} levels deep"


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("kind", ["list", "mapping", "merge", "merges"])
def test_aliases_of_billions_of_values(path: Path, kind: str) -> None:
    """A few lines that stand for billions of values are an error at once."""
    lines = ["a0: &a0 {x: [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]}"]
    for i in range(1, 60):
        one = f"*a{i - 1}"
        inside = {
            "list": f"[{', '.join([one] * 10)}]",
            "mapping": f"{{{', '.join(f'k{n}: {one}' for n in range(10))}}}",
            "merge": f"{{<<: {one}, a: {one}, b: {one}}}",
            "merges": f"{{<<: [{one}, {one}], x{i}: {one}}}",
        }
        lines.append(f"a{i}: &a{i} {inside[kind]}")
    error = refused(path, ENTRY + "  metadata:\n    " + "\n    ".join(lines))
    assert error.reason == f"aliases expand to more than {MAX_ALIASED:,} values in total"
    assert error.line is not None
    assert error.line < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("".join(f"%TAG !a{i}! x\n" for i in range(100_000)), "", "--- []"),
        ("# ", "x", ""),
        ("- ", "x", ""),
        ("- 'a\n", "\n", ""),
        ("- '", "''", ""),
        ("- &", "a", " 1"),
        ("- ", "[] ", ""),
        ("- {", "a, ", ""),
        ("- {", "a: 1, ", "}"),
        ("- {", "'a' ", ""),
        ("- !<", "x", "> a"),
        ("", "? a\n", ""),
        ("", "- a: ", ""),
        ("- ", "*a ", ""),
        ("- {x: ", "0", "}"),
        ("- {metadata: {x: 0x", "f", "}, model_id: a, name: a}"),
        ("[", "'a':", ""),
        ("- |\n", "  a\n\n", ""),
    ],
    ids=lambda part: part[:12],
)
def test_huge_invalid_file(path: Path, loader: str, start: str, repeated: str, end: str) -> None:
    """A megabyte of invalid text has a short error; of PyYAML itself, which is slow, a tenth of a megabyte."""
    size = 1_000_000 if loader == "CSafeLoader" else 100_000
    content = start + repeated * (size // max(len(repeated), 1)) + end
    assert len(str(refused(path, content))) < 800


NO_TOKEN = "that cannot start any token while scanning for the next token"
NO_ESCAPE = f"{NOT_YAML} found invalid Unicode character escape code while parsing a quoted scalar"
NO_END = f"{NOT_YAML} found unexpected end of stream while scanning a quoted scalar from line 1"
NO_RANGE = "a character or a number in it is out of range"
IN_LIST = "while parsing a flow sequence from line 1"
IN_BLOCK = "while parsing a block collection from line 2"
SYNTAX = {
    "- [a, b\n- c\n": (
        f"3:1: {NOT_YAML} did not find expected ',' or ']' {IN_LIST}",
        f"3:1: {NOT_YAML} expected ',' or ']', but got '<stream end>' {IN_LIST}",
    ),
    "# a\n- a: b\n c: d\n": (
        f"3:2: {NOT_YAML} did not find expected '-' indicator {IN_BLOCK}",
        f"3:2: {NOT_YAML} expected <block end>, but found '<block mapping start>' {IN_BLOCK}",
    ),
    "- 'b\n- c\n": (f"3:1: {NO_END}", f"3:1: {NO_END}"),
    "- a: b: c\n": (
        f"1:7: {NOT_YAML} mapping values are not allowed in this context",
        f"1:7: {NOT_YAML} mapping values are not allowed here",
    ),
    "-\n  owner: @a\n": (
        f"2:10: {NOT_YAML} found character {NO_TOKEN}",
        f"2:10: {NOT_YAML} found character '@' {NO_TOKEN}",
    ),
    f"%YAML 1.{'1' * 5_000}\n---\n[]": (
        f"1:18: {NOT_YAML} found extremely long version number while scanning a %YAML directive",
        f": {NOT_YAML} {NO_RANGE}",
    ),
    "%YAML 2.0\n---\n[]": (
        f"1:1: {NOT_YAML} found incompatible YAML document",
        f"1:1: {NOT_YAML} found incompatible YAML document (version 1.* is required)",
    ),
    "- a: !e!f x": (
        f"1:6: {NOT_YAML} found undefined tag handle while parsing a node",
        f"1:6: {NOT_YAML} found undefined tag handle '!e!' while parsing a node",
    ),
    '- "\\UFFFFFFFF"': (f"1:6: {NO_ESCAPE}", f": {NOT_YAML} {NO_RANGE}"),
    '- "\\U00110000"': (f"1:6: {NO_ESCAPE}", f": {NOT_YAML} {NO_RANGE}"),
    ENTRY.replace("GPT", '"\\ud83d" #'): (f"2:12: {NO_ESCAPE}", f"2:9 0/gpt-4o/name: {ENCODABLE}; got '\\ud83d'"),
    "-\n\ta: 1\n": (f"2:1: {NOT_YAML} found character {NO_TOKEN}", f"2:1: {NOT_YAML} found character '\\t' {NO_TOKEN}"),
}
"""What is no YAML, and what libyaml and PyYAML itself say of it."""
HINTS = {
    "- a: b: c\n": "; text that contains a colon and a space must be in quotes",
    "-\n  owner: @a\n": f"; {QUOTES}",
    "- a: !e!f x": f"; {QUOTES}",
    "-\n\ta: 1\n": "; indent with spaces, not with tabs",
}


@pytest.mark.parametrize("content", SYNTAX)
def test_syntax_error(path: Path, loader: str, content: str) -> None:
    """The error has the parser's message, line and column, and a hint."""
    message = SYNTAX[content][loader == "SafeLoader"]
    assert str(refused(path, content)) == f"{path}{expand(message)[1]}{HINTS.get(content, '')}"


@needs_libyaml
def test_libyaml_is_used() -> None:
    """Files are read by libyaml if PyYAML has it."""
    assert yaml_events._LOADER is yaml.CSafeLoader


@pytest.mark.slow
@needs_libyaml
@pytest.mark.parametrize("more", ["\t# comment", "\n  metadata: {a:\t1,\n\t\tb: [2]}", "\n  metadata: {a: b?c}"])
def test_syntax_that_only_libyaml_reads(path: Path, more: str) -> None:
    """Libyaml reads tabs between values, and question marks in flow mappings."""
    (entry,) = load(path, ENTRY.rstrip() + more)
    assert entry["owner"] == "ml-platform"
