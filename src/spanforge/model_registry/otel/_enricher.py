"""Enrichment: the registry's attributes for a span. The code is pure: it uses no clock, log, counter or SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.conventions import resolve_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spanforge.model_registry._core.conventions import ModelKeys, ModelMatch
    from spanforge.model_registry._core.resolution import ModelIndex


@dataclass(slots=True)
class Enrichment:
    """The enrichment of a span, and the match that it comes from.

    Attributes:
        attributes: The attributes to add, the most important first; may be empty.
        match: The model that the span names.
    """

    attributes: dict[str, Any]
    match: ModelMatch


class Enricher:
    """Decides which attributes a span gets.

    Args:
        attribute_names: Short names of the attributes to add; a subset of ``SPAN_ATTRIBUTE_NAMES``.
        ignores_unregistered: Whether spans of unregistered models get no attributes.
    """

    def __init__(self, attribute_names: Collection[str], *, ignores_unregistered: bool) -> None:
        self._attribute_names = attribute_names
        self._ignores_unregistered = ignores_unregistered

    def enrich(
        self, attributes: Mapping[str, Any], keys: ModelKeys, scope: str | None, index: ModelIndex
    ) -> Enrichment | None:
        """Return the enrichment of a span; ``None`` if the span names no model.

        Args:
            attributes: The span's attributes.
            keys: The deciding keys among them.
            scope: The name of the span's instrumentation scope.
            index: The registry's entries.
        """
        match = resolve_keys(index, attributes, scope, keys)
        if match is None:
            return None
        resolution = match.resolution
        if resolution.entry is None and self._ignores_unregistered:
            return Enrichment({}, match)
        added = span_attributes(
            resolution.entry,
            self._attribute_names,
            status=resolution.status,
            warnings=resolution.warnings,
            matched_by=match.key,
        )
        return Enrichment(added, match)
