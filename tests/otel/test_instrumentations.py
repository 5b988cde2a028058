"""Real clients and instrumentations with a stand-in API: the span of each call is enriched. The matrix has more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import logfire
import openai
import pytest
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as OTelGenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor as OpenLLMetry
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.models_api import serving_models

from spanforge.model_registry._core.conventions import MODEL_KEYS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# OpenLLMetry's models use a form of configuration that pydantic means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Support for class-based `config`:DeprecationWarning")

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[openai.OpenAI]:
    """Give a client of the stand-in API."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving_models() as url, openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
        yield client


def chat(client: openai.OpenAI, model: str = "gpt-4o") -> None:
    assert client.chat.completions.create(model=model, messages=MESSAGES).choices[0].message.content


def stream(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def embed(client: openai.OpenAI) -> None:
    assert client.embeddings.create(model="gpt-4o", input="hello", encoding_format="float").data[0].embedding


def fail(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        chat(client, "no-such-model")


def check(span: Any, call: Callable[..., None]) -> None:
    """Check that the span of a call has exactly the attributes of its model, whose response has a snapshot's name."""
    if call is fail:
        warnings = ("model 'no-such-model' is not registered",)
        assert span.ours == {"status": "unregistered", "warnings": warnings}
        return
    assert list(span.ours) == ["status", "owner", "risk_tier", "model_id", "name", "version"]
    assert (span.ours["status"], span.ours["owner"], span.ours["model_id"]) == ("active", "ml-platform", "gpt-4o")
    assert "gpt-4o-2024-08-06" in span.others.values()


every_call = pytest.mark.parametrize("call", [chat, stream, embed, fail])


@pytest.mark.parametrize("instrumentor", [OTelGenAI, OpenLLMetry, OpenInference])
@pytest.mark.parametrize("first", ["ours", "exporter"])
@every_call
def test_call_is_enriched(pipeline: Any, client: Any, instrumentor: Any, call: Any, first: str) -> None:
    """The span of each call is exported enriched, wherever the exporter stands."""
    pipes = pipeline(first=first)
    instrumentor().instrument(tracer_provider=pipes.provider)
    try:
        call(client)
    finally:
        instrumentor().uninstrument()
    check(pipes.exporter.span, call)


@pytest.fixture
def under_logfire() -> Iterator[Callable[..., logfire.Logfire]]:
    """Give a function that configures logfire, for this test only, with these processors beside its own."""
    made: list[logfire.Logfire] = []

    def configure(*processors: Any) -> logfire.Logfire:
        options: dict[str, Any] = dict.fromkeys(("send_to_logfire", "console", "metrics", "inspect_arguments"), False)
        made.append(logfire.configure(local=True, additional_span_processors=processors, **options))
        return made[-1]

    yield configure
    for each in made:
        each.shutdown(flush=False)


@every_call
def test_logfire(registry: Any, exporter: Any, under_logfire: Any, client: Any, call: Any) -> None:
    """Under logfire, which wraps processors, spans are enriched for later processors."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), SimpleSpanProcessor(exporter))
    with configured.instrument_openai(client):
        call(client)
    configured.force_flush()
    spans = [span for span in exporter.spans if not MODEL_KEYS.isdisjoint(span.others)]
    assert spans
    for span in spans:
        assert span.ours["status"] == ("unregistered" if call is fail else "active")
        assert span.ours.get("owner") == (None if call is fail else "ml-platform")


def test_logfire_and_forged_attributes(registry: Any, exporter: Any, under_logfire: Any) -> None:
    """Under logfire, forged attributes are removed from spans that name a model."""
    configured = under_logfire(ModelRegistrySpanProcessor(registry), SimpleSpanProcessor(exporter))
    forged = {"model_registry.owner": "me", "model_registry.approved": True}
    configured.info("call", **forged | {"gen_ai.request.model": "gpt-4o"})
    configured.info("other", **forged)
    call, other = exporter.spans
    assert (call.ours["owner"], call.ours.get("approved")) == ("ml-platform", None)
    assert (other.ours["owner"], other.ours["approved"]) == ("me", True)
