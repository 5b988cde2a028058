"""The fast path of validation: it gives the same result as the strict checks, only sooner."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.entries import FIELDS

from spanforge.model_registry import InvalidEntryError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core import entry, validation
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.timestamps import format_micros, is_canonical
from spanforge.model_registry._core.validation import MAX_SIZE, RESERVED, is_plain_ascii
from spanforge.model_registry._core.values import MAX_TEXT, Metadata, Record, check_text, parse_date

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENT = "2024-05-13T08:00:00.000000Z"
RECORD = {"at": MOMENT, "status": "active", "owner": "ml-platform", "risk_tier": "high", "actor": "ci"}


class Text(str):
    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return False

    def __ge__(self, other: object) -> bool:
        return True


class Tier(str, Enum):
    LOW = "low"


TEXTS = [
    *("", " ", "\t", "\x00", "\x1c", "\x1f ", " x", "!", "~", "\x7f", "\x85", "\xa0"),
    *("\u2003", "\u3000x", "Zürich", "東京", Tier.LOW, True, 1, 1.5, None, b"x", ["x"], {}),
    *("x" * (MAX_TEXT - 1), "x" * MAX_TEXT, "x" * (MAX_TEXT + 1), "é" * MAX_TEXT, " " * MAX_TEXT),
    *("\ud800", "x\udfff", Text("x"), Text(""), Text("\ud800")),
]
DAYS = [
    *("2024-02-28", "2024-02-29", "2023-02-29", "2024-02-30", "2024-04-30", "2024-04-31", "2024-12-31", "2024-12-32"),
    *("2024-00-01", "2024-13-01", "2024-01-00", "0000-01-01", "0001-01-01", "0999-12-31", "2999-12-31", "3000-01-01"),
    *("9999-12-31", "24-05-13", "2024-5-13", "20240513", "2024-W20-1", "2024-134"),
    *("\u0662\u0660\u0662\u0664-05-13", "\uff12024-05-13"),
]
CLOCKS = [
    *("T08:00:00.000000Z", "T23:59:59.999999Z", "T24:00:00.000000Z", "T25:00:00.000000Z", "T23:60:00.000000Z"),
    *("T23:59:60.000000Z", "T08:00:00.000000", "T08:00:00.00000Z", "T08:00:00.0000000Z", "T08:00:00,000000Z"),
    *("T08:00:00.000000z", "t08:00:00.000000Z", " 08:00:00.000000Z", "T08:00:00Z", "T08:00:00.000000+00:00"),
    *("T08:00:00.000000+24:00", "T8:00:00.000000Z", "T080000.000000Z", "T08:00:00.000000Z\n", ""),
    "T08:00:0\u0660.000000Z",
]
DATES = [*(f"{day}{clock}" for day in DAYS for clock in CLOCKS), Text(MOMENT), "", None, 20240513, b"2024-05-13"]

VALID_TIMES = 8
"""How often a value is valid, for each time that it may be anything: most fields of an entry must be valid."""


def mostly(valid: list[Any], others: list[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, VALID_TIMES).flatmap(lambda number: st.sampled_from(valid if number else others))


SOME_TEXT = mostly(["ml-platform", "x", "2024-05"], TEXTS)
SOME_DATE = mostly([MOMENT, "2024-05-13T08:00:00.000001Z", "2024-05-13"], DATES)
SOME_TIER = mostly(list(RISK_TIERS), [*TEXTS, "High", "extreme", Text("high")])
SOME_STATUS = mostly(list(STATUSES), [*TEXTS, "Active", "unregistered", Text("active")])


@st.composite
def records(draw: st.DrawFn) -> Any:
    """Draw a record: as the registry writes it, with keys left out, added or moved, or something else."""
    record = {
        "at": draw(SOME_DATE),
        "status": draw(SOME_STATUS),
        "owner": draw(SOME_TEXT),
        "risk_tier": draw(SOME_TIER),
    }
    record |= draw(st.fixed_dictionaries({}, optional={"reason": SOME_TEXT, "actor": SOME_TEXT}))
    change = draw(mostly([lambda item: item], CHANGES))
    return change(record)


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda record: {name: value for name, value in record.items() if name != key}


CHANGES: list[Callable[[dict[str, Any]], Any]] = [
    *(without(key) for key in ("at", "status", "owner", "risk_tier")),
    lambda record: {**record, "other": "x"},
    lambda record: {**without("owner")(record), "other": "x"},
    lambda record: {**without("at")(record), "actor": "x", "reason": "x"},
    lambda record: {**record, "": "x"},
    lambda record: {**record, 1: "x"},
    lambda record: dict(reversed(list(record.items()))),
    lambda record: {Text(key): value for key, value in record.items()},
    lambda record: list(record.items()),
    lambda _: Record(RECORD),
    lambda _: {},
    lambda _: None,
]

KEYS = mostly(["ticket", "team"], ["", " ", "é", "\ud800", Text("ticket"), Text("history"), "x" * 300, 1, None])
VALUES = mostly(
    ["GOV-1", "", " "], [*TEXTS, "x" * MAX_SIZE, "x" * (MAX_SIZE // 2), 2**63, float("nan"), [1, "é"], {"a": {}}]
)
VALUES_BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "aliases": mostly([["a", "b-*"], []], [*TEXTS, ["*" * 9], [1], ("a",), [Text("a")]]),
    "text": SOME_TEXT,
    "names": mostly(["a", ["a", "b"], None], [*TEXTS, [], [1], ("a",), ["\ud800"]]),
    "date": SOME_DATE,
    "history": st.lists(records(), max_size=3),
}
RESERVED_VALUES = {key: VALUES_BY_KIND[row.kind] for key, row in RESERVED.items()}


@st.composite
def metadata(draw: st.DrawFn) -> dict[Any, Any]:
    """Draw metadata: the user's own, and some of the keys that the library reads, in any order."""
    own = draw(st.dictionaries(KEYS, VALUES, max_size=3))
    read = draw(st.fixed_dictionaries({}, optional=RESERVED_VALUES))
    return dict(draw(st.permutations([*own.items(), *read.items()])))


@st.composite
def arguments(draw: st.DrawFn) -> dict[str, Any]:
    """Draw arguments for an entry: plain ones, valid ones and others."""
    given_fields = {field: draw(SOME_TEXT) for field in ("model_id", "name", "version", "owner", "purpose")}
    given_fields |= {"risk_tier": draw(SOME_TIER), "status": draw(SOME_STATUS)}
    given_fields |= {field: draw(SOME_DATE | st.none()) for field in ("deployment_date", "decommission_date")}
    return {**given_fields, "metadata": draw(metadata())}


def disable_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave everything to the strict checks."""
    monkeypatch.setattr(entry, "is_plain_ascii", lambda *_values: False)
    monkeypatch.setattr(validation, "is_plain_ascii", lambda *_values: False)
    monkeypatch.setattr(validation, "_freeze_plain_metadata", lambda _value, _model_id: None)


def typed(value: Any) -> Any:
    """Return a value with the types of everything inside it, in its order."""
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(item) for item in value]
    return type(value), value


def outcome(fields: dict[str, Any]) -> Any:
    """Return everything about the entry that is made of these fields, or about the error."""
    try:
        made = ModelRegistryEntry(**fields)
    except InvalidEntryError as error:
        return error.field, repr(error.value), error.problem, error.model_id, str(error)
    return [typed(getattr(made, field)) for field in made.__struct_fields__]


def agree(fields: dict[str, Any]) -> Any:
    """Return the result for these fields, which is the same on both paths."""
    before = copy.deepcopy(fields)
    found = outcome(fields)
    with pytest.MonkeyPatch.context() as monkeypatch:
        disable_fast_path(monkeypatch)
        assert found == outcome(before)
    return found


@given(arguments())
@example({**FIELDS, "metadata": {"history": [RECORD, {**RECORD, "at": "2024-05-13T07:59:59.999999Z"}]}})
@example({**FIELDS, "metadata": {"ticket": 1, "history": [{**RECORD, "actor": ""}]}})
def test_fast_path_agrees_with_strict_checks(fields: dict[str, Any]) -> None:
    """Both accept the same entries with the same values, and refuse others with the same message."""
    agree(fields)


@pytest.mark.parametrize("field", ["model_id", "name", "version", "owner", "purpose", "risk_tier", "status"])
def test_agreement_on_texts(field: str) -> None:
    """Both agree on any value of a text field."""
    for value in [*TEXTS, *RISK_TIERS, *STATUSES]:
        agree({**FIELDS, field: value})
        agree({**FIELDS, "metadata": {"history": [{**RECORD, field: value}]}})
        agree({**FIELDS, "metadata": {"history": [RECORD, {**RECORD, "reason": value}]}})
        agree({**FIELDS, "metadata": {"ticket": value, "successor": value}})


def test_agreement_on_dates() -> None:
    """Both agree on any date."""
    for value in DATES:
        agree({**FIELDS, "deployment_date": value})
        agree({**FIELDS, "decommission_date": value, "metadata": {"sunset_date": value}})
        agree({**FIELDS, "metadata": {"history": [{**RECORD, "at": value}, RECORD]}})


@pytest.mark.parametrize("change", CHANGES)
def test_agreement_on_records(change: Callable[[dict[str, Any]], Any]) -> None:
    """Both agree on any keys of a record, in any order."""
    for record in (RECORD, {**RECORD, "reason": "new"}, without("actor")(RECORD)):
        agree({**FIELDS, "metadata": {"history": [RECORD, change(record)]}})


@pytest.mark.parametrize("more", [-9, -8, -7, -2, -1, 0, 1])
@pytest.mark.parametrize("last", [{}, {"history": []}, {"history": "odd"}, {"x": 1}, {"x": ""}, {"é": ""}])
def test_agreement_on_the_limit(more: int, last: dict[str, Any]) -> None:
    """Both agree on the limit of metadata, and on the first of two errors."""
    agree({**FIELDS, "metadata": {"ticket": "x" * (MAX_SIZE - len("ticket") - 1 + more), **last}})


@given(st.lists(st.sampled_from(TEXTS) | st.text(max_size=3), max_size=3))
def test_plain_ascii_passes_the_strict_check(values: list[Any]) -> None:
    """The strict check keeps plain ASCII text."""
    if is_plain_ascii(*values):
        assert all(check_text(value, "x") is value for value in values)


YEARS = (1000, 1900, 2000, 2023, 2024, 2999)


@pytest.mark.parametrize("year", YEARS)
def test_canonical_timestamps(year: int) -> None:
    """A timestamp is canonical for each day that its month has in every year, and for each second of a day."""
    for month in range(14):
        for day in range(33):
            written = f"{year}-{month:02}-{day:02}T08:00:00.000000Z"
            assert is_canonical(written) == (is_date(written) and (month, day) != (2, 29)), written
    for clock in (f"{first:02}:{second:02}:{third:02}" for first, second, third in CORNERS):
        written = f"{year}-05-13T{clock}.999999Z"
        assert is_canonical(written) == is_date(written), written


CORNERS = [(a, b, c) for a in range(26) for b in (0, 9, 10, 59, 60, 61, 99) for c in (0, 9, 10, 59, 60, 61, 99)]


def is_date(written: str) -> bool:
    try:
        parse_date(written, "at")
    except InvalidEntryError:
        return False
    return True


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{5,7}[Zz]", fullmatch=True))
def test_canonical_texts_are_dates(written: str) -> None:
    """A text that is canonical is a date."""
    assert is_date(written) or not is_canonical(written)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)))  # noqa: DTZ001 - UTC, without saying so
def test_timestamps_of_the_registry_are_canonical(moment: datetime) -> None:
    """Each timestamp that the registry writes is canonical, except on leap days."""
    written = format_micros((moment - datetime(1970, 1, 1)) // timedelta(microseconds=1))  # noqa: DTZ001
    assert is_canonical(written) == ((moment.month, moment.day) != (2, 29))


def test_entries_of_the_registry_take_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that operations made take the fast path."""
    monkeypatch.setattr("time.time_ns", lambda: 1_715_587_200_000_000_000)
    registry = ModelRegistry(auto_emit=False)
    registry.register(**FIELDS, actor="ci", aliases=["a", "b-*"], provider="openai", metadata={"ticket": "GOV-1"})
    registry.register(**FIELDS | {"owner": "other"}, replace=True)
    registry.deprecate("gpt-4o", reason="old", successor="x", sunset_date="2030-01-01", actor="me")
    made = registry.retire("gpt-4o", reason="older")

    def no_strict_check(*_args: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(entry, "check_one_of", no_strict_check)
    for name in ("check_one_of", "JsonFreezer", "_check_record"):
        monkeypatch.setattr(validation, name, no_strict_check)
    assert outcome(made.to_dict()) == [typed(getattr(made, field)) for field in made.__struct_fields__]


def test_aliases_from_a_generator() -> None:
    """Aliases from a generator are kept, with any other metadata."""
    for more in ({}, {"count": 1}, {"city": "Zürich"}, {"ticket": "x" * 60_000, "parts": []}):
        made = ModelRegistryEntry(**FIELDS, metadata={"aliases": (name for name in "ab"), **more})
        assert made.aliases == ("a", "b")


def test_arguments_are_copied() -> None:
    """An entry keeps neither the dict of a record nor that of the metadata."""
    record: dict[str, Any] = dict(RECORD)
    given_metadata: dict[str, Any] = {"ticket": "GOV-1", "history": [record]}
    made = ModelRegistryEntry(**FIELDS, metadata=given_metadata)
    record["owner"] = given_metadata["ticket"] = 1
    given_metadata["history"].append(None)
    assert made.metadata == {"ticket": "GOV-1", "history": [RECORD]}
    assert [type(made.metadata), type(made.metadata["history"][0])] == [Metadata, Record]


def test_keys_of_records_are_plain() -> None:
    """Keys of records become exact ``str``."""
    record = {Text(key): value for key, value in RECORD.items()}
    [kept] = ModelRegistryEntry(**FIELDS, metadata={"history": [record]}).metadata["history"]
    assert kept == RECORD
    assert {type(key) for key in kept} == {str}


@pytest.mark.parametrize("key", ["ticket", "x" * 300, "", " ", "é", "\ud800", Text("ticket"), Text(""), 1, None])
@pytest.mark.parametrize("value", ["GOV-1", "", "é", "\ud800"])
def test_keys_of_metadata(key: Any, value: str) -> None:
    """The check of a key does not depend on other metadata."""
    agree({**FIELDS, "metadata": {key: value}})
