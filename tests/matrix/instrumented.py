"""Calls models under one instrumentation, and writes what was exported as JSON: run in the matrix's environment.

Usage: instrumented.py ROW first|last|absent    where our processor stands beside the exporter's
"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from providers import serving

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.resolution import MODEL_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

MESSAGES: Any = [{"role": "user", "content": "hello"}]
Call = tuple[str, "Callable[[], object]"]


class Copies(SimpleSpanProcessor, SpanExporter):
    """Notes which spans name a model at their start, and copies each as it is when it is exported."""

    def __init__(self) -> None:
        super().__init__(self)
        self.call = ""
        self.at_start: set[int] = set()
        self.spans: list[dict[str, Any]] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        if not MODEL_KEYS.isdisjoint(span.attributes):
            self.at_start.add(span.context.span_id)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            context, scope = span.context, span.instrumentation_scope
            assert context is not None
            self.spans.append(
                {
                    "call": self.call,
                    "name": span.name,
                    "scope": scope and scope.name,
                    "at_start": context.span_id in self.at_start,
                    "attributes": dict(span.attributes or {}),
                }
            )
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def openai_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with OpenAI's client."""
    import openai  # noqa: PLC0415 - when it is instrumented

    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    chat = client.chat.completions.create
    yield "chat", lambda: chat(model="gpt-4o", messages=MESSAGES)
    yield "stream", lambda: list(chat(model="gpt-3.5-turbo", messages=MESSAGES, stream=True))
    yield "embeddings", lambda: client.embeddings.create(model="text-embedding-3-small", input="hello")
    yield "failure", lambda: chat(model="no-such-model", messages=MESSAGES)


def anthropic_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with Anthropic's client."""
    import anthropic  # noqa: PLC0415 - when it is instrumented

    client = anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
    create: Any = client.messages.create
    yield "chat", lambda: create(model="claude-sonnet-4-5", messages=MESSAGES, max_tokens=9)
    yield "stream", lambda: list(create(model="claude-3-haiku", messages=MESSAGES, max_tokens=9, stream=True))
    yield "failure", lambda: create(model="no-such-model", messages=MESSAGES, max_tokens=9)


def bedrock_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with Amazon's client."""
    import boto3  # noqa: PLC0415 - when it is instrumented

    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    client = boto3.client("bedrock-runtime", endpoint_url=url, **keys)
    content = [{"role": "user", "content": [{"text": "hello"}]}]
    yield "chat", lambda: client.converse(modelId="amazon.nova-lite-v1:0", messages=content)
    yield "failure", lambda: client.converse(modelId="no-such-model", messages=content)


def agent_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with a pydantic-ai agent."""
    from pydantic_ai import Agent, InstrumentationSettings  # noqa: PLC0415 - others have no need of it
    from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    Agent.instrument_all(InstrumentationSettings(tracer_provider=PROVIDER))

    def run(name: str) -> object:
        model = OpenAIChatModel(name, provider=OpenAIProvider(base_url=f"{url}/v1", api_key="none"))
        return Agent(model).run_sync("hello").output

    yield "agent", lambda: run("gpt-4o")
    yield "failure", lambda: run("no-such-model")


PROVIDER = TracerProvider(shutdown_on_exit=False)


def instrument(path: str) -> None:
    """Switch an instrumentor on, by module and class."""
    if path:
        module, _, name = path.rpartition(".")
        getattr(__import__(module, fromlist=[name]), name)().instrument(tracer_provider=PROVIDER)


OTEL, OPENINFERENCE = "opentelemetry.instrumentation", "openinference.instrumentation"
ROWS: dict[str, tuple[str, str, Callable[[str], Iterator[Call]]]] = {
    "genai-openai": (
        "opentelemetry-instrumentation-genai-openai",
        f"{OTEL}.genai.openai.OpenAIInstrumentor",
        openai_calls,
    ),
    "genai-anthropic": (
        "opentelemetry-instrumentation-genai-anthropic",
        f"{OTEL}.genai.anthropic.AnthropicInstrumentor",
        anthropic_calls,
    ),
    "botocore": ("opentelemetry-instrumentation-botocore", f"{OTEL}.botocore.BotocoreInstrumentor", bedrock_calls),
    "openllmetry-openai": ("opentelemetry-instrumentation-openai", f"{OTEL}.openai.OpenAIInstrumentor", openai_calls),
    "openllmetry-anthropic": (
        "opentelemetry-instrumentation-anthropic",
        f"{OTEL}.anthropic.AnthropicInstrumentor",
        anthropic_calls,
    ),
    "openinference-openai": (
        "openinference-instrumentation-openai",
        f"{OPENINFERENCE}.openai.OpenAIInstrumentor",
        openai_calls,
    ),
    "openinference-anthropic": (
        "openinference-instrumentation-anthropic",
        f"{OPENINFERENCE}.anthropic.AnthropicInstrumentor",
        anthropic_calls,
    ),
    "anthropic": ("anthropic", "", anthropic_calls),
    "pydantic-ai": ("pydantic-ai-slim", "", agent_calls),
}
"""Row to package, instrumentor and calls."""


def registered() -> ModelRegistry:
    """Return a registry of models that are active, deprecated and retired."""
    registry = ModelRegistry(auto_emit=False)
    for name in ("gpt-4o", "gpt-3.5-turbo", "text-embedding-3-small", "claude-sonnet-4-5", "claude-3-haiku"):
        registry.register(name, name, "1", "high", "ml-platform", "the matrix")
    registry.register("nova", "Nova", "1", "low", "ml-platform", "the matrix", aliases=["amazon.nova-*"])
    registry.deprecate("gpt-3.5-turbo")
    registry.retire("claude-3-haiku")
    return registry


def main(name: str, ours: str) -> None:
    """Make the calls of a row, and write what was exported."""
    package, instrumentor, calls = ROWS[name]
    copies = Copies()
    registering = ModelRegistrySpanProcessor(registered(), span_attributes="+matched_by")
    order = {"first": [registering, copies], "last": [copies, registering], "absent": [copies]}[ours]
    for processor in order:
        PROVIDER.add_span_processor(processor)
    trace.set_tracer_provider(PROVIDER)
    instrument(instrumentor)
    failed = {}
    with serving() as url:
        for call, run in calls(url):
            copies.call, failed[call] = call, True
            with suppress(Exception) if call == "failure" else nullcontext():
                run()
                failed[call] = False
    found = {"version": version(package), "failed": failed, "spans": copies.spans}
    json.dump(found, sys.stdout, default=list)


if __name__ == "__main__":
    main(*sys.argv[1:])
