"""Real clients under real instrumentations, against a stand-in API: each call's span says whose model it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import logfire
import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as OTelGenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.conventions import MODEL_KEYS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spanforge.model_registry import ModelRegistry

# OpenLLMetry's models use a form of configuration that pydantic means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`:DeprecationWarning")

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(api: Any) -> Iterator[openai.OpenAI]:
    """Give a client of the stand-in API."""
    with openai.OpenAI(api_key="none", base_url=f"{api.url}/v1", max_retries=0) as client:
        yield client


def chat(client: openai.OpenAI, model: str) -> None:
    assert client.chat.completions.create(model=model, messages=MESSAGES).choices[0].message.content == "hello"


def stream(client: openai.OpenAI, model: str) -> None:
    chunks = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello"


def embed(client: openai.OpenAI, model: str) -> None:
    assert client.embeddings.create(model=model, input="hello", encoding_format="float").data[0].embedding == [0.0, 1.0]


def fail(client: openai.OpenAI, model: str) -> None:  # noqa: ARG001 - the API refuses another one
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-model", messages=MESSAGES)


CALLS = [chat, stream, embed]


class Starts(SpanProcessor):
    """Notes whether spans name a model when they start."""

    def __init__(self) -> None:
        self.names_model: list[bool] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        self.names_model.append(not MODEL_KEYS.isdisjoint(span.attributes))


@pytest.fixture
def instrument() -> Iterator[Callable[[Any, Any], None]]:
    """Give a function that instruments the client for a tracer provider, until the test has ended."""
    used: list[Any] = []

    def begin(instrumentor: Any, provider: Any) -> None:
        instrumentor.instrument(tracer_provider=provider)
        used.append(instrumentor)

    yield begin
    for instrumentor in used:
        instrumentor.uninstrument()


INSTRUMENTATIONS = pytest.mark.parametrize(
    "instrumentor", [OTelGenAI, OpenLLMetry, OpenInference], ids=["OTel GenAI", "OpenLLMetry", "OpenInference"]
)


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("call", CALLS)
@INSTRUMENTATIONS
def test_a_call(  # noqa: PLR0913 - a matrix
    pipeline: Any,
    instrument: Any,
    client: openai.OpenAI,
    instrumentor: Any,
    call: Any,
    first: str,
) -> None:
    """A call of a registered model, answered under a dated name, is exported with its owner, tier and status."""
    pipes = pipeline(first=first)
    starts = Starts()
    pipes.provider.add_span_processor(starts)
    instrument(instrumentor(), pipes.provider)
    call(client, "gpt-4o")
    span = pipes.exporter.span
    assert span.ours == {
        "status": "active",
        "owner": "ml-platform",
        "risk_tier": "high",
        "model_id": "gpt-4o",
        "name": "GPT-4o",
        "version": "2024-05",
    }
    assert "gpt-4o-2024-08-06" in span.others.values(), "the answered name is on the span"
    assert starts.names_model == [instrumentor is OTelGenAI], (
        "this is what decides whether a processor at the start is enough"
    )


@pytest.mark.parametrize("first", ["ours", "exporter"])
@INSTRUMENTATIONS
def test_a_call_that_fails(  # noqa: PLR0913 - a matrix
    pipeline: Any,
    registry: ModelRegistry,
    instrument: Any,
    client: openai.OpenAI,
    instrumentor: Any,
    first: str,
) -> None:
    """A call that the API refuses is exported with the status of the model that was asked for."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=[*ON_SPANS, "matched_by"])
    pipes = pipeline(ours, first=first)
    instrument(instrumentor(), pipes.provider)
    fail(client, "")
    warned = {"status": "unregistered", "warnings": ("model 'no-such-model' is not registered",)}
    assert pipes.exporter.spans[-1].ours == warned
    registry.register("no-such-model", "None", "1", "low", "team", "a test")
    fail(client, "")
    span = pipes.exporter.spans[-1]
    assert (span.ours["status"], span.ours["owner"]) == ("active", "team")
    named = {OTelGenAI: "gen_ai.request.model", OpenLLMetry: "gen_ai.request.model"}
    assert span.ours["matched_by"] == named.get(instrumentor, "llm.invocation_parameters")
    assert names_model(span) == (instrumentor is not OpenInference)


def names_model(span: Any) -> bool:
    """Tell whether a span has an attribute that is a model's name, rather than JSON with one in it."""
    return any(key in MODEL_KEYS and not key.endswith("invocation_parameters") for key in span.others)


@INSTRUMENTATIONS
def test_the_status_after_the_answer(
    pipeline: Any,
    registry: ModelRegistry,
    instrument: Any,
    client: openai.OpenAI,
    instrumentor: Any,
) -> None:
    """A stream shows the model as it is when the stream has been read, not when it was asked for."""
    pipes = pipeline(first="exporter")
    instrument(instrumentor(), pipes.provider)
    chunks = iter(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    next(chunks)
    registry.deprecate("gpt-4o")
    list(chunks)
    assert pipes.exporter.span.ours["status"] == "deprecated"


@INSTRUMENTATIONS
def test_globs_for_answers(
    pipeline: Any,
    registry: ModelRegistry,
    instrument: Any,
    client: openai.OpenAI,
    instrumentor: Any,
) -> None:
    """An entry whose glob matches the dated name counts before the one that was asked for."""
    registry.register("dated", "GPT-4o", "2024-08-06", "high", "team", "a test", aliases=["gpt-4o-????-??-??"])
    pipes = pipeline()
    instrument(instrumentor(), pipes.provider)
    chat(client, "gpt-4o")
    assert pipes.exporter.span.ours["model_id"] == "dated"


def test_on_the_wire(registry: ModelRegistry, pipeline: Any, instrument: Any, api: Any, client: openai.OpenAI) -> None:
    """What an OTLP collector receives, in batches and from an exporter that comes first, has the attributes."""
    exporting = BatchSpanProcessor(OTLPSpanExporter(f"{api.url}/v1/traces"))
    pipes = pipeline(exporting, ModelRegistrySpanProcessor(registry), exporting=None)
    instrument(OpenInference(), pipes.provider)
    for call in [*CALLS, fail]:
        call(client, "gpt-4o")
    pipes.provider.force_flush()
    statuses = []
    for body in api.received:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {attribute.key: attribute.value for attribute in span.attributes}
                    statuses.append(values["model_registry.status"].string_value)
                    if "model_registry.warnings" in values:
                        (warning,) = values["model_registry.warnings"].array_value.values
                        assert warning.string_value == "model 'no-such-model' is not registered"
    assert statuses == ["active"] * 3 + ["unregistered"]


@pytest.fixture
def under_logfire() -> Iterator[Callable[..., logfire.Logfire]]:
    """Give a function that configures logfire, for this test only, with these processors beside its own."""
    made: list[logfire.Logfire] = []

    def configure(*processors: SpanProcessor) -> logfire.Logfire:
        provider = trace._TRACER_PROVIDER
        made.append(
            logfire.configure(
                local=True,  # nothing global
                send_to_logfire=False,
                console=False,
                metrics=False,
                inspect_arguments=False,
                additional_span_processors=processors,
            )
        )
        assert trace._TRACER_PROVIDER is provider
        return made[-1]

    yield configure
    for each in made:
        each.shutdown(flush=False)


@pytest.mark.parametrize("call", [*CALLS, fail])
@pytest.mark.parametrize("exporting", [SimpleSpanProcessor, BatchSpanProcessor])
def test_logfire(  # noqa: PLR0913 - a matrix
    registry: ModelRegistry,
    exporter: Any,
    under_logfire: Any,
    client: openai.OpenAI,
    call: Any,
    exporting: Any,
) -> None:
    """Under logfire, which wraps processors, each span that names a model is enriched for the processors after ours."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), exporting(exporter))
    with configured.instrument_openai(client):
        call(client, "gpt-4o")
    configured.force_flush()
    spans = [span for span in exporter.spans if names_model(span)]
    assert spans
    for span in spans:
        assert span.ours["status"] == ("unregistered" if call is fail else "active")
        assert span.ours.get("owner") == (None if call is fail else "ml-platform")


def test_logfire_removes_what_is_forged(registry: ModelRegistry, exporter: Any, under_logfire: Any) -> None:
    """Under logfire, too, the registry is the authority on a span that names a model, and only there."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), SimpleSpanProcessor(exporter))
    forged = {"model_registry.owner": "me", "model_registry.approved": True}
    configured.info("call", **forged | {"gen_ai.request.model": "gpt-4o"})
    configured.info("other", **forged)
    call, other = exporter.spans
    assert (call.ours["owner"], call.ours.get("approved")) == ("ml-platform", None)
    assert (other.ours["owner"], other.ours["approved"]) == ("me", True)


def test_logfire_with_an_exporter_before(
    registry: ModelRegistry, exporter: Any, under_logfire: Any, client: openai.OpenAI
) -> None:
    """Under logfire an exporter that comes before ours is too early: there the order matters, as the docs say."""
    configured = under_logfire(SimpleSpanProcessor(exporter), ModelRegistrySpanProcessor(registry))
    with configured.instrument_openai(client):
        chat(client, "gpt-4o")
    assert exporter.span.ours == {}
