"""Entries: valid values, conversions and ``as_of``."""

from __future__ import annotations

import enum
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from spanforge.model_registry import InvalidEntryError, ModelRegistry, ModelRegistryEntry, StateAsOf
from spanforge.model_registry._core.lifecycle import LIFECYCLE, STATUSES
from spanforge.model_registry._core.validation import MAX_DEPTH, MAX_SIZE
from spanforge.model_registry._core.values import MAX_TEXT, parse_date


class Tier(str, enum.Enum):
    HIGH = "high"


def test_fields_are_plain_strings(fields: dict[str, Any]) -> None:
    """Subclasses of ``str``, such as members of enumerations, become plain strings."""
    entry = ModelRegistryEntry(**fields | {"risk_tier": Tier.HIGH, "owner": Tier.HIGH}, metadata={"tier": Tier.HIGH})
    values = [entry.risk_tier, entry.owner, entry.metadata["tier"]]
    assert values == ["high"] * 3
    assert {type(value) for value in values} == {str}


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ({"risk_tier": "extreme"}, "one of low, medium, high, critical"),
        ({"status": "unregistered"}, f"one of {', '.join(STATUSES)}"),
        ({"owner": ""}, "text that is not blank"),
        ({"purpose": "x" * (MAX_TEXT + 1)}, f"at most {MAX_TEXT:,} characters"),
        ({"name": "\ud800"}, "without lone surrogates"),
        ({"decommission_date": "2024-02-30"}, "an RFC 3339 date"),
        ({"deployment_date": 20240513}, "an RFC 3339 date"),
        ({"metadata": {"": 1}}, "a string that is not empty"),
        ({"metadata": {"x": {"y": [1, float("inf")]}}}, "a finite number"),
        ({"metadata": {"x": 2**63}}, "an integer of 64 bits"),
        ({"metadata": {"x": object()}}, "a JSON value"),
        ({"metadata": {"x": b"bytes"}}, "a JSON value"),
        ({"metadata": {"x": "y" * MAX_SIZE}}, f"too large: at most {MAX_SIZE:,} characters and values in total"),
        ({"metadata": {"x": [0] * MAX_SIZE}}, f"too large: at most {MAX_SIZE:,} characters and values in total"),
        ({"metadata": {"history": "long"}}, "a list of records"),
        ({"metadata": {"history": [None] * 1_001}}, "has 1,001 records; the limit is 1,000"),
        ({"metadata": {"aliases": "gpt"}}, "a list of names; got 'gpt'"),
        ({"metadata": {"aliases": ["a"] * 1_001}}, "has 1,001 names; the limit is 1,000"),
        ({"metadata": {"history": [{"at": "2024-01-01"}]}}, "a mapping with at, status, owner, risk_tier"),
        ({"metadata": {"sunset_date": "soon"}}, "an RFC 3339 date"),
    ],
)
def test_invalid_values(fields: dict[str, Any], value: dict[str, Any], allowed: str) -> None:
    """The error has the field, the model and the rule."""
    (field,) = value
    with pytest.raises(InvalidEntryError) as caught:
        ModelRegistryEntry(**fields | value)
    assert caught.value.field.startswith(field)
    assert allowed in caught.value.problem
    assert str(caught.value).startswith("model 'gpt-4o': ")


def test_depth_of_metadata_is_limited(fields: dict[str, Any]) -> None:
    """Values may be nested 16 levels deep; a list that contains itself is deeper."""
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    ModelRegistryEntry(**fields, metadata={"x": value})
    itself: list[Any] = []
    itself.append(itself)
    for deep in ([value], itself):
        with pytest.raises(InvalidEntryError, match=r"metadata\.x.* is nested more than 16 levels deep"):
            ModelRegistryEntry(**fields, metadata={"x": deep})


def test_to_dict_returns_copies(fields: dict[str, Any]) -> None:
    """``to_dict`` returns plain dicts and lists that can be changed and written as JSON."""
    entry = ModelRegistryEntry(**fields, metadata={"a": {"b": [1]}})
    plain = entry.to_dict()
    plain["metadata"]["a"]["b"].append(2)
    assert type(plain["metadata"]["a"]) is dict
    assert type(plain["metadata"]["a"]["b"]) is list
    assert json.loads(json.dumps(entry.to_dict())) == entry.to_dict()
    assert entry.metadata["a"]["b"] == [1]
    assert json.dumps(entry.metadata) == '{"a": {"b": [1]}}'


def test_from_dict(fields: dict[str, Any]) -> None:
    """``from_dict`` returns an equal entry, and refuses unknown fields, missing fields and other types."""
    entry = ModelRegistryEntry(**fields, metadata={"a": {"b": [1]}})
    assert ModelRegistryEntry.from_dict(entry.to_dict()) == entry
    assert ModelRegistryEntry.from_dict(fields) == ModelRegistryEntry(**fields)
    with pytest.raises(
        InvalidEntryError, match="model 'gpt-4o': ownr is an unknown field; an entry has the fields model_id, "
    ):
        ModelRegistryEntry.from_dict(fields | {"ownr": "x"})
    with pytest.raises(InvalidEntryError, match="model 'gpt-4o': owner is missing"):
        ModelRegistryEntry.from_dict({key: value for key, value in fields.items() if key != "owner"})
    for odd, kind in ((None, "null"), ([], "a list"), ("x", "text"), (True, "a boolean"), (1.5, "a number")):
        with pytest.raises(InvalidEntryError, match=f"entry must be a mapping; got {kind}"):
            ModelRegistryEntry.from_dict(odd)  # type: ignore[arg-type]


class TestAsOf:
    """``as_of``: the state of an entry at a moment."""

    @pytest.fixture
    def entry(self, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ModelRegistryEntry:
        """Return a model in use since May, registered in June, handed over in July, deprecated, then retired."""
        clock = iter(datetime(2024, month, 1, tzinfo=timezone.utc).timestamp() for month in (6, 7, 8, 9))
        monkeypatch.setattr("time.time_ns", lambda: int(next(clock)) * 1_000_000_000)
        registry = ModelRegistry(auto_emit=False)
        registry.register(**fields, deployment_date="2024-05-13")
        registry.register(**fields | {"owner": "other", "risk_tier": "low"}, replace=True)
        registry.deprecate("gpt-4o")
        return registry.retire("gpt-4o")

    @pytest.mark.parametrize(
        ("moment", "state"),
        [
            ("2024-05-12T23:59:59Z", None),
            ("2024-05-13", StateAsOf("active", "other", "low", "dates")),
            ("2024-05-31T23:59:59.999999Z", StateAsOf("active", "other", "low", "dates")),
            ("2024-06-01", StateAsOf("active", "ml-platform", "high", "history")),
            ("2024-07-01", StateAsOf("active", "other", "low", "history")),
            ("2024-08-01", StateAsOf("deprecated", "other", "low", "history")),
            ("2024-09-01", StateAsOf("retired", "other", "low", "history")),
            ("2099-01-01", StateAsOf("retired", "other", "low", "history")),
        ],
    )
    def test_history_first_then_dates(self, entry: ModelRegistryEntry, moment: str, state: StateAsOf | None) -> None:
        """The history decides as far as it reaches back, the entry's dates before it; nothing before deployment."""
        assert entry.as_of(moment) == state
        assert entry.as_of(parse_date(moment, "")) == state

    def test_without_history_the_dates_decide(self, fields: dict[str, Any]) -> None:
        """An entry without a history has the status that its dates show."""
        days = {status: f"2024-08-{day:02}" for day, status in enumerate(STATUSES, 1)}
        dates = {row.date: days[status] for status, row in LIFECYCLE.items() if row.date is not None}
        given = {date: day for date, day in dates.items() if date in ModelRegistryEntry.__struct_fields__}
        kept = {date: day for date, day in dates.items() if date not in given}
        entry = ModelRegistryEntry(**fields, status=STATUSES[-1], **given, metadata=kept)  # type: ignore[arg-type]
        found = [entry.as_of(moment) for moment in ("2000-01-01", *dates.values())]
        with_date = [status for status, row in LIFECYCLE.items() if row.date is not None]
        assert [state.status for state in found if state] == [STATUSES[0], *with_date]
        assert {state.source for state in found if state} == {"dates"}

    def test_moments_with_any_offset(self, entry: ModelRegistryEntry) -> None:
        """A moment may have any offset; one without is UTC."""
        east = timezone(timedelta(hours=2))
        assert entry.as_of(datetime(2024, 5, 13, 1, tzinfo=east)) is None
        assert entry.as_of(datetime(2024, 5, 13, 2, tzinfo=east)) is not None
        assert entry.as_of(datetime(2024, 5, 13, 0)) is not None  # noqa: DTZ001 - naive on purpose

    def test_invalid_text(self, entry: ModelRegistryEntry) -> None:
        """A text that is not a date is an error."""
        with pytest.raises(InvalidEntryError, match="moment must be an RFC 3339 date"):
            entry.as_of("last summer")
