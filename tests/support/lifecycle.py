"""Ways through the lifecycle, by the tables of statuses and operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, STATUSES

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry

CHANGING = tuple(name for name, row in OPERATIONS.items() if not row.registers)
"""The operations that change a status."""


def ways() -> dict[str, tuple[str, ...]]:
    """Return the shortest way from a new model to each status: the names of operations."""
    found: dict[str, tuple[str, ...]] = {STATUSES[0]: ()}
    for status in (reached := [STATUSES[0]]):
        for name in CHANGING:
            target = OPERATIONS[name].target
            if name in LIFECYCLE[status].operations and target not in found:
                found[target] = (*found[status], name)
                reached.append(target)
    return found


WAYS = ways()


def way_through(operation: str) -> tuple[str, ...]:
    """Return the shortest way from a new model that ends with an operation."""
    starts = [WAYS[status] for status, row in LIFECYCLE.items() if operation in row.operations]
    return (*min(starts, key=len), operation)


def bring(registry: ModelRegistry, model_id: str, status: str) -> None:
    """Bring a new model to a status."""
    for name in WAYS[status]:
        getattr(registry, name)(model_id)
