"""The lifecycle of a model, as two tables: its statuses, and the operations that lead from one to another."""

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
        operations: The operations that a model of this status allows.
        rank: Its place in the lifecycle: a status set in a process gives way to a file's status of the same or a
            higher rank.
        warning: The predicate of the warning on spans that call such a model; ``None``: there is no warning.
        date: The field, or the key of ``metadata``, that holds the date since when the status is in force; ``None``:
            none does.
        flagged: Whether a call of such a model is flagged whatever its risk tier.
        finding: The kind of exception that evidence counts a call of such a model as; ``None``: it is none.
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
        target: The status that the operation leads to.
        event: The lifecycle event that it emits.
        registers: Whether it adds a model, or changes its description.
    """

    target: ModelStatus
    event: str
    registers: bool


LIFECYCLE: Final[Mapping[ModelStatus, Status]] = {
    "active": Status(frozenset({"register", "deprecate", "retire"}), 0, None, None, False, None, "green"),
    "deprecated": Status(
        frozenset({"register", "deprecate", "retire"}),
        1,
        "is deprecated",
        "deprecation_date",
        True,
        "while_deprecated",
        "orange",
    ),
    "retired": Status(frozenset(), 2, "is retired", "decommission_date", True, "after_retirement", "red"),
}
"""Every status, in the order of the lifecycle. Retired is final."""

OPERATIONS: Final[Mapping[OperationName, OperationKind]] = {
    "register": OperationKind("active", "model_registry.registered", registers=True),
    "deprecate": OperationKind("deprecated", "model_registry.deprecated", registers=False),
    "retire": OperationKind("retired", "model_registry.retired", registers=False),
}
"""Every operation: the status that it leads to, and its event. The span of an event is named after the operation."""

RISK_TIERS: Final[tuple[RiskTier, ...]] = get_args(RiskTier)
FLAGGED_TIERS: Final = frozenset[RiskTier]({"high", "critical"})
"""The risk tiers whose calls are flagged whatever the model's status."""
STATUSES: Final[tuple[ModelStatus, ...]] = tuple(LIFECYCLE)
FLAGGED_STATUSES: Final = frozenset(status for status, row in LIFECYCLE.items() if row.flagged)
