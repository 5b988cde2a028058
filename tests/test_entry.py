"""Entries: valid values, conversions and ``as_of``."""

from __future__ import annotations

from typing import Any

import pytest

from spanforge.model_registry import InvalidEntryError, ModelRegistryEntry
from spanforge.model_registry._core.lifecycle import LIFECYCLE, STATUSES
from spanforge.model_registry._core.validation import MAX_DEPTH, MAX_SIZE
from spanforge.model_registry._core.values import MAX_TEXT


@pytest.mark.parametrize(
    ("value", "place", "allowed"),
    [
        ({"risk_tier": "extreme"}, "risk_tier", "one of low, medium, high, critical"),
        ({"status": "unregistered"}, "status", f"one of {', '.join(STATUSES)}"),
        ({"owner": ""}, "owner", "text that is not blank"),
        ({"purpose": "x" * (MAX_TEXT + 1)}, "purpose", f"at most {MAX_TEXT:,} characters"),
        ({"name": "\ud800"}, "name", "without lone surrogates"),
        ({"decommission_date": "2024-02-30"}, "decommission_date", "an RFC 3339 date"),
        ({"deployment_date": 20240513}, "deployment_date", "an RFC 3339 date"),
        ({"metadata": ["x"]}, "metadata", "a mapping with string keys and JSON values"),
        ({"metadata": {"": 1}}, "metadata key", "a string that is not empty"),
        ({"metadata": {"x": {"y": [1, float("inf")]}}}, "metadata.x.y[1]", "a finite number"),
        ({"metadata": {"x": 2**63}}, "metadata.x", "an integer of 64 bits"),
        ({"metadata": {"x": object()}}, "metadata.x", "a JSON value"),
        ({"metadata": {"x": b"bytes"}}, "metadata.x", "a JSON value"),
        ({"metadata": {"x": "y" * MAX_SIZE}}, "metadata", f"too large: at most {MAX_SIZE:,} characters and values"),
        ({"metadata": {"x": [0] * MAX_SIZE}}, "metadata", f"too large: at most {MAX_SIZE:,} characters and values"),
        ({"metadata": {"history": "long"}}, "metadata.history", "a list of records"),
        ({"metadata": {"history": [None] * 1_001}}, "metadata.history", "has 1,001 records; the limit is 1,000"),
        ({"metadata": {"aliases": "gpt"}}, "metadata.aliases", "a list of names; got 'gpt'"),
        ({"metadata": {"aliases": ["a"] * 1_001}}, "metadata.aliases", "has 1,001 names; the limit is 1,000"),
        (
            {"metadata": {"history": [{"at": "2024-01-01"}]}},
            "metadata.history[0]",
            "a mapping with at, status, owner, risk_tier",
        ),
        ({"metadata": {"sunset_date": "soon"}}, "metadata.sunset_date", "an RFC 3339 date"),
    ],
)
def test_invalid_values(fields: dict[str, Any], value: dict[str, Any], place: str, allowed: str) -> None:
    """The error has the field, the model and the rule."""
    with pytest.raises(InvalidEntryError) as caught:
        ModelRegistryEntry(**fields | value)
    assert caught.value.field == place
    assert allowed in caught.value.problem
    assert str(caught.value).startswith("model 'gpt-4o': ")


@pytest.mark.parametrize(
    ("value", "providers"),
    [(None, ()), ("azure", ("azure",)), (["azure", "openai"], ("azure", "openai"))],
)
def test_provider_is_the_first_of_the_providers(fields: dict[str, Any], value: Any, providers: tuple[str, ...]) -> None:
    """An entry may be limited to no provider, to one or to several."""
    entry = ModelRegistryEntry(**fields, metadata={"provider": value})
    assert entry.providers == providers
    assert entry.provider == next(iter(providers), None)


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


@pytest.mark.parametrize(
    ("odd", "kind"), [(None, "null"), ([], "a list"), ("x", "text"), (True, "a boolean"), (1.5, "a number")]
)
def test_from_dict_with_another_type(odd: Any, kind: str) -> None:
    """``from_dict`` refuses what is not a mapping."""
    with pytest.raises(InvalidEntryError, match=f"entry must be a mapping; got {kind}"):
        ModelRegistryEntry.from_dict(odd)


class _Text(str):
    """A text of another type, whose methods could be odd."""

    __slots__ = ()


def test_texts_are_plain(fields: dict[str, Any]) -> None:
    """An entry keeps plain texts, whatever type the caller's have, so that no odd method runs later."""
    texts = {**fields, "status": "active", "deployment_date": "2024-05-13", "decommission_date": "2025-05-13"}
    entry = ModelRegistryEntry(**{field: _Text(text) for field, text in texts.items()})  # type: ignore[arg-type]
    assert {field: type(getattr(entry, field)) for field in texts} == dict.fromkeys(texts, str)
    assert {field: getattr(entry, field) for field in texts} == texts


def test_as_of_without_history(fields: dict[str, Any]) -> None:
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


DAY_3, ACTIVE = "2024-08-03", ["active", "active"]


@pytest.mark.parametrize(
    ("given", "statuses"),
    [
        ({"status": "retired"}, ["retired"] * 4),
        ({"status": "retired", "deployment_date": "2024-08-02"}, [None, *["retired"] * 3]),
        ({"status": "retired", "metadata": {"deprecation_date": "2024-08-02"}}, ["retired"] * 4),
        ({"status": "deprecated", "decommission_date": DAY_3}, ["deprecated", "deprecated", "retired", "retired"]),
        ({"status": "retired", "history": "active"}, ["active", "retired", "retired", "retired"]),
        ({"status": "retired", "decommission_date": DAY_3, "history": "active"}, [*ACTIVE, "retired", "retired"]),
        ({"status": "retired", "history": "retired"}, ["active", "retired", "retired", "retired"]),
        ({"status": "active", "history": "retired"}, ["active", "retired", "retired", "retired"]),
    ],
)
def test_as_of_without_a_date(fields: dict[str, Any], given: dict[str, Any], statuses: list[str | None]) -> None:
    """A status without a date is in force since the last record, since the deployment, or always; a date counts."""
    metadata = dict(given.pop("metadata", {}))
    if "history" in given:
        record = {"at": "2024-08-02", "status": given.pop("history"), "owner": "then", "risk_tier": "low"}
        metadata["history"] = [record]
    entry = ModelRegistryEntry(**fields | given, metadata=metadata)
    found = [entry.as_of(f"2024-08-{day:02}") for day in range(1, 5)]
    assert [state and state.status for state in found] == statuses
    assert found[-1] is not None
    assert found[-1].owner == entry.owner


def test_as_of_with_a_date_after_the_history(fields: dict[str, Any]) -> None:
    """A status that only a date has counts from that date on, and its source is the dates."""
    record = {"at": "2024-08-01T00:00:00Z", "status": "active", "owner": "a", "risk_tier": "low"}
    entry = ModelRegistryEntry(
        **fields, status="deprecated", metadata={"history": [record], "deprecation_date": "2024-08-03"}
    )
    found = [entry.as_of(f"2024-08-0{day}") for day in (2, 3)]
    assert [state and (state.status, state.source) for state in found] == [
        ("active", "history"),
        ("deprecated", "dates"),
    ]


def test_as_of_an_invalid_text(complete_entry: ModelRegistryEntry) -> None:
    """A text that is not a date is an error."""
    with pytest.raises(InvalidEntryError, match="moment must be an RFC 3339 date"):
        complete_entry.as_of("last summer")
