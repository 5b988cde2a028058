"""Names that do not contain what they seem to contain, and names that look the same."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_lines import library_records

from spanforge.model_registry import InvalidValueError, ModelRegistry, RegistryFileError
from spanforge.model_registry._core.look_alikes import LOOK_ALIKES, explain_oddity, make_skeleton
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry.calendar import Announcement
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from pathlib import Path

ODD = {
    "Cyrillic": ("gpt-4\u043e", "contains U+043E CYRILLIC SMALL LETTER O, which looks like 'o'"),
    "only look-alikes": (
        "\u0441\u043e\u0441\u043e-1",
        "contains U+0441 CYRILLIC SMALL LETTER ES, which looks like 'c'",
    ),
    "Greek capital": ("\u0391CME", "contains U+0391 GREEK CAPITAL LETTER ALPHA, which looks like 'A'"),
    "dotless i": ("m\u0131stral", "contains U+0131 LATIN SMALL LETTER DOTLESS I, which looks like 'i'"),
    "hyphen": ("gpt\u20114o", "contains U+2011 NON-BREAKING HYPHEN, which looks like '-'"),
    "dash": ("gpt\u20134o", "contains U+2013 EN DASH, which looks like '-'"),
    "slash": ("openai\u2215gpt", "contains U+2215 DIVISION SLASH, which looks like '/'"),
    "full width": ("\uff47pt", "contains U+FF47 FULLWIDTH LATIN SMALL LETTER G, which looks like 'g'"),
    "bold": ("\U0001d420pt", "contains U+1D420 MATHEMATICAL BOLD SMALL G, which looks like 'g'"),
    "ligature": ("\ufb01ne", "contains U+FB01 LATIN SMALL LIGATURE FI, which looks like 'fi'"),
    "zero width": ("gpt-4o\u200b", "contains U+200B ZERO WIDTH SPACE, which is invisible"),
    "byte order mark": ("\ufeffgpt-4o", "contains U+FEFF ZERO WIDTH NO-BREAK SPACE, which is invisible"),
    "direction": ("gpt\u202eo4", "contains U+202E RIGHT-TO-LEFT OVERRIDE, which is invisible"),
    "soft hyphen": ("gpt\u00ad4o", "contains U+00AD SOFT HYPHEN, which is invisible"),
    "filler": ("gpt\u3164", "contains U+3164 HANGUL FILLER, which is invisible"),
    "variation": ("gpt\ufe0f", "contains U+FE0F VARIATION SELECTOR-16, which is invisible"),
    "blank inside": ("gpt\u00a04o", "contains U+00A0 NO-BREAK SPACE, which is invisible"),
    "control character": ("gpt\t4o", "contains U+0009 CONTROL CHARACTER, which is invisible"),
    "mixed scripts": (
        "\u0436-model",
        "contains U+0436 CYRILLIC SMALL LETTER ZHE, which is among letters of another script",
    ),
    "digit": ("gpt-\u0664o", "contains U+0664 ARABIC-INDIC DIGIT FOUR, which is among letters of another script"),
    "not composed": ("mode\u0301le", "is not in Unicode's normal form NFC, because of U+0301 COMBINING ACUTE ACCENT"),
    "Hangul in parts": ("\u1112\u1161", "is not in Unicode's normal form NFC, because of U+1112 HANGUL CHOSEONG HIEUH"),
    "unit": ("\u212b-1", "is not in Unicode's normal form NFC, because of U+212B ANGSTROM SIGN"),
}
"""Names, and the predicate about each."""
USUAL = (
    *("gpt-4o", "ft:gpt-4o:acme::x_1@2[1m]", "my model", "größe-1", "modèle", "ạnh-việt", "模型-v1", "日本語-モデル-1"),
    *("클로드-3", "модель-1", "नमूना-१", "نموذج-٤", "μοντέλο", "GPTモデルー々"),
)
"""Names in the scripts of the world, which are what they look like."""
REMEDY = "type it again in plain letters, unless calls have it too"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in library_records(caplog)]


def register(registry: ModelRegistry, model_id: str, *aliases: str) -> None:
    registry.register(model_id, "N", "1", "low", "team", "a test", aliases=aliases)


@pytest.mark.parametrize("case", ODD)
def test_odd_name_has_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str) -> None:
    """An odd id, alias or glob has one line with the number of the character, however it gets into a registry."""
    name, problem = ODD[case]
    registry = ModelRegistry(auto_emit=False)
    for _ in range(2):
        register(registry, name)
    assert lines(caplog) == [f"model registry: id {name!a} {problem}; {REMEDY}"]
    register(registry, "other", f"{name}-*")
    assert lines(caplog)[1:] == [f"model registry: alias {name + '-*'!a} of model 'other' {problem}; {REMEDY}"]
    registry.save(tmp_path / "models.json")
    watcher = FileWatcher(registry, [str(tmp_path / "models.json")], reload_interval=0)
    watcher.start()
    registry.load(tmp_path / "models.json")
    watcher.stop()
    assert len(lines(caplog)) == 2
    assert all(line.isascii() for line in lines(caplog))


def test_odd_names_of_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is loaded has the same lines, and at most 100 of them."""
    path = tmp_path / "models.json"
    fields = {"name": "N", "version": "1", "owner": "t", "risk_tier": "low", "purpose": "p"}
    names = ["gpt-4\u043e", *(f"m{number}\u200b" for number in range(150))]
    path.write_text(json.dumps([{"model_id": name, **fields} for name in names]))
    ModelRegistry(auto_emit=False).load(path)
    assert lines(caplog)[0] == f"model registry: id 'gpt-4\\u043e' {ODD['Cyrillic'][1]}; {REMEDY}"
    assert len(lines(caplog)) == 100


@pytest.mark.parametrize("name", USUAL)
def test_usual_name_has_no_line(caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A name of one script, or of those that are mixed with Latin letters, is nothing to warn about."""
    registry = ModelRegistry(auto_emit=False)
    register(registry, name, f"{name}-*")
    assert lines(caplog) == []


PAIRS = {
    "letter": ("gpt-4o", "gpt-4\u043e"),
    "letter case": ("GPT-4o", "\uff27PT-4o"),
    "hyphen": ("gpt-4o", "gpt\u20114o"),
    "invisible": ("gpt-4o", "gpt-4o\u200b"),
    "composed": ("mod\u00e8le", "mode\u0300le"),
    "letter case of ß": ("größe", "GRÖSSE"),
    "scripts": ("coco", "\u0441\u043e\u0441\u043e"),
    "full width": ("モデル-1", "\uff93\uff83\uff9e\uff99-1"),
}


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("case", PAIRS)
def test_names_that_look_the_same(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    case: str,
    is_reversed: bool,  # noqa: FBT001 - a parameter of the test
    is_loaded: bool,  # noqa: FBT001 - likewise
) -> None:
    """One line names both, whichever comes first, as id and as alias, but not if both lead to one entry."""
    first, second = PAIRS[case][::-1] if is_reversed else PAIRS[case]
    registry = ModelRegistry(auto_emit=False)
    register(registry, first)
    register(registry, "other", second)
    register(registry, "third", second)
    if is_loaded:
        registry.save(tmp_path / "models.json")
        caplog.clear()
        reset_process()
        ModelRegistry(auto_emit=False).load(tmp_path / "models.json")
    pair = " and ".join(map(ascii, sorted((first, second))))
    assert [line for line in lines(caplog) if "look the same" in line] == [
        f"model registry: the names {pair} look the same, but calls by one do not match the other"
    ]


def test_both_names_of_one_entry(caplog: pytest.LogCaptureFixture) -> None:
    """An entry that lists the odd spelling as its alias has only the line about the character."""
    registry = ModelRegistry(auto_emit=False)
    register(registry, "gpt-4o", "gpt\u20114o")
    register(registry, "gpt-4", "GPT-4")
    (line,) = lines(caplog)
    assert "U+2011" in line


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=8), st.data())
def test_skeleton_sees_no_look_alikes(text: str, data: Any) -> None:
    """The skeleton is the same after letters were replaced by look-alikes, invisible ones added, and forms changed."""
    expected = make_skeleton(text)
    replaced = "".join(data.draw(st.sampled_from([c, *LOOK_ALIKES.get(c, "")])) for c in text)
    assert make_skeleton(replaced) == expected
    assert make_skeleton("\u200b".join(text)) == expected
    for form in ("NFC", "NFD"):
        assert make_skeleton(unicodedata.normalize(form, text)) == expected
    explain_oddity(text)


def test_table_of_look_alikes() -> None:
    """Each character is listed once, is not ASCII, and is its own compatibility form."""
    characters = "".join(LOOK_ALIKES.values())
    assert len(set(characters)) == len(characters)
    assert [c for c in characters if c.isascii() or unicodedata.normalize("NFKC", c) != c] == []
    assert all(len(plain) == 1 and plain.isascii() for plain in LOOK_ALIKES)


SPACES = [" ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\x1f"]


@pytest.mark.parametrize("space", SPACES, ids=ascii)
@pytest.mark.parametrize("side", ["before", "after"])
def test_white_space_around_a_name_is_an_error(tmp_path: Path, space: str, side: str) -> None:
    """It is an error in ids, aliases and globs, of calls, JSON, YAML and calendars, and nothing is registered."""
    name = f"{space}gpt-4o" if side == "before" else f"gpt-4o{space}"
    registry = ModelRegistry(auto_emit=False)
    fields: dict[str, Any] = {"name": "N", "version": "1", "owner": "t", "risk_tier": "low", "purpose": "p"}
    for bad in (name, [name], [f"{name}*" if side == "before" else f"*{name}"]):
        with pytest.raises(InvalidValueError, match="without white space around it"):
            register(registry, *([bad] if isinstance(bad, str) else ["m", *bad]))
        entry = {"model_id": "m", **fields, **({"model_id": bad} if isinstance(bad, str) else {"aliases": bad})}
        nested = {**{key: value for key, value in entry.items() if key != "aliases"}, "metadata": {"aliases": bad}}
        for each in (entry, nested) if not isinstance(bad, str) else (entry,):
            for ending in ("json", "yaml"):
                path = tmp_path / f"models.{ending}"
                path.write_text(json.dumps([each]), encoding="utf-8")
                with pytest.raises(RegistryFileError, match="without white space around it"):
                    registry.load(path)
    with pytest.raises(InvalidValueError, match="without white space around it"):
        Announcement(provider="openai", model=name, source="test", shutdown_on="2027-01-01", checked_on="2026-01-01")
    assert len(registry) == 0
