"""The resolver of the names on spans: which model each span names, as the span processor would find it."""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import PREFIX, SENDER_KEY
from spanforge.model_registry._core.conventions import (
    DECIDING_KEYS,
    VALUE_KEYS,
    provider_of,
    select_keys,
    with_extra_keys,
)
from spanforge.model_registry._core.provider_calendar import Calendar, match_call
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.span_kinds import read_kind
from spanforge.model_registry._core.span_models import resolve_keys
from spanforge.model_registry._core.values import read_quoted
from spanforge.model_registry._core.warning_texts import NOT_REGISTERED
from spanforge.model_registry.compliance._analysis.call_shutdowns import NO_SHUTDOWNS, ShutdownTimes
from spanforge.model_registry.compliance._analysis.calls import (
    LISTED_RULES,
    NO_NAME,
    NO_NAMES,
    CalledModel,
    ModelSpan,
    SpanNames,
    clean_name,
)
from spanforge.model_registry.compliance._analysis.differences import SpanClaims

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanforge.model_registry._core.announcements import Announcement
    from spanforge.model_registry._core.conventions import ModelKeys
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import Group
    from spanforge.model_registry._core.span_models import ModelMatch

_STATUS_KEY, _MODEL_ID_KEY, _OWNER_KEY, _RISK_TIER_KEY, WARNINGS_KEY = (
    PREFIX + name for name in ("status", "model_id", "owner", "risk_tier", "warnings")
)
_UNREGISTERED_WARNING: Final = re.compile(NOT_REGISTERED % "'(.*)'", re.DOTALL)

_MAX_SELECTED: Final = 1_000
"""The limit of remembered combinations of keys that decide. Real telemetry has a few dozen."""

_MAX_LATER_VALUES: Final = 4
"""The limit of values of repeated attributes that are resolved for a span. A span with more is ambiguous."""


class Resolver:
    """Resolves the names on spans as the span processor does.

    Args:
        entries: The registry's entries, in the order of registration.
        model_attributes: Additional attribute keys that contain a model name.
        times: The range, in nanoseconds since the epoch, in which states matter.
        mode: Whether forms match.
        announcements: The announcements of the provider calendar.
    """

    def __init__(
        self,
        entries: Iterable[ModelRegistryEntry],
        model_attributes: Sequence[str],
        times: range,
        mode: MatchMode = "forms",
        announcements: Iterable[Announcement] = (),
    ) -> None:
        self._calendar = Calendar(announcements)
        self._index = ModelIndex(entries)
        self._mode = mode
        self._conventions = with_extra_keys(model_attributes)
        self._times = times
        self._models: dict[tuple[str, tuple[Group, ...]], CalledModel] = {}
        self.deciding_keys = DECIDING_KEYS.union(model_attributes)
        """The attribute keys that decide how a span is counted, some of them by their presence alone."""
        self._select = lru_cache(_MAX_SELECTED)(partial(select_keys, conventions=self._conventions))
        claims = (_STATUS_KEY, _MODEL_ID_KEY, _OWNER_KEY, _RISK_TIER_KEY, WARNINGS_KEY)
        self.relevant_keys: frozenset[str] = VALUE_KEYS | {*claims, SENDER_KEY, *model_attributes}
        """The attribute keys whose values decide how a span is counted."""
        self.relevant_scopes = frozenset(row.scope for row in self._conventions if row.scope is not None)
        """The instrumentation scopes whose name decides how a span is counted."""

    def select_keys(self, keys: Iterable[str]) -> ModelKeys:
        """Return those of a span's attribute keys that decide which model it names."""
        return self._select(self.deciding_keys.intersection(keys))

    def find(
        self, texts: Mapping[str, str], warnings: Sequence[str], scope: str, keys: ModelKeys | None = None
    ) -> ModelSpan | None:
        """Return the model that a span names, with the registry's attributes on the span; ``None`` if it names none.

        Args:
            texts: The span's text attributes.
            warnings: The warnings that the span processor added to the span.
            scope: The name of the span's instrumentation scope.
            keys: What ``select_keys`` returns for all attributes of the span; ``None``: for those of ``texts``.
        """
        claims = SpanClaims(
            texts.get(_STATUS_KEY), texts.get(_MODEL_ID_KEY), texts.get(_OWNER_KEY), texts.get(_RISK_TIER_KEY)
        )
        model_keys = keys or self.select_keys(texts)
        if scope in self.relevant_scopes:
            model_keys = model_keys.for_scope(scope)
        match = resolve_keys(self._index, texts, model_keys, self._mode)
        if match is None:
            if claims.status is None:
                return None
            return ModelSpan(self._get_claimed_model(claims, warnings), claims, NO_NAMES, read_kind(texts))
        groups: tuple[Group, ...] = ()
        if self._calendar:
            provider = provider_of(texts, model_keys.providers)
            groups = match_call(self._calendar, match.resolution, provider, self._mode, match.base_model)
        model = self._get_model(match.resolution.entry, match.resolution.candidate, groups)
        names = NO_NAMES if model.entry is None else _describe_names(match)
        return ModelSpan(model, claims, names, match.kind)

    def is_ambiguous(
        self,
        model_span: ModelSpan | None,
        later_texts: Iterable[tuple[Mapping[str, str], Sequence[str]]],
        scope: str,
        keys: ModelKeys,
    ) -> bool:
        """Check whether a later value of a repeated attribute resolves otherwise; many different values do.

        Args:
            model_span: The model that the span names by the first value of each attribute.
            later_texts: For each later value, the texts and the warnings of the span if that value counts.
            scope: The name of the span's instrumentation scope.
            keys: The attribute keys that decide which model the span names.
        """
        facts = None if model_span is None else model_span.facts
        for number, later in enumerate(later_texts, 1):
            other = self.find(*later, scope, keys)
            if number > _MAX_LATER_VALUES or (None if other is None else other.facts) != facts:
                return True
        return False

    def _get_claimed_model(self, claims: SpanClaims, warnings: Sequence[str]) -> CalledModel:
        """Return the model of a span that has no model name, but has attributes of the span processor."""
        if claims.model_id is not None:
            return self._get_model(self._index.entries.get(claims.model_id), claims.model_id)
        matches = [match[1] for warning in warnings if (match := _UNREGISTERED_WARNING.fullmatch(warning))]
        return self._get_model(None, read_quoted(matches[0]) if matches else NO_NAME)

    def _get_model(self, entry: ModelRegistryEntry | None, name: str, groups: tuple[Group, ...] = ()) -> CalledModel:
        shutdowns = ShutdownTimes(groups) if groups else NO_SHUTDOWNS
        if entry is None:
            return CalledModel(None, clean_name(name), self._times, shutdowns)
        model = self._models.get((entry.model_id, groups))
        if model is None:
            model = self._models[entry.model_id, groups] = CalledModel(entry, "", self._times, shutdowns)
        return model


def _describe_names(match: ModelMatch) -> SpanNames:
    """Return the names that evidence lists for a span whose model is registered."""
    rule = match.resolution.rule if match.resolution.rule in LISTED_RULES else None
    served = "" if match.served is None else clean_name(match.served)
    return SpanNames(
        matched="" if rule is None else clean_name(match.resolution.candidate),
        rule=rule or "",
        has_response=match.has_response,
        served=served,
        requested_id=match.requested.model_id if served and match.requested is not None else None,
    )
