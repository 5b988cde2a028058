"""Values of a registered model, for tests: each field that is required, and each reserved metadata key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core.attributes import ATTRIBUTES
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry

FIELDS = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "customer support agent",
}
"""The fields that every entry needs."""
_RECORD = {"at": "2024-05-13T08:00:00.000000Z", "status": "active", "owner": "ml-platform", "risk_tier": "high"}
_BY_KIND = {"aliases": ["gpt-4o-*"], "date": "2025-01-01", "history": [_RECORD]}
METADATA: dict[str, Any] = {key: _BY_KIND.get(row.kind, f"some {key}") for key, row in RESERVED.items()}
"""A value for every reserved metadata key."""
SHOWN_METADATA = {
    row.name: METADATA[row.name] for row in ATTRIBUTES if row.source == "metadata key" and not row.needs_warning
}
"""The reserved metadata that spans of every model can show."""
INVALID_ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"model_id": 5}, "model_id"),
    ({"owner": None}, "owner"),
    ({"metadata": {"history": []}}, "metadata.history"),
    ({"metadata": [1]}, "metadata"),
    ({"aliases": "gpt-4o"}, "aliases"),
    ({"aliases": [""]}, "aliases[0]"),
    ({"aliases": ["a", "*" * 9]}, "aliases[1]"),
    ({"provider": " "}, "provider"),
    ({"aliases": ["a"], "metadata": {"aliases": ["b"]}}, "metadata.aliases"),
    ({"provider": "a", "metadata": {"provider": "b"}}, "metadata.provider"),
    ({"actor": ""}, "actor"),
]
"""Arguments that ``register`` refuses, and the field that the error names."""


def register_many(registry: ModelRegistry, number: int) -> None:
    """Register the models ``m0``, ``m1`` and so on."""
    for index in range(number):
        registry.register(**{**FIELDS, "model_id": f"m{index}"})
