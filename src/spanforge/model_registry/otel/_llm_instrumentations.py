"""LLM instrumentations in this process, and the likely cause if no span named a model."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._core.interruptions import SuppressFailures
from spanforge.model_registry._core.settings import MODEL_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP: Final = "opentelemetry_instrumentor"
"""The entry points of instrumentations that ``opentelemetry-instrument`` activates."""
DISABLED_VARIABLE: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
"""OpenTelemetry's variable with the names of instrumentations that are not activated, or ``*``."""
SAMPLER_VARIABLE: Final = "OTEL_TRACES_SAMPLER"
"""OpenTelemetry's variable with the name of the sampler."""
EXAMPLE: Final = "opentelemetry-instrumentation-genai-openai"
"""An LLM instrumentation that the tests run."""
LLM_WORDS: Final = (
    *("agno", "alephalpha", "anthropic", "autogen", "bedrock", "botocore", "cohere", "crewai", "dspy", "genai"),
    *("generativeai", "google_adk", "groq", "haystack", "langchain", "litellm", "llama", "mistral", "ollama"),
    *("openai", "openinference", "portkey", "pydantic_ai", "qwen", "replicate", "sagemaker", "smolagents"),
    *("strands", "together", "transformers", "vertexai", "watsonx", "writer"),
)
"""The words in the entry points of LLM instrumentations of OpenTelemetry, OpenLLMetry and OpenInference."""

_REQUIRED_NAME: Final = re.compile(r"([\w.-]+)")
"""The name at the start of a requirement."""

MAX_SHOWN_NAMES: Final = 5
"""The limit of instrumentations that a line names."""

_State = Literal["disabled", "inactive", "active"]


class LLMInstrumentation(NamedTuple):
    """An LLM instrumentation that is installed.

    Attributes:
        name: Its name for ``DISABLED_VARIABLE``.
        package: Its distribution.
        state: Whether it is active in this process, or disabled by ``DISABLED_VARIABLE``.
        missing: The clients that it supports, if none of them is installed.
    """

    name: str
    package: str
    state: _State
    missing: tuple[str, ...]


class Cause(NamedTuple):
    """The likely cause why no span named a model.

    Attributes:
        text: The cause, and what to do.
        is_fault: Whether the setup is probably wrong. If not, the application may just not have called a model.
    """

    text: str
    is_fault: bool


def find_cause(*, has_spans: bool) -> Cause:
    """Return the likely cause why no span named a model.

    Args:
        has_spans: Whether the application started spans.
    """
    sampler = os.environ.get(SAMPLER_VARIABLE, "")
    if not has_spans and sampler.endswith("always_off"):
        return Cause(f"{SAMPLER_VARIABLE}={sampler} records no spans", False)
    fault = _find_fault(list_llm_instrumentations())
    if fault is None and has_spans:
        fault = f"no known attribute of the spans names a model; if another one does, set {MODEL_ATTRIBUTES.variable}"
    return Cause("no span was started", False) if fault is None else Cause(fault, True)


def _find_fault(installed: Sequence[LLMInstrumentation]) -> str | None:
    """Return the reason why no LLM instrumentation is active; ``None`` if one is."""
    disabled = [each for each in installed if each.state == "disabled"]
    inactive = [each for each in installed if each.state == "inactive"]
    if not installed:
        return f"no LLM instrumentation is installed; install the one for your client, such as {EXAMPLE}"
    if len(disabled) == len(installed):
        return f"{DISABLED_VARIABLE} disables {_join_packages(disabled)}"
    if len(disabled) + len(inactive) == len(installed):
        return _explain_inactive(inactive)
    return None


def _explain_inactive(inactive: Sequence[LLMInstrumentation]) -> str:
    """Return the reason why instrumentations that are installed are not active, and what to do."""
    with_client = [each for each in inactive if not each.missing]
    if with_client:
        remedy = "install the client in a version that it supports; without opentelemetry-instrument, call instrument()"
        return f"{_join_packages(with_client)} is installed but not active; {remedy}"
    clients = _join_first(sorted({client for each in inactive for client in each.missing}))
    return f"the client of {_join_packages(inactive)} is not installed; install {clients}"


def list_llm_instrumentations() -> list[LLMInstrumentation]:
    """Return the LLM instrumentations that are installed, each once."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - only needed if no span names a model

    disabled = [name.strip() for name in os.environ.get(DISABLED_VARIABLE, "").split(",")]
    found = {
        entry_point.value: LLMInstrumentation(
            entry_point.name,
            _find_package(entry_point),
            _read_state(entry_point, disabled),
            _list_missing_clients(entry_point),
        )
        for entry_point in entry_points(group=GROUP)
        if any(word in entry_point.value.lower() for word in LLM_WORDS)
    }
    return list(found.values())


def _find_package(entry_point: Any) -> str:
    distribution = getattr(entry_point, "dist", None)
    return entry_point.value if distribution is None else str(distribution.name)


def _list_missing_clients(entry_point: Any) -> tuple[str, ...]:
    """Return the clients in the extra ``instruments`` of the distribution; none if one of them is installed."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - as above

    requirements = getattr(getattr(entry_point, "dist", None), "requires", None) or ()
    clients = [match[1] for each in requirements if "instruments" in each and (match := _REQUIRED_NAME.match(each))]
    for client in clients:
        with contextlib.suppress(PackageNotFoundError):
            distribution(client)
            return ()
    return tuple(dict.fromkeys(clients))


def _read_state(entry_point: Any, disabled: Sequence[str]) -> _State:
    """Return the state of an instrumentation. It is only asked if its module is loaded."""
    if entry_point.name in disabled or "*" in disabled:
        return "disabled"
    with SuppressFailures():  # third-party code
        instrumentor = getattr(sys.modules[entry_point.module], entry_point.attr)
        if instrumentor().is_instrumented_by_opentelemetry:
            return "active"
    return "inactive"


def _join_packages(instrumentations: Iterable[LLMInstrumentation]) -> str:
    return _join_first(sorted({f"{each.name} ({each.package})" for each in instrumentations}))


def _join_first(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_SHOWN_NAMES} more"] if len(names) > MAX_SHOWN_NAMES else []
    return ", ".join([*names[:MAX_SHOWN_NAMES], *more])
