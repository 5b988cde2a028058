"""Hints in the errors about files that are not valid JSON or YAML: what is probably meant."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from support.registry_files import load, refused
from support.yaml_files import ENTRY, PLAIN

if TYPE_CHECKING:
    from pathlib import Path

OTHER_FORMAT = "YAML is read only from files whose names end in .yaml or .yml, and all other files must be JSON"
COMMENT = "JSON has no comments: use YAML, in a file whose name ends in .yaml"
COMMA = "JSON allows no comma before a closing bracket"
ONE_LIST = "several entries must be in one list, with commas between them"
TEMPLATE = "a template such as {{ owner }} must be rendered first"
QUOTES = "text that begins with one of * & ! % @ ` ? | > [ { must be in quotes"
COLON = "text that contains a colon and a space must be in quotes"
LIST = "the list under 'models' is probably meant; write it without that key"
ONE = "the entry must be in a list, even if it is the only one"
IDS = "each entry has its id in the field model_id"

JSON: dict[str, str | None] = {
    "": "the file is empty",
    "\n": "the file is empty",
    '[{"a": 1': "the file ends too early",
    "[\n  // a comment\n]": COMMENT,
    '[{"a": 1}, # a comment\n]': COMMENT,
    "[] /* a comment */": COMMENT,
    "# a comment\n- model_id: a": COMMENT,
    '[{"a": 1,}]': COMMA,
    "[1,\n]\n": COMMA,
    '[{"a": 1}},]': None,
    "[{'a': 1}]": "JSON's texts are in double quotes",
    '[{"a": “b”}]': "JSON's texts are in double quotes",
    "[{a: 1}]": "JSON's keys are in double quotes",
    '[{"a": None}]': "JSON's words are null, true and false",
    '[{"a": [True]}]': "JSON's words are null, true and false",
    '{"a": 1}\n{"a": 2}\n': ONE_LIST,
    '[{"a": 1} {"b": 2}]': ONE_LIST,
    '[{"owner": {{ owner }}}]': TEMPLATE,
    "{{ models | to_json }}": TEMPLATE,
    "[{% for model in models %}]": TEMPLATE,
    "- model_id: a": OTHER_FORMAT,
    "---\nlicense: mit\n---\n": OTHER_FORMAT,
    "[models]\na = 1\n": OTHER_FORMAT,
    '[["a.b"]]\nc = 1\n': OTHER_FORMAT,
    "model_id,name\na,b\n": OTHER_FORMAT,
    "<html></html>": OTHER_FORMAT,
    "[\0]\0": "the file must be saved as UTF-8",
    '{"models": []}': LIST,
    '{"version": 1, "models": []}': LIST,
    '{"model_id": "a"}': ONE,
    '{"a": {"owner": "b"}}': IDS,
    "{}": None,
    "[1 2]": None,
}
YAML: dict[str, str | None] = {
    **{
        f"- a: {glob}\n": QUOTES
        for glob in ("*-gpt", "*/gpt", "**", "*", "!gpt", "%gpt", "@gpt", "`gpt`", ">gpt", "|gpt")
    },
    **{f"- a: [{glob}, b]\n": QUOTES for glob in ("*-gpt", "*/gpt", "*", "!gpt*", "%gpt", "@gpt", "[g]pt", "{g}pt")},
    **{f"- b: 1\n  a:\n  - {glob}\n": QUOTES for glob in ("*-gpt", "*/gpt", "!gpt", "[gG]pt-4o", "@gpt", "%gpt")},
    **{f"{ENTRY}  aliases: [{glob}]\n": QUOTES for glob in ("&gpt", "?gpt")},
    "- purpose: support: tier 1\n": COLON,
    "- owner: {{ owner }}\n": TEMPLATE,
    "{{- range .models }}\n- a: b\n": TEMPLATE,
    "-\n\ta: b\n": "indent with spaces, not with tabs",
    "models:\n- a: b\n": LIST,
    "model_id: a\n": ONE,
    "a: {owner: b}\n": IDS,
    "- [a, b\n- c\n": None,
    f"{ENTRY}  aliases: &x ['']\n": None,
    f"{ENTRY}  sunset_date: soon\n": None,
}


@pytest.mark.parametrize(
    ("name", "content"), [*(("a.json", text) for text in JSON), *(("a.yml", text) for text in YAML)]
)
def test_hint(tmp_path: Path, name: str, content: str) -> None:
    """The reason ends with the hint that fits; there is none if the fault explains itself."""
    hint = (JSON if name == "a.json" else YAML)[content]
    reason = refused(tmp_path / name, content).reason
    every_hint = {each for each in (*JSON.values(), *YAML.values()) if each is not None}
    assert [each for each in every_hint if each in reason] == ([] if hint is None else [hint])
    assert hint is None or reason.endswith(f"; {hint}")


def test_json_in_utf_16(tmp_path: Path) -> None:
    """JSON in UTF-16 with a byte order mark is read, as YAML is."""
    expected = [{**PLAIN, "owner": "Zürich 東京"}]
    assert load(tmp_path / "a.json", json.dumps(expected, ensure_ascii=False).encode("utf-16")) == expected
    assert load(tmp_path / "a.yaml", ENTRY.encode("utf-16")) == [PLAIN]


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_hints_take_no_time(tmp_path: Path, name: str) -> None:
    """A hint about a line of a megabyte takes no time."""
    for text in (": a " * 250_000, "[" + "a" * 1_000_000, "- [a" + "]a" * 500_000, "{" * 1_000 + "a: " * 300_000):
        began = time.perf_counter()
        assert len(refused(tmp_path / name, text).reason) < 500
        assert time.perf_counter() - began < 5
