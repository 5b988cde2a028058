"""The lifecycle of a model: tables of its statuses, of the operations that change them, and of risk tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

RiskTier = Literal["low", "medium", "high", "critical"]
"""How risky a use of the model is, as its owner rates it."""

ModelStatus = Literal["active", "deprecated", "retired"]
"""The statuses of a model; see ``LIFECYCLE``."""

OperationName = Literal["register", "deprecate", "retire"]
"""The operations that change a model; see ``OPERATIONS``."""


class Status(NamedTuple):
    """One row of ``LIFECYCLE``.

    Attributes:
        operations: The operations that are allowed on a model of this status.
        rank: Its place in the lifecycle. A status that was set in this process on a file's model holds until the file
            shows the same status or one of a higher rank. If an operation leads back from the status, or led back to it
            (see ``ended_by``), it holds until the file shows the same status or any later change of status.
        warning: The predicate of the warning on spans that call such a model; ``None``: no warning.
        date: The field of an entry, or the key of its ``metadata``, with the date since which the status is in force;
            ``None``: there is no such date. A key is reserved by this row; operations that end the status remove it.
        flagged: Whether calls of such a model are flagged, whatever its risk tier.
        finding: The kind of exception that evidence reports for a call of such a model; ``None``: no exception.
        colour: Its colour in dashboards.
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
        target: The status of a model after the operation; a registration that replaces a description keeps the old one.
        event: The name of the lifecycle event that the operation emits.
        registers: Whether the operation adds a model or changes its description.
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
"""Every status, by rank. Retired is final."""

OPERATIONS: Final[Mapping[OperationName, OperationKind]] = {
    "register": OperationKind("active", "model_registry.registered", registers=True),
    "deprecate": OperationKind("deprecated", "model_registry.deprecated", registers=False),
    "retire": OperationKind("retired", "model_registry.retired", registers=False),
}
"""Every operation, with the status that it leads to and its event. An event's own span is named after the operation."""

RISK_TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)
"""Every risk tier, lowest first."""
STATUSES: Final[tuple[ModelStatus, ...]] = tuple(LIFECYCLE)
"""Every status, by rank."""

FLAGGED_TIERS: Final = frozenset[RiskTier]({"high", "critical"})
"""The risk tiers whose calls are flagged, whatever the model's status."""
FLAGGED_STATUSES: Final = frozenset(status for status, row in LIFECYCLE.items() if row.flagged)
"""The statuses whose calls are flagged, whatever the model's risk tier. Calls of unregistered models are too."""


def ended_by(operation: OperationName) -> tuple[ModelStatus, ...]:
    """Return the statuses that an operation ends: those that allow it and have a higher rank than its target.

    Such an operation leads back. A registration changes no status, so it ends none.
    """
    kind = OPERATIONS[operation]
    if kind.registers:
        return ()
    rank = LIFECYCLE[kind.target].rank
    return tuple(status for status, row in LIFECYCLE.items() if operation in row.operations and row.rank > rank)


def is_temporary(status: ModelStatus) -> bool:
    """Check whether an operation ends the status."""
    return any(status in ended_by(operation) for operation in LIFECYCLE[status].operations)
