"""Forged ``model_registry.*`` attributes are removed from spans that name a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from support.spans import REQUEST, needs_ending_hook

from spanforge.model_registry._core.attributes import ATTRIBUTES
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry

FORGED: dict[str, Any] = {
    **{row.key: "forged" for row in ATTRIBUTES},
    "model_registry.warnings": (),
    "model_registry.metadata.team": "forged",
    "model_registry.approved": True,
    "model_registry.": 1,
    "model_registry.status.": "active",
    "model_registry.events": (1.5, 2.5),
}


@pytest.fixture
def models(registry: ModelRegistry, fields: dict[str, Any]) -> ModelRegistry:
    """Give a registry with a model of each status."""
    for status in ("deprecated", "retired"):
        registry.register(**fields | {"model_id": status})
    registry.deprecate("deprecated")
    registry.retire("retired")
    return registry


@pytest.mark.parametrize("first", ["ours", pytest.param("exporter", marks=needs_ending_hook)])
@pytest.mark.parametrize("forged_at", ["start", "late"])
@pytest.mark.parametrize("model_at", ["start", "late"])
@pytest.mark.parametrize("model", ["gpt-4o", "deprecated", "retired", "unheard-of"])
def test_forged_attributes_are_replaced(  # noqa: PLR0913 - a matrix
    pipeline: Any, models: ModelRegistry, model: str, model_at: str, forged_at: str, first: str
) -> None:
    """A span has exactly the registry's attributes, for any forged attributes and any time of setting them."""
    pipes = pipeline(ModelRegistrySpanProcessor(models), first=first)
    honest = pipes.run(late={REQUEST: model})
    attributes: dict[str, dict[str, Any]] = {"start": {}, "late": {}}
    attributes[model_at][REQUEST] = model
    attributes[forged_at].update(FORGED)
    span = pipes.run(attributes["start"], attributes["late"])
    assert span.attributes == honest.attributes
    assert span.dropped == 0
    assert pipes.run(late={REQUEST: model}).attributes == honest.attributes


@pytest.mark.parametrize("key", FORGED)
def test_one_forged_key_is_removed(pipeline: Any, models: ModelRegistry, key: str) -> None:
    """One forged key is removed, also between spans without forged keys."""
    pipes = pipeline(ModelRegistrySpanProcessor(models))
    honest = pipes.run(late={REQUEST: "unheard-of"})
    for _ in range(2):
        assert pipes.run(late={REQUEST: "unheard-of", key: FORGED[key]}).attributes == honest.attributes
        assert pipes.run(late={REQUEST: "unheard-of"}).attributes == honest.attributes


def test_similar_keys_stay(pipeline: Any) -> None:
    """Keys outside the namespace are the application's."""
    own = {
        "model_registry": "a",
        "model_registryx.status": "b",
        "Model_Registry.status": "c",
        "x.model_registry.status": "d",
        " model_registry.status": "e",
        "model.registry.status": "f",
    }
    assert pipeline().run({REQUEST: "gpt-4o"} | own).others == {REQUEST: "gpt-4o"} | own


@pytest.mark.parametrize("status", ["active", "unregistered"])
def test_on_end_removes_forged_keys(models: ModelRegistry, status: str) -> None:
    """``on_end`` alone removes forged keys too."""
    name = "gpt-4o" if status == "active" else "unheard-of"
    span = ReadableSpan("call", attributes=FORGED | {REQUEST: name})
    ModelRegistrySpanProcessor(models).on_end(span)
    honest = ReadableSpan("call", attributes={REQUEST: name})
    ModelRegistrySpanProcessor(models).on_end(honest)
    assert dict(span.attributes or {}) == dict(honest.attributes or {})
    assert (span.attributes or {})["model_registry.status"] == status
