"""The LLM instrumentations that are installed: what the line about spans without a model reports of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinference.instrumentation.openai import OpenAIInstrumentor

from spanforge.model_registry.otel._llm_instrumentations import DISABLED_VARIABLE, list_llm_instrumentations

if TYPE_CHECKING:
    import pytest

PACKAGE = "openinference-instrumentation-openai"


def read_states() -> dict[str, str]:
    """Return the state of each installed instrumentation, by its package."""
    return {each.package: each.state for each in list_llm_instrumentations()}


def test_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instrumentation is inactive until it is switched on, and disabled if the variable names it."""
    assert read_states()[PACKAGE] == "inactive"
    OpenAIInstrumentor().instrument()
    try:
        assert read_states()[PACKAGE] == "active"
        monkeypatch.setenv(DISABLED_VARIABLE, "*")
        assert set(read_states().values()) == {"disabled"}
    finally:
        OpenAIInstrumentor().uninstrument()
