"""The lifecycle of a model: statuses, operations that change them, and risk tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

RiskTier = Literal["low", "medium", "high", "critical"]
"""The risk of using a model, as its owner rates it."""

ModelStatus = Literal["active", "deprecated", "retired"]
"""The statuses of a model, in the order of the lifecycle."""

OperationName = Literal["register", "deprecate", "retire"]
"""The operations that change a model; see ``OPERATIONS``."""


class Status(NamedTuple):
    """One row of ``LIFECYCLE``.

    Attributes:
        operations: The operations that are allowed on a model of this status.
        rank: The place in the lifecycle. A status that an operation set on a file's model is in force until the file
            has the same status or one of a higher rank. There is one exception: if an operation leads back from the
            status, or led back to it (see ``find_ended_statuses``). Then the status is in force until the file has the
            same status, or any later change of status.
        warning: The predicate of the warning on spans that call such a model; ``None`` for no warning.
        date: The field of an entry, or the key of its ``metadata``, that contains the date of the status; ``None`` if
            the date is not recorded. This row reserves the key. Operations that end the status remove it.
        flagged: ``True`` if such a model is flagged in every risk tier.
        finding: The kind of audit finding that evidence reports for a call of such a model; ``None`` for no finding.
        colour: The colour in dashboards.
    """

    operations: frozenset[OperationName]
    rank: int
    warning: str | None
    date: str | None
    flagged: bool
    finding: str | None
    colour: str


class OperationKind(NamedTuple):
    """One row of ``OPERATIONS``.

    Attributes:
        target: The status of a model after the operation. A registration that replaces a description does not change
            the status.
        event: The name of the lifecycle event that the operation emits.
        registers: ``True`` if the operation adds a model or changes its description.
    """

    target: ModelStatus
    event: str
    registers: bool


LIFECYCLE: Final[Mapping[ModelStatus, Status]] = {
    "active": Status(
        operations=frozenset({"register", "deprecate", "retire"}),
        rank=0,
        warning=None,
        date=None,
        flagged=False,
        finding=None,
        colour="green",
    ),
    "deprecated": Status(
        operations=frozenset({"register", "deprecate", "retire"}),
        rank=1,
        warning="is deprecated",
        date="deprecation_date",
        flagged=True,
        finding="while_deprecated",
        colour="orange",
    ),
    "retired": Status(
        operations=frozenset(),
        rank=2,
        warning="is retired",
        date="decommission_date",
        flagged=True,
        finding="after_retirement",
        colour="red",
    ),
}
"""All statuses, by rank. A retired model allows no operation."""

OPERATIONS: Final[Mapping[OperationName, OperationKind]] = {
    "register": OperationKind("active", "model_registry.registered", registers=True),
    "deprecate": OperationKind("deprecated", "model_registry.deprecated", registers=False),
    "retire": OperationKind("retired", "model_registry.retired", registers=False),
}
"""All operations. The name of an event's root span contains the name of the operation."""

RISK_TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)
"""All risk tiers, lowest first."""
STATUSES: Final[tuple[ModelStatus, ...]] = tuple(LIFECYCLE)
"""All statuses, by rank."""

FLAGGED_TIERS: Final = frozenset[RiskTier]({"high", "critical"})
"""The risk tiers whose models are flagged in every status."""
FLAGGED_STATUSES: Final = frozenset(status for status, row in LIFECYCLE.items() if row.flagged)
"""The statuses whose models are flagged in every risk tier. Unregistered models are flagged too."""


def find_ended_statuses(operation: OperationName) -> tuple[ModelStatus, ...]:
    """Return the statuses from which an operation leads back: they allow it and have a higher rank than its target.

    A registration changes no status, so it ends none.
    """
    kind = OPERATIONS[operation]
    if kind.registers:
        return ()
    rank = LIFECYCLE[kind.target].rank
    return tuple(status for status, row in LIFECYCLE.items() if operation in row.operations and row.rank > rank)


def is_temporary(status: ModelStatus) -> bool:
    """Check whether some operation leads back from the status."""
    return any(status in find_ended_statuses(operation) for operation in LIFECYCLE[status].operations)
