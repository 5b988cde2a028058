"""Lifecycle events: what an operation did, their names, and how many went out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX, event_attributes
from spanforge.model_registry._core.lifecycle import OPERATIONS, OperationName

if TYPE_CHECKING:
    from spanforge.model_registry._core.entry import ModelRegistryEntry

OPERATION_SPAN_NAMES: Final = {name: PREFIX + name for name in OPERATIONS}
"""Operation to the name of its root span."""


class LifecycleEvent(NamedTuple):
    """What an operation did.

    Attributes:
        operation: The operation.
        entry: The entry after the operation.
        at: When, in nanoseconds since the epoch.
        previous_status: The status before; ``None``: the model was not registered.
        reason: Why, if the caller said so.
        actor: Who, if the caller said so.
    """

    operation: OperationName
    entry: ModelRegistryEntry
    at: int
    previous_status: str | None = None
    reason: str | None = None
    actor: str | None = None

    @property
    def name(self) -> str:
        """The event's name, as ``OPERATIONS`` has it: ``model_registry.registered``, for example."""
        return OPERATIONS[self.operation].event

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the span event, or of the log record."""
        facts = {"previous_status": self.previous_status, "reason": self.reason, "actor": self.actor}
        return event_attributes(self.entry, **facts)


class EventCounts(NamedTuple):
    """The lifecycle events of this process so far, by what became of them; each counts once per signal.

    Attributes:
        emitted: Put on a span that is sampled, or taken as a log record by a logger that is enabled.
        held: Waiting for a provider.
        dropped: Lost: their own span was not sampled, nobody takes log records, or too many were held.
        failed: Lost to an error of a provider, or to an exception that interrupted a provider.
    """

    emitted: int
    held: int
    dropped: int
    failed: int
