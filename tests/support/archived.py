"""Attributes of calls that the Collector's archive has to keep, and those that it must not keep."""

from __future__ import annotations

FACTS = {
    "gen_ai.request.model": "m-high",
    "gen_ai.response.model": "m-high",
    "gen_ai.response.id": "resp-1",
    "gen_ai.provider.name": "openai",
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 34,
    "error.type": "timeout",
}
"""Attributes that an instrumentation sets on the span of a call and that the archive keeps."""
CONTENT_KEYS = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.tool.call.arguments",
    "llm.input_messages.0.message.content",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "llm.invocation_parameters",
    "llm.system.prompt",
    "embedding.invocation_parameters",
    "embedding.embeddings.0.embedding.text",
    "reranker.query",
    "input.value",
    "output.value",
    "langfuse.observation.input",
    "traceloop.entity.input",
    "model_name_and_prompt",
    "pydantic_ai.all_messages",
    "error.type.message",
    "xmodel_registry.prompt",
)
"""Attributes that hold prompts, completions and tool calls, or could."""
