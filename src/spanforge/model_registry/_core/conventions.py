"""From a span's attributes to model names, to its provider, and to the entry that they match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.resolution import ModelIndex, Resolution

MAX_JSON: Final = 262_144
"""Characters of JSON parameters that are looked into for a model."""


class Convention(NamedTuple):
    """One row of ``CONVENTIONS``.

    Attributes:
        key: The attribute that holds a model's name.
        used_by: Who writes it.
        response: Whether it holds the name that the provider answered with.
        scope: The only instrumentation scope in which the key means this; ``None``: any.
        member: The value is a JSON object, and this member of it is the name.
    """

    key: str
    used_by: str
    response: bool = False
    scope: str | None = None
    member: str | None = None


CONVENTIONS: Final = (
    Convention(
        "gen_ai.response.model", "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK", response=True
    ),
    Convention("gen_ai.request.model", "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK"),
    Convention("llm.response.model_name", "OpenInference", response=True),
    Convention("llm.model_name", "OpenInference"),
    Convention("llm.request.model_name", "OpenInference"),
    Convention("embedding.model_name", "OpenInference"),
    Convention("reranker.model_name", "OpenInference"),
    Convention("decision.model_name", "OpenInference"),
    Convention("decision.response.model_name", "OpenInference", response=True),
    Convention("decision.request.model_name", "OpenInference"),
    Convention("langfuse.observation.model.name", "langfuse"),
    Convention("litellm.provider.model", "litellm"),
    Convention("litellm.model_group", "litellm"),
    Convention("model_name", "pydantic-ai (agent spans)", scope="pydantic-ai"),
    Convention("llm.invocation_parameters", "OpenInference (failed calls)", member="model"),
    Convention("embedding.invocation_parameters", "OpenInference (failed calls)", member="model"),
)
"""Which attributes hold a model's name, as real instrumentations were seen to write them."""

PROVIDER_KEYS: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
"""Which attributes hold the provider's name; the first that has one counts."""

NOT_CALLS: Final[Mapping[str, frozenset[str]]] = {
    "gen_ai.operation.name": frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"}),
    "openinference.span.kind": frozenset({"AGENT", "CHAIN", "TOOL"}),
}
"""Attribute to the values with which a span is an agent's, a workflow's or a tool's, even if it names a model."""

BY_PRIORITY: Final = tuple(sorted(CONVENTIONS, key=lambda row: not row.response))
"""The conventions in the order in which they are tried: what the provider answered with, then the rest."""
MODEL_KEYS: Final = frozenset(row.key for row in CONVENTIONS)
_BY_SCOPE: Final = frozenset(row.key for row in CONVENTIONS if row.scope is not None)


class _Parameters(msgspec.Struct):
    model: Any = None


_decode_parameters = msgspec.json.Decoder(_Parameters).decode


def further(keys: Iterable[str]) -> tuple[Convention, ...]:
    """Return the conventions in the order in which they are tried, with further keys at the end that hold names."""
    plain = {row.key for row in CONVENTIONS if row.scope is row.member is None}
    return (*BY_PRIORITY, *(Convention(key, "whoever is named by a setting") for key in keys if key not in plain))


def candidates(
    attributes: Mapping[str, Any], scope: str | None = None, conventions: Iterable[Convention] = BY_PRIORITY
) -> Iterator[tuple[str, str]]:
    """Yield attribute key and model name for each name on a span, in the order in which they are tried.

    Args:
        attributes: The span's attributes. Values that are not text, or empty, are no names.
        scope: Name of the span's instrumentation scope.
        conventions: Which attributes hold names, in that order.
    """
    present = [row for row in conventions if row[0] in attributes]  # few are, so all else is done for these only
    for key, _, _, limited_to, member in present:
        value = attributes[key]
        if isinstance(value, str) and value and limited_to in (None, scope):
            text = str.__str__(value)
            name = text if member is None else _member(text, member)
            if name:
                yield key, name


class Named(NamedTuple):
    """What a span says of a model.

    Attributes:
        resolution: What is known of the model.
        key: The attribute key whose value matched; ``None`` when none did.
        is_call: Whether the span is a call of the model.
    """

    resolution: Resolution
    key: str | None
    is_call: bool


def resolve_attributes(
    index: ModelIndex,
    attributes: Mapping[str, Any],
    scope: str | None = None,
    conventions: Iterable[Convention] = BY_PRIORITY,
) -> Named | None:
    """Return what is known of the model that a span names; ``None`` for a span that names none."""
    keys: list[str] = []
    names: list[str] = []
    for key, name in candidates(attributes, scope, conventions):
        keys.append(key)
        names.append(name)
    if not names:
        return None
    resolution = index.resolve(names, provider_of(attributes))
    matched = None if resolution.entry is None else keys[names.index(resolution.candidate)]
    return Named(resolution, matched, is_call(attributes, keys))


def is_call(attributes: Mapping[str, Any], named_by: Collection[str]) -> bool:
    """Tell whether a span calls the model it names, and is not an agent's, a workflow's or a tool's.

    Args:
        attributes: The span's attributes.
        named_by: The keys of those that name the model; none for a span that only says what the registry said.
    """
    if named_by and _BY_SCOPE.issuperset(named_by):
        return False
    for key, values in NOT_CALLS.items():
        value = attributes.get(key)
        if isinstance(value, str) and value in values:
            return False
    return True


def provider_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the provider that a span names, if it names one."""
    for key in PROVIDER_KEYS:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return str.__str__(value)
    return None


def _member(value: str, member: str) -> str | None:
    if len(value) > MAX_JSON:
        return None
    try:
        name = getattr(_decode_parameters(value), member)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return name if isinstance(name, str) else None
