"""Real clients and instrumentations with a stand-in API: the span of each call is enriched."""

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


@pytest.fixture(params=[OTelGenAI, OpenLLMetry, OpenInference], ids=["OTel GenAI", "OpenLLMetry", "OpenInference"])
def instrumentor(request: pytest.FixtureRequest) -> Any:
    """Give each instrumentation of the client."""
    return request.param


@pytest.fixture
def instrumented(pipeline: Any, instrumentor: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that makes a pipeline and instruments the client for it."""

    def make(*processors: SpanProcessor, **options: Any) -> Any:
        pipes = pipeline(*processors, **options)
        instrumentor().instrument(tracer_provider=pipes.provider)
        return pipes

    yield make
    instrumentor().uninstrument()


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("call", CALLS)
def test_call_is_enriched(instrumented: Any, client: Any, instrumentor: Any, call: Any, first: str) -> None:
    """The span of a registered model has its owner, tier and status, though the response has a snapshot's name."""
    pipes = instrumented(first=first)
    starts = Starts()
    pipes.provider.add_span_processor(starts)
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
        "if all name it at the start, a processor at the start is enough"
    )


@pytest.mark.parametrize("first", ["ours", "exporter"])
def test_failed_call_is_enriched(registry: Any, instrumented: Any, client: Any, instrumentor: Any, first: str) -> None:
    """A call that the API refuses has the status of the request model."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=[*ON_SPANS, "matched_by"])
    pipes = instrumented(ours, first=first)
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
    """Check whether a span has a model name outside JSON."""
    return any(key in MODEL_KEYS and not key.endswith("invocation_parameters") for key in span.others)


def test_status_after_a_stream(registry: Any, instrumented: Any, client: Any) -> None:
    """A stream has the model's status at the end of the stream."""
    pipes = instrumented(first="exporter")
    chunks = iter(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    next(chunks)
    registry.deprecate("gpt-4o")
    list(chunks)
    assert pipes.exporter.span.ours["status"] == "deprecated"


def test_glob_of_the_response_model(registry: Any, instrumented: Any, client: Any) -> None:
    """An entry whose glob matches the response model comes before the request model's entry."""
    registry.register("dated", "GPT-4o", "2024-08-06", "high", "team", "a test", aliases=["gpt-4o-????-??-??"])
    pipes = instrumented()
    chat(client, "gpt-4o")
    assert pipes.exporter.span.ours["model_id"] == "dated"


@pytest.mark.parametrize("instrumentor", [OpenInference])
def test_attributes_in_otlp(registry: Any, instrumented: Any, api: Any, client: openai.OpenAI) -> None:
    """An OTLP receiver gets the attributes from a batch exporter that comes first."""
    exporting = BatchSpanProcessor(OTLPSpanExporter(f"{api.url}/v1/traces"))
    pipes = instrumented(exporting, ModelRegistrySpanProcessor(registry), exporting=None)
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
    registry: Any, exporter: Any, under_logfire: Any, client: Any, call: Any, exporting: Any
) -> None:
    """Under logfire, which wraps processors, spans are enriched for later processors."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), exporting(exporter))
    with configured.instrument_openai(client):
        call(client, "gpt-4o")
    configured.force_flush()
    spans = [span for span in exporter.spans if names_model(span)]
    assert spans
    for span in spans:
        assert span.ours["status"] == ("unregistered" if call is fail else "active")
        assert span.ours.get("owner") == (None if call is fail else "ml-platform")


def test_logfire_and_forged_attributes(registry: ModelRegistry, exporter: Any, under_logfire: Any) -> None:
    """Under logfire, forged attributes are removed from spans that name a model."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), SimpleSpanProcessor(exporter))
    forged = {"model_registry.owner": "me", "model_registry.approved": True}
    configured.info("call", **forged | {"gen_ai.request.model": "gpt-4o"})
    configured.info("other", **forged)
    call, other = exporter.spans
    assert (call.ours["owner"], call.ours.get("approved")) == ("ml-platform", None)
    assert (other.ours["owner"], other.ours["approved"]) == ("me", True)


def test_logfire_and_an_earlier_exporter(registry: Any, exporter: Any, under_logfire: Any, client: Any) -> None:
    """Under logfire, an exporter that comes first gets no registry attributes."""
    configured = under_logfire(SimpleSpanProcessor(exporter), ModelRegistrySpanProcessor(registry))
    with configured.instrument_openai(client):
        chat(client, "gpt-4o")
    assert exporter.span.ours == {}
