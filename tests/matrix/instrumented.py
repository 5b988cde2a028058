"""Calls models under one instrumentation, and writes what was exported as JSON: run in the matrix's environment.

Usage: instrumented.py ROW first|last|absent FILE    where our processor stands beside the exporter's
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from providers import serving

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import MODEL_KEYS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

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

    def has_some(self) -> bool:
        """Check whether there is a span of the last call."""
        return any(span["call"] == self.call for span in self.spans)

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


def pydantic_ai_calls(url: str) -> Iterator[Call]:
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


def langchain_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with LangChain."""
    from langchain.agents import create_agent  # noqa: PLC0415 - when it is instrumented
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    def chat(name: str) -> Any:
        return ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="none", max_retries=0)

    yield "chat", lambda: chat("gpt-4o").invoke("hello")
    yield "stream", lambda: list(chat("gpt-3.5-turbo").stream("hello"))
    yield "agent", lambda: create_agent(chat("gpt-4o"), tools=[]).invoke({"messages": MESSAGES})
    yield "failure", lambda: chat("no-such-model").invoke("hello")


def openai_agents_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with OpenAI's agents."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner  # noqa: PLC0415 - others have no need of it
    from openai import AsyncOpenAI  # noqa: PLC0415

    def run(name: str) -> object:
        client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
        model = OpenAIChatCompletionsModel(name, client)
        return Runner.run_sync(Agent("helper", model=model), "hello").final_output

    yield "agent", lambda: run("gpt-4o")
    yield "failure", lambda: run("no-such-model")


def langfuse_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with the client of OpenAI that langfuse wraps."""
    from langfuse import Langfuse  # noqa: PLC0415 - others have no need of it

    Langfuse(public_key="none", secret_key="none", base_url=url, tracer_provider=PROVIDER)
    import langfuse.openai  # noqa: PLC0415

    del langfuse
    yield from openai_calls(url)


def litellm_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with litellm."""
    import litellm  # noqa: PLC0415 - others have no need of it
    from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig  # noqa: PLC0415

    litellm.callbacks = [OpenTelemetry(OpenTelemetryConfig(exporter="console"), tracer_provider=PROVIDER)]
    options = {"api_base": f"{url}/v1", "api_key": "none", "num_retries": 0}
    yield "chat", lambda: litellm.completion("openai/gpt-4o", MESSAGES, **options)
    yield "stream", lambda: list(litellm.completion("openai/gpt-3.5-turbo", MESSAGES, stream=True, **options))
    yield "embeddings", lambda: litellm.embedding("openai/text-embedding-3-small", ["hello"], **options)
    yield "failure", lambda: litellm.completion("openai/no-such-model", MESSAGES, **options)


def logfire_calls(url: str) -> Iterator[Call]:
    """Yield what is to be called with OpenAI's client under logfire, which has a provider of its own."""
    import logfire  # noqa: PLC0415 - others have no need of it

    own = logfire.configure(
        local=True,
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=PROCESSORS,
    )
    own.instrument_openai()
    yield from openai_calls(url)


PROVIDER = TracerProvider(shutdown_on_exit=False)
PROCESSORS: list[SpanProcessor] = []
"""Ours and the exporter's, in the order that is run."""


def instrument(path: str) -> None:
    """Switch an instrumentor on, by module and class."""
    if path:
        module, _, name = path.rpartition(".")
        getattr(__import__(module, fromlist=[name]), name)().instrument(tracer_provider=PROVIDER)


CALLS: dict[str, Callable[[str], Iterator[Call]]] = {
    "anthropic": anthropic_calls,
    "bedrock": bedrock_calls,
    "langchain": langchain_calls,
    "langfuse": langfuse_calls,
    "litellm": litellm_calls,
    "logfire": logfire_calls,
    "openai": openai_calls,
    "openai_agents": openai_agents_calls,
    "pydantic_ai": pydantic_ai_calls,
}


def registered() -> ModelRegistry:
    """Return a registry of models that are active, deprecated and retired; some have aliases for dated names."""
    registry = ModelRegistry(auto_emit=False)
    for name, aliases in {
        "gpt-4o": ["gpt-4o-????-??-??"],
        "gpt-3.5-turbo": ["gpt-3.5-turbo-*"],
        "text-embedding-3-small": [],
        "claude-sonnet-4-5": [],  # what the answer is called, nobody has registered
        "claude-3-haiku": [],
        "nova": ["amazon.nova-*"],
    }.items():
        registry.register(name, name, "1", "high", "ml-platform", "the matrix", aliases=aliases)
    registry.deprecate("gpt-3.5-turbo")
    registry.retire("claude-3-haiku")
    return registry


def settle(copies: Copies, seconds: float = 5) -> None:
    """Wait until the spans of a call are there: some libraries make them in a thread."""
    deadline, number = time.monotonic() + seconds, -1
    while time.monotonic() < deadline and (number != len(copies.spans) or not copies.has_some()):
        number = len(copies.spans)
        time.sleep(0.1)


def main(name: str, order: str) -> None:
    """Make the calls of a row, and write what was exported."""
    rows = json.loads(Path(__file__).with_name("rows.json").read_text("utf-8"))
    (row,) = [row for row in rows if row["row"] == name]
    copies = Copies()
    ours = ModelRegistrySpanProcessor(registered(), span_attributes="+matched_by")
    PROCESSORS.extend({"first": [ours, copies], "last": [copies, ours], "absent": [copies]}[order])
    for processor in PROCESSORS:
        PROVIDER.add_span_processor(processor)
    trace.set_tracer_provider(PROVIDER)
    instrument(row["instrumentor"])
    failed = {}
    with serving() as url:
        for call, run in CALLS[row["calls"]](url):
            copies.call, failed[call] = call, True
            with suppress(Exception) if call == "failure" else nullcontext():
                run()
                failed[call] = False
            settle(copies)
    found = {"version": version(row["package"]), "failed": failed, "spans": copies.spans}
    Path(sys.argv[3]).write_text(json.dumps(found, default=list), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:3])
