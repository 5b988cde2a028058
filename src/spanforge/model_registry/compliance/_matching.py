"""``compare_matching``: the model names in telemetry that match another entry by forms than without them."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.conventions import find_names, provider_of, select_keys, with_extra_keys
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry.compliance._analysis.calls import clean_name
from spanforge.model_registry.compliance._arguments import check_keys, parse_period
from spanforge.model_registry.compliance._sources import otlp_json as otlp
from spanforge.model_registry.compliance._sources.faults import FaultLog
from spanforge.model_registry.compliance._sources.formats import open_sources, refuse_tables
from spanforge.model_registry.compliance._sources.salvage import SalvageContext, salvage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from spanforge.model_registry._core.conventions import Convention
    from spanforge.model_registry._core.matching import MatchRule
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry.compliance._sources.files import TelemetryReader
    from spanforge.model_registry.compliance._sources.formats import TelemetrySource

MAX_DIFFERENCES: Final = 50_000
"""The limit of differences that are returned. Beyond it, spans with further names are not counted."""
_MAX_EQUAL: Final = 50_000
"""The limit of names without a difference that are remembered, so that they are not resolved again."""


class MatchingDifference(NamedTuple):
    """A model name whose entry depends on whether forms match.

    Attributes:
        name: The name, as it is on the spans.
        provider: The provider on the spans; ``None`` if they have none.
        exact: The id of the entry without forms; ``None`` if the name is unregistered.
        forms: The id of the entry with forms; ``None`` if the name is unregistered.
        rule: The rule with forms: ``id``, ``alias``, ``form`` or ``glob``; ``None`` if the name is unregistered.
        spans: The number of spans with this name and provider.
    """

    name: str
    provider: str | None
    exact: str | None
    forms: str | None
    rule: MatchRule | None
    spans: int


def compare_matching(
    telemetry: Iterable[TelemetrySource] | TelemetrySource,
    from_date: str | date,
    to_date: str | date,
    *,
    registry: ModelRegistry | None = None,
    model_attributes: str | Iterable[str] = (),
) -> list[MatchingDifference]:
    """List the model names in a period's telemetry whose entries differ between ``exact`` and ``forms``.

    Use it before an upgrade, or before a change of the setting ``match``. Request and response models are compared
    separately. Copies of spans count again. Parts of the telemetry that cannot be read are ignored.

    Args:
        telemetry: The telemetry, as for ``ComplianceMappingEngine.generate_evidence_package``.
        from_date: The first instant of the period, as for that method.
        to_date: The first instant after the period.
        registry: The registry; ``None`` for the process-wide one.
        model_attributes: Additional attribute keys that contain a model name, one or several, as set for the processor.

    Returns:
        At most 50,000 differences, those with most spans first.

    Raises:
        InvalidValueError: An argument is not allowed (also a ``ValueError``).
        TelemetryError: Telemetry is missing or cannot be read (also a ``ValueError``).
        MissingExtraError: The extra ``compliance`` is required and not installed (also an ``ImportError``).
    """
    start, end = parse_period(from_date, to_date)
    conventions = with_extra_keys(check_keys(model_attributes))
    entries = (get_default_registry() if registry is None else registry).list_all()
    comparison = _Comparison(ModelIndex(entries), conventions)
    for reader in open_sources(telemetry, start, end):
        for span, scope in _read_spans(refuse_tables(reader)):
            if start <= span.start_time_unix_nano < end:
                comparison.add(span.attributes, scope)
    return comparison.list_differences()


class _Comparison:
    """Compares the entry of each name with and without forms, and counts the spans of those that differ."""

    def __init__(self, index: ModelIndex, conventions: Sequence[Convention]) -> None:
        self._index = index
        self._conventions = conventions
        self._equal: set[tuple[str, str | None]] = set()
        self._differences: dict[tuple[str, str | None], MatchingDifference] = {}
        self._spans = Counter[tuple[str, str | None]]()

    def add(self, attributes: Sequence[otlp.KeyValue], scope: str) -> None:
        """Count the names of a span, unless the span processor leaves it alone."""
        texts = otlp.get_text_attributes(attributes)
        keys = select_keys({attribute.key for attribute in attributes}, self._conventions).for_scope(scope)
        _, names = find_names(texts, keys.conventions)
        provider = provider_of(texts, keys.providers)
        for name in dict.fromkeys(names):
            key = name, provider
            if key not in self._equal and (key in self._differences or self._differs(name, provider)):
                self._spans[key] += 1

    def _differs(self, name: str, provider: str | None) -> bool:
        """Resolve a name for the first time, and return ``True`` if its difference is counted."""
        exact = self._index.find(name, provider, "exact")
        forms = self._index.find(name, provider, "forms")
        exact_id = None if exact is None else exact[0].model_id
        forms_id, rule = (None, None) if forms is None else (forms[0].model_id, forms[1])
        if exact_id == forms_id:
            if len(self._equal) >= _MAX_EQUAL:
                self._equal.clear()
            self._equal.add((name, provider))
            return False
        if len(self._differences) >= MAX_DIFFERENCES:
            return False
        shown = None if provider is None else clean_name(provider)
        self._differences[name, provider] = MatchingDifference(clean_name(name), shown, exact_id, forms_id, rule, 0)
        return True

    def list_differences(self) -> list[MatchingDifference]:
        """Return the differences, those with most spans first."""
        counted = [each._replace(spans=self._spans[key]) for key, each in self._differences.items()]
        return sorted(counted, key=lambda each: (-each.spans, each.name, each.provider or ""))


def _read_spans(reader: TelemetryReader) -> Iterator[tuple[otlp.Span, str]]:
    """Yield the spans of an input, each with the name of its instrumentation scope."""
    requests = (request for document in reader.requests() for request in _decode(document))
    all_resource_spans = (each for request in requests for each in request.resource_spans or ())
    for scope_spans in (each for resource_spans in all_resource_spans for each in resource_spans.scope_spans):
        scope = otlp.get_scope_name(scope_spans.scope)
        for span in scope_spans.spans:
            yield span, scope


def _decode(document: bytes) -> list[otlp.ExportRequest]:
    """Return a request, or those of its parts that can be read."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
        request = otlp.decode_request(document)
        if request.is_request:
            return [request]
    return list(salvage(document, SalvageContext(FaultLog(), range(0))))
