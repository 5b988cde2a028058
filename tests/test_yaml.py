"""Registry files in YAML: what they may look like, what their values are, and what is wrong with others."""

from __future__ import annotations

import codecs
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import spanforge.model_registry._core
from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._core import storage, yaml_entries, yaml_nodes
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.yaml_nodes import MAX_ALIASED, MAX_LEVELS

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = """\
- model_id: gpt-4o
  name: GPT-4o
  version: 2024-05
  risk_tier: high
  owner: ml-platform
  purpose: customer support
"""
OTHER = ENTRY.replace("gpt-4o", "b", 1)
"""An entry with the id ``b``: after ``ENTRY`` its lines are 7 to 12."""

PLAIN = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "customer support",
    "status": "active",
    "deployment_date": None,
    "decommission_date": None,
    "metadata": {},
}

needs_libyaml = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is built without libyaml")
LOADERS = [pytest.param("CSafeLoader", marks=needs_libyaml), "SafeLoader"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a registry file, in a folder that holds nothing else."""
    return tmp_path / "models.yaml"


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have files read by libyaml's parser, and by PyYAML's own."""
    monkeypatch.setattr(yaml_nodes, "_LOADER", getattr(yaml, request.param))
    name: str = request.param
    return name


def load(path: Path, content: str | bytes) -> list[dict[str, Any]]:
    """Return the entries of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    return [entry.to_dict() for entry in registry]


def refused(path: Path, content: str | bytes) -> RegistryFileError:
    """Return the error about a file with this content; the registry stays as it was."""
    registry = ModelRegistry(auto_emit=False)
    before = registry.register("m", "N", "1", "low", "team", "test")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RegistryFileError) as caught:
        registry.load(path)
    assert registry.list_all() == [before]
    assert str(caught.value).isprintable()
    return caught.value


TEXTS = {
    "2024-05": "2024-05",
    "1.10": "1.10",
    "010": "010",
    "0x1F": "0x1F",
    "1e3": "1e3",
    "1_000": "1_000",
    "1:30": "1:30",
    "2024-05-13": "2024-05-13",
    "2024-05-13 08:00:00": "2024-05-13 08:00:00",
    "no": "no",
    "on": "on",
    "true": "true",
    ".inf": ".inf",
    "=": "=",
    "'null'": "null",
    '"~"': "~",
    "!!str null": "null",
    "!!str 1.10": "1.10",
    '"Z\\u00fcrich \\u4E1C"': "Zürich 东",
    "Zürich 東京 🚆": "Zürich 東京 🚆",
    "'it''s'": "it's",
    "a # comment": "a",
    "a#b": "a#b",
    "two\n          lines": "two lines",
    "|\n          two\n          lines\n": "two\nlines\n",
    ">-\n          two\n          lines\n": "two lines",
}
TEXT_FIELDS = ("name", "version", "owner", "purpose")
TEXT_KEYS = tuple(key for key, row in RESERVED.items() if row.kind == "text")
VALUES: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "nULL": "nULL",
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "tRUE": "tRUE",
    "yes": "yes",
    "No": "No",
    "on": "on",
    "OFF": "OFF",
    "y": "y",
    "0": 0,
    "-0": 0,
    "+12": 12,
    "-7": -7,
    "010": 10,
    "08": 8,
    "0o17": 15,
    "0o8": "0o8",
    "0x1F": 31,
    "-0x1F": "-0x1F",
    "0b11": "0b11",
    "1_000": "1_000",
    "1:30": "1:30",
    "9223372036854775807": 2**63 - 1,
    "1.0": 1.0,
    "1.": 1.0,
    ".5": 0.5,
    "-.5E-2": -0.005,
    "1e3": 1000.0,
    "1e+3": 1000.0,
    "-0.0": -0.0,
    ".": ".",
    "1e": "1e",
    "e1": "e1",
    "1.2.3": "1.2.3",
    "٣": "٣",
    "inf": "inf",
    "nan": "nan",
    "2024-05-13": "2024-05-13",
    "2024-05-13T08:00:00Z": "2024-05-13T08:00:00Z",
    "<<": "<<",
    "=": "=",
    "'true'": "true",
    '"1"': "1",
    "!!str": "",
    "!!str 1": "1",
    "!!str true": "true",
    "!!str '1'": "1",
    "!<tag:yaml.org,2002:str> 1": "1",
    "|\n      1\n": "1\n",
    "[]": [],
    "{}": {},
    "[1, [a, ~], {b: no}]": [1, ["a", None], {"b": "no"}],
    "{1: a, ~: b, true: c, 2024-05-13: d, '<<': e}": {
        "1": "a",
        "~": "b",
        "true": "c",
        "2024-05-13": "d",
        "<<": "e",
    },
    "\n    - 1\n    - - 2\n      -\n    - a:\n      b: 1": [1, [2, None], {"a": None, "b": 1}],
    "{? a : 1, ? b}": {"a": 1, "b": None},
    "{url: http://example.com/a#b=c}": {"url": "http://example.com/a#b=c"},
    '{"a":1,"b":[true,null]}': {"a": 1, "b": [True, None]},
}


@pytest.mark.usefixtures("loader")
class TestLoad:
    """What a YAML file may hold."""

    def test_a_file_as_people_write_it(self, path: Path) -> None:
        """Comments, quotes or none, dates and versions as they are: the entries are those of the JSON file."""
        loaded = load(
            path,
            """\
# All models that support uses.
- model_id: gpt-4o   # the default
  name: "GPT-4o"
  version: 2024-05
  risk_tier: high
  owner: ml-platform
  purpose: >
    Kundendienst für Zürich,
    東京 🚆
  deployment_date: 2024-05-13
  metadata:
    provider: openai
    aliases: [gpt-4o-*, 4o]
    history:
      - at: 2024-05-13
        status: active
        owner: 007
        risk_tier: high
        actor: no
    contract: 2024-05-13
    share: 0.5
    internal: no
    reviewed: true

- {model_id: b, name: B, version: 1.10, risk_tier: low, owner: on, purpose: tests, status: retired,
   decommission_date: 2026-01-01 08:00:00Z}
""",
        )
        assert loaded == [
            {
                **PLAIN,
                "purpose": "Kundendienst für Zürich, 東京 🚆\n",
                "deployment_date": "2024-05-13",
                "metadata": {
                    "provider": "openai",
                    "aliases": ["gpt-4o-*", "4o"],
                    "history": [
                        {"at": "2024-05-13", "status": "active", "owner": "007", "risk_tier": "high", "actor": "no"}
                    ],
                    "contract": "2024-05-13",
                    "share": 0.5,
                    "internal": "no",
                    "reviewed": True,
                },
            },
            {
                **PLAIN,
                "model_id": "b",
                "name": "B",
                "version": "1.10",
                "risk_tier": "low",
                "owner": "on",
                "purpose": "tests",
                "status": "retired",
                "decommission_date": "2026-01-01 08:00:00Z",
            },
        ]

    def test_texts_are_as_they_are_written(self, path: Path) -> None:
        """What is a text by design is one, whatever it looks like: in fields, in reserved keys and in their lists."""
        content, expected = "", []
        for number, (written, text) in enumerate(TEXTS.items()):
            content += f"- model_id: m{number}\n  risk_tier: low\n  metadata:\n    aliases:\n    - {written}\n"
            content += "".join(f"    {key}: {written}\n" for key in TEXT_KEYS)
            content += "".join(f"  {field}: {written}\n" for field in TEXT_FIELDS)
            metadata = {"aliases": [text], **dict.fromkeys(TEXT_KEYS, text)}
            fields = {"model_id": f"m{number}", "risk_tier": "low", "metadata": metadata}
            expected.append({**PLAIN, **dict.fromkeys(TEXT_FIELDS, text), **fields})
        assert load(path, content) == expected

    def test_null_is_null_in_texts_too(self, path: Path) -> None:
        """A date or a provider that is null is one that is not given."""
        for null in ("", "~", "null", "Null", "NULL"):
            more = f"  deployment_date: {null}\n  metadata:\n    sunset_date: {null}\n    provider: {null}\n"
            (entry,) = load(path, ENTRY + more)
            assert entry == {**PLAIN, "metadata": {"sunset_date": None, "provider": None}}

    def test_values_of_metadata(self, path: Path) -> None:
        """The user's own values follow the core schema of YAML 1.2, and have the types that JSON has."""
        members = "".join(f"    x{number}: {written}\n" for number, written in enumerate(VALUES))
        (entry,) = load(path, f"{ENTRY}  metadata:\n{members}")
        found = {written: repr(value) for written, value in zip(VALUES, entry["metadata"].values(), strict=True)}
        assert found == {written: repr(value) for written, value in VALUES.items()}

    @pytest.mark.parametrize(
        "content",
        [
            codecs.BOM_UTF8 + ENTRY.encode(),
            ENTRY.encode("utf-16"),
            codecs.BOM_UTF16_BE + ENTRY.encode("utf-16-be"),
            ENTRY.replace("\n", "\r\n").encode(),
            ENTRY.replace("\n", "\r").encode(),
            b"---\n" + ENTRY.encode() + b"...\n",
            b"%YAML 1.2\n--- # models\n" + ENTRY.encode(),
            ENTRY.strip().encode(),
            json.dumps([PLAIN]).encode(),
            json.dumps([PLAIN], indent=2).encode(),
            ENTRY.replace("  ", "      ").replace("- ", "  -   ", 1).encode(),
        ],
        ids=["mark", "UTF-16", "UTF-16 BE", "CRLF", "CR", "document", "directive", "no end", "JSON", "indented", "far"],
    )
    def test_any_way_of_writing_it(self, path: Path, content: bytes) -> None:
        """Encoding, line ends and layout do not matter, and JSON is YAML."""
        assert load(path, content) == [PLAIN]

    @pytest.mark.parametrize("content", ["[]", "[]\n", "--- []\n...\n", "# none\n[\n]\n"])
    def test_no_entries(self, path: Path, content: str) -> None:
        """A list with nothing in it is an empty registry."""
        assert load(path, content) == []

    def test_what_the_registry_saves(self, path: Path) -> None:
        """A saved file loads under a YAML name, the same entries in the same order."""
        registry = ModelRegistry(auto_emit=False)
        for model_id in ("z", "a"):
            registry.register(
                model_id, "N", "1", "low", "Zürich 東京 🚆", "test", aliases=["x-*"], metadata={"z": 1e99}
            )
        registry.deprecate("a", reason='a\tb "c" \\ \n d: #')
        registry.save(path.with_name("models.json"))
        assert load(path, path.with_name("models.json").read_bytes()) == [entry.to_dict() for entry in registry]

    def test_anchors_and_aliases(self, path: Path) -> None:
        """An alias stands for the value that its anchor names, as what the place of the alias takes it for."""
        content = """\
- model_id: &id gpt-4o
  name: GPT-4o
  version: &v 1.10
  risk_tier: high
  owner: &o ml-platform
  purpose: customer support
  metadata: &m
    provider: *o
    v: *v
    list: &l [*v, 'x']
    again: {*id : *l}
- model_id: b
  name: *id
  version: *v
  risk_tier: low
  owner: *o
  purpose: p
  metadata: *m
"""
        metadata = {"provider": "ml-platform", "v": 1.1, "list": [1.1, "x"], "again": {"gpt-4o": [1.1, "x"]}}
        first, second = load(path, content)
        assert first == {**PLAIN, "version": "1.10", "metadata": metadata}
        assert list(first["metadata"]) == list(metadata)
        assert second["name"] == "gpt-4o"
        assert second["version"] == "1.10"
        assert second["metadata"] == metadata

    def test_merge_keys(self, path: Path) -> None:
        """``<<`` adds the members of a mapping, or of several of which the first one counts; a mapping's own win."""
        content = """\
- &base
  model_id: gpt-4o
  name: GPT-4o
  version: 2024-05
  risk_tier: high
  owner: ml-platform
  purpose: customer support
  metadata: &meta
    a: 1
    b: 2
    inner: &inner {x: 1}
- <<: *base
  model_id: b
- owner: other
  <<: [{owner: unused, version: 1.10}, *base]
  model_id: c
  metadata:
    b: 3
    <<: *meta
    c: {y: 2, <<: [*inner, {x: 5, z: 6}, {<<: *inner, w: 7}]}
    <<d: 1
"""
        metadata = {"a": 1, "b": 2, "inner": {"x": 1}}
        base = {**PLAIN, "metadata": metadata}
        other = {**metadata, "b": 3, "c": {"x": 1, "z": 6, "w": 7, "y": 2}, "<<d": 1}
        loaded = load(path, content)
        expected = [
            base,
            {**base, "model_id": "b"},
            {**base, "model_id": "c", "owner": "other", "version": "1.10", "metadata": other},
        ]
        assert loaded == expected
        assert list(loaded[2]["metadata"]) == ["a", "b", "inner", "c", "<<d"]

    def test_merged_merges(self, path: Path) -> None:
        """A mapping that merges others can itself be merged."""
        content = "- &a {<<: {name: A, owner: a}, version: 1, risk_tier: low, purpose: p, model_id: a}\n"
        content += "- &b {<<: *a, model_id: b, owner: b}\n- {<<: [*b, *a], model_id: c}\n"
        assert [(e["model_id"], e["owner"], e["name"]) for e in load(path, content)] == [
            ("a", "a", "A"),
            ("b", "b", "A"),
            ("c", "b", "A"),
        ]

    def test_as_many_values_as_aliases_may_stand_for(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The limit on aliases counts the values they stand for, of all aliases, and nothing else."""
        content = f"{ENTRY}  metadata:\n    a: &a [1, {{b: 2}}]\n    c: [*a, *a]\n    d: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
        monkeypatch.setattr(yaml_nodes, "MAX_ALIASED", 10)
        assert load(path, content)[0]["metadata"]["c"] == [[1, {"b": 2}]] * 2
        monkeypatch.setattr(yaml_nodes, "MAX_ALIASED", 9)
        assert str(refused(path, content)) == (
            f"{path}, line 9, column 13: aliases expand to more than 9 values in total"
        )


@pytest.mark.parametrize("name", ["models.yaml", "models.yml", "MODELS.YAML", "a.json.Yml", ".yaml"])
def test_names(tmp_path: Path, name: str) -> None:
    """A name that ends in ``.yaml`` or ``.yml``, in capitals or not, is that of a YAML file."""
    assert load(tmp_path / name, ENTRY) == [PLAIN]


@pytest.mark.parametrize("name", ["models.json", "models", "yaml", "models.yaml.json", "models.yaml~", "my.yaml/m"])
def test_other_names(tmp_path: Path, name: str) -> None:
    """A file with any other name is JSON."""
    (tmp_path / "my.yaml").mkdir()
    assert refused(tmp_path / name, ENTRY).reason.startswith("is not valid JSON")
    assert load(tmp_path / name, json.dumps([PLAIN])) == [PLAIN]


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
UNKNOWN = f"is an unknown field; an entry has the fields {FIELDS}"
TEXT = "must be text that is not blank, of at most 4,096 characters"
DATE = "must be an RFC 3339 date or date-time such as 2026-05-13 or 2026-05-13T08:00:00Z"
NOT_YAML = "is not valid YAML:"
ESCAPE = "must be written as an escape, in double quotes"
B = ", entry 1, model 'b', field"
LIST = "must be a YAML list of entries"
ONE = "must be one YAML document; another one starts here"
NAMES = "must be a name or glob of 1 to 256 characters with at most 8 stars"
ORDER = "must be no earlier than that of the record before"
RECORD = "must be a mapping with at, status, owner, risk_tier, and optionally reason and actor"
ENCODABLE = "must be Unicode text without lone surrogates"


def meta(text: str) -> str:
    """Return two entries, of which the second one has this metadata in line 13; column 13 is its first character."""
    return f"{ENTRY}{OTHER}  metadata: {text}\n"


BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "empty": (b"", f": {LIST}; the file is empty"),
    "byte order mark": (codecs.BOM_UTF8, f": {LIST}; the file is empty"),
    "only a comment": ("# no models\n", f": {LIST}; the file is empty"),
    "an empty document": ("---\n", f": {LIST}; the file is empty"),
    "null": ("null\n", f": {LIST}; the file is empty"),
    "a text": ("\n models\n", f", line 2, column 2: {LIST}; got text"),
    "an empty text": ("''", f", line 1, column 1: {LIST}; got text"),
    "a mapping": ("# models\nmodels:\n" + ENTRY, f", line 2, column 1: {LIST}; got a mapping"),
    "two documents": (
        ENTRY + "---\n" + OTHER,
        ", line 7, column 1: must be one YAML document; another one starts here",
    ),
    "an empty document first": (
        "---\n---\n" + OTHER,
        ", line 2, column 1: must be one YAML document; another one starts here",
    ),
    "null as entry": (ENTRY + "-\n", ", line 7, column 2, entry 1: must be a mapping; got null"),
    "a text as entry": (ENTRY + "- 1.10\n", ", line 7, column 3, entry 1: must be a mapping; got text"),
    "a list as entry": ("- - a", ", line 1, column 3, entry 0: must be a mapping; got a list"),
    "tier": (ENTRY + OTHER.replace("high", "hgih"), f", line 10, column 14{B} 'risk_tier': {TIERS}; got 'hgih'"),
    "tier is a list": (
        ENTRY + OTHER.replace("high", "[low]"),
        f", line 10, column 14{B} 'risk_tier': {TIERS}; got ['low']",
    ),
    "owner is null": (ENTRY + OTHER.replace("ml-platform", "~"), f", line 11, column 10{B} 'owner': {TEXT}; got None"),
    "owner is empty": (ENTRY + OTHER.replace(" ml-platform", ""), f", line 11, column 9{B} 'owner': {TEXT}; got None"),
    "owner is blank": (
        ENTRY + OTHER.replace("ml-platform", "' '"),
        f", line 11, column 10{B} 'owner': {TEXT}; got ' '",
    ),
    "owner is missing": (
        ENTRY + OTHER.replace("owner", "# owner"),
        f", line 7, column 3{B} 'owner': is missing",
    ),
    "id is null": (
        ENTRY + OTHER.replace("b", "~", 1),
        f", line 7, column 13, entry 1, field 'model_id': {TEXT}; got None",
    ),
    "unknown field": (
        ENTRY + OTHER.replace("owner", "ownr"),
        f", line 11, column 3{B} 'ownr': {UNKNOWN}",
    ),
    "unknown field entry": (ENTRY + OTHER + "  entry: 1", f", line 13, column 3{B} 'entry': {UNKNOWN}"),
    "unknown field with dots": (ENTRY + OTHER + "  name.a[0]: 1", f", line 13, column 3{B} 'name.a[0]': {UNKNOWN}"),
    "date": (
        ENTRY + OTHER + "  deployment_date: May 2024",
        f", line 13, column 20{B} 'deployment_date': {DATE}; got 'May 2024'",
    ),
    "metadata is null": (
        meta(""),
        f", line 13, column 12{B} 'metadata': must be a mapping with string keys and JSON values; got None",
    ),
    "infinite": (meta("{x: [0, .inf]}"), f", line 13, column 21{B} 'metadata.x[1]': must be a finite number; got inf"),
    "minus infinite": (meta("{x: -.INF}"), f", line 13, column 17{B} 'metadata.x': must be a finite number; got -inf"),
    "no number": (meta("{x: .NaN}"), f", line 13, column 17{B} 'metadata.x': must be a finite number; got nan"),
    "1e999": (meta("{x: 1e999}"), f", line 13, column 17{B} 'metadata.x': must be a finite number; got inf"),
    "65 bits": (
        meta("{x: 0x8000000000000000}"),
        f", line 13, column 17{B} 'metadata.x': must be an integer of 64 bits; got 9223372036854775808",
    ),
    "many digits": (
        meta("{x: " + "7" * 5_000 + "}"),
        f", line 13, column 17{B} 'metadata.x': must be a finite number; got inf",
    ),
    "empty key": (
        meta("{a: 1, '': 2}"),
        f", line 13, column 20{B} 'metadata key': must be a string that is not empty; got ''",
    ),
    "empty key inside": (
        meta("{a: {b: 1, '': 2}}"),
        f", line 13, column 24{B} 'metadata.a key': must be a string that is not empty; got ''",
    ),
    "keys with dots": (
        meta("{a: 1, a.b: {c: {'d[0]': .inf}}, a.b.c: 2, x: {y: 1}}"),
        f", line 13, column 38{B} 'metadata.a.b.c.d[0]': must be a finite number; got inf",
    ),
    "keys that begin alike": (
        meta("{aa: 1, a: 2, aaa: [.inf]}"),
        f", line 13, column 33{B} 'metadata.aaa[0]': must be a finite number; got inf",
    ),
    "aliases": (
        meta("{aliases: gpt}"),
        f", line 13, column 23{B} 'metadata.aliases': must be a list of names; got 'gpt'",
    ),
    "alias": (
        meta("\n    aliases:\n    - a\n    - ''"),
        f", line 16, column 7{B} 'metadata.aliases[1]': {NAMES}; got ''",
    ),
    "provider": (meta("{provider: [a]}"), f", line 13, column 24{B} 'metadata.provider': {TEXT}; got ['a']"),
    "history out of order": (
        ENTRY + OTHER + HISTORY,
        f", line 17, column 11{B} 'metadata.history[1].at': {ORDER}, 2026-01-01; got '2025-01-01'",
    ),
    "record's tier": (
        ENTRY + OTHER + HISTORY.replace("low", "''", 1),
        f", line 15, column 61{B} 'metadata.history[0].risk_tier': {TIERS}; got ''",
    ),
    "record": (
        ENTRY + OTHER + HISTORY.replace("status", "stat", 1),
        f", line 15, column 7{B} 'metadata.history[0]': {RECORD}; got {STAT}",
    ),
    "deep metadata": (
        meta("{x: " + "[" * 17 + "]" * 17 + "}"),
        f", line 13, column 33{B} 'metadata.x{'[0]' * 16}': is nested more than 16 levels deep",
    ),
    "too much": (
        meta("{x: 1, y: " + "y" * 70_000 + "}"),
        f", line 13, column 13{B} 'metadata': is too large: at most 65,536 characters and values in total",
    ),
    "an id twice": (
        ENTRY + OTHER + ENTRY,
        ", line 13, column 13, entry 2, model 'gpt-4o', field 'model_id': must be unique; entry 0 has it too",
    ),
    "an entry twice": (
        "- &a {model_id: a, name: A, version: 1, risk_tier: low, owner: a, purpose: p}\n- *a",
        ", line 1, column 17, entry 1, model 'a', field 'model_id': must be unique; entry 0 has it too",
    ),
    "a merged id": (
        "- &a {model_id: a, name: A, version: 1, risk_tier: low, owner: a, purpose: p}\n- {<<: [{}, *a], owner: b}",
        ", line 1, column 17, entry 1, model 'a', field 'model_id': must be unique; entry 0 has it too",
    ),
    "a field twice": (ENTRY + OTHER + "  owner: a", ", line 13, column 3: duplicate key 'owner'"),
    "a field twice in quotes": (
        ENTRY + '- "a": 1\n  a: 2',
        ", line 8, column 3: duplicate key 'a'",
    ),
    "a key twice": (
        meta("{x: [{}, {y: 1, z: [], y: 1}]}"),
        ", line 13, column 36: duplicate key 'y'",
    ),
    "a key twice in a file that is no list": ("a: 1\na: 2", ", line 2, column 1: duplicate key 'a'"),
    "two merges": (
        ENTRY + "- <<: {}\n  <<: {}",
        ", line 8, column 3: duplicate key '<<'",
    ),
    "a list as key": (
        meta("{[a]: 1}"),
        ", line 13, column 14: keys must be text; got a list",
    ),
    "a mapping as key": (
        "- ? {a: 1}\n  : 2",
        ", line 1, column 5: keys must be text; got a mapping",
    ),
    "an alias of a list as key": (
        meta("{x: &x [], *x : 1}"),
        ", line 13, column 24: keys must be text; got a list",
    ),
    "merge of a text": (
        ENTRY + "- <<: a",
        ", line 7, column 7: << must be a mapping or a list of mappings; got text",
    ),
    "merge of null": (
        ENTRY + "- <<:",
        ", line 7, column 6: << must be a mapping or a list of mappings; got null",
    ),
    "merge of texts": (
        ENTRY + OTHER + "  <<: [{}, a]",
        ", line 13, column 12: << must be a mapping or a list of mappings; got text",
    ),
    "merge that adds what is unknown": (
        "- &a {<<: {ownr: a}, model_id: a}",
        f", line 1, column 12, entry 0, model 'a', field 'ownr': {UNKNOWN}",
    ),
    "merge from elsewhere that adds what is unknown": (
        meta("{x: &x {ownr: a}}") + "- model_id: c\n  <<: *x\n",
        f", line 13, column 21, entry 2, model 'c', field 'ownr': {UNKNOWN}",
    ),
    "merge of a list from elsewhere that adds what is unknown": (
        meta("{x: &x [{ownr: a}]}") + "- model_id: c\n  <<: *x\n",
        f", line 13, column 22, entry 2, model 'c', field 'ownr': {UNKNOWN}",
    ),
    "a value inside one that is merged": (
        meta("{x: &x {metadata: {aliases: ['']}}}") + OTHER.replace("b", "c\n  <<: *x", 1),
        f", line 13, column 42, entry 2, model 'c', field 'metadata.aliases[0]': {NAMES}; got ''",
    ),
    "a value from elsewhere": (
        meta("{x: &x [1]}") + OTHER.replace("b", "c", 1).replace("high", "*x"),
        f", line 13, column 17, entry 2, model 'c', field 'risk_tier': {TIERS}; got ['1']",
    ),
    "a value in what is elsewhere": (
        meta("{x: &x {ownr: a}}") + "- *x",
        f", line 13, column 21, entry 2, field 'ownr': {UNKNOWN}",
    ),
    "alias of nothing": (
        meta("{x: [1, *y]}"),
        ", line 13, column 21: alias *y has no anchor before it",
    ),
    "alias of what comes later": (
        "- *a\n- &a {}",
        ", line 1, column 3: alias *a has no anchor before it",
    ),
    "alias of what it is in": (
        meta("&m {x: [1, *m]}"),
        ", line 13, column 24: alias *m refers to the node that contains it",
    ),
    "merge of what it is in": (
        "- &a\n  <<: *a",
        ", line 2, column 7: alias *a refers to the node that contains it",
    ),
    "an anchor twice": (
        meta("{x: &x 1, y: &x 2}"),
        ", line 13, column 26: duplicate anchor 'x'",
    ),
    "Python object": (
        meta("{x: !!python/object/apply:os.system [ls]}"),
        ", line 13, column 17: unsupported tag '!!python/object/apply:os.system'; only text may have a tag",
    ),
    "binary": (
        meta("{x: !!binary aGk=}"),
        ", line 13, column 17: unsupported tag '!!binary'; only !!str is allowed",
    ),
    "number": (meta("{x: !!int 5}"), ", line 13, column 17: unsupported tag '!!int'; only !!str is allowed"),
    "custom tag": (
        ENTRY + OTHER.replace("ml-", "!c "),
        ", line 11, column 10: unsupported tag '!c'; only !!str is allowed",
    ),
    "mark of a tag": (meta("{x: ! 5}"), ", line 13, column 17: unsupported tag '!'; only !!str is allowed"),
    "tag of a mapping": ("- !!map {}", ", line 1, column 3: unsupported tag '!!map'; only text may have a tag"),
    "tag of a list": ("!!str []", ", line 1, column 1: unsupported tag '!!str'; only text may have a tag"),
    "tag of a key": (meta("{!k x: 1}"), ", line 13, column 14: unsupported tag '!k'; only !!str is allowed"),
    "tag directive": (
        "# a\n%TAG !e! tag:e,2026:\n---\n[]",
        f", line 2, column 1: {NOT_YAML} '%TAG' directives are not supported",
    ),
    "NUL": (b"- a\n- \x00", f", line 2, column 3: {NOT_YAML} '\\x00' {ESCAPE}"),
    "control character": (b"- a\r- 'b\x1b[0m'", f", line 2, column 5: {NOT_YAML} '\\x1b' {ESCAPE}"),
    "DEL": (b"[\x7f]", f", line 1, column 2: {NOT_YAML} '\\x7f' {ESCAPE}"),
    "next line": ("é:\r\n- 'a\x85b'", f", line 2, column 5: {NOT_YAML} '\\x85' {ESCAPE}"),
    "line separator": ("# a\n\n🚆\u2028", f", line 3, column 2: {NOT_YAML} '\\u2028' {ESCAPE}"),
    "paragraph separator": ("\u2029", f", line 1, column 1: {NOT_YAML} '\\u2029' {ESCAPE}"),
    "two byte order marks": (codecs.BOM_UTF8 * 2 + b"[]", f", line 1, column 1: {NOT_YAML} '\\ufeff' {ESCAPE}"),
    "no character": ("- \uffff", f", line 1, column 3: {NOT_YAML} '\\uffff' {ESCAPE}"),
    "Latin-1": (
        "- a\n- 'Zürich Genève'".encode("latin-1"),
        f", line 2, column 5: {NOT_YAML} it is not UTF-8: invalid start byte",
    ),
    "half a character": (
        "- é東".encode()[:-1],
        f", line 1, column 4: {NOT_YAML} it is not UTF-8: unexpected end of data",
    ),
    "surrogate bytes": (
        b"- \xed\xa0\x80",
        f", line 1, column 3: {NOT_YAML} it is not UTF-8: invalid continuation byte",
    ),
    "half of UTF-16": (
        "- é".encode("utf-16") + b"x",
        f", line 1, column 4: {NOT_YAML} it is not UTF-16: truncated data",
    ),
    "UTF-16 without mark": ("- a".encode("utf-16-le"), f", line 1, column 2: {NOT_YAML} '\\x00' {ESCAPE}"),
    "nested too deeply": (
        "\n".join("  " * i + "-" for i in range(101)),
        ", line 101, column 201: is nested more than 100 levels deep",
    ),
    "nested as deeply as is read": (
        "- " * 100 + "a",
        ", line 1, column 3, entry 0: must be a mapping; got a list",
    ),
    "nested as deeply as is read by aliases": (
        meta("{a: &a " + "[" * 57 + "]" * 57 + ", b: " + "[" * 40 + "*a" + "]" * 40 + "}"),
        f", line 13, column 36{B} 'metadata.a{'[0]' * 16}': is nested more than 16 levels deep",
    ),
    "nested too deeply by aliases": (
        meta("{a: &a " + "[" * 58 + "]" * 58 + ", b: " + "[" * 40 + "*a"),
        ", line 13, column 181: is nested more than 100 levels deep",
    ),
}


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file(path: Path, monkeypatch: pytest.MonkeyPatch, bad: tuple[str | bytes, str]) -> None:
    """The error has line and column, and the entry and field if one is wrong; both parsers lead to the same."""
    content, said = bad
    for parser in {yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)}:
        monkeypatch.setattr(yaml_nodes, "_LOADER", parser)
        assert str(refused(path, content)) == f"{path}{said}"


@pytest.mark.usefixtures("loader")
class TestLoadFails:
    """What ``load`` says of a YAML file that is not right; the registry stays as it was."""

    def test_the_facts(self, path: Path) -> None:
        """Each part of the message is an attribute of the error too."""
        error = refused(path, ENTRY + OTHER.replace("high", "hgih"))
        assert (error.path, error.line, error.column) == (str(path), 10, 14)
        assert (error.index, error.model_id, error.field) == (1, "b", "risk_tier")
        assert error.reason == f"{TIERS}; got 'hgih'"
        assert isinstance(error, ValueError)
        assert error.__cause__ is None

    def test_after_another_entry_with_the_same_mistake(self, path: Path) -> None:
        """It is the first mistake in the file that counts."""
        twice = ENTRY.replace("high", "x") + OTHER.replace("high", "x")
        assert refused(path, twice).line == 4

    @pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: ", "!!str [", "&a [", "- ["])
    def test_any_depth(self, path: Path, opening: str) -> None:
        """Any depth of nesting is an error of the file, and never one of the program."""
        closing = {"[": "]", "{": "}"}
        for depth in (101, 1_000, 100_000):
            closed = "".join(closing[letter] for letter in reversed(opening) if letter in closing) * depth
            for content in (opening * depth, opening * depth + "1" + closed, meta(f"{{x: {opening * depth}")):
                refused(path, content)

    def test_depth_by_aliases(self, path: Path) -> None:
        """Aliases of aliases of aliases are as deep as what they stand for."""
        lists = "".join(f"    a{i}: &a{i} [*a{i - 1}, 1]\n" for i in range(1, 1_000))
        error = refused(path, f"{ENTRY}  metadata:\n    a0: &a0 []\n{lists}")
        assert (error.line, error.column) == (105, 16)
        assert error.reason == f"is nested more than {MAX_LEVELS} levels deep"

    @pytest.mark.parametrize("kind", ["list", "mapping", "merge", "merges"])
    def test_aliases_that_stand_for_billions(self, path: Path, kind: str) -> None:
        """Few lines that stand for more values than fit into any memory are an error at once."""
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

    @pytest.mark.parametrize(
        "content",
        [
            "".join(f"%TAG !a{i}! x\n" for i in range(100_000)) + "--- []",
            "# " + "x" * 1_000_000,
            "- " + "x" * 1_000_000,
            "- 'a\n" + "\n" * 100_000,
            "- " + "'" * 1_000_001,
            "- &" + "a" * 1_000_000 + " 1",
            "- " + "[] " * 100_000,
            "- {" + "a, " * 100_000,
            "- {" + "a: 1, " * 100_000 + "}",
            "- {" + "'a' " * 100_000,
            "- !<" + "x" * 1_000_000 + "> a",
            "? a\n" * 100_000,
            "- a: " * 100_000,
            "- " + "*a " * 100_000,
            "- {x: " + "0" * 1_000_000 + "}",
            "- {metadata: {x: 0x" + "f" * 1_000_000 + "}, model_id: a, " + "name: a}",
            "[" + "'a':" * 100_000,
            "- |\n" + "  a\n\n" * 100_000,
        ],
        ids=lambda content: content[:12],
    )
    def test_it_never_takes_long(self, path: Path, content: str) -> None:
        """A megabyte of anything is an error within seconds, and the error is a short one."""
        assert len(str(refused(path, content))) < 800


NO_TOKEN = "that cannot start any token while scanning for the next token"
NO_ESCAPE = f"{NOT_YAML} found invalid Unicode character escape code while parsing a quoted scalar"
NO_END = f"{NOT_YAML} found unexpected end of stream while scanning a quoted scalar from line 1"
NO_RANGE = "a character or a number in it is out of range"
IN_LIST = "while parsing a flow sequence from line 1"
IN_BLOCK = "while parsing a block collection from line 2"

SYNTAX = {
    "- [a, b\n- c\n": (
        f", line 3, column 1: {NOT_YAML} did not find expected ',' or ']' {IN_LIST}",
        f", line 3, column 1: {NOT_YAML} expected ',' or ']', but got '<stream end>' {IN_LIST}",
    ),
    "# a\n- a: b\n c: d\n": (
        f", line 3, column 2: {NOT_YAML} did not find expected '-' indicator {IN_BLOCK}",
        f", line 3, column 2: {NOT_YAML} expected <block end>, but found '<block mapping start>' {IN_BLOCK}",
    ),
    "- 'b\n- c\n": (f", line 3, column 1: {NO_END}", f", line 3, column 1: {NO_END}"),
    "- a: b: c\n": (
        f", line 1, column 7: {NOT_YAML} mapping values are not allowed in this context",
        f", line 1, column 7: {NOT_YAML} mapping values are not allowed here",
    ),
    "-\n  owner: @a\n": (
        f", line 2, column 10: {NOT_YAML} found character {NO_TOKEN}",
        f", line 2, column 10: {NOT_YAML} found character '@' {NO_TOKEN}",
    ),
    f"%YAML 1.{'1' * 5_000}\n---\n[]": (
        f", line 1, column 18: {NOT_YAML} found extremely long version number while scanning a %YAML directive",
        f": {NOT_YAML} {NO_RANGE}",
    ),
    "%YAML 2.0\n---\n[]": (
        f", line 1, column 1: {NOT_YAML} found incompatible YAML document",
        f", line 1, column 1: {NOT_YAML} found incompatible YAML document (version 1.* is required)",
    ),
    "- a: !e!f x": (
        f", line 1, column 6: {NOT_YAML} found undefined tag handle while parsing a node",
        f", line 1, column 6: {NOT_YAML} found undefined tag handle '!e!' while parsing a node",
    ),
    '- "\\UFFFFFFFF"': (
        f", line 1, column 6: {NO_ESCAPE}",
        f": {NOT_YAML} {NO_RANGE}",
    ),
    '- "\\U00110000"': (
        f", line 1, column 6: {NO_ESCAPE}",
        f": {NOT_YAML} {NO_RANGE}",
    ),
    ENTRY.replace("GPT", '"\\ud83d" #'): (
        f", line 2, column 12: {NO_ESCAPE}",
        f", line 2, column 9, entry 0, model 'gpt-4o', field 'name': {ENCODABLE}; got '\\ud83d'",
    ),
    "-\n\ta: 1\n": (
        f", line 2, column 1: {NOT_YAML} found character {NO_TOKEN}",
        f", line 2, column 1: {NOT_YAML} found character '\\t' {NO_TOKEN}",
    ),
}
"""What is no YAML, and what libyaml and PyYAML itself say of it."""


class TestSyntax:
    """What is said of a file that is not YAML, by either parser."""

    @pytest.mark.parametrize("content", SYNTAX)
    def test_it_says_what_is_wrong_and_where(self, path: Path, loader: str, content: str) -> None:
        """The error has the parser's words, and line and column where the parser says them."""
        said = SYNTAX[content][loader == "SafeLoader"]
        assert str(refused(path, content)) == f"{path}{said}"

    @needs_libyaml
    def test_libyaml_is_used(self) -> None:
        """Where PyYAML has libyaml, that reads the files."""
        assert yaml_nodes._LOADER is yaml.CSafeLoader

    @needs_libyaml
    @pytest.mark.parametrize("more", ["\t# comment", "\n  metadata: {a:\t1,\n\t\tb: [2]}", "\n  metadata: {a: b?c}"])
    def test_libyaml_reads_more(self, path: Path, more: str) -> None:
        """Tabs between values, and question marks in texts in braces, are right in YAML and not to PyYAML itself."""
        (entry,) = load(path, ENTRY.rstrip() + more)
        assert entry["owner"] == "ml-platform"


class TestWithoutPyYAML:
    """Where the extra is not installed."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (yaml_entries, yaml_nodes):
            monkeypatch.delitem(sys.modules, module.__name__)
            monkeypatch.delattr(spanforge.model_registry._core, module.__name__.rpartition(".")[2])
        for name in [name for name in sys.modules if name.partition(".")[0] == "yaml"]:
            monkeypatch.setitem(sys.modules, name, None)

    def test_a_yaml_file(self, path: Path) -> None:
        """The error says what to install."""
        error = refused(path, ENTRY)
        assert str(error) == f"{path}: YAML files need the extra: pip install 'spanforge-model-registry[yaml]'"
        assert error.__suppress_context__

    def test_a_json_file(self, tmp_path: Path) -> None:
        """JSON files do not need it."""
        assert load(tmp_path / "models.json", json.dumps([PLAIN])) == [PLAIN]


class TestSave:
    """YAML files are not written: people's comments would be gone."""

    REASON = "cannot be written: YAML files are read-only, and save writes JSON; use a name that ends in .json"

    @pytest.mark.parametrize(
        ("name", "there"),
        [("models.yaml", True), ("models.yml", False), ("MODELS.YAML", True), (".yaml", False), ("new/a.yaml", False)],
    )
    def test_it_is_refused(self, tmp_path: Path, name: str, *, there: bool) -> None:
        """The error says what to do; no folder is made, and a file that is there stays as it is."""
        path = tmp_path / name
        if there:
            path.parent.mkdir(exist_ok=True)
            path.write_text(ENTRY)
        before = sorted(os.walk(tmp_path))
        with pytest.raises(RegistryFileError) as caught:
            ModelRegistry(auto_emit=False).save(path)
        assert str(caught.value) == f"{path}: {self.REASON}"
        assert sorted(os.walk(tmp_path)) == before
        assert not there or path.read_text() == ENTRY

    def test_before_anything_else(self, tmp_path: Path) -> None:
        """The entries are not even asked for."""

        def entries() -> Any:
            pytest.fail("asked for")
            yield

        with pytest.raises(RegistryFileError, match="YAML files are read-only"):
            storage.write_entries(tmp_path / "models.yaml", entries())

    @pytest.mark.parametrize(("link", "target"), [("models.json", "models.yaml"), ("models.yaml", "models.json")])
    def test_links(self, tmp_path: Path, link: str, target: str) -> None:
        """A link to a YAML file is refused like the file, and so is one that is read as YAML."""
        (tmp_path / target).write_text(ENTRY)
        (tmp_path / link).symlink_to(target)
        with pytest.raises(RegistryFileError) as caught:
            ModelRegistry(auto_emit=False).save(tmp_path / link)
        assert str(caught.value) == f"{tmp_path / link}: {self.REASON}"
        assert (tmp_path / target).read_text() == ENTRY
        assert (tmp_path / link).is_symlink()

    def test_names_that_only_have_it_inside(self, tmp_path: Path) -> None:
        """A name that ends otherwise is that of a JSON file."""
        registry = ModelRegistry(auto_emit=False)
        registry.register("m", "N", "1", "low", "team", "test")
        path = tmp_path / "models.yaml.json"
        registry.save(path)
        assert load(path, path.read_bytes()) == [entry.to_dict() for entry in registry]


def test_the_fields_that_are_texts() -> None:
    """Of all fields of an entry, only the metadata has values that are not texts."""
    kinds = {field: ModelRegistryEntry.__annotations__[field] for field in ModelRegistryEntry.__struct_fields__}
    assert [field for field, kind in kinds.items() if "Mapping" in kind] == ["metadata"]
