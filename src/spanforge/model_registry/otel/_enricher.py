"""Enrichment: from a span's attributes and a registry's index to the attributes that the span gets. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.conventions import resolve_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spanforge.model_registry._core.conventions import ModelKeys
    from spanforge.model_registry._core.resolution import ModelIndex, Resolution


@dataclass(slots=True)
class Enrichment:
    """What the registry knows of the model that a span names.

    Attributes:
        attributes: What the span gets, the most important first; may be empty.
        resolution: The entry, or the name that is not registered, and its warnings.
        key: The attribute key whose value matched; ``None`` if none did.
        is_call: Whether the span is a call of the model.
    """

    attributes: dict[str, Any]
    resolution: Resolution
    key: str | None
    is_call: bool


class Enricher:
    """Decides which attributes a span gets.

    Args:
        names: Short names of the attributes that spans get.
        ignores_unregistered: Whether spans of models that are not registered get no attributes.
    """

    def __init__(self, names: Collection[str], *, ignores_unregistered: bool) -> None:
        self._names = names
        self._ignores_unregistered = ignores_unregistered

    def enrich(
        self, attributes: Mapping[str, Any], keys: ModelKeys, scope: str | None, index: ModelIndex
    ) -> Enrichment | None:
        """Return the enrichment of a span; ``None`` if the span names no model.

        Args:
            attributes: The span's attributes.
            keys: Those of their keys that decide.
            scope: Name of its instrumentation scope.
            index: The registry's entries.
        """
        named = resolve_keys(index, attributes, scope, keys)
        if named is None:
            return None
        resolution, key, is_call = named
        entry, status, warnings, _, _ = resolution
        added: dict[str, Any] = {}
        if entry is not None or not self._ignores_unregistered:
            added = span_attributes(entry, self._names, status=status, warnings=warnings, matched_by=key)
        return Enrichment(added, resolution, key, is_call)
