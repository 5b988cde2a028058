"""The model of a span: the attributes that name it, the entry, and what the span processor would add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.conventions import (
    MODEL_KEYS,
    Convention,
    ModelKeys,
    find_names,
    provider_of,
    select_keys,
    with_extra_keys,
)
from spanforge.model_registry._core.settings import MODEL_ATTRIBUTES, SPAN_ATTRIBUTES, UNREGISTERED_POLICY
from spanforge.model_registry._core.span_kinds import INFRASTRUCTURE, is_infrastructure
from spanforge.model_registry.otel._enricher import Enricher

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._cli.span_files import FileSpan
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.span_models import ModelMatch

MAX_GROUPS: Final = 200
"""The limit of groups of spans that are kept; further spans are only counted. The names come from the network."""
SPAN_KIND_WORDS: Final = {
    "call": "a call of the model",
    "agent": "an agent or a workflow, whose calls have spans of their own",
    "other": "no call: a tool, a retrieval or the like",
}
"""The kinds of spans in words."""


class NamedModel(NamedTuple):
    """A model name on a span.

    Attributes:
        key: The attribute that holds it.
        name: The name.
        role: ``request``, ``response`` or ``gateway``: who chose the model.
    """

    key: str
    name: str
    role: str


class SpanReport(msgspec.Struct):
    """The spans of a file that are alike: with the same names, provider, kind, scope, service and span name.

    Attributes:
        span: The first of them.
        names: The model names, in the order in which they are tried.
        provider: The provider that the span names, if any.
        provider_key: The attribute that holds it.
        match: The model that the span shows.
        added: The attributes that the span processor would add.
        count: The number of spans.
    """

    span: FileSpan
    names: tuple[NamedModel, ...]
    provider: str | None
    provider_key: str | None
    match: ModelMatch
    added: dict[str, Any]
    count: int = 1


class SpanReports(msgspec.Struct):
    """The spans of a file.

    Attributes:
        groups: The reports of the spans that name a model.
        spans: The number of all spans.
        naming: The number of spans that name a model.
        copied: The number of spans with a copied model name, and an attribute that shows it.
    """

    groups: list[SpanReport]
    spans: int = 0
    naming: int = 0
    copied: dict[str, int] = {}


class SpanExaminer:
    """Examines spans as the span processor would, with the settings of the environment.

    Args:
        index: The registry's entries.
        mode: Whether forms match.
        day: The provider calendar; ``None`` if there is none.
    """

    def __init__(self, index: ModelIndex, mode: MatchMode, day: CalendarDay | None) -> None:
        self._index, self._day = index, day
        self._conventions = with_extra_keys(MODEL_ATTRIBUTES.read())
        ignores = UNREGISTERED_POLICY.read() == "ignore"
        self._enricher = Enricher(SPAN_ATTRIBUTES.read(), ignores_unregistered=ignores, mode=mode)

    def examine(self, span: FileSpan) -> SpanReport | None:
        """Return the report of one span; ``None`` if it names no model."""
        keys = select_keys(span.attributes, self._conventions).for_scope(span.scope)
        rows, names = find_names(span.attributes, keys.conventions)
        enrichment = self._enricher.enrich(span.attributes, keys, self._index, calendar=self._day)
        if enrichment is None:
            return None
        provider = provider_of(span.attributes, keys.providers)
        return SpanReport(
            span,
            tuple(NamedModel(row.key, name, _find_role(row)) for row, name in zip(rows, names, strict=True)),
            provider,
            _find_provider_key(span.attributes, keys, provider),
            enrichment.match,
            enrichment.attributes,
        )

    def group(self, spans: Iterable[FileSpan]) -> SpanReports:
        """Return the reports of spans, one for all that are alike."""
        reports, groups = SpanReports([]), dict[Any, SpanReport]()
        for span in spans:
            reports.spans += 1
            report = self.examine(span)
            if report is None:
                _count_copied(reports.copied, span.attributes)
                continue
            reports.naming += 1
            key = (span.name, span.service, span.scope, report.names, report.provider, report.match.kind)
            if key in groups:
                groups[key].count += 1
            elif len(groups) < MAX_GROUPS:
                groups[key] = report
        reports.groups = list(groups.values())
        return reports


def _find_role(row: Convention) -> str:
    if row.by_gateway:
        return "gateway"
    return "response" if row.response else "request"


def _find_provider_key(attributes: dict[str, Any], keys: ModelKeys, provider: str | None) -> str | None:
    """Return the attribute whose value is the provider."""
    return next((key for key in keys.providers if provider and provider_of(attributes, [key]) == provider), None)


def _count_copied(copied: dict[str, int], attributes: dict[str, Any]) -> None:
    """Count a span whose model name is ignored, because it was copied from a request."""
    if MODEL_KEYS.isdisjoint(attributes) or not is_infrastructure(attributes):
        return
    key = next(row[0] for row in INFRASTRUCTURE if row[0] in attributes and row[-1] in attributes)
    copied[key] = copied.get(key, 0) + 1
