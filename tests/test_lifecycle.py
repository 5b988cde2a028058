"""The tables of statuses, operations and risk tiers fit together."""

from __future__ import annotations

from typing import get_args

import pytest
from support.lifecycle import CHANGING, WAYS

from spanforge.model_registry import LifecycleError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.lifecycle import (
    FLAGGED_STATUSES,
    FLAGGED_TIERS,
    LIFECYCLE,
    OPERATIONS,
    RISK_TIERS,
    STATUSES,
    ModelStatus,
    OperationName,
    find_ended_statuses,
)
from spanforge.model_registry._core.validation import DATE_FIELDS, LIFECYCLE_KEYS, RESERVED


def test_each_name_has_a_row() -> None:
    """The tables have the names of the types, in their order."""
    assert tuple(LIFECYCLE) == STATUSES == get_args(ModelStatus)
    assert tuple(OPERATIONS) == get_args(OperationName)


def test_statuses_are_ordered_by_rank() -> None:
    """A status never has a lower rank than the one before it, and a new model has the lowest."""
    ranks = [row.rank for row in LIFECYCLE.values()]
    assert ranks == sorted(ranks)
    assert STATUSES[0] == OPERATIONS["register"].target == "active"


def test_operations_lead_to_every_status() -> None:
    """Each status is the target of an operation, and each event has its own name."""
    assert {row.target for row in OPERATIONS.values()} == set(STATUSES)
    assert len({row.event for row in OPERATIONS.values()}) == len(OPERATIONS)
    assert {name for row in LIFECYCLE.values() for name in row.operations} == set(OPERATIONS)


@pytest.mark.parametrize("status", STATUSES)
def test_flagged_statuses_have_a_warning_a_date_and_a_finding(status: ModelStatus) -> None:
    """Calls of a flagged status get a warning and are a finding since a date; calls of others are neither."""
    row = LIFECYCLE[status]
    for value in (row.warning, row.date, row.finding):
        assert bool(value) == row.flagged == (status in FLAGGED_STATUSES)


def test_flagged_tiers_are_the_highest() -> None:
    """A tier above a flagged one is flagged too, and not every tier is flagged."""
    flagged = [tier in FLAGGED_TIERS for tier in RISK_TIERS]
    assert flagged == sorted(flagged)
    assert set(flagged) == {True, False}


@pytest.mark.parametrize("status", STATUSES)
def test_date_of_a_status_is_a_field_or_a_reserved_key(status: ModelStatus) -> None:
    """A date of ``LIFECYCLE`` is checked, and kept if the description is replaced."""
    date = LIFECYCLE[status].date
    if date is None:
        return
    is_key = date in LIFECYCLE_KEYS and RESERVED[date].kind == "date"
    is_field = date in DATE_FIELDS and date in ModelRegistryEntry.__struct_fields__
    message = f"the date of {status}, {date}, is neither a field of an entry nor a reserved key that operations write"
    assert is_key != is_field, message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_has_a_method(operation: OperationName) -> None:
    """The method of a registry has the operation's name, and names its event."""
    method = getattr(ModelRegistry, operation, None)
    assert method is not None, f"ModelRegistry has no method {operation}"
    assert f"``{OPERATIONS[operation].event}``" in (method.__doc__ or "")


def test_every_status_can_be_reached() -> None:
    """Operations lead from a new model to each status."""
    assert set(WAYS) == set(STATUSES)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_statuses_that_an_operation_ends(operation: OperationName) -> None:
    """An operation ends the statuses that allow it and come later than its target; a registration ends none."""
    later = STATUSES[STATUSES.index(OPERATIONS[operation].target) + 1 :]
    allowing = tuple(status for status in later if operation in LIFECYCLE[status].operations)
    assert find_ended_statuses(operation) == (() if OPERATIONS[operation].registers else allowing)


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_changes_of_status_are_operations_of_the_table(
    fields: dict[str, object], before: ModelStatus, after: ModelStatus
) -> None:
    """``emit_changes`` emits an operation that the status allows, or nothing, or refuses; an equal status is silent."""
    registry = ModelRegistry(auto_emit=False)
    entries = [ModelRegistryEntry(**fields, status=status) for status in (before, after)]  # type: ignore[arg-type]
    leading = {name for name in CHANGING if OPERATIONS[name].target == after}
    allowed = LIFECYCLE[before].operations
    is_known = bool(leading & allowed) or (allowed and OPERATIONS["register"].target == after)
    if before != after and not is_known:
        with pytest.raises(LifecycleError):
            registry.emit_changes(entries[:1], entries[1:])
        return
    made = [event.operation for event in registry.emit_changes(entries[:1], entries[1:])]
    assert len(made) == (before != after and bool(leading & allowed))
    assert set(made) <= leading & allowed
