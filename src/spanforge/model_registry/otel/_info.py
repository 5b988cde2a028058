"""Attributes of the metric ``model_registry.info``, whose value is always 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.util.types import AttributeValue

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES
from spanforge.model_registry._core.packed_metadata import read_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry

Labels = dict[str, AttributeValue]
"""The attributes of one series."""
MAX_INFO: Final = 1_000
"""The limit of series of ``model_registry.info``; deprecated and retired models come first."""


def describe_models(entries: Iterable[ModelRegistryEntry]) -> list[Labels]:
    """Return model id, owner, contact and successor of each entry, up to the limit."""
    by_urgency = sorted(entries, key=lambda entry: entry.status not in FLAGGED_STATUSES)
    return [_describe_model(entry) for entry in by_urgency[:MAX_INFO]]


def _describe_model(entry: ModelRegistryEntry) -> Labels:
    values = {
        "model_id": entry.model_id,
        "owner": entry.owner,
        "contact": read_reserved(entry).get("contact"),
        "successor": read_reserved(entry).get("successor"),
    }
    return {PREFIX + name: value for name, value in values.items() if value}
