"""Entries from any values: valid, immutable and equal after a conversion."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.entries import FIELDS

from spanforge.model_registry import InvalidEntryError, ModelRegistryEntry
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.validation import RESERVED

ENTRIES = st.from_type(ModelRegistryEntry)
ZONES: st.SearchStrategy[Any] = st.sampled_from(
    [None, timezone.utc, timezone(timedelta(hours=2)), timezone(-timedelta(hours=5))]
)
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)  # noqa: DTZ001


class Text(str):
    __slots__ = ()


class Tier(str, Enum):
    LOW = "low"


class Number(IntEnum):
    ONE = 1


class Fraction(float):
    __slots__ = ()


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append({"again": inside})
    return inside


SURROGATES = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3)
ODD_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400, -0.0, 5e-324, Number.ONE, Fraction(0.5)]),
    st.floats(),
    st.text(max_size=8),
    st.builds(lambda *parts: "".join(parts), st.text(max_size=2), SURROGATES, st.text(max_size=2)),
    st.builds(Text, st.text(max_size=8)),
    st.binary(max_size=4),
    st.sampled_from([*RISK_TIERS, *STATUSES, Tier.LOW, "", " ", "\n\u2003", "\x00", "x" * 4096, "x" * 4097, "*" * 9]),
    st.sampled_from(["2024-05-13", "2024-05-13T08:00:00Z", "2024-13-01", Text("2024-05-13"), "2024-02-30", "now"]),
    st.sampled_from([Decimal(1), 1j, date(2024, 5, 13), datetime(2024, 5, 13, tzinfo=timezone.utc), ..., str]),
    st.builds(object),
)
KEYS = (
    st.text(max_size=4) | SURROGATES | st.integers() | st.none() | st.booleans() | st.builds(Text, st.text(max_size=4))
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(MappingProxyType),
        st.frozensets(st.integers(), max_size=2),
        st.lists(inner, max_size=2).map(iter),
    )


ANYTHING = st.recursive(ODD_SCALARS, containers, max_leaves=8) | st.builds(endless)
HISTORIES = st.lists(
    st.dictionaries(
        st.sampled_from(["at", "status", "owner", "risk_tier", "reason", "actor", "other"]),
        ODD_SCALARS,
        min_size=3,
        max_size=7,
    ),
    max_size=2,
)


def nested(value: Any) -> Iterator[Any]:
    """Yield the value and everything inside it."""
    yield value
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from nested(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from nested(item)


def assert_valid(entry: ModelRegistryEntry) -> None:
    plain = entry.to_dict()
    assert list(plain) == list(entry.__struct_fields__)
    for value in nested(plain):
        assert type(value) in {str, int, float, bool, type(None), list, dict}
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert json.loads(text) == plain
    assert json.loads(json.dumps(entry.metadata)) == plain["metadata"]
    assert all(plain[field].strip() for field in ("model_id", "name", "version", "owner", "purpose"))
    assert entry.risk_tier in RISK_TIERS
    assert entry.status in STATUSES
    assert all(type(alias) is str for alias in entry.aliases)
    assert entry.provider is None or type(entry.provider) is str
    assert all(warning.isprintable() for warning in entry.warnings)
    assert bool(entry.warnings) == (entry.status != "active")
    state = entry.as_of("9999-12-31T23:59:59.999999-23:59")
    assert state is None or state.status in STATUSES


def attempt(make: Callable[[], ModelRegistryEntry]) -> ModelRegistryEntry | InvalidEntryError:
    """Return the result, or the expected error; other errors are not caught."""
    try:
        return make()
    except InvalidEntryError as error:
        return error


def build(field: str, **values: Any) -> ModelRegistryEntry | None:
    """Build an entry, or check the error: it is the one error, its field lies in the one given, and it can be shown."""
    made = attempt(lambda: ModelRegistryEntry(**{**FIELDS, **values}))
    if isinstance(made, ModelRegistryEntry):
        assert_valid(made)
        return made
    assert made.field.startswith(field)
    assert field in str(made)
    assert str(made).encode(errors="surrogatepass")
    assert isinstance(made, ValueError)
    return None


@pytest.mark.parametrize("field", ModelRegistryEntry.__struct_fields__)
@given(value=ANYTHING)
def test_any_value_of_a_field(field: str, value: Any) -> None:
    """Any value of a field makes a valid entry, or an ``InvalidEntryError`` that names the field."""
    build(field, **{field: value})


@pytest.mark.parametrize("key", RESERVED)
@given(data=st.data())
def test_any_value_of_a_reserved_key(key: str, data: st.DataObject) -> None:
    """Any value of a reserved key makes a valid entry, or an ``InvalidEntryError`` that names the key."""
    value = data.draw(ANYTHING | HISTORIES if key == "history" else ANYTHING)
    build(f"metadata.{key}", metadata={key: value})


@pytest.mark.parametrize("field", ModelRegistryEntry.__struct_fields__)
@pytest.mark.parametrize("value", [10**5000, Unshowable(), endless()], ids=["number", "object", "list"])
def test_values_without_a_text(field: str, value: Any) -> None:
    """The error about a value that has no text, or an endless text, has a message."""
    assert build(field, **{field: value}) is None
    assert build("metadata.x", metadata={"x": value}) is None


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


SOUND = st.recursive(
    st.integers(-9, 9) | st.booleans() | st.text(max_size=3) | st.just(Number.ONE) | st.just(Tier.LOW),
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text("ab", min_size=1), inner).map(MappingProxyType),
    max_leaves=6,
)


@given(value=st.dictionaries(KEYS, ANYTHING, max_size=4) | st.dictionaries(st.text("ab", min_size=1), SOUND))
def test_any_metadata(value: dict[Any, Any]) -> None:
    """Any metadata makes a valid entry that keeps it, or an ``InvalidEntryError``."""
    entry = build("metadata", metadata=value)
    if entry is not None:
        assert entry.to_dict()["metadata"] == plain(value)


@given(value=st.recursive(ODD_SCALARS, containers, max_leaves=8))
def test_from_dict_with_any_object(value: Any) -> None:
    """``from_dict`` refuses anything but a mapping with the fields of an entry."""
    made = attempt(lambda: ModelRegistryEntry.from_dict(value))
    assert isinstance(made, InvalidEntryError)
    unknown = {key if isinstance(key, str) else shorten(key) for key in value} if isinstance(value, Mapping) else set()
    assert made.field in {"entry", "model_id"} | unknown


@given(entry=ENTRIES, data=st.data())
def test_metadata_of_another_entry(entry: ModelRegistryEntry, data: st.DataObject) -> None:
    """A mapping from the metadata of another entry is checked like any other."""
    key = data.draw(st.sampled_from([*RESERVED, "other"]))
    inside = data.draw(st.dictionaries(st.sampled_from([*RESERVED, "x"]), st.integers(0, 9) | st.text(), max_size=2))
    source = ModelRegistryEntry(**{**entry.to_dict(), "metadata": {"nested": {key: inside}}})
    build("metadata", metadata=source.metadata["nested"])
    build("metadata", metadata={"history": [source.metadata["nested"][key]]})


@given(entry=ENTRIES)
def test_valid_entries(entry: ModelRegistryEntry) -> None:
    """Every entry has plain JSON values, and every read of it works."""
    assert_valid(entry)


@given(entry=ENTRIES)
def test_to_dict_and_from_dict(entry: ModelRegistryEntry) -> None:
    """``from_dict`` returns an entry that equals the one of ``to_dict``, types included, also through JSON."""
    plain = entry.to_dict()
    for again in (ModelRegistryEntry.from_dict(plain), ModelRegistryEntry.from_dict(json.loads(json.dumps(plain)))):
        assert again == entry
        assert hash(again) == hash(entry)
        assert repr(again.to_dict()) == repr(plain)
    fresh = entry.to_dict()
    for value in nested(plain):
        if isinstance(value, (dict, list)):
            value.clear()
    assert repr(entry.to_dict()) == repr(fresh)


@given(entry=ENTRIES, protocol=st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_copies(entry: ModelRegistryEntry, protocol: int) -> None:
    """Every kind of copy is equal, has the same hash and is immutable."""
    for again in (copy.copy(entry), copy.deepcopy(entry), pickle.loads(pickle.dumps(entry, protocol))):
        assert again == entry
        assert hash(again) == hash(entry)
        assert repr(again) == repr(entry)
        assert_immutable(again)


@given(entry=ENTRIES, other=ENTRIES, data=st.data())
def test_equality_and_hash(entry: ModelRegistryEntry, other: ModelRegistryEntry, data: st.DataObject) -> None:
    """Entries are equal if their fields are equal, in any order of the metadata; equal entries have equal hashes."""
    assert (entry == other) == (entry.to_dict() == other.to_dict())
    assert entry != other or hash(entry) == hash(other)
    items = data.draw(st.permutations(list(entry.metadata.items())))
    shuffled = ModelRegistryEntry.from_dict({**entry.to_dict(), "metadata": dict(items)})
    assert shuffled == entry
    assert hash(shuffled) == hash(entry)
    field = data.draw(st.sampled_from(("model_id", "name", "version", "owner", "purpose")))
    changed = ModelRegistryEntry.from_dict({**entry.to_dict(), field: f"{getattr(entry, field)}x"})
    assert changed != entry
    assert changed not in {entry, shuffled}


@given(number=st.integers(-3, 3))
def test_equal_numbers_have_equal_hashes(number: int) -> None:
    """Numbers that are equal in Python make entries that are equal and have equal hashes."""
    same = [number, float(number)] + ([bool(number)] if number in (0, 1) else [])
    entries = [ModelRegistryEntry(**FIELDS, metadata={"x": [value, {"y": value}]}) for value in same]
    assert len(set(entries)) == 1


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "__delitem__": (0,),
    "__iadd__": ([1],),
    "__imul__": (2,),
    "__ior__": ({"x": 1},),
    "__setitem__": (0, 1),
    "append": (1,),
    "extend": ([1],),
    "insert": (0, 1),
    "remove": (1,),
    "setdefault": ("x", 1),
    "update": ({"x": 1},),
}
MUTATORS = {
    dict: ("__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update"),
    list: (
        "__delitem__", "__iadd__", "__imul__", "__setitem__",
        "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
    ),
}  # fmt: skip


def assert_immutable(entry: ModelRegistryEntry) -> None:
    before = repr(entry)
    for field in entry.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(entry, field, getattr(entry, field))
        with pytest.raises(AttributeError):
            delattr(entry, field)
    for value in nested(entry.metadata):
        assert type(value) not in {dict, list, set, bytearray}
        for kind, mutators in MUTATORS.items():
            if isinstance(value, kind):
                for name in mutators:
                    with pytest.raises(TypeError, match="immutable"):
                        getattr(value, name)(*ARGUMENTS.get(name, ()))
    assert repr(entry) == before


@given(entry=ENTRIES)
@example(entry=ModelRegistryEntry(**FIELDS))
@example(entry=ModelRegistryEntry(**FIELDS, metadata={"a": {"b": [1, {"c": 2}]}}))
def test_entries_are_immutable(entry: ModelRegistryEntry) -> None:
    """No method changes a field, or a list or mapping in the metadata."""
    assert_immutable(entry)


@given(entry=ENTRIES, moment=MOMENTS)
def test_as_of_any_moment(entry: ModelRegistryEntry, moment: datetime) -> None:
    """``as_of`` returns the same state for a date-time and for its text."""
    aware = (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    state = entry.as_of(moment)
    assert state == entry.as_of(aware) == entry.as_of(moment.isoformat()) == entry.as_of(aware.isoformat())
    if state is None:
        assert entry.deployment_date is not None
        return
    history = entry.metadata.get("history", ())
    descriptions = {(entry.owner, entry.risk_tier)} | {(record["owner"], record["risk_tier"]) for record in history}
    assert (state.owner, state.risk_tier) in descriptions
    if state.source == "history":
        assert state.status in {record["status"] for record in history}


PARTS: tuple[tuple[list[str], list[str]], ...] = (
    (["2024", "2023", "1900", "2000", "0001", "9999"], ["0000", "10000", "24", "-2024"]),
    (["-"], ["", "/"]),
    (["01", "02", "04", "12"], ["00", "13", "1"]),
    (["-"], ["", ":"]),
    (["01", "28", "29", "30", "31"], ["00", "32", "1"]),
    (["T", "t", " "], ["", "_", "TT", "\n"]),
    (["00", "07", "23"], ["24", "7", "-1"]),
    ([":"], ["", "."]),
    (["00", "59"], ["60", "5"]),
    ([":"], ["", ","]),
    (["00", "59"], ["60", "61", "5"]),
    (["", ".0", ".1", ".12345", ".123456", ".9999999", ".123456789"], [".", ",5", ".1234567891", "._1"]),
    (
        ["", "Z", "z", "+00:00", "-00:00", "+05:30", "-05:30", "+23:59", "-23:59"],
        ["+24:00", "+05:60", "+0530", "+5:30"],
    ),
    ([""], ["\n", " ", "Z", "\x00", "UTC"]),
)
"""What may stand in each place of a date-time, and what may not."""


@st.composite
def nearly_dates(draw: st.DrawFn) -> str:
    """Draw texts that are dates, or nearly: at most one place has what it may not, or a letter is another one."""
    wrong = draw(st.none() | st.integers(0, len(PARTS) - 1))
    parts = [draw(st.sampled_from(bad if place == wrong else good)) for place, (good, bad) in enumerate(PARTS)]
    text = "".join(draw(st.sampled_from([parts, parts, parts[:5]])))
    if draw(st.integers(0, 9)) == 9:
        place = draw(st.integers(0, len(text)))
        other = draw(st.sampled_from(["\n", " ", "-", "\u0665", "\uff11", "0", "", "\x00"]))
        text = text[:place] + other + text[place + 1 :]
    return text


DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))?)?", re.ASCII
)
"""The grammar of RFC 3339 as the documentation words it."""


def microseconds(text: str) -> int | None:
    """Return the microseconds since the year 1 of a text in the grammar; ``None`` if there is no such moment."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[group] or 0) for group in range(1, 7))
    fraction, sign = f"{match[7] or '':0<6}"[:6], -1 if match[8] == "-" else 1
    hours, minutes = int(match[9] or 0), int(match[10] or 0)
    try:
        local = datetime(year, month, day, hour, minute, second, int(fraction))  # noqa: DTZ001 - UTC
    except ValueError:
        return None
    if hours > 23 or minutes > 59:
        return None
    return (local - datetime(1, 1, 1)) // timedelta(microseconds=1) - sign * (hours * 60 + minutes) * 60_000_000  # noqa: DTZ001


def check_date(text: str) -> None:
    """Check that a text is a date if the grammar has it, and that its moment is that of the standard library."""
    expected = microseconds(text)
    entry = build("deployment_date", deployment_date=text)
    assert (entry is None) == (expected is None)
    if entry is None or expected is None:
        return
    assert entry.deployment_date == text
    if 0 < expected < (3652059 * 86_400_000_000) - 1:
        moment = datetime(1, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=expected)
        assert entry.as_of(moment) is not None
        assert entry.as_of(moment - timedelta(microseconds=1)) is None


ODD_DATES = [
    *("2024-02-29T24:00:00Z", "2024-02-29T23:59:60Z", "2024", "2024-05"),
    *("2024-05-13Z", "2024-05-13\n", " 2024-05-13", "\uff12024-05-13"),
    *("2024-05-13T08", "2024-05-13T08:00:00+24:00", "2024-05-13 08:00:00z", "2024-W09-4"),
    *("20240229", "2024-060", "2024-02-29T08:00", "2024-02-29T08:00:00.1-05:30"),
    *("2024-02-29T08:00:00.123456789+05:30", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59"),
]


@pytest.mark.parametrize("text", ODD_DATES)
def test_odd_dates_follow_the_grammar(text: str) -> None:
    """Texts that other readers of dates take, or do not take, are dates if the documented grammar has them."""
    check_date(text)


@settings(max_examples=5 * settings.default.max_examples)
@given(text=nearly_dates() | st.text("0123456789-:TtZz+. ", max_size=30))
def test_dates_follow_the_grammar(text: str) -> None:
    """A text is a date if the documented grammar has it, and its moment is that of the standard library."""
    check_date(text)
