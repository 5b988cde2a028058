"""Files read in slices: the size of a slice changes neither the entries nor the errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entries import FIELDS

from spanforge.model_registry import ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._core import file_texts, json_entries, json_items, storage, yaml_events

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = st.sampled_from([5, 16, 90, 400])
WORDS = st.text("é🚆a\r\n\"\\,:{}[]'", min_size=1, max_size=5).map(lambda text: f"x{text}x")
VALUES = st.recursive(WORDS | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3), max_leaves=4)
ITEMS = st.lists(
    st.builds(
        lambda owner, value, more: {**FIELDS, "owner": owner, "metadata": {"aliases": ["a", "b*"], "x": value}} | more,
        WORDS,
        VALUES,
        st.sampled_from([{}, {}, {}, {"contact": "c"}, {"ownr": "x"}, {"version": 5}, {"status": "gone"}]),
    ),
    max_size=5,
)


def read(name: str, content: bytes, size: int) -> list[ModelRegistryEntry] | str:
    """Return the entries of a file that is read in slices of this size, or the error."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (file_texts, json_items, json_entries):
            patch.setattr(module, "SLICE", size)
        patch.setattr(json_entries, "MAX_BATCH", 4 * size)
        try:
            return storage.parse_entries(name, content)
        except RegistryFileError as error:
            return str(error)


def check(name: str, content: bytes, size: int) -> None:
    """Compare slices of a size with one slice. Of several faults of the text, slices find the first one in the file.

    Of a long value that is no entry, its type is reported before the rest of it is read.
    """
    sliced, whole = read(name, content, size), read(name, content, 10**6)
    if isinstance(sliced, str) and isinstance(whole, str):
        is_structure = "is not valid" in sliced or "; got " in sliced
        assert sliced == whole or ("is not valid" in whole and is_structure)
    else:
        assert sliced == whole


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a JSON file, of which a few bytes may be others."""
    items = [{**item, "model_id": f"m{number}"} for number, item in enumerate(draw(ITEMS))]
    text = json.dumps(items, indent=draw(st.sampled_from([None, 2])), ensure_ascii=draw(st.booleans()))
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16"])))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.sampled_from([b"", b",", b"]", b"\xff", b'"'])) + content[place + 1 :]
    return content


@given(content=files(), size=SIZES)
def test_json_in_slices(content: bytes, size: int) -> None:
    """A JSON file has the same entries, or the same first error, in slices of any size."""
    check("models.json", content, size)


@given(content=files(), size=SIZES)
def test_yaml_in_slices(content: bytes, size: int) -> None:
    """A YAML file has the same entries, or the same first error, in slices of any size. JSON is nearly YAML."""
    check("models.yaml", content, size)


def list_lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield line and column of each character of a text, and of its end."""
    for position in range(len(text) + 1):
        lines = file_texts.split_lines(text[:position])
        yield len(lines), len(lines[-1]) + 1


@given(text=st.text("aé🚆\r\n", max_size=40), size=SIZES)
def test_places_in_slices(text: str, size: int) -> None:
    """Line and column of each character are counted in slices as in the whole text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_texts, "SLICE", size)
        content = text.encode()
        for position, (line, column) in enumerate(list_lines(text)):
            at = len(text[:position].encode())
            if text[max(position - 1, 0) : position + 1] != "\r\n":
                assert file_texts.find_line_place(content, at) == (line, column)
                rest = file_texts.split_lines(text[position:])[0]
                assert file_texts.read_line(content, line, column, 9) == rest[:9]
            before = text[:position].split("\n")
            assert file_texts.find_place(content, at) == (len(before), len(before[-1]) + 1)


@given(values=st.dictionaries(WORDS | st.just("history"), VALUES, max_size=3))
def test_entry_of_a_file(values: dict[str, Any]) -> None:
    """An entry from a file equals the same entry made in code, in all respects."""
    values.pop("history", None)
    record = {"at": "2024-05-13T08:00:00Z", "status": "active", "owner": "a", "risk_tier": "low"}
    fields = {**FIELDS, "metadata": {**values, "aliases": ["a"], "history": [record]}}
    made = ModelRegistryEntry(**fields)
    (read_entry,) = storage.parse_entries("models.json", json.dumps([fields]).encode())
    assert read_entry == made
    assert made == read_entry
    assert (hash(read_entry), repr(read_entry), read_entry.to_dict()) == (hash(made), repr(made), made.to_dict())
    assert read_entry.__reduce__() == made.__reduce__()
    assert {key: type(value) for key, value in read_entry.metadata.items()} == {
        key: type(value) for key, value in made.metadata.items()
    }
    assert storage.encode_entries([read_entry]) == storage.encode_entries([made])


def test_yaml_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text, or comments without any value, have a limit of bytes."""
    monkeypatch.setattr(file_texts, "SLICE", 100)
    monkeypatch.setattr(yaml_events, "MAX_GAP", 1_000)
    with pytest.raises(RegistryFileError, match="line 1, column 101: has more than 1,000 bytes of one text"):
        storage.parse_entries("models.yaml", b"- a: " + b"x" * 5_000)
