"""The tables of statuses, operations and risk tiers fit together."""

from __future__ import annotations

from typing import get_args

import pytest

from spanforge.model_registry._core.lifecycle import (
    FLAGGED_STATUSES,
    FLAGGED_TIERS,
    LIFECYCLE,
    OPERATIONS,
    RISK_TIERS,
    STATUSES,
    ModelStatus,
    OperationName,
)


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
