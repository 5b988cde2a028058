"""Enrichment: the registry's attributes for a span. The code is pure: it uses no clock, log, counter or SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.attributes import PREFIX, UNREGISTERED_NAMES, span_attributes
from spanforge.model_registry._core.span_models import resolve_keys
from spanforge.model_registry.otel._shutdowns import find_near_shutdown, warn_of_shutdown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from spanforge.model_registry._core.conventions import ModelKeys
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.span_models import ModelMatch, SpanFacts
    from spanforge.model_registry.otel._shutdowns import NearShutdown

_SHUTDOWN_NAME: Final = "provider_sunset_date"


class Enrichment(msgspec.Struct, gc=False):
    """The enrichment of a span, and the match that it comes from.

    Attributes:
        attributes: The attributes to add, the most important first; may be empty.
        match: The model that the span names.
        shutdown: The shutdown of the model at its provider, if it is near or past.
    """

    attributes: dict[str, Any]
    match: ModelMatch
    shutdown: NearShutdown | None = None


class Enricher:
    """Decides which attributes a span gets.

    Args:
        attribute_names: Short names of the attributes to add; a subset of ``SPAN_ATTRIBUTE_NAMES``.
        ignores_unregistered: Whether spans of unregistered models get no attributes.
        mode: Whether forms match.
    """

    def __init__(
        self, attribute_names: Collection[str], *, ignores_unregistered: bool, mode: MatchMode = "forms"
    ) -> None:
        self._attribute_names = attribute_names
        self._mode = mode
        unregistered_names = [] if ignores_unregistered else UNREGISTERED_NAMES
        self._unregistered_rows = [(PREFIX + name, name) for name in unregistered_names if name in attribute_names]

    def enrich(
        self,
        attributes: Mapping[str, Any],
        keys: ModelKeys,
        index: ModelIndex,
        facts: SpanFacts | None = None,
        calendar: CalendarDay | None = None,
    ) -> Enrichment | None:
        """Return the enrichment of a span; ``None`` if the span names no model.

        Args:
            attributes: The span's attributes.
            keys: The deciding keys among them, in the span's instrumentation scope.
            index: The registry's entries.
            facts: The span's facts, if they are known; ``None``: read them from the attributes.
            calendar: The provider calendar in force; ``None`` if there is none.
        """
        match = resolve_keys(index, attributes, keys, self._mode, facts)
        if match is None:
            return None
        resolution = match.resolution
        shutdown = None
        if calendar is not None:
            shutdown = find_near_shutdown(calendar, match, attributes, keys, self._mode)
            resolution = warn_of_shutdown(resolution, shutdown)
        if resolution.entry is None:
            added = {}
            for key, name in self._unregistered_rows:
                added[key] = getattr(resolution, name)
            if added and shutdown is not None:
                added.update(self._describe_shutdown(shutdown))
        else:
            added = span_attributes(
                resolution.entry,
                self._attribute_names,
                warnings=resolution.warnings,
                provider_sunset_date=None if shutdown is None else shutdown.date,
                requested_model_id=None if match.requested is None else match.requested.model_id,
                response_registered=None if match.response_registered else False,
                matched_by=match.key,
                match_rule=resolution.rule,
            )
        return Enrichment(added, match, shutdown)

    def _describe_shutdown(self, shutdown: NearShutdown) -> dict[str, Any]:
        is_chosen = _SHUTDOWN_NAME in self._attribute_names
        return {PREFIX + _SHUTDOWN_NAME: shutdown.date} if is_chosen else {}
