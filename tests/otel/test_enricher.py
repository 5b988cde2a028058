"""The enricher alone: it returns the enrichment of attributes, and neither logs nor counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.spans import OPERATION, REQUEST

from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.conventions import select_keys
from spanforge.model_registry.otel import status
from spanforge.model_registry.otel._enricher import Enricher, Enrichment

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry


def enrich(enricher: Enricher, registry: ModelRegistry, attributes: dict[str, Any]) -> Enrichment | None:
    return enricher.enrich(attributes, select_keys(attributes), "app", registry._state.index)


@pytest.fixture
def enricher() -> Enricher:
    """Give an enricher with the default attributes."""
    return Enricher(ON_SPANS, ignores_unregistered=False)


@pytest.mark.parametrize(("operation", "is_call"), [("chat", True), ("invoke_agent", False)])
def test_registered_model(enricher: Enricher, registry: ModelRegistry, operation: str, is_call: Any) -> None:
    """The enrichment has the entry's attributes, the key that matched, and whether the span is a call."""
    enrichment = enrich(enricher, registry, {REQUEST: "gpt-4o", OPERATION: operation})
    assert enrichment is not None
    assert enrichment.attributes["model_registry.owner"] == "ml-platform"
    match = enrichment.match
    assert (match.key, match.is_call, match.resolution.entry) == (REQUEST, is_call, registry.get("gpt-4o"))


@pytest.mark.parametrize("ignores", [True, False])
def test_unregistered_model(registry: ModelRegistry, ignores: Any, lines: Any) -> None:
    """The enrichment is empty if unregistered models are ignored; no line is logged and nothing is counted."""
    enrichment = enrich(Enricher(ON_SPANS, ignores_unregistered=ignores), registry, {REQUEST: "claude-9"})
    assert enrichment is not None
    assert bool(enrichment.attributes) is not ignores
    assert enrichment.match.key is None
    assert lines() == []
    assert (status().calls, status().unregistered) == (0, ())


@pytest.mark.parametrize("attributes", [{}, {"a": 1}, {REQUEST: ""}, {REQUEST: ("gpt-4o",)}, {"model_name": "gpt-4o"}])
def test_span_without_a_model(enricher: Enricher, registry: ModelRegistry, attributes: dict[str, Any]) -> None:
    """A span that names no model has no enrichment."""
    assert enrich(enricher, registry, attributes) is None
