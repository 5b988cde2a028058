"""Kinds of spans: calls of models, agents, and all other spans that name a model without being a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from spanforge.model_registry._core.names import unquote

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

SpanKind = Literal["call", "agent", "other"]
"""``call``: a call of the model. ``agent``: an agent or a workflow, whose calls have other spans. ``other``: a tool, a
retrieval, a guardrail, and all else that only mentions a model."""

OPERATION_KEY: Final = "gen_ai.operation.name"
"""The attribute that holds the name of the operation."""


def _kinds(agent: str, other: str) -> Mapping[str, SpanKind]:
    """Return a table of values, from lists of words."""
    kinds: dict[str, SpanKind] = dict.fromkeys(agent.split(), "agent")
    return kinds | dict.fromkeys(other.split(), "other")


_OPENINFERENCE: Final = _kinds("AGENT CHAIN", "TOOL RETRIEVER GUARDRAIL EVALUATOR PROMPT")
_ANY_CASE: Final = _kinds(
    "AGENT CHAIN WORKFLOW TASK STEP ENTRY agent chain workflow task step entry",
    "TOOL RETRIEVER GUARDRAIL EVALUATOR PROMPT tool retriever guardrail evaluator prompt",
)

# Sources: OPERATION_KEY: OpenTelemetry's GenAI conventions of 2026; eve, Gemini CLI, litellm 1.110.2, openlit, pipecat,
# Spring AI. "traceloop.span.kind": OpenLLMetry. It gives the calls of LlamaIndex the kind "task", so that is no row.
# "ai.operationId": Vercel's AI SDK, whose outer spans repeat the model. "gen_ai.span.kind": Alibaba's LoongSuite,
# traceAI. "fi.span.kind": traceAI. "span.type": Claude Code.
NOT_CALLS: Final[Mapping[str, Mapping[str, SpanKind]]] = {
    OPERATION_KEY: _kinds(
        "invoke_agent create_agent invoke_workflow agent_step agent_call workflow framework",
        "execute_tool retrieval plan search_memory create_memory update_memory upsert_memory delete_memory "
        "create_memory_store delete_memory_store tool_call schedule_tool_calls user_prompt system_prompt "
        "retrieve vectordb llm_setup llm_tool_call llm_tool_result litellm.vector_store_management "
        "litellm.vector_store_file_management litellm.responses_management",
    ),
    "openinference.span.kind": _OPENINFERENCE,
    "traceloop.span.kind": _kinds("agent workflow", "tool"),
    "mlflow.spanType": _kinds("AGENT CHAIN WORKFLOW", "TOOL RETRIEVER PARSER MEMORY GUARDRAIL EVALUATOR"),
    "ai.operationId": _kinds(
        "ai.generateText ai.streamText ai.generateObject ai.streamObject ai.embed ai.embedMany ai.rerank ai.decide",
        "ai.toolCall",
    ),
    "langfuse.observation.type": _kinds("agent chain", "tool retriever evaluator guardrail event"),
    "langsmith.span.kind": _kinds("chain", "tool retriever prompt parser"),
    "agentops.span.kind": _kinds("agent chain workflow session", "tool guardrail"),
    "gen_ai.span.kind": _ANY_CASE,
    "fi.span.kind": _ANY_CASE,
    "genkit:metadata:subtype": _kinds("agent flow", "tool tool.v2 prompt retriever indexer evaluator"),
    "span.type": _kinds("interaction", "tool tool.execution tool.blocked_on_user hook"),
}
"""The values of attributes that mark spans which are no calls, even if they name a model. Each has its kind."""

# litellm's OTel v2 copies the keys of a request from baggage to all of its spans; see litellm/integrations/otel/model.
INFRASTRUCTURE: Final = (
    ("db.system.name",),
    ("db.system",),
    ("http.request.method",),
    ("http.method",),
    ("rpc.system",),
    ("rpc.system.name",),
    ("messaging.system",),
    ("mcp.method.name",),
    ("litellm.guardrail.name",),
    ("litellm.service.name",),
    ("litellm.api_key.hash",),
    ("litellm.end_user.id",),
    ("litellm.team.id",),
    ("litellm.team.alias",),
    ("litellm.metadata.user_api_key_alias",),
    ("litellm.metadata.user_api_key_user_id",),
    ("litellm.provider.model", "gen_ai.request.model"),
)
"""Attribute keys that mark spans of databases, HTTP, guardrails and authentication; all keys of a row are present. A
model name on such a span was copied from its request, unless the span also has a key of ``CALL_EVIDENCE``."""

CALL_EVIDENCE: Final = (
    *(key for key in NOT_CALLS if key != "span.type"),  # other tools use span.type for databases and HTTP too
    "gen_ai.response.id",
    "gen_ai.response.model",
    "llm.request.type",
    "llm.response.model_name",
    "wire_api",  # Codex
)
"""Attribute keys that only LLM instrumentations write, on the spans of their own work."""


def is_infrastructure(keys: Container[str]) -> bool:
    """Check whether a span only carries the model name of a request that it is a part of.

    Args:
        keys: The span's attribute keys.
    """
    for row in INFRASTRUCTURE:
        if row[0] in keys and row[-1] in keys:
            return not any(key in keys for key in CALL_EVIDENCE)
    return False


def read_kind(attributes: Mapping[str, Any], keys: Iterable[str] = NOT_CALLS) -> SpanKind:
    """Return the kind of a span that names a model, as far as the keys of ``NOT_CALLS`` show it.

    Args:
        attributes: The span's attributes.
        keys: The keys of ``NOT_CALLS`` to try.
    """
    kind: SpanKind = "call"
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, str):
            text = unquote(value) if value[:1] == '"' else value  # MLflow writes JSON
            kind = NOT_CALLS[key].get(text, kind)
            if kind == "agent":
                return kind
    return kind
