"""The model of a span: the entry of its request model and of its response model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from spanforge.model_registry._core.conventions import (
    BY_PRIORITY,
    classify_span,
    find_names,
    provider_of,
    select_keys,
)
from spanforge.model_registry._core.names import is_form_of, is_placeholder
from spanforge.model_registry._core.span_kinds import OPERATION_KEY
from spanforge.model_registry._core.values import quote
from spanforge.model_registry._core.warning_texts import ANSWER_NOT_REGISTERED, OTHER_ANSWERED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from spanforge.model_registry._core.conventions import Convention, ModelKeys
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.resolution import ModelIndex, Resolution
    from spanforge.model_registry._core.span_kinds import SpanKind


class SpanFacts(NamedTuple):
    """The facts that a span states beside its model.

    Attributes:
        kind: Whether the span is a call of the model.
        provider: The provider that the span names; ``None`` if it names none.
    """

    kind: SpanKind
    provider: str | None


class ModelMatch(msgspec.Struct, gc=False):
    """The model that a span names.

    Attributes:
        resolution: The resolution of the model that the span shows.
        key: The attribute key whose value matched; ``None`` if none did.
        requested: The entry of the request model, if the span shows another one.
        served: The name of the response model, if another model answered than the one that was requested.
        base_model: The name of the response model, if it is a base model of the request model's entry.
        response_registered: Whether the response model, if there is one, is registered or a form of the request model.
        kind: Whether the span is a call of the model.
        has_response: Whether the span has a request model and a response model.
    """

    resolution: Resolution
    key: str | None
    requested: ModelRegistryEntry | None = None
    served: str | None = None
    base_model: str | None = None
    response_registered: bool = True
    kind: SpanKind = "call"
    has_response: bool = False


def resolve_attributes(
    index: ModelIndex,
    attributes: Mapping[str, Any],
    scope: str | None = None,
    conventions: Iterable[Convention] = BY_PRIORITY,
    mode: MatchMode = "forms",
) -> ModelMatch | None:
    """Return the model that a span names; ``None`` for a span that names none."""
    return resolve_keys(index, attributes, select_keys(attributes, conventions).for_scope(scope), mode)


def read_span_facts(attributes: Mapping[str, Any], rows: Collection[Convention], keys: ModelKeys) -> SpanFacts:
    """Return the facts that a span states beside its model.

    Args:
        attributes: The span's attributes.
        rows: The conventions that name the model.
        keys: Those of the span's keys that decide.
    """
    return SpanFacts(classify_span(attributes, rows, keys.kinds), provider_of(attributes, keys.providers))


def resolve_keys(
    index: ModelIndex,
    attributes: Mapping[str, Any],
    keys: ModelKeys,
    mode: MatchMode = "forms",
    facts: SpanFacts | None = None,
) -> ModelMatch | None:
    """Return the model that a span names; ``None`` for a span that names none.

    Args:
        index: The registry's entries.
        attributes: The span's attributes.
        keys: Those of the span's keys that decide in its instrumentation scope.
        mode: Whether forms match.
        facts: The span's facts, if they are known; ``None``: read them from the attributes.
    """
    rows, names = find_names(attributes, keys.conventions)
    if not names:
        return None
    kind, provider = facts or read_span_facts(attributes, rows, keys)
    if len(names) > 1:
        rows, names = _remove_placeholders(rows, names, attributes.get(OPERATION_KEY))
    if len(names) == 1:  # most spans
        resolution = index.resolve(names, provider, mode)
        return ModelMatch(resolution, None if resolution.entry is None else rows[0].key, kind=kind)
    match = _compare_models(index, rows, names, provider, mode)
    match.kind = kind
    match.has_response = _has_both_models(rows)
    return match


def _has_both_models(rows: Sequence[Convention]) -> bool:
    """Check whether one of the conventions is of a request model, and one of a response model."""
    return any(row.response for row in rows) and any(not row.response and not row.by_gateway for row in rows)


def _remove_placeholders(
    rows: list[Convention], names: list[str], operation: object
) -> tuple[list[Convention], list[str]]:
    """Return the names that are no placeholders, with their conventions; all names if all are placeholders."""
    text = operation if isinstance(operation, str) else None
    kept = [(row, name) for row, name in zip(rows, names, strict=True) if not is_placeholder(name, text)]
    if len(kept) in (0, len(names)):
        return rows, names
    return [row for row, _ in kept], [name for _, name in kept]


def _compare_models(
    index: ModelIndex, rows: Sequence[Convention], names: Sequence[str], provider: str | None, mode: MatchMode
) -> ModelMatch:
    """Return the match of a span with several names, after a comparison of its request and response models."""
    requests, responses = _group_names(rows, names)
    if responses and requests:
        response = index.resolve(responses, provider, mode)
        request = index.resolve(requests, provider, mode)
        if request.entry is not None and response.entry is not request.entry:
            return _match_other_model(request.entry, request, response, rows, names)
        if response.entry is not None and names[: len(responses)] == responses:  # no other name comes first
            return ModelMatch(response, _find_key(response, rows, names))
    resolution = index.resolve(dict.fromkeys(names), provider, mode)
    return ModelMatch(resolution, _find_key(resolution, rows, names))


def _group_names(rows: Sequence[Convention], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the request model, and those of the response model that are no copies of them.

    Some gateways copy a requested name into the key of the response model.
    """
    requests = [name for row, name in zip(rows, names, strict=True) if not row.response and not row.by_gateway]
    responses = [name for row, name in zip(rows, names, strict=True) if row.response and name not in requests]
    return requests, responses


def _match_other_model(
    requested: ModelRegistryEntry,
    request: Resolution,
    response: Resolution,
    rows: Sequence[Convention],
    names: Sequence[str],
) -> ModelMatch:
    """Return the match of a span whose request model is registered and whose response model has not the same entry."""
    served = response.candidate
    if _is_base_model(requested, response):
        return ModelMatch(request, _find_key(request, rows, names), base_model=served)
    is_form = is_form_of(served, request.candidate)
    if response.entry is None and is_form:
        return ModelMatch(request, _find_key(request, rows, names))
    if response.entry is None:
        shown = request._replace(warnings=(*request.warnings, ANSWER_NOT_REGISTERED % quote(served)))
        return ModelMatch(shown, _find_key(request, rows, names), served=served, response_registered=False)
    key = _find_key(response, rows, names)
    if is_form:
        return ModelMatch(response, key, requested)
    warning = OTHER_ANSWERED % (quote(served), quote(request.candidate), quote(requested.model_id))
    return ModelMatch(response._replace(warnings=(*response.warnings, warning)), key, requested, served)


def _is_base_model(requested: ModelRegistryEntry, response: Resolution) -> bool:
    """Check whether the response model is a base model of the request model's entry."""
    served = response.candidate
    return any(
        served == base or is_form_of(served, base) or (response.entry is not None and response.entry.model_id == base)
        for base in requested.base_models
    )


def _find_key(resolution: Resolution, rows: Sequence[Convention], names: Sequence[str]) -> str | None:
    """Return the attribute key whose value matched; ``None`` if none did."""
    return None if resolution.entry is None else rows[names.index(resolution.candidate)].key
