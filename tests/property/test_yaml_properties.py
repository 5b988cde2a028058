"""Registry files in YAML with any content: they load exactly or not at all."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._core import yaml_events
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOADERS = [getattr(yaml, name) for name in ("CSafeLoader", "SafeLoader") if hasattr(yaml, name)]

LOOK_LIKE_OTHERS = """
no on yes Off y n ~ null NULL true False .inf -.INF .nan 0 -1 010 08 0o17 0x1F 0b11 1_000 1:30 1.10 .5 1. 1e3 2024-05
2024-05-13 2024-05-13T08:00:00Z << = ! !!str !a & &a * *a # #a - -- --- ... ? | > ' " \\ [ ] { } , : :a a: @ ` % %a a#b
é 東京 🚆 'a' "a" [a] {a} a,b"""
"""Texts that are something else without quotes, in YAML 1.1 or 1.2."""
WITH_SPACES = ["- a", "a: b", "a #b", " a", "a ", "\ta", "a\n", "a\nb", "a\n\n b\n", "\na", "a\tb", "a\r\nb", "x " * 90]
UNSEEN = ["\x00", "\x1b", "\x7f", "\x85", "\xa0a", "\xad", "a\u2028b", "\ufeff", "\ufffe"]
ODD_TEXTS = st.sampled_from(LOOK_LIKE_OTHERS.split() + WITH_SPACES + UNSEEN)
TEXTS = (ODD_TEXTS | st.text(min_size=1, max_size=12)).filter(lambda text: not text.isspace())
ENTRIES = st.lists(
    st.from_type(ModelRegistryEntry)
    | st.builds(
        ModelRegistryEntry,
        model_id=TEXTS.map(str.strip),
        name=TEXTS,
        version=TEXTS,
        risk_tier=st.just("low"),
        owner=TEXTS,
        purpose=TEXTS,
        metadata=st.dictionaries(TEXTS.filter(lambda key: key not in RESERVED), TEXTS | st.lists(TEXTS), max_size=3)
        | st.fixed_dictionaries({"provider": TEXTS, "aliases": st.lists(TEXTS.map(str.strip), max_size=3)}),
    ),
    max_size=3,
    unique_by=lambda entry: entry.model_id,
)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([False, True, None]),
        "allow_unicode": st.booleans(),
        "sort_keys": st.booleans(),
        "width": st.sampled_from([10, 80, 100_000]),
        "indent": st.sampled_from([2, 4, 8]),
        "explicit_start": st.booleans(),
        "line_break": st.sampled_from(["\n", "\r\n"]),
        "encoding": st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]),
    }
)
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")
"""What YAML 1.2 takes for a number. PyYAML writes YAML 1.1, which takes some of that for a text: without quotes."""
NOT_TAKEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\\\\ud[89ab]")
"""What JSON may have in texts, and PyYAML does not take: characters that must be escaped, and escapes of two halves."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a registry file that all examples of a test share."""
    return tmp_path_factory.mktemp("files") / "models.yaml"


def load(path: Path, content: bytes) -> list[ModelRegistryEntry] | RegistryFileError:
    """Return the entries loaded from this content, or the error. After an error the registry is unchanged."""
    path.write_bytes(content)
    registry = ModelRegistry(auto_emit=False)
    before = registry.register("m", "N", "1", "low", "team", "test")
    error: RegistryFileError | None = None
    try:
        registry.load(path)
    except RegistryFileError as caught:
        error = caught
    if error is None:
        return registry.list_all()
    assert registry.list_all() == [before]
    assert str(error).startswith(str(path))
    assert str(error).isprintable()
    assert len(str(error)) < len(str(path)) + 1_000
    assert (error.line is None) == (error.column is None)
    assert error.line is None or 1 <= error.line <= len(re.split(b"\r\n|[\r\n]", content)) + 1
    return error


def written(plain: list[dict[str, Any]], style: dict[str, Any]) -> tuple[bytes, str]:
    """Return the document that PyYAML writes, and its text."""
    content: bytes = yaml.safe_dump(plain, **style)
    return content, content.decode("utf-8" if style["encoding"] == "utf-8" else "utf-16")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@given(entries=ENTRIES, style=STYLES)
def test_files_of_pyyaml(path: Path, entries: list[ModelRegistryEntry], style: dict[str, Any]) -> None:
    """Entries that PyYAML writes in any style load unchanged."""
    plain = [entry.to_dict() for entry in entries]
    own = [value for item in plain for key, value in item["metadata"].items() if key not in RESERVED]
    assume(not any(NUMBER.fullmatch(text) and yaml.safe_dump(text).startswith(text) for text in texts(own)))
    content, text = written(plain, style)
    loaded = load(path, content)
    if re.search("[\x85\u2028\u2029]", text):
        assert isinstance(loaded, RegistryFileError)
        assert "must be written as an escape" in loaded.reason
        return
    assume(yaml.safe_load(text) == plain)  # its writer breaks some long texts in a way that it does not read back
    assert isinstance(loaded, list)
    assert loaded == entries
    assert as_json(loaded) == as_json(entries)


def as_json(entries: list[ModelRegistryEntry]) -> str:
    return json.dumps([entry.to_dict() for entry in entries], sort_keys=True)


@given(
    entries=ENTRIES,
    escaped=st.booleans(),
    layout=st.sampled_from([{}, {"indent": 2}, {"indent": "\t"}, {"separators": (",", ":")}]),
)
def test_json_is_yaml(path: Path, entries: list[ModelRegistryEntry], layout: dict[str, Any], *, escaped: bool) -> None:
    """A JSON file loads under a YAML name as under its own, unless PyYAML refuses its characters."""
    content = json.dumps([entry.to_dict() for entry in entries], ensure_ascii=escaped, **layout)
    loaded = load(path, content.encode())
    if isinstance(loaded, RegistryFileError):
        assert loaded.reason.startswith("is not valid YAML: ")
        assert NOT_TAKEN.search(content)
        return
    as_it_is = load(path.with_suffix(".json"), content.encode())
    assert repr(loaded) == repr(as_it_is)
    assert loaded == entries


WRONG = {
    "risk_tier": lambda item: item.update(risk_tier="HERE"),
    "status": lambda item: item.update(status="HERE"),
    "deployment_date": lambda item: item.update(deployment_date="HERE"),
    "metadata.sunset_date": lambda item: item["metadata"].update(sunset_date="HERE"),
    "HERE": lambda item: item.update(HERE=1),
    "metadata.history[0].at": lambda item: item["metadata"].update(
        history=[{"owner": "a", "at": "HERE", "status": "active", "risk_tier": "low"}]
    ),
    "metadata.a.b[1].c[0]": lambda item: item["metadata"].update({"a.b": [0, {"c[0]": float("inf")}]}),
    "metadata.a[0].b": lambda item: item["metadata"].update({"a": [{"a": 1, "b": float("inf")}], "a[0]": 1}),
    "owner": lambda item: item.update(owner=["HERE", "a"]),
    "metadata.aliases[1]": lambda item: item["metadata"].update(aliases=["a", ["HERE"]]),
}


@settings(max_examples=2 * settings.default.max_examples)
@given(entries=ENTRIES.filter(bool), style=STYLES, field=st.sampled_from(sorted(WRONG)), which=st.integers(0, 2))
def test_place_of_an_error(
    path: Path, entries: list[ModelRegistryEntry], style: dict[str, Any], field: str, which: int
) -> None:
    """Line and column are those of the invalid value, in any style."""
    plain = [entry.to_dict() for entry in entries]
    index = which % len(plain)
    WRONG[field](plain[index])
    content, text = written(plain, {**style, "allow_unicode": False})
    assume(yaml.safe_load(text) == plain)
    error = load(path, content)
    assert isinstance(error, RegistryFileError)
    assert (error.index, error.model_id, error.field) == (index, entries[index].model_id, field)
    lines = text.splitlines()
    assert error.line is not None
    assert error.column is not None
    assert re.match(r"HERE|\.inf|- HERE|\[\s*HERE|\[$", lines[error.line - 1][error.column - 1 :])


MARKS = """- ? : , { } [ ] ' " | > ~ ! ! % @ # \\ \\ud83d \\UFFFFFFFF \\x41 é 🚆 &a &b *a *b <<: !!str !a 1e999 .inf
model_id: name: metadata: aliases: history: a: b a"""
ENDS = [
    *("\n", "\n  ", "\n    ", "\r", "\t", "\n- ", "---\n", "\n...\n"),
    *("%YAML 1.2\n", "%TAG ! a\n", "\x00", "\x85", "\ufeff"),
]
USUAL = "{model_id: a, name: a, version: 1, risk_tier: low, owner: a, purpose: a"
MARKED = [mark + after for mark in MARKS.split() for after in ("", " ")]
FRAGMENTS = st.sampled_from([*MARKED, *ENDS, USUAL, f"- {USUAL}, metadata: {{", f"- {USUAL}}}\n"])
TEXT_FILES = st.lists(FRAGMENTS, max_size=30).map("".join) | st.text(max_size=40)
FILES = TEXT_FILES.map(str.encode) | st.binary(max_size=40) | TEXT_FILES.map(lambda text: text.encode("utf-16"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a file that PyYAML wrote, with some pieces gone and others come in between."""
    plain = [entry.to_dict() for entry in draw(ENTRIES)]
    text: str = yaml.safe_dump(plain, allow_unicode=True, default_flow_style=draw(st.sampled_from([False, True, None])))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(FRAGMENTS | st.just("")) + text[start + draw(st.integers(0, 3)) :]
    return text.encode()


@settings(max_examples=5 * settings.default.max_examples, deadline=timedelta(seconds=20))
@given(content=FILES | damaged())
@example(content=b'- "\\UFFFFFFFF"')
@example(content=b"%YAML " + b"1" * 5_000 + b".1\n---\n[]")
@example(content=b"- &a [&b {a: *a, b: *b}]")
@example(content=b"- {? {} : 1}")
def test_any_bytes(path: Path, content: bytes) -> None:
    """Any bytes load or are a ``RegistryFileError``, and both parsers load the same."""
    found = []
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_events, "_LOADER", loader)
            found.append(load(path, content))
    loaded = [entries for entries in found if isinstance(entries, list)]
    assert loaded[1:] == loaded[:1] * (len(loaded) - 1)
