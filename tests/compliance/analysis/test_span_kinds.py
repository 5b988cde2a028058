"""Kinds of spans in evidence: which spans are calls, and which names were only copied to them."""

from __future__ import annotations

from typing import Any

import pytest

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance._analysis.calls import Resolver

PERIOD = range(10**18)
REQUEST = "gen_ai.request.model"


@pytest.fixture
def resolver() -> Resolver:
    """Return a resolver that knows ``gpt-4o``."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    return Resolver(registry.list_all(), (), PERIOD)


@pytest.mark.parametrize(
    ("texts", "scope", "expected"),
    [
        ({REQUEST: "gpt-4o", "db.system.name": "postgresql"}, "", None),
        ({REQUEST: "gpt-4o", "litellm.api_key.hash": "0"}, "", None),
        ({REQUEST: "gpt-4o", "rpc.system": "aws-api", "gen_ai.operation.name": "chat"}, "", True),
        ({REQUEST: "gpt-4o", "gen_ai.operation.name": "retrieval"}, "", False),
        ({"ai.model.id": "gpt-4o", "ai.operationId": "ai.embed"}, "", False),
        ({"ai.model.id": "gpt-4o", "ai.operationId": "ai.embed.doEmbed"}, "", True),
        ({"mlflow.spanType": '"CHAT_MODEL"', "mlflow.spanInputs": '{"model": "gpt-4o"}'}, "", True),
        ({"model": "gpt-4o", "wire_api": "responses"}, "codex_exec", True),
        ({"model": "gpt-4o"}, "codex_exec", False),
        ({"model": "gpt-4o"}, "shop", None),
    ],
)
def test_calls_of_evidence(resolver: Resolver, texts: dict[str, str], scope: str, expected: Any) -> None:
    """Evidence counts the spans that the span processor counts."""
    found = resolver.find(texts, (), scope)
    assert (None if found is None else found.kind == "call") == expected
    assert set(texts) <= resolver.relevant_keys


def test_keys_without_a_text_decide_too(resolver: Resolver) -> None:
    """A key whose value is no text marks a span as well as one with a text."""
    texts: dict[str, Any] = {REQUEST: "gpt-4o"}
    assert resolver.find(texts, (), "", [REQUEST, "db.system"]) is None
    assert resolver.find(texts, (), "", [REQUEST, "db.system", "gen_ai.response.id"]) is not None
