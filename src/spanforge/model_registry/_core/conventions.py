"""Conventions: the attributes in which instrumentations write model names, providers and kinds of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.names import canonical_provider, unquote
from spanforge.model_registry._core.span_kinds import (
    CALL_EVIDENCE,
    INFRASTRUCTURE,
    NOT_CALLS,
    OPERATION_KEY,
    SpanKind,
    is_infrastructure,
    read_kind,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

MAX_JSON: Final = 262_144
"""The limit of characters of JSON parameters that are searched for a model: a millisecond's work. The parameters may
include the definitions of tools."""


class Condition(NamedTuple):
    """A condition of a row of ``CONVENTIONS``.

    Attributes:
        key: The attribute that must be present, and be text. It is a key of ``NOT_CALLS``.
        values: Its values; empty: any value.
    """

    key: str
    values: tuple[str, ...] = ()


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
        when: The condition on which the key means this; ``None``: always.
        calls_have: The attribute of calls, if other spans have the key too. Spans without it are agent spans.
    """

    key: str
    used_by: str
    response: bool = False
    scope: str | None = None
    member: str | None = None
    by_gateway: bool = False
    when: Condition | None = None
    calls_have: str | None = None


COMMON_MODEL_KEY: Final = "gen_ai.request.model"
"""The key that most LLM spans have: OpenTelemetry's convention for the request model."""

_CODEX_SCOPES = ("codex_cli_rs", "codex_exec", "codex-tui", "codex_vscode", "codex-app-server", "Codex Desktop")
"""The scope is the name of the program; see codex-rs/otel/src/provider.rs."""
_CLAUDE_CODE_SCOPES = ("com.anthropic.claude_code.tracing", "com.anthropic.claude_code.traces")
_MEMBERS = (
    "model",
    "model_name",  # LangChain, LlamaIndex
    "model_id",  # smolagents, watsonx
    "modelId",  # Bedrock
    "deployment_name",  # LangChain with Azure
    "azure_deployment",
    "deployment",
)


def _parameters(key: str, used_by: str, when: Condition | None = None) -> tuple[Convention, ...]:
    """Return the rows of JSON parameters: one for each name of the member."""
    return tuple(Convention(key, used_by, member=member, when=when) for member in _MEMBERS)


CONVENTIONS: Final = (
    Convention(
        "gen_ai.response.model", "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK", response=True
    ),
    Convention(COMMON_MODEL_KEY, "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK"),
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
    Convention("llm.response.model", "older OpenLLMetry without `gen_ai` keys, Prompt flow", response=True),
    Convention("llm.request.model", "older OpenLLMetry without `gen_ai` keys"),
    Convention("ai.response.model", "Vercel AI SDK", response=True),
    Convention("ai.model.id", "Vercel AI SDK"),
    Convention("mlflow.llm.model", "MLflow"),
    Convention("gen_ai.model_name", "Alibaba Cloud ARMS, Higress"),
    Convention("llm.model", "traceAI, Langtrace"),
    Convention(
        "genkit:name", "Genkit", when=Condition("genkit:metadata:subtype", ("model", "background-model", "embedder"))
    ),
    Convention("settings.model", "pipecat", when=Condition(OPERATION_KEY)),
    Convention("traceloop.association.properties.ls_model_name", "OpenLLMetry, langchain"),
    Convention("langsmith.metadata.ls_model_name", "LangSmith"),
    Convention("langfuse.observation.metadata.ls_model_name", "langfuse, langchain"),
    Convention("model_name", "pydantic-ai (agent spans)", scope="pydantic-ai", calls_have=COMMON_MODEL_KEY),
    *(Convention("model", "Codex", scope=scope, calls_have="wire_api") for scope in _CODEX_SCOPES),
    *(Convention("model", "Claude Code", scope=scope) for scope in _CLAUDE_CODE_SCOPES),
    *_parameters("llm.invocation_parameters", "OpenInference (failed calls)"),
    *_parameters("embedding.invocation_parameters", "OpenInference (failed calls)"),
    *_parameters(
        "mlflow.spanInputs", "MLflow", Condition("mlflow.spanType", ("CHAT_MODEL", "LLM", "EMBEDDING", "RERANKER"))
    ),
)
"""The attributes that hold a model name, as observed in real instrumentations or documented by them."""

PROVIDER_KEYS: Final = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "mlflow.llm.provider",
    "traceloop.association.properties.ls_provider",
    "langsmith.metadata.ls_provider",
    "langfuse.observation.metadata.ls_provider",
)
"""The attributes that hold the provider's name. The first that is no framework counts."""

BY_PRIORITY: Final = tuple(sorted(CONVENTIONS, key=lambda row: not row.response))
"""The conventions in the order in which they are tried: response models first."""
MODEL_KEYS: Final = frozenset(row.key for row in CONVENTIONS)

VALUE_KEYS: Final = MODEL_KEYS.union(PROVIDER_KEYS, NOT_CALLS)
"""The attributes whose values decide which model a span names, and whether it is a call of it."""
DECIDING_KEYS: Final = VALUE_KEYS.union(
    {
        *CALL_EVIDENCE,
        *(key for row in INFRASTRUCTURE for key in row),
        *(row.calls_have for row in CONVENTIONS if row.calls_have is not None),
    }
)
"""The attributes of ``VALUE_KEYS``, and those whose presence decides. Their values differ from span to span."""

_SETTING: Final = "a setting"
_decode_parameters: Final = msgspec.json.Decoder(
    msgspec.defstruct("Parameters", [(member, Any, None) for member in _MEMBERS])
).decode


def with_extra_keys(keys: Iterable[str]) -> tuple[Convention, ...]:
    """Return the conventions in the order in which they are tried, followed by extra keys that hold names."""
    common = {row.key for row in CONVENTIONS if row.scope is row.member is None and row.when is None}
    return (*BY_PRIORITY, *(Convention(key, _SETTING) for key in keys if key not in common))


class ModelKeys(NamedTuple):
    """The attribute keys of a span that decide which model it names, and whether it is a call.

    They depend on the keys alone, so spans with the same keys share them.

    Attributes:
        conventions: The conventions that may name the model, in the order in which they are tried. A row has
            ``calls_have`` only if the span does not have that attribute, and ``scope`` until ``for_scope`` chooses.
        providers: The keys of ``PROVIDER_KEYS`` that are present.
        kinds: The keys of ``NOT_CALLS`` that are present.
    """

    conventions: tuple[Convention, ...]
    providers: tuple[str, ...]
    kinds: tuple[str, ...]

    def for_scope(self, scope: str | None) -> ModelKeys:
        """Return the keys for one instrumentation scope, which has chosen among the conventions with a scope."""
        rows = tuple(row._replace(scope=None) for row in self.conventions if row.scope in {None, scope})
        return self._replace(conventions=rows)


def select_keys(keys: Container[str], conventions: Iterable[Convention] = BY_PRIORITY) -> ModelKeys:
    """Return those of a span's attribute keys that decide.

    Args:
        keys: The span's attribute keys.
        conventions: The conventions to try, in that order.
    """
    rows = [row for row in conventions if row.key in keys]
    return ModelKeys(
        tuple(_refine(rows, keys)) if rows else (),
        tuple(key for key in PROVIDER_KEYS if key in keys),
        tuple(key for key in NOT_CALLS if key in keys),
    )


def _refine(rows: list[Convention], keys: Container[str]) -> Iterator[Convention]:
    """Yield the rows that may name a model on a span with these other keys."""
    is_copied = is_infrastructure(keys)
    for row in rows:
        if row.when is not None and row.when.key not in keys:
            continue
        if is_copied and row.scope is None and row.used_by != _SETTING:
            continue  # only keys of a scope or of a setting are never copied from elsewhere
        yield row._replace(calls_have=None) if row.calls_have in keys else row


def find_names(
    attributes: Mapping[str, Any], conventions: Sequence[Convention] = BY_PRIORITY
) -> tuple[list[Convention], list[str]]:
    """Return the model names of a span with their conventions, in the order in which they are tried.

    Args:
        attributes: The span's attributes. Values that are empty or not text are ignored.
        conventions: The conventions to try, in that order. Those with a scope are skipped; see ``for_scope``.
    """
    if len(conventions) == 1:  # most spans: one row that is plain text needs no loop
        row = conventions[0]
        value = attributes.get(row.key)
        is_plain = row.scope is None and row.when is None and row.member is None
        if is_plain and type(value) is str and value[:1] not in {"", '"'}:
            return [row], [value]
    return _find_names_in_turn(attributes, conventions)


def _find_names_in_turn(
    attributes: Mapping[str, Any], conventions: Iterable[Convention]
) -> tuple[list[Convention], list[str]]:
    rows: list[Convention] = []
    names: list[str] = []
    parsed: dict[str, Any] = {}
    for row in conventions:
        value = attributes.get(row.key)
        if not isinstance(value, str):
            continue
        if row.scope is None and row.when is None and row.member is None:  # most rows
            name = _read_text(value)
        else:
            name = _read_text(_read_special(row, value, attributes, parsed))
        if name:
            rows.append(row)
            names.append(name)
    return rows, names


def _read_special(row: Convention, value: str, attributes: Mapping[str, Any], parsed: dict[str, Any]) -> str | None:
    """Return the name by a row with a condition or a member; ``parsed`` keeps parsed JSON by its key."""
    if row.scope is not None:
        return None
    if row.when is not None and not _is_fulfilled(row.when, attributes):
        return None
    if row.member is None:
        return value
    if row.key not in parsed:
        parsed[row.key] = _parse_parameters(value)
    name = getattr(parsed[row.key], row.member, None)
    return name if isinstance(name, str) else None


def _is_fulfilled(condition: Condition, attributes: Mapping[str, Any]) -> bool:
    text = _read_text(attributes.get(condition.key))
    return text is not None and (not condition.values or text in condition.values)


def _read_text(value: object) -> str | None:
    """Return a value that is text, without the quotes of JSON; ``None`` for other values."""
    if type(value) is str and value[:1] != '"':  # most values
        return value
    return unquote(str.__str__(value)) if isinstance(value, str) else None


def classify_span(
    attributes: Mapping[str, Any],
    rows: Collection[Convention],
    kinds: Iterable[str] = NOT_CALLS,
) -> SpanKind:
    """Return the kind of a span that names a model.

    Args:
        attributes: The span's attributes.
        rows: The conventions that name the model, as ``select_keys`` returns them; empty for a span that has only
            attributes of the registry.
        kinds: The keys of ``NOT_CALLS`` to try.
    """
    for row in rows:
        if row.calls_have is None:
            return read_kind(attributes, kinds)
    return "agent" if rows else read_kind(attributes, kinds)


def provider_of(attributes: Mapping[str, Any], keys: Sequence[str] = PROVIDER_KEYS) -> str | None:
    """Return the provider that a span names; ``None`` if it names none.

    A framework or a placeholder is skipped if another attribute has a provider.

    Args:
        attributes: The span's attributes.
        keys: The keys to try, in that order.
    """
    if len(keys) == 1:  # most spans
        return _read_text(attributes.get(keys[0])) or None
    texts = [text for text in map(_read_text, map(attributes.get, keys)) if text]
    if len(texts) > 1:
        texts = [text for text in texts if canonical_provider(text) is not None] or texts
    return texts[0] if texts else None


def _parse_parameters(value: str) -> Any:
    """Return JSON parameters; ``None`` if they are no JSON object, or too long."""
    if len(value) > MAX_JSON:
        return None
    try:
        return _decode_parameters(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        pass_interruption(error)
        return None
