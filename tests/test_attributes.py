"""The semantic conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.attributes import (
    ATTRIBUTES,
    ON_SPANS,
    SPAN_ATTRIBUTE_NAMES,
    attribute_value,
    event_attributes,
    span_attributes,
)
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from spanforge.model_registry._core.lifecycle import ModelStatus


def test_default_attributes_of_spans(complete_entry: ModelRegistryEntry) -> None:
    """Spans have owner, risk tier, status, warnings, what to use instead, and the name of the entry by default."""
    assert span_attributes(complete_entry) == {
        "model_registry.status": "deprecated",
        "model_registry.owner": "ml-platform",
        "model_registry.risk_tier": "high",
        "model_registry.model_id": "gpt-4o",
        "model_registry.warnings": (
            "model 'gpt-4o' is deprecated",
            "use 'some successor' instead",
            "its sunset date is 2025-01-01",
        ),
        "model_registry.successor": "some successor",
        "model_registry.sunset_date": "2025-01-01",
        "model_registry.name": "GPT-4o",
        "model_registry.version": "2024-05",
    }


def test_optional_attributes_of_spans(complete_entry: ModelRegistryEntry) -> None:
    """Contact, purpose, dates and the matched key are optional; spans never have metadata."""
    assert set(SPAN_ATTRIBUTE_NAMES) - set(ON_SPANS) == {
        "contact",
        "purpose",
        "deployment_date",
        "decommission_date",
        "matched_by",
        "match_rule",
    }
    found = span_attributes(
        complete_entry,
        SPAN_ATTRIBUTE_NAMES,
        warnings=(),
        matched_by="gen_ai.request.model",
        match_rule="form",
        requested_model_id="gpt-4",
        provider_sunset_date="2027-01-14",
        response_registered=False,
    )
    assert found["model_registry.response_registered"] is False
    assert {key.removeprefix("model_registry.") for key in found} == set(SPAN_ATTRIBUTE_NAMES) - {"warnings"}
    assert found["model_registry.matched_by"] == "gen_ai.request.model"


@pytest.mark.parametrize("status", STATUSES)
def test_attributes_of_events(complete_entry: ModelRegistryEntry, status: ModelStatus) -> None:
    """Events have every field, the metadata without the history, and what to do, whatever the status."""
    entry = msgspec.structs.replace(complete_entry, status=status)
    found = event_attributes(entry, previous_status="active", reason=None, actor="me", source_revision="1a2b")
    assert {key.removeprefix("model_registry.") for key in found} == {
        *(name for name in complete_entry.__struct_fields__ if name != "metadata"),
        "metadata.team",
        *(f"metadata.{key}" for key in RESERVED if key != "history"),
        *("successor", "sunset_date", "contact"),
        *("previous_status", "actor", "source_revision"),
    }


def test_active_models_need_no_successor(complete_entry: ModelRegistryEntry) -> None:
    """Spans of an active model have neither warnings nor what to use instead."""
    active = msgspec.structs.replace(complete_entry, status="active")
    names = {key.removeprefix("model_registry.") for key in span_attributes(active)}
    assert names == {"status", "owner", "risk_tier", "model_id", "name", "version"}


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("a", "a"),
        (True, True),
        (5, 5),
        (2.5, 2.5),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (None, "null"),
        ([], ()),
        (["a", "b"], ("a", "b")),
        ([1, 2], (1, 2)),
        ([1, True], "[1,true]"),
        ([1, 2.5], "[1,2.5]"),
        ([None], "[null]"),
        ([[1]], "[[1]]"),
        ({"a": {"b": [1]}}, '{"a":{"b":[1]}}'),
        ("ü", "ü"),
        ({"ü": 1}, '{"ü":1}'),
    ],
)
def test_metadata_values(value: Any, attribute: Any) -> None:
    """Scalars and lists of one scalar type are kept, and other values become JSON text."""
    found = attribute_value(value)
    assert found == attribute
    assert type(found) is type(attribute)


def test_every_attribute_has_a_source(complete_entry: ModelRegistryEntry) -> None:
    """The source of each attribute exists and has a value; facts have none in the entry."""
    for row in ATTRIBUTES:
        if row.source == "field":
            assert row.name in complete_entry.__struct_fields__
        elif row.source == "property":
            assert isinstance(getattr(ModelRegistryEntry, row.name), property)
        elif row.source == "metadata key":
            assert row.name in RESERVED
        elif row.source == "fact":
            assert not hasattr(complete_entry, row.name)
    keys = {row.key for row in ATTRIBUTES if row.source not in ("fact", "all metadata")}
    assert (
        keys <= span_attributes(complete_entry, SPAN_ATTRIBUTE_NAMES).keys() | event_attributes(complete_entry).keys()
    )


def test_every_reserved_key_has_a_value_in_the_complete_entry(complete_entry: ModelRegistryEntry) -> None:
    """The complete entry has every field and every reserved key."""
    assert all(getattr(complete_entry, field) for field in complete_entry.__struct_fields__)
    assert set(RESERVED) < set(complete_entry.metadata)


def test_one_namespace() -> None:
    """Every key is in the namespace, and short names are unique."""
    assert all(row.key == f"model_registry.{row.name}" for row in ATTRIBUTES)
    assert len({row.name for row in ATTRIBUTES}) == len(ATTRIBUTES)
