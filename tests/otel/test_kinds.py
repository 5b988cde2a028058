"""Kinds of spans in the span processor: what is enriched, what counts as a call, and what stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.meters import GPT
from support.spans import REQUEST

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import DECIDING_KEYS
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.span_models import resolve_attributes
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from support.meters import Meters

VALUES = ["gpt-4o", "x", "unknown", "", '"gpt-4o"', '{"model": "gpt-4o"}', "model", "chat", "LLM", '"AGENT"', 7]

COPIED = {REQUEST: "gpt-4o", "litellm.provider.model": "openai/gpt-4o", "litellm.team.id": "t"}
UNTOUCHED: list[dict[str, Any]] = [
    COPIED,
    {REQUEST: "gpt-4o", "litellm.api_key.hash": "0"},
    COPIED | {"db.system.name": "postgresql"},
    COPIED | {"litellm.guardrail.name": "pii"},
    COPIED | {"http.request.method": "POST"},
    {REQUEST: "gpt-4o", "db.system": "redis"},
]
CALL = COPIED | {"gen_ai.operation.name": "chat"}
OUTER = {"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o"}
INNER = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": "gpt-4o", REQUEST: "gpt-4o"}
EMBED = {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "gpt-4o"}


@pytest.mark.parametrize("attributes", UNTOUCHED)
@pytest.mark.parametrize("late", [False, True])
def test_copied_model_name_leaves_a_span_untouched(pipeline: Any, attributes: dict[str, Any], late: bool) -> None:  # noqa: FBT001
    """A span of a database, a guardrail, HTTP or authentication is not changed."""
    pipes = pipeline()
    for _ in range(3):  # uncached and cached
        span = pipes.run(**{"late" if late else "start": attributes})
        assert span.attributes == attributes


def test_request_through_litellm_counts_once(counting: Any, meters: Meters) -> None:
    """Of the spans of one request, the call counts, and the spans that copied its model do not."""
    for attributes in (*UNTOUCHED, CALL):
        counting.run(attributes)
    assert meters.calls() == {GPT: 1}


def test_vercel_ai_sdk_counts_inner_spans(counting: Any, meters: Meters) -> None:
    """The outer span of the Vercel AI SDK repeats the model: it has the entry's attributes, and does not count."""
    for attributes in (OUTER, INNER, OUTER | {"ai.operationId": "ai.embed"}, EMBED):
        span = counting.run(attributes)
        assert span.ours["status"] == "active"
        assert span.others == attributes
    assert meters.calls() == {GPT: 2}


@pytest.mark.parametrize("scope", ["codex_cli_rs", "Codex Desktop"])
def test_codex_counts_calls_of_its_api(counting: Any, meters: Meters, scope: str) -> None:
    """A turn of Codex and the call inside have the same key; the same keys in another scope name no model."""
    turn, call = (
        {"model": "gpt-4o", "turn.id": "1"},
        {"model": "gpt-4o", "wire_api": "responses", "http.method": "POST"},
    )
    for _ in range(3):
        for attributes in (turn, call):
            assert counting.run(attributes, scope=scope).ours["owner"] == "ml-platform"
            assert not counting.run(attributes, scope="shop").ours
    assert meters.calls() == {GPT: 3}


def test_scopes_do_not_share_decisions(counting: Any, registry: ModelRegistry) -> None:
    """A key of one scope decides there only, whichever scope comes first, also after a change of the registry."""
    attributes = {REQUEST: "unknown", "model": "gpt-4o"}
    for status in ("active", "deprecated"):
        for _ in range(2):
            assert counting.run(attributes, scope="app").ours["status"] == "unregistered"
            assert counting.run(attributes, scope="com.anthropic.claude_code.tracing").ours["status"] == status
        if status == "active":
            registry.deprecate("gpt-4o")


def test_parameters_are_not_cached(counting: Any) -> None:
    """The model inside MLflow's inputs decides for each span anew."""
    for name, status in (("gpt-4o", "active"), ("x", "unregistered"), ("gpt-4o", "active")):
        span = counting.run({"mlflow.spanType": '"LLM"', "mlflow.spanInputs": f'{{"model": "{name}"}}'})
        assert span.ours["status"] == status


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(sorted(DECIDING_KEYS)), st.sampled_from(VALUES), min_size=1, max_size=4),
            st.sampled_from(["codex_exec", "pydantic-ai", "com.anthropic.claude_code.traces", "shop"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_cached_decisions_are_those_of_the_tables(spans: list[tuple[dict[str, Any], str]]) -> None:
    """Any span gets the same attributes, uncached and cached, as its model has without a cache."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "g", "1", "high", "ml-platform", "a test")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, span_attributes="status,matched_by"))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    index = ModelIndex(registry.list_all())
    for attributes, scope in spans * 2:
        provider.get_tracer(scope).start_span("call", attributes=attributes).end()
        added = dict(exporter.get_finished_spans()[-1].attributes or {})
        match = resolve_attributes(index, attributes, scope)
        expected = {} if match is None else {"model_registry.status": match.resolution.status}
        if match is not None and match.key is not None:
            expected["model_registry.matched_by"] = match.key
        assert added == attributes | expected
