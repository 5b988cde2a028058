"""Registry files with any content: they load exactly or not at all."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.entries import FIELDS

from spanforge.model_registry import InvalidEntryError, ModelRegistry, ModelRegistryEntry, RegistryFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ModelRegistryEntry.__struct_fields__
ENTRIES = st.lists(st.from_type(ModelRegistryEntry), max_size=3, unique_by=lambda entry: entry.model_id)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a registry file that all examples of a test share."""
    return tmp_path_factory.mktemp("files") / "models.json"


class NotJSONError(Exception):
    """The standard library reads more than JSON allows."""


def no_constant(_name: str) -> NoReturn:
    raise NotJSONError


class Pairs(list[tuple[str, Any]]):
    """An object of a JSON text, as it is written."""


def key_twice(value: Any, path: str = "") -> str | None:
    """Return the path of a key that stands twice; of an object, its own keys come before those inside it."""
    if not isinstance(value, (Pairs, list)):
        return None
    if not isinstance(value, Pairs):
        return next(filter(None, (key_twice(item, f"{path}[{i}]") for i, item in enumerate(value))), None)
    keys = [key for key, _ in value]
    for key in keys:
        if keys.count(key) > 1:
            return f"{path}.{key}"
    return next(filter(None, (key_twice(item, f"{path}.{key}") for key, item in value)), None)


def expected(content: bytes) -> list[ModelRegistryEntry] | tuple[int | None, str | None]:
    """Return the content of a file by the standard library's reader, or index and field of its first fault."""
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        found = json.loads(text, parse_constant=no_constant)
        written = json.loads(text, object_pairs_hook=Pairs)
    except (ValueError, RecursionError, NotJSONError):
        return None, None
    if not isinstance(found, list):
        return None, None
    entries: list[ModelRegistryEntry] = []
    for index, item in enumerate(found):
        twice = key_twice(written[index])
        if twice is not None:
            return index, twice.removeprefix(".")
        try:
            entries.append(ModelRegistryEntry.from_dict(item))
        except InvalidEntryError as error:
            return index, error.field if isinstance(item, dict) else None
    ids = [entry.model_id for entry in entries]
    for index, model_id in enumerate(ids):
        if model_id in ids[:index]:
            return index, "model_id"
    return entries


def load(path: Path, content: bytes) -> list[ModelRegistryEntry] | None:
    """Load this content: exactly what it holds is there afterwards, or the one error is raised and nothing changed."""
    path.write_bytes(content)
    registry = ModelRegistry(auto_emit=False)
    before = registry.register(**FIELDS)
    outcome = expected(content)
    error: RegistryFileError | None = None
    try:
        registry.load(path)
    except RegistryFileError as caught:
        error = caught
    if error is None:
        assert repr(registry.list_all()) == repr(outcome)
        return registry.list_all()
    assert registry.list_all() == [before]
    assert str(error).startswith(str(path))
    assert str(error).isprintable()
    assert (error.index, error.field) == outcome
    return None


@given(entries=ENTRIES)
def test_save_and_load(path: Path, entries: list[ModelRegistryEntry]) -> None:
    """A saved file loads as the same entries in the same order, and these save to the same bytes."""
    assert load(path, json.dumps([entry.to_dict() for entry in entries]).encode()) == entries
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    registry.save(path)
    written = path.read_bytes()
    assert load(path, written) == entries
    assert json.loads(written) == [entry.to_dict() for entry in entries]
    registry.load(path)
    registry.save(path)
    assert path.read_bytes() == written


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400]),
    st.floats(),
    st.text(max_size=6),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=3),
    st.sampled_from(["low", "retired", "2024-05-13", "gpt-4o", "*" * 9]),
)
JSON = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(value=JSON | st.lists(JSON))
def test_any_json(path: Path, value: Any) -> None:
    """Any JSON loads, or is a ``RegistryFileError``."""
    load(path, json.dumps(value).encode())


@st.composite
def nearly_entries(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw entries of which some have a field too few, too many or with another value, or an id of another one."""
    items = [entry.to_dict() for entry in draw(ENTRIES)]
    for _ in range(draw(st.integers(0, 2)) if items else 0):
        item = draw(st.sampled_from(items))
        field = draw(st.sampled_from(NAMES))
        change = draw(st.sampled_from(["value", "metadata", "missing", "unknown", "again"]))
        if change == "missing":
            item.pop(field, None)
        elif change == "metadata":
            key = draw(st.sampled_from(["aliases", "provider", "history", "sunset_date", "x"]))
            item["metadata"] = {key: draw(JSON)}
        elif change == "again":
            items.insert(draw(st.integers(0, len(items))), dict(item))
        else:
            item[field if change == "value" else draw(st.text(max_size=4))] = draw(JSON)
    return items


@given(items=nearly_entries(), layout=st.sampled_from([None, 0, 2]), readable=st.booleans())
def test_changed_entries(path: Path, items: list[dict[str, Any]], layout: int | None, *, readable: bool) -> None:
    """The first invalid field is reported with the index of its entry; valid entries load."""
    load(path, json.dumps(items, indent=layout, ensure_ascii=readable).encode(errors="surrogatepass"))


@given(content=st.binary() | st.text('[]{}":,\\ \n1.-e+tfnul', max_size=12).map(str.encode))
@example(b'[{"model_id":}]')
@example(b"\xff\xfe[\x00]\x00")
@example(b"\xef\xbb\xbf[]")
@example(b"[\xef\xbb\xbf]")
@example(b"[]\x00")
@example(b"\x0c[]")
def test_any_bytes(path: Path, content: bytes) -> None:
    """Any bytes load, or are a ``RegistryFileError``."""
    load(path, content)


EDITS = [b"", *(bytes([letter]) for letter in b'"\\,:{}[] \n\x00\xff0-'), b"e9", b"null", rb"\u0041", rb"\ud800"]


@given(entries=ENTRIES.filter(bool), data=st.data())
def test_damaged_file(path: Path, entries: list[ModelRegistryEntry], data: st.DataObject) -> None:
    """A file with a few changed bytes loads as it is, or is a ``RegistryFileError``."""
    registry = ModelRegistry(auto_emit=False)
    load(path, json.dumps([entry.to_dict() for entry in entries]).encode())
    registry.load(path)
    registry.save(path)
    content = path.read_bytes()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content)))
        lost = data.draw(st.sampled_from([0, 1, 1, 2, 40]))
        content = content[:place] + data.draw(st.sampled_from(EDITS)) + content[place + lost :]
    load(path, content)


HARD = st.text('\\":,{}[]/ \t\n\u00e9\U0001f686u0a', max_size=5)
HARD_METADATA = st.recursive(
    HARD | st.integers(-(2**63), 2**63 - 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HARD.filter(bool), inner, max_size=3),
    max_leaves=6,
)
COMPLETE = ModelRegistryEntry(**FIELDS).to_dict()
HARD_ENTRIES = st.lists(HARD_METADATA, min_size=1, max_size=3).map(
    lambda values: [
        {**COMPLETE, "model_id": str(number), "metadata": {"x": value}} for number, value in enumerate(values)
    ]
)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects inside a value that have a key."""
    if isinstance(value, dict) and value:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def spelt(value: Any, random: Random, twice: dict[str, Any] | None = None) -> str:
    """Return a value as JSON, spelt at random; one of its objects may get one of its keys twice."""

    def gap() -> str:
        return random.choice(["", "", " ", "\n", "\t \r\n"])

    if isinstance(value, str):
        plain = random.random() < 0.5
        letters = (json.dumps(letter, ensure_ascii=plain)[1:-1] for letter in value)
        escaped = (
            rf"\u{ord(letter):04x}" if letter.isalnum() and random.random() < 0.2 else letter for letter in letters
        )
        return '"' + "".join(escaped) + '"'
    if isinstance(value, list):
        return "[" + gap() + f"{gap()},{gap()}".join(spelt(item, random, twice) for item in value) + gap() + "]"
    if isinstance(value, dict):
        pairs = list(value.items())
        if value is twice:
            key = random.choice(list(value))
            pairs.insert(random.randint(0, len(pairs)), (key, random.choice([value[key], ":", 1, {}])))
        members = (spelt(key, random) + gap() + ":" + gap() + spelt(item, random, twice) for key, item in pairs)
        return "{" + gap() + f"{gap()},{gap()}".join(members) + gap() + "}"
    return json.dumps(value)


@given(items=HARD_ENTRIES, seed=st.integers(0, 2**32))
def test_white_space_and_escapes(path: Path, items: list[dict[str, Any]], seed: int) -> None:
    """White space and escapes do not matter."""
    random = Random(seed)
    loaded = load(path, (random.choice(["", " \n"]) + spelt(items, random) + random.choice(["", "\n "])).encode())
    assert loaded == [ModelRegistryEntry.from_dict(item) for item in items]


@given(items=HARD_ENTRIES, seed=st.integers(0, 2**32), layout=st.sampled_from(["spelt", "indented", "compact"]))
def test_duplicate_key(path: Path, items: list[dict[str, Any]], seed: int, layout: str) -> None:
    """A duplicate key is an error in any object and in any spelling."""
    random = Random(seed)
    twice = random.choice(list(objects(items)))
    key = random.choice(list(twice))
    if layout == "spelt":
        content = spelt(items, random, twice)
    else:
        twice["spare"] = random.choice([twice[key], ":"])
        content = json.dumps(items, indent=2 if layout == "indented" else None, ensure_ascii=False)
        content = content.replace('"spare"', json.dumps(key, ensure_ascii=False))
    path.write_text(content)
    registry = ModelRegistry(auto_emit=False)
    with pytest.raises(RegistryFileError, match="duplicate key") as caught:
        registry.load(path)
    assert caught.value.field == "model_id" or caught.value.model_id == str(caught.value.index)
    assert not list(registry)
    assert load(path, content.encode()) is None
