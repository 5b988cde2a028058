"""The enricher by itself: attributes and an index in, enrichment out; nothing is logged or counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.conventions import select_keys
from spanforge.model_registry.otel import status
from spanforge.model_registry.otel._enricher import Enricher

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry

REQUEST = "gen_ai.request.model"


@pytest.fixture
def enricher() -> Enricher:
    """Give an enricher with the default attributes."""
    return Enricher(ON_SPANS, ignores_unregistered=False)


def test_a_registered_model(enricher: Enricher, registry: ModelRegistry) -> None:
    """The enrichment has the entry's attributes, the key that matched, and whether the span is a call."""
    enrichment = enricher.enrich(
        {REQUEST: "gpt-4o", "a": 1}, select_keys({REQUEST: "gpt-4o", "a": 1}), None, registry._state.index
    )
    assert enrichment is not None
    assert enrichment.attributes["model_registry.owner"] == "ml-platform"
    assert (enrichment.match.key, enrichment.match.is_call, enrichment.match.resolution.entry) == (
        REQUEST,
        True,
        registry.get("gpt-4o"),
    )


def test_an_agent_span(enricher: Enricher, registry: ModelRegistry) -> None:
    """An agent span is enriched, and is no call."""
    attributes = {REQUEST: "gpt-4o", "gen_ai.operation.name": "invoke_agent"}
    enrichment = enricher.enrich(attributes, select_keys(attributes), None, registry._state.index)
    assert enrichment is not None
    assert not enrichment.match.is_call


@pytest.mark.parametrize("ignores", [True, False])
def test_a_model_that_is_not_registered(registry: ModelRegistry, ignores: Any, lines: Any) -> None:
    """The enrichment is empty if such models are ignored, and is pure either way: no line, no count, no name kept."""
    enricher = Enricher(ON_SPANS, ignores_unregistered=ignores)
    enrichment = enricher.enrich({REQUEST: "claude-9"}, select_keys({REQUEST: "claude-9"}), None, registry._state.index)
    assert enrichment is not None
    assert bool(enrichment.attributes) is not ignores
    assert enrichment.match.key is None
    assert lines() == []
    assert (status().calls, status().unregistered) == (0, ())


@pytest.mark.parametrize("attributes", [{}, {"a": 1}, {REQUEST: ""}, {REQUEST: ("gpt-4o",)}, {"model_name": "gpt-4o"}])
def test_a_span_that_names_no_model(enricher: Enricher, registry: ModelRegistry, attributes: dict[str, Any]) -> None:
    """There is no enrichment."""
    assert enricher.enrich(attributes, select_keys(attributes), "app", registry._state.index) is None
