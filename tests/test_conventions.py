"""The tables of conventions: model names, providers and kinds of spans, as real instrumentations write them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from support.conventions import name_model

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import (
    CONVENTIONS,
    DECIDING_KEYS,
    MAX_JSON,
    MODEL_KEYS,
    provider_of,
    select_keys,
    with_extra_keys,
)
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, NOT_CALLS, read_kind
from spanforge.model_registry._core.span_models import ModelMatch, resolve_attributes, resolve_keys

if TYPE_CHECKING:
    from spanforge.model_registry._core.conventions import Convention

REQUEST, RESPONSE, OPERATION = "gen_ai.request.model", "gen_ai.response.model", "gen_ai.operation.name"
LS_NAME = "traceloop.association.properties.ls_model_name"
CODEX = "codex_cli_rs"


def resolve(attributes: dict[str, Any], scope: str | None = None) -> ModelMatch | None:
    """Return the model that a span names."""
    return resolve_attributes(index(), attributes, scope)


@cache
def index() -> ModelIndex:
    """Return the index of a registry with some models."""
    registry = ModelRegistry(auto_emit=False)
    for name in ("gpt-4o-mini", "house-7b", "nova-2", "gemini-2.5-flash", "gpt-5-codex", "claude-opus-4-5"):
        registry.register(name, name, "1", "low", "team", "a test")
    return ModelIndex(registry.list_all())


def describe(match: ModelMatch | None) -> tuple[str | None, str] | None:
    """Return the model and the kind of a span; ``None`` if it names no model."""
    if match is None:
        return None
    entry = match.resolution.entry
    return None if entry is None else entry.model_id, match.kind


@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: f"{row.key}-{row.scope}-{row.member}")
def test_every_convention_names_a_model(row: Convention) -> None:
    """A row names the model in its scope and under its condition, and not elsewhere."""
    attributes = name_model(row, "gpt-4o-mini")
    match = resolve(attributes, row.scope)
    assert match is not None
    assert (match.key, match.kind) == (row.key, "call" if row.calls_have is None else "agent")
    if row.scope is not None:
        assert resolve(attributes, "another") is None
    if row.when is not None:
        assert resolve({row.key: attributes[row.key]}, row.scope) is None
        assert resolve({row.key: attributes[row.key], row.when.key: 5}, row.scope) is None


def test_rows_differ() -> None:
    """No two rows have the same key, scope and member."""
    assert len({(row.key, row.scope, row.member) for row in CONVENTIONS}) == len(CONVENTIONS)
    assert all(row.when is None or row.when.key in NOT_CALLS for row in CONVENTIONS)


SPANS: list[tuple[dict[str, Any], str | None, tuple[str | None, str] | None]] = [
    # MLflow
    ({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"gpt-4o-mini"'}, None, ("gpt-4o-mini", "call")),
    ({"mlflow.spanType": '"LLM"', "mlflow.spanInputs": '{"model": "gpt-4o-mini"}'}, None, ("gpt-4o-mini", "call")),
    ({"mlflow.spanType": '"LLM"', "mlflow.spanInputs": '{"modelId": "gpt-4o-mini"}'}, None, ("gpt-4o-mini", "call")),
    ({"mlflow.spanType": "EMBEDDING", "mlflow.spanInputs": '{"model": "x"}'}, None, (None, "call")),
    ({"mlflow.spanType": '"UNKNOWN"', "mlflow.spanInputs": '{"model": "car"}'}, None, None),
    ({"mlflow.spanInputs": '{"model": "car"}'}, None, None),
    ({"mlflow.spanType": '"AGENT"', "mlflow.llm.model": '"gpt-4o-mini"'}, None, ("gpt-4o-mini", "agent")),
    ({"mlflow.spanType": '"RETRIEVER"', "mlflow.llm.model": '"gpt-4o-mini"'}, None, ("gpt-4o-mini", "other")),
    # OpenLLMetry, langchain
    ({REQUEST: "unknown", RESPONSE: "unknown", LS_NAME: "house-7b"}, None, ("house-7b", "call")),
    ({LS_NAME: "house-7b", "traceloop.span.kind": "tool"}, None, ("house-7b", "other")),
    # CrewAI
    (
        {"traceloop.span.kind": "agent", OPERATION: "invoke_agent", REQUEST: "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "agent"),
    ),
    ({"traceloop.span.kind": "workflow", REQUEST: "gpt-4o-mini"}, None, ("gpt-4o-mini", "agent")),
    # LlamaIndex under OpenLLMetry
    (
        {"traceloop.span.kind": "task", "llm.request.type": "chat", REQUEST: "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    # Vercel AI SDK
    ({"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o-mini"}, None, ("gpt-4o-mini", "agent")),
    (
        {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o-mini", REQUEST: "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    ({"ai.operationId": "ai.embed", "ai.model.id": "gpt-4o-mini"}, None, ("gpt-4o-mini", "agent")),
    ({"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
    ({"ai.operationId": "ai.rerank.doRerank", "ai.model.id": "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
    (
        {"ai.operationId": "ai.streamText.doStream", "ai.model.id": "x", "ai.response.model": "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    ({"ai.operationId": "ai.toolCall", "ai.model.id": "gpt-4o-mini"}, None, ("gpt-4o-mini", "other")),
    # coding agents
    (
        {"model": "gpt-5-codex", "wire_api": "responses", "http.method": "POST", "api.path": "responses"},
        CODEX,
        ("gpt-5-codex", "call"),
    ),
    ({"model": "gpt-5-codex", "turn.id": "1"}, CODEX, ("gpt-5-codex", "agent")),
    ({"model": "gpt-5-codex", "wire_api": "responses"}, "shop", None),
    (
        {"model": "claude-opus-4-5", "span.type": "llm_request"},
        "com.anthropic.claude_code.tracing",
        ("claude-opus-4-5", "call"),
    ),
    ({OPERATION: "llm_call", REQUEST: "gemini-2.5-flash"}, "gemini-cli", ("gemini-2.5-flash", "call")),
    ({OPERATION: "schedule_tool_calls", REQUEST: "gemini-2.5-flash"}, "gemini-cli", ("gemini-2.5-flash", "other")),
    # others
    ({OPERATION: "stt", REQUEST: "", "settings.model": "nova-2"}, "pipecat", ("nova-2", "call")),
    (
        {"genkit:name": "googleai/gemini-2.5-flash", "genkit:metadata:subtype": "model"},
        None,
        ("gemini-2.5-flash", "call"),
    ),
    ({"genkit:name": "supportFlow", "genkit:metadata:subtype": "flow"}, None, None),
    ({"llm.request.model": "gpt-4o-mini", "llm.response.model": "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
    ({"llm.invocation_parameters": '{"model_name": "gpt-4o-mini"}'}, None, ("gpt-4o-mini", "call")),
    ({"llm.invocation_parameters": '{"model": 5, "deployment_name": "house-7b"}'}, None, ("house-7b", "call")),
    ({"embedding.invocation_parameters": '{"model_id": "house-7b"}'}, None, ("house-7b", "call")),
    # conventions of 2026
    ({OPERATION: "retrieval", REQUEST: "gpt-4o-mini"}, None, ("gpt-4o-mini", "other")),
    ({OPERATION: "search_memory", REQUEST: "gpt-4o-mini"}, None, ("gpt-4o-mini", "other")),
    ({OPERATION: "embeddings", REQUEST: "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
    ({"openinference.span.kind": "RETRIEVER", "embedding.model_name": "house-7b"}, None, ("house-7b", "other")),
    ({"openinference.span.kind": "GUARDRAIL", "llm.model_name": "house-7b"}, None, ("house-7b", "other")),
    ({"openinference.span.kind": "RERANKER", "reranker.model_name": "house-7b"}, None, ("house-7b", "call")),
    ({"openinference.span.kind": "EMBEDDING", "embedding.model_name": "house-7b"}, None, ("house-7b", "call")),
    # litellm's OTel v2: databases, HTTP, guardrails and authentication
    ({"db.system.name": "postgresql", REQUEST: "gpt-4o-mini", "litellm.provider.model": "x"}, None, None),
    ({"db.system": "redis", REQUEST: "gpt-4o-mini"}, None, None),
    ({"litellm.guardrail.name": "pii", REQUEST: "gpt-4o-mini"}, None, None),
    ({REQUEST: "gpt-4o-mini", "litellm.provider.model": "openai/gpt-4o-mini", "litellm.team.id": "t"}, None, None),
    ({"http.request.method": "POST", "server.address": "api.openai.com", REQUEST: "gpt-4o-mini"}, None, None),
    ({"http.method": "GET", LS_NAME: "house-7b"}, None, None),
    (
        {OPERATION: "chat", REQUEST: "gpt-4o-mini", "litellm.provider.model": "openai/gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    # LLM spans with attributes of HTTP and databases
    (
        {"rpc.system": "aws-api", "http.status_code": 200, OPERATION: "chat", REQUEST: "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    (
        {"http.request.method": "POST", "llm.request.type": "chat", REQUEST: "gpt-4o-mini"},
        None,
        ("gpt-4o-mini", "call"),
    ),
    ({"http.method": "POST", RESPONSE: "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
    ({"db.system": "pinecone", OPERATION: "embeddings", REQUEST: "house-7b"}, None, ("house-7b", "call")),
    ({"http.response.status_code": 200, "server.address": "x", REQUEST: "gpt-4o-mini"}, None, ("gpt-4o-mini", "call")),
]


@pytest.mark.parametrize(("attributes", "scope", "expected"), SPANS)
def test_model_and_kind_of_a_span(
    attributes: dict[str, Any], scope: str | None, expected: tuple[str | None, str] | None
) -> None:
    """Spans of real instrumentations name their model, and count as calls only if they are calls."""
    assert describe(resolve(attributes, scope)) == expected


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in NOT_CALLS.items() for value in values])
def test_values_that_mark_no_calls(key: str, value: str) -> None:
    """Each value has its kind, also if it is JSON; a value that is not in the table is a call."""
    assert read_kind({key: value}) == read_kind({key: f'"{value}"'}) == NOT_CALLS[key][value]
    assert read_kind({key: f"{value}x"}) == read_kind({key: 5}) == "call"


def test_agent_comes_before_other() -> None:
    """A span that is an agent by one attribute and something else by another is an agent."""
    assert read_kind({OPERATION: "execute_tool", "openinference.span.kind": "AGENT"}) == "agent"


@pytest.mark.parametrize("row", INFRASTRUCTURE, ids=str)
def test_evidence_of_a_call(row: tuple[str, ...]) -> None:
    """A span of infrastructure names no model, unless an attribute shows that an LLM instrumentation wrote it."""
    attributes = dict.fromkeys(row, "x") | {REQUEST: "gpt-4o-mini"}
    assert resolve(attributes) is None
    for evidence in CALL_EVIDENCE:
        value = "gpt-4o-mini" if evidence in MODEL_KEYS else "chat"
        assert describe(resolve(attributes | {evidence: value})) == ("gpt-4o-mini", "call"), evidence


def test_key_of_a_setting_counts_on_every_span() -> None:
    """A key that the user named is not copied from elsewhere."""
    conventions = with_extra_keys(["gateway.model", "settings.model"])
    attributes = {"http.method": "POST", REQUEST: "house-7b", "gateway.model": "gpt-4o-mini"}
    match = resolve_attributes(index(), attributes, None, conventions)
    assert describe(match) == ("gpt-4o-mini", "call")
    assert describe(resolve_attributes(index(), {"settings.model": "nova-2"}, None, conventions)) == ("nova-2", "call")


def test_selected_keys_of_a_scope() -> None:
    """The keys for a scope have its rows and the rows of all scopes, and decide as the scope's name does."""
    attributes = {"model": "gpt-5-codex", LS_NAME: "house-7b"}
    keys = select_keys(attributes)
    assert [row.key for row in keys.for_scope(CODEX).conventions] == [LS_NAME, "model"]
    assert [row.key for row in keys.for_scope(None).conventions] == [LS_NAME]
    models = index()
    for scope in (CODEX, "other", None):
        found = resolve_keys(models, attributes, keys.for_scope(scope))
        assert found == resolve_attributes(models, attributes, scope)


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"gen_ai.system": "langchain", "traceloop.association.properties.ls_provider": "ollama"}, "ollama"),
        ({"gen_ai.provider.name": "strands-agents", "gen_ai.system": "aws.bedrock"}, "aws.bedrock"),
        ({"gen_ai.provider.name": "unknown", "llm.provider": "groq"}, "groq"),
        ({"gen_ai.provider.name": "crewai"}, "crewai"),
        ({"gen_ai.provider.name": "", "mlflow.llm.provider": '"openai"'}, "openai"),
        ({"ai.model.provider": "openai.chat"}, "openai.chat"),
        ({"gen_ai.provider.name": '""'}, None),
        ({"gen_ai.provider.name": 5}, None),
    ],
)
def test_framework_is_no_provider(attributes: dict[str, Any], provider: str | None) -> None:
    """The first provider that is no framework counts; a framework counts only if there is no other."""
    assert provider_of(attributes) == provider


@pytest.mark.parametrize("text", ["{", "[]", '{"model": {}}', '"gpt-4o-mini"', "[" * 100_000, " " * (MAX_JSON + 1)])
def test_parameters_without_a_name(text: str) -> None:
    """Invalid JSON and JSON without a name have no name, whichever member is tried."""
    assert resolve({"llm.invocation_parameters": text}) is None


def test_deciding_keys() -> None:
    """The keys that decide are those of all tables."""
    tables = {*NOT_CALLS, *CALL_EVIDENCE, *(key for row in INFRASTRUCTURE for key in row), "wire_api"}
    assert tables | {row.key for row in CONVENTIONS} <= DECIDING_KEYS
