"""Valid registry files in YAML and the values of their entries."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.registry_files import load, refused
from support.yaml_files import ENTRY, PLAIN

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core import yaml_nodes
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("loader")
SAME_TEXTS = "2024-05 1.10 010 0x1F 1e3 1_000 1:30 2024-05-13 no on true .inf = a#b"
TEXTS = {
    **{text: text for text in SAME_TEXTS.split()},
    "2024-05-13 08:00:00": "2024-05-13 08:00:00",
    "Zürich 東京 🚆": "Zürich 東京 🚆",
    "'null'": "null",
    '"~"': "~",
    "!!str null": "null",
    "!!str 1.10": "1.10",
    "'it''s'": "it's",
    "a # comment": "a",
    '"Z\\u00fcrich \\u4E1C"': "Zürich 东",
    "two\n          lines": "two lines",
    "|\n          two\n          lines\n": "two\nlines\n",
    ">-\n          two\n          lines\n": "two lines",
}
TEXT_FIELDS = ("name", "version", "owner", "purpose")
TEXT_KEYS = tuple(key for key, row in RESERVED.items() if row.kind == "text")
SAME_VALUES = """
nULL tRUE yes No on OFF y 0o8 -0x1F 0b11 1_000 1:30 . 1e e1 1.2.3 ٣ inf nan 2024-05-13 2024-05-13T08:00:00Z << =
"""
VALUES: dict[str, Any] = {
    **{text: text for text in SAME_VALUES.split()},
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    "0": 0,
    "-0": 0,
    "+12": 12,
    "-7": -7,
    "010": 10,
    "08": 8,
    "0o17": 15,
    "0x1F": 31,
    "9223372036854775807": 2**63 - 1,
    "1.0": 1.0,
    "1.": 1.0,
    ".5": 0.5,
    "-.5E-2": -0.005,
    "1e3": 1000.0,
    "1e+3": 1000.0,
    "-0.0": -0.0,
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
    "{1: a, ~: b, true: c, 2024-05-13: d, '<<': e}": {"1": "a", "~": "b", "true": "c", "2024-05-13": "d", "<<": "e"},
    "\n    - 1\n    - - 2\n      -\n    - a:\n      b: 1": [1, [2, None], {"a": None, "b": 1}],
    "{? a : 1, ? b}": {"a": 1, "b": None},
    "{url: http://example.com/a#b=c}": {"url": "http://example.com/a#b=c"},
    '{"a":1,"b":[true,null]}': {"a": 1, "b": [True, None]},
}


def test_handwritten_file(path: Path) -> None:
    """A file with comments, quotes, dates and versions loads as the entries that it describes."""
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


def test_text_fields_keep_their_spelling(path: Path) -> None:
    """A text field, a reserved key and an alias keep their spelling, whatever type YAML would give it."""
    content, expected = "", []
    for number, (written, text) in enumerate(TEXTS.items()):
        alias = "a" if text.endswith("\n") else written
        content += f"- model_id: m{number}\n  risk_tier: low\n  metadata:\n    aliases:\n    - {alias}\n"
        content += "".join(f"    {key}: {written}\n" for key in TEXT_KEYS)
        content += "".join(f"  {field}: {written}\n" for field in TEXT_FIELDS)
        metadata = {"aliases": [text if alias == written else alias], **dict.fromkeys(TEXT_KEYS, text)}
        fields = {"model_id": f"m{number}", "risk_tier": "low", "metadata": metadata}
        expected.append({**PLAIN, **dict.fromkeys(TEXT_FIELDS, text), **fields})
    assert load(path, content) == expected


def test_null_in_a_text_field(path: Path) -> None:
    """A date or provider that is null counts as missing."""
    for null in ("", "~", "null", "Null", "NULL"):
        more = f"  deployment_date: {null}\n  metadata:\n    sunset_date: {null}\n    provider: {null}\n"
        (entry,) = load(path, ENTRY + more)
        assert entry == {**PLAIN, "metadata": {"sunset_date": None, "provider": None}}


def test_metadata_follows_the_core_schema(path: Path) -> None:
    """The user's own metadata follows the core schema of YAML 1.2 and has JSON types."""
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
def test_encodings_line_ends_and_layouts(path: Path, content: bytes) -> None:
    """Encoding, line ends and layout do not matter, and JSON is YAML."""
    assert load(path, content) == [PLAIN]


@pytest.mark.parametrize("content", ["[]", "[]\n", "--- []\n...\n", "# none\n[\n]\n"])
def test_empty_list(path: Path, content: str) -> None:
    """A list with nothing in it is an empty registry."""
    assert load(path, content) == []


def test_anchors_and_aliases(path: Path) -> None:
    """An alias has the value of its anchor, read as the type of its own place."""
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


def test_merge_keys(path: Path) -> None:
    """``<<`` adds the members of one mapping or of several; the first one counts, after the mapping's own members."""
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


def test_nested_merge_keys(path: Path) -> None:
    """A mapping that merges others can itself be merged."""
    content = "- &a {<<: {name: A, owner: a}, version: 1, risk_tier: low, purpose: p, model_id: a}\n"
    content += "- &b {<<: *a, model_id: b, owner: b}\n- {<<: [*b, *a], model_id: c}\n"
    assert [(e["model_id"], e["owner"], e["name"]) for e in load(path, content)] == [
        ("a", "a", "A"),
        ("b", "b", "A"),
        ("c", "b", "A"),
    ]


def test_limit_of_aliased_values(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts the values of all aliases, and nothing else."""
    content = f"{ENTRY}  metadata:\n    a: &a [1, {{b: 2}}]\n    c: [*a, *a]\n    d: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    monkeypatch.setattr(yaml_nodes, "MAX_ALIASED", 10)
    assert load(path, content)[0]["metadata"]["c"] == [[1, {"b": 2}]] * 2
    monkeypatch.setattr(yaml_nodes, "MAX_ALIASED", 9)
    assert str(refused(path, content)) == (f"{path}, line 9, column 13: aliases expand to more than 9 values in total")


@pytest.mark.parametrize("name", ["models.yaml", "models.yml", "MODELS.YAML", "a.json.Yml", ".yaml"])
def test_yaml_names(tmp_path: Path, name: str) -> None:
    """A name that ends in ``.yaml`` or ``.yml`` in any case is read as YAML."""
    assert load(tmp_path / name, ENTRY) == [PLAIN]


@pytest.mark.parametrize("name", ["models.json", "models", "yaml", "models.yaml.json", "models.yaml~", "my.yaml/m"])
def test_json_names(tmp_path: Path, name: str) -> None:
    """A file with any other name is read as JSON."""
    (tmp_path / "my.yaml").mkdir()
    assert refused(tmp_path / name, ENTRY).reason.startswith("is not valid JSON")
    assert load(tmp_path / name, json.dumps([PLAIN])) == [PLAIN]


def test_all_fields_but_metadata_are_texts() -> None:
    """Metadata is the only field whose values may not be texts."""
    kinds = {field: ModelRegistryEntry.__annotations__[field] for field in ModelRegistryEntry.__struct_fields__}
    assert [field for field, kind in kinds.items() if "Mapping" in kind] == ["metadata"]
