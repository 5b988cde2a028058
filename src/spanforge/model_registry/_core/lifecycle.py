"""The lifecycle of a model: statuses, operations that change them, and risk tiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

RiskTier = Literal["low", "medium", "high", "critical"]
"""The risk of using a model, as rated by its owner."""

ModelStatus = Literal["active", "deprecated", "retired"]
"""The statuses of a model; see ``LIFECYCLE``."""

OperationName = Literal["register", "deprecate", "retire"]
"""The operations that change a model; see ``OPERATIONS``."""


class Status(NamedTuple):
    """One row of ``LIFECYCLE``.

    Attributes:
        operations: The operations that are allowed on a model of this status.
        rank: Its place in the lifecycle. A status set in this process on a file's model holds until the file has
            the same status or one of a higher rank. If an operation leads back from the status, or led back to it (see
            ``find_ended_statuses``), it holds until the file has the same status or any later change of status.
        warning: The predicate of the warning on spans that call such a model; ``None``: no warning.
        date: The field of an entry, or the key of its ``metadata``, that contains the date of the status; ``None``: the
            date is not recorded. A key is reserved by this row; operations that end the status remove it.
        flagged: Whether such a model is flagged in every risk tier.
        finding: The kind of audit finding that evidence reports for a call of such a model; ``None``: no finding.
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
        target: The status of a model after the operation. A registration that replaces a description does not change
            the status.
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
"""Every status, by rank. A retired model allows no operation."""

OPERATIONS: Final[Mapping[OperationName, OperationKind]] = {
    "register": OperationKind("active", "model_registry.registered", registers=True),
    "deprecate": OperationKind("deprecated", "model_registry.deprecated", registers=False),
    "retire": OperationKind("retired", "model_registry.retired", registers=False),
}
"""Every operation. The root span of an event is named after the operation."""

RISK_TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)
"""Every risk tier, lowest first."""
STATUSES: Final[tuple[ModelStatus, ...]] = tuple(LIFECYCLE)
"""Every status, by rank."""

FLAGGED_TIERS: Final = frozenset[RiskTier]({"high", "critical"})
"""The risk tiers whose models are flagged in every status."""
FLAGGED_STATUSES: Final = frozenset(status for status, row in LIFECYCLE.items() if row.flagged)
"""The statuses whose models are flagged in every risk tier. Unregistered models are flagged too."""


def find_ended_statuses(operation: OperationName) -> tuple[ModelStatus, ...]:
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
    return any(status in find_ended_statuses(operation) for operation in LIFECYCLE[status].operations)
