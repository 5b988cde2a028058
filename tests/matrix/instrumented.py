"""Calls models under one instrumentation, and writes what was exported as JSON: run in the matrix's environment.

Usage: instrumented.py ROW first|last|absent FILE    where our processor stands beside the exporter's
"""

from __future__ import annotations

import asyncio
import json
import os
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
    """Yield the calls with OpenAI's client."""
    import openai  # noqa: PLC0415 - when it is instrumented

    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    chat = client.chat.completions.create
    yield "chat", lambda: chat(model="gpt-4o", messages=MESSAGES)
    yield "stream", lambda: list(chat(model="gpt-3.5-turbo", messages=MESSAGES, stream=True))
    yield "embeddings", lambda: client.embeddings.create(model="text-embedding-3-small", input="hello")
    yield "failure", lambda: chat(model="no-such-model", messages=MESSAGES)


def anthropic_calls(url: str) -> Iterator[Call]:
    """Yield the calls with Anthropic's client."""
    import anthropic  # noqa: PLC0415 - when it is instrumented

    client = anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
    create: Any = client.messages.create
    yield "chat", lambda: create(model="claude-sonnet-4-5", messages=MESSAGES, max_tokens=9)
    yield "stream", lambda: list(create(model="claude-3-haiku", messages=MESSAGES, max_tokens=9, stream=True))
    yield "failure", lambda: create(model="no-such-model", messages=MESSAGES, max_tokens=9)


def bedrock_calls(url: str) -> Iterator[Call]:
    """Yield the calls with Amazon's client."""
    import boto3  # noqa: PLC0415 - when it is instrumented

    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    client = boto3.client("bedrock-runtime", endpoint_url=url, **keys)
    content = [{"role": "user", "content": [{"text": "hello"}]}]
    profile = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{profile}"
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": MESSAGES})

    yield "chat", lambda: client.converse(modelId="amazon.nova-lite-v1:0", messages=content)
    yield "profile", lambda: client.converse(modelId=profile, messages=content)
    yield "ARN", lambda: client.converse(modelId=arn, messages=content)
    yield "invoke", lambda: client.invoke_model(modelId=profile, body=body)["body"].read()  # noqa: PLW0108 - it calls
    yield "failure", lambda: client.converse(modelId="no-such-model", messages=content)


def google_calls(url: str) -> Iterator[Call]:
    """Yield the calls with Google's client."""
    from google import genai  # noqa: PLC0415 - when it is instrumented

    client = genai.Client(api_key="none", http_options={"base_url": url})  # it closes when nothing refers to it
    yield "chat", lambda: client.models.generate_content(model="gemini-2.5-flash", contents="hello")
    yield "path", lambda: client.models.generate_content(model="models/gemini-2.5-flash", contents="hello")
    yield "stream", lambda: list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello"))
    yield "failure", lambda: client.models.generate_content(model="no-such-model", contents="hello")


def adk_calls(url: str) -> Iterator[Call]:
    """Yield the calls with an agent of Google's ADK. ADK makes spans itself."""
    from google.adk.agents import LlmAgent  # noqa: PLC0415 - others have no need of it
    from google.adk.runners import InMemoryRunner  # noqa: PLC0415
    from google.genai import types  # noqa: PLC0415

    os.environ.update(GOOGLE_API_KEY="none", GOOGLE_GEMINI_BASE_URL=url, GOOGLE_GENAI_USE_VERTEXAI="false")

    async def run(name: str) -> None:
        runner = InMemoryRunner(LlmAgent(name="helper", model=name), app_name="matrix")
        session = await runner.session_service.create_session(app_name="matrix", user_id="someone")
        text = types.Content(role="user", parts=[types.Part(text="hello")])
        async for _ in runner.run_async(user_id="someone", session_id=session.id, new_message=text):
            pass

    yield "agent", lambda: asyncio.run(run("gemini-2.5-flash"))
    yield "failure", lambda: asyncio.run(run("gemini-no-such"))


def azure_calls(url: str) -> Iterator[Call]:
    """Yield the calls with OpenAI's client for Azure. A deployment may have any name."""
    import openai  # noqa: PLC0415 - when it is instrumented

    client = openai.AzureOpenAI(api_key="none", azure_endpoint=url, api_version="2024-10-21", max_retries=0)
    chat = client.chat.completions.create
    yield "chat", lambda: chat(model="gpt-4o", messages=MESSAGES)
    yield "deployment", lambda: chat(model="team-chat", messages=MESSAGES)
    yield "failure", lambda: chat(model="no-such-model", messages=MESSAGES)


def crewai_calls(url: str) -> Iterator[Call]:
    """Yield the calls with an agent of CrewAI."""
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_DISABLE_TRACKING="true")
    from crewai import LLM, Agent, Crew, Task  # noqa: PLC0415 - when it is instrumented

    def run(name: str) -> object:
        model = LLM(model=f"openai/{name}", base_url=f"{url}/v1", api_key="none")
        agent = Agent(role="helper", goal="help", backstory="helpful", llm=model)
        task = Task(description="Say hello.", expected_output="hello", agent=agent)
        return Crew(agents=[agent], tasks=[task]).kickoff()

    yield "agent", lambda: run("gpt-4o")


def mlflow_calls(url: str) -> Iterator[Call]:
    """Yield the calls with OpenAI's client under MLflow, which a setting makes use the global provider."""
    os.environ.update(MLFLOW_USE_DEFAULT_TRACER_PROVIDER="false")
    os.environ.update(MLFLOW_TRACKING_URI=url, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    import mlflow  # noqa: PLC0415 - others have no need of it
    from mlflow.entities.trace_location import MlflowExperimentLocation  # noqa: PLC0415

    mlflow.tracing.set_destination(MlflowExperimentLocation(experiment_id="0"))
    mlflow.openai.autolog()
    yield from openai_calls(url)


def pydantic_ai_calls(url: str) -> Iterator[Call]:
    """Yield the calls with a pydantic-ai agent."""
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
    """Yield the calls with LangChain."""
    from langchain.agents import create_agent  # noqa: PLC0415 - when it is instrumented
    from langchain_openai import ChatOpenAI  # noqa: PLC0415

    def chat(name: str) -> Any:
        return ChatOpenAI(model=name, base_url=f"{url}/v1", api_key="none", max_retries=0)

    yield "chat", lambda: chat("gpt-4o").invoke("hello")
    yield "stream", lambda: list(chat("gpt-3.5-turbo").stream("hello"))
    yield "agent", lambda: create_agent(chat("gpt-4o"), tools=[]).invoke({"messages": MESSAGES})
    yield "failure", lambda: chat("no-such-model").invoke("hello")


def openai_agents_calls(url: str) -> Iterator[Call]:
    """Yield the calls with OpenAI's agents."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner  # noqa: PLC0415 - others have no need of it
    from openai import AsyncOpenAI  # noqa: PLC0415

    def run(name: str) -> object:
        client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
        model = OpenAIChatCompletionsModel(name, client)
        return Runner.run_sync(Agent("helper", model=model), "hello").final_output

    yield "agent", lambda: run("gpt-4o")
    yield "failure", lambda: run("no-such-model")


def langfuse_calls(url: str) -> Iterator[Call]:
    """Yield the calls with the client of OpenAI that langfuse wraps."""
    from langfuse import Langfuse  # noqa: PLC0415 - others have no need of it

    Langfuse(public_key="none", secret_key="none", base_url=url, tracer_provider=PROVIDER)
    import langfuse.openai  # noqa: PLC0415

    del langfuse
    yield from openai_calls(url)


def litellm_calls(url: str) -> Iterator[Call]:
    """Yield the calls with litellm."""
    import litellm  # noqa: PLC0415 - others have no need of it
    from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig  # noqa: PLC0415

    litellm.callbacks = [OpenTelemetry(OpenTelemetryConfig(exporter="console"), tracer_provider=PROVIDER)]
    options = {"api_base": f"{url}/v1", "api_key": "none", "num_retries": 0}
    yield "chat", lambda: litellm.completion("openai/gpt-4o", MESSAGES, **options)
    yield "stream", lambda: list(litellm.completion("openai/gpt-3.5-turbo", MESSAGES, stream=True, **options))
    yield "embeddings", lambda: litellm.embedding("openai/text-embedding-3-small", ["hello"], **options)
    yield "failure", lambda: litellm.completion("openai/no-such-model", MESSAGES, **options)


def litellm_v2_calls(url: str) -> Iterator[Call]:
    """Yield a request of litellm's proxy: its OpenTelemetry v2 copies the model's name to all spans of a request."""
    os.environ["LITELLM_OTEL_V2"] = "true"
    import litellm  # noqa: PLC0415 - others have no need of it
    from litellm.integrations.otel import OpenTelemetryV2Config  # noqa: PLC0415
    from litellm.integrations.otel.logger import OpenTelemetryV2  # noqa: PLC0415
    from litellm.integrations.otel.plumbing.providers import LiteLLMBaggageSpanProcessor  # noqa: PLC0415
    from litellm.proxy._types import UserAPIKeyAuth  # noqa: PLC0415
    from litellm.types.services import ServiceLoggerPayload, ServiceTypes  # noqa: PLC0415

    config = OpenTelemetryV2Config(exporter="console")
    PROVIDER.add_span_processor(LiteLLMBaggageSpanProcessor(config.baggage_promoted_keys))
    logger = OpenTelemetryV2(config, tracer_provider=PROVIDER)
    litellm.callbacks = [logger]
    database = ServiceLoggerPayload(
        is_error=False, error=None, service=ServiceTypes.DB, duration=0.1, call_type="read", event_metadata=None
    )

    async def request(name: str) -> None:
        logger.seed_request_identity(UserAPIKeyAuth(api_key="none", team_id="team"), model=name)
        now = time.time()
        with logger.start_phase_span("auth /chat/completions"):
            await logger.async_service_success_hook(database, start_time=now - 0.1, end_time=now)
        await litellm.acompletion(f"openai/{name}", MESSAGES, api_base=f"{url}/v1", api_key="none", num_retries=0)
        await asyncio.sleep(1)  # a task of litellm ends the span

    yield "chat", lambda: asyncio.run(request("gpt-4o"))
    yield "failure", lambda: asyncio.run(request("no-such-model"))


def logfire_calls(url: str) -> Iterator[Call]:
    """Yield the calls with OpenAI's client under logfire, which has a provider of its own."""
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
    "adk": adk_calls,
    "anthropic": anthropic_calls,
    "azure": azure_calls,
    "bedrock": bedrock_calls,
    "crewai": crewai_calls,
    "google": google_calls,
    "langchain": langchain_calls,
    "langfuse": langfuse_calls,
    "litellm": litellm_calls,
    "litellm_v2": litellm_v2_calls,
    "logfire": logfire_calls,
    "mlflow": mlflow_calls,
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
        "nova": ["amazon.nova-*", "nova-lite-*"],
        "gemini-2.5-flash": [],
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
