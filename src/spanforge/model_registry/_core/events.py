"""Lifecycle events: their data, their names, and the counts of those that were emitted, held and lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX, event_attributes
from spanforge.model_registry._core.lifecycle import OPERATIONS, OperationName

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.operations import Step

OPERATION_SPAN_NAMES: Final = {name: PREFIX + name for name in OPERATIONS}
"""The name of the root span, by operation."""


class LifecycleEvent(NamedTuple):
    """The record of one operation on one model, to emit as a span event or a log record.

    Attributes:
        operation: The operation.
        entry: The entry after the operation.
        at: The time of the operation, in nanoseconds since the epoch.
        previous_status: The status before the operation; ``None`` if the model was not registered.
        reason: The reason, if the caller passed one.
        actor: The person or system that made the change, if the caller passed one.
        source_revision: The revision that has the change, such as a commit, if the caller passed one.
    """

    operation: OperationName
    entry: ModelRegistryEntry
    at: int
    previous_status: str | None = None
    reason: str | None = None
    actor: str | None = None
    source_revision: str | None = None

    @property
    def name(self) -> str:
        """The name of the event, such as ``model_registry.registered``."""
        return OPERATIONS[self.operation].event

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the span event, or of the log record."""
        return event_attributes(
            self.entry,
            previous_status=self.previous_status,
            reason=self.reason,
            actor=self.actor,
            source_revision=self.source_revision,
        )


def create_step_events(
    steps: Iterable[Step], timestamps: Iterable[int], actor: str | None, source_revision: str | None
) -> list[LifecycleEvent]:
    """Return the events of operations between two sets of entries.

    Args:
        steps: The operations.
        timestamps: The time of each operation, in microseconds since the epoch.
        actor: The person or system that made the changes.
        source_revision: The revision that has the changes.
    """
    return [
        LifecycleEvent(
            operation=step.operation_name,
            entry=step.after,
            at=timestamp * 1_000,
            previous_status=None if step.before is None else step.before.status,
            reason=step.reason,
            actor=actor,
            source_revision=source_revision,
        )
        for step, timestamp in zip(steps, timestamps, strict=True)
    ]


class EventCounts(NamedTuple):
    """The numbers of lifecycle events in this process: emitted, held, dropped and failed.

    An event counts once per signal.

    Attributes:
        emitted: Events that were added to a sampled span, or passed to a logger that is enabled.
        held: Events that wait for a provider.
        dropped: Lost events, because their root span was not sampled, no logger is enabled, or too many were held.
        failed: Lost events, because of an error of a provider, or of an exception that interrupted a provider.
    """

    emitted: int
    held: int
    dropped: int
    failed: int
