"""The LLM instrumentations that are installed: what the line about spans without a model reports of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openinference.instrumentation.openai import OpenAIInstrumentor

from spanforge.model_registry.otel._llm_instrumentations import DISABLED_VARIABLE, GROUP, list_llm_instrumentations

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PACKAGE = "openinference-instrumentation-openai"
LLM_MODULES = {
    *("openinference.instrumentation.beeai", "opentelemetry.instrumentation.genai.openai"),
    *(
        f"opentelemetry.instrumentation.{client}"
        for client in (
            *("agno", "alephalpha", "anthropic", "bedrock", "botocore", "cohere", "crewai", "google_genai"),
            *("google_generativeai", "groq", "haystack", "langchain", "litellm", "llamaindex", "mistralai", "ollama"),
            *("openai_v2", "replicate", "sagemaker", "together", "transformers", "vertexai", "watsonx", "writer"),
        )
    ),
}
"""Modules of instrumentations of OpenInference, OpenTelemetry and OpenLLMetry that name models."""
OTHER_MODULES = {f"opentelemetry.instrumentation.{name}" for name in ("chromadb", "redis", "requests", "threading")}


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


def test_kinds_of_instrumentations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instrumentations of clients and frameworks for LLMs are listed, and others are not."""
    folder = tmp_path / "everything-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: everything\nVersion: 1\n")
    lines = [f"{module} = {module}:Instrumentor" for module in LLM_MODULES | OTHER_MODULES]
    (folder / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
    monkeypatch.syspath_prepend(tmp_path)
    assert {each.name for each in list_llm_instrumentations() if each.package == "everything"} == LLM_MODULES
