"""Kinds of spans in evidence: which spans are calls, and which names were only copied to them."""

from __future__ import annotations

from typing import Any

import pytest

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import CALL_EVIDENCE, DECIDING_KEYS, INFRASTRUCTURE, VALUE_KEYS
from spanforge.model_registry.compliance._analysis.resolver import Resolver

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
    assert set(texts) <= resolver.relevant_keys | DECIDING_KEYS


def test_keys_without_a_text_decide_too(resolver: Resolver) -> None:
    """A key whose value is no text marks a span as well as one with a text."""
    texts: dict[str, Any] = {REQUEST: "gpt-4o"}
    assert resolver.find(texts, (), "", resolver.select_keys([REQUEST, "db.system"])) is None
    keys = resolver.select_keys([REQUEST, "db.system", "gen_ai.response.id"])
    assert resolver.find(texts, (), "", keys) is not None


def test_values_of_keys_that_only_have_to_be_present_do_not_matter(resolver: Resolver) -> None:
    """Spans that differ only in such values, as in the id of the response, are looked up once."""
    facts = {*CALL_EVIDENCE, *(key for row in INFRASTRUCTURE for key in row)} - VALUE_KEYS
    assert "gen_ai.response.id" in facts
    assert not facts & resolver.relevant_keys
    for fact in facts:
        keys = resolver.select_keys([REQUEST, "rpc.system", fact])
        found = [resolver.find({REQUEST: "gpt-4o", fact: value}, (), "", keys) for value in ("", "x", "gpt-4o")]
        assert len({None if each is None else each.facts for each in found}) == 1
