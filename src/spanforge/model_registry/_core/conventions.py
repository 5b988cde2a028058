"""Conventions: the attributes in which instrumentations write model names and providers, and what they resolve to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from spanforge.model_registry._core.resolution import ModelIndex, Resolution

MAX_JSON: Final = 262_144
"""Characters of JSON parameters that are searched for a model."""


class Convention(NamedTuple):
    """One row of ``CONVENTIONS``.

    Attributes:
        key: The attribute that holds a model name.
        used_by: The instrumentations that write it.
        response: Whether it holds the response model.
        scope: The only instrumentation scope in which the key means this; ``None``: any.
        member: The member that is the name, if the value is a JSON object.
        by_gateway: Whether a gateway chose the name: it is neither the name that the application asked for, nor the
            name of the model that responded.
    """

    key: str
    used_by: str
    response: bool = False
    scope: str | None = None
    member: str | None = None
    by_gateway: bool = False


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
    Convention("litellm.provider.model", "litellm", by_gateway=True),
    Convention("litellm.model_group", "litellm"),
    Convention("model_name", "pydantic-ai (agent spans)", scope="pydantic-ai"),
    Convention("llm.invocation_parameters", "OpenInference (failed calls)", member="model"),
    Convention("embedding.invocation_parameters", "OpenInference (failed calls)", member="model"),
)
"""The attributes that hold a model name, as observed in real instrumentations."""

PROVIDER_KEYS: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
"""The attributes that hold the provider's name; the first that has one counts."""

NOT_CALLS: Final[Mapping[str, frozenset[str]]] = {
    "gen_ai.operation.name": frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"}),
    "openinference.span.kind": frozenset({"AGENT", "CHAIN", "TOOL"}),
}
"""The values of attributes that mark agent, workflow and tool spans, which are no calls even if they name a model."""

BY_PRIORITY: Final = tuple(sorted(CONVENTIONS, key=lambda row: not row.response))
"""The conventions in the order in which they are tried: response models first."""
COMMON_MODEL_KEY: Final = "gen_ai.request.model"
"""The key that most LLM spans have: OpenTelemetry's convention for the request model."""
MODEL_KEYS: Final = frozenset(row.key for row in CONVENTIONS)
_BY_SCOPE: Final = frozenset(row.key for row in CONVENTIONS if row.scope is not None)


class _Parameters(msgspec.Struct):
    model: Any = None


_decode_parameters = msgspec.json.Decoder(_Parameters).decode


def with_extra_keys(keys: Iterable[str]) -> tuple[Convention, ...]:
    """Return the conventions in the order in which they are tried, followed by extra keys that hold names."""
    common = {row.key for row in CONVENTIONS if row.scope is row.member is None}
    return (*BY_PRIORITY, *(Convention(key, "a setting") for key in keys if key not in common))


class ModelKeys(NamedTuple):
    """The attribute keys of a span that decide which model it names, and whether it is a call.

    They depend on the keys alone, so spans with the same keys share them.

    Attributes:
        conventions: The conventions whose key is present, in the order in which they are tried.
        providers: The keys of ``PROVIDER_KEYS`` that are present.
        kinds: The rows of ``NOT_CALLS`` whose key is present.
    """

    conventions: tuple[Convention, ...]
    providers: tuple[str, ...]
    kinds: tuple[tuple[str, frozenset[str]], ...]


def select_keys(keys: Container[str], conventions: Iterable[Convention] = BY_PRIORITY) -> ModelKeys:
    """Return those of a span's attribute keys that decide.

    Args:
        keys: The span's attribute keys.
        conventions: The conventions to try, in that order.
    """
    return ModelKeys(
        tuple(row for row in conventions if row.key in keys),
        tuple(key for key in PROVIDER_KEYS if key in keys),
        tuple(kind for kind in NOT_CALLS.items() if kind[0] in keys),
    )


def find_names(
    attributes: Mapping[str, Any], scope: str | None = None, conventions: Iterable[Convention] = BY_PRIORITY
) -> tuple[list[str], list[str]]:
    """Return the attribute keys and the model names of a span, in the order in which they are tried.

    Args:
        attributes: The span's attributes. Values that are empty or not text are ignored.
        scope: The name of the span's instrumentation scope.
        conventions: The conventions to try, in that order.
    """
    named_by: list[str] = []
    names: list[str] = []
    for key, _, _, limited_to, member, _ in conventions:
        value = attributes.get(key)
        if isinstance(value, str) and value and (limited_to is None or limited_to == scope):
            text = str.__str__(value)
            name = text if member is None else _member(text, member)
            if name:
                named_by.append(key)
                names.append(name)
    return named_by, names


class ModelMatch(msgspec.Struct):
    """The model that a span names.

    Attributes:
        resolution: The resolution of its names.
        key: The attribute key whose value matched; ``None`` if none did.
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
) -> ModelMatch | None:
    """Return the model that a span names; ``None`` for a span that names none."""
    return resolve_keys(index, attributes, scope, select_keys(attributes, conventions))


def resolve_keys(
    index: ModelIndex, attributes: Mapping[str, Any], scope: str | None, keys: ModelKeys
) -> ModelMatch | None:
    """Return the model that a span names; ``None`` for a span that names none.

    Args:
        index: The registry's entries.
        attributes: The span's attributes.
        scope: The name of the span's instrumentation scope.
        keys: Those of the span's keys that decide.
    """
    named_by, names = find_names(attributes, scope, keys.conventions)
    if not names:
        return None
    resolution = index.resolve(names, provider_of(attributes, keys.providers))
    matched_by = None
    if resolution.entry is not None:
        matched_by = named_by[names.index(resolution.candidate)]
    return ModelMatch(resolution, matched_by, is_call(attributes, named_by, keys.kinds))


def is_call(
    attributes: Mapping[str, Any],
    named_by: Collection[str],
    kinds: Iterable[tuple[str, frozenset[str]]] = tuple(NOT_CALLS.items()),
) -> bool:
    """Check that a span calls the model that it names, and is not an agent's, a workflow's or a tool's.

    Args:
        attributes: The span's attributes.
        named_by: The keys that name the model; empty for a span that has only attributes of the registry.
        kinds: The rows of ``NOT_CALLS`` to try.
    """
    if named_by and _BY_SCOPE.issuperset(named_by):
        return False
    for key, values in kinds:
        value = attributes.get(key)
        if isinstance(value, str) and value in values:
            return False
    return True


def provider_of(attributes: Mapping[str, Any], keys: Iterable[str] = PROVIDER_KEYS) -> str | None:
    """Return the provider that a span names, if it names one.

    Args:
        attributes: The span's attributes.
        keys: The keys to try, in that order.
    """
    for key in keys:
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
