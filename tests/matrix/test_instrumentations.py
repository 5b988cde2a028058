"""Real clients under each instrumentation: a span that names a model says whose it is, and nothing else changes."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry.attributes import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    Observed = Callable[[str, str], dict[str, Any]]

pytestmark = pytest.mark.matrix

PAGE = Path(__file__).parents[2] / "docs" / "instrumentations.md"
TABLE = re.compile(r"(<!-- matrix: instrumentations -->\n).*?(<!-- end -->)", re.DOTALL)

OPENAI = ("chat", "stream", "embeddings", "failure")
ANTHROPIC = ("chat", "stream", "failure")
ROWS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "genai-openai": ("OpenTelemetry GenAI, openai", "opentelemetry-instrumentation-genai-openai", OPENAI),
    "genai-anthropic": ("OpenTelemetry GenAI, anthropic", "opentelemetry-instrumentation-genai-anthropic", ANTHROPIC),
    "botocore": (
        "OpenTelemetry, botocore (Bedrock)",
        "opentelemetry-instrumentation-botocore",
        ("chat", "failure"),
    ),
    "openllmetry-openai": ("OpenLLMetry, openai", "opentelemetry-instrumentation-openai", OPENAI),
    "openllmetry-anthropic": ("OpenLLMetry, anthropic", "opentelemetry-instrumentation-anthropic", ANTHROPIC),
    "openinference-openai": ("OpenInference, openai", "openinference-instrumentation-openai", OPENAI),
    "openinference-anthropic": ("OpenInference, anthropic", "openinference-instrumentation-anthropic", ANTHROPIC),
    "anthropic": ("Anthropic's client itself", "anthropic", ANTHROPIC),
    "pydantic-ai": ("pydantic-ai", "pydantic-ai-slim", ("agent", "failure")),
}
"""Row to title, package and calls."""

MODELS = {
    "gpt-4o": ("active", "gpt-4o-2024-08-06"),
    "gpt-3.5-turbo": ("deprecated", "gpt-3.5-turbo-0125"),
    "text-embedding-3-small": ("active", "text-embedding-3-small"),
    "claude-sonnet-4-5": ("active", "claude-sonnet-4-5-20250929"),
    "claude-3-haiku": ("retired", "claude-3-haiku-20240307"),
    "amazon.nova-lite-v1:0": ("active", "amazon.nova-lite-v1:0"),
    "no-such-model": ("unregistered", "no-such-model"),
}
"""Name that is asked for to the status and the name in the answer: the truth, apart from the code that is tested."""

STATUS = {name: status for asked, (status, answered) in MODELS.items() for name in (asked, answered)}
VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]*\d[0-9a-f]*")
"""What each run has another of: UUIDs, ports, times, addresses of objects."""
ANTHROPICS_OWN = "com.anthropic.sdk.python"


def names(attributes: dict[str, Any]) -> set[str]:
    """Return the models that a span names by any key, known or not, also as member of a JSON object."""
    found = set()
    for key, value in attributes.items():
        if key.startswith(PREFIX) or not isinstance(value, str):
            continue
        found.add(value)
        if key.endswith("invocation_parameters"):
            found.add(json.loads(value).get("model"))
    return found & STATUS.keys()


def ours(span: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(PREFIX): value for key, value in span["attributes"].items() if key.startswith(PREFIX)}


def others(span: dict[str, Any]) -> str:
    """Return all that is not ours of a span, but for what each run has another of."""
    rest = {key: value for key, value in span["attributes"].items() if not key.startswith(PREFIX)}
    told = json.dumps([span["call"], span["name"], span["scope"], rest], sort_keys=True)
    return VARIABLE.sub("0", told)


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("row", ROWS)
def test_an_instrumentation(row: str, order: str, observed: Observed) -> None:
    """Each span that names a model has its status, owner and warning; no other has anything of ours."""
    found = observed(row, order)
    calls = ROWS[row][2]
    assert found["failed"] == {call: call == "failure" for call in calls}
    named = [span for span in found["spans"] if names(span["attributes"])]
    assert {span["call"] for span in named} == set(calls)
    for span in named:
        (status,) = {STATUS[name] for name in names(span["attributes"])}
        assert ours(span)["status"] == status, span
        assert ours(span).get("owner") == (None if status == "unregistered" else "ml-platform")
        assert ("warnings" in ours(span)) == (status != "active")
    assert [ours(span) for span in found["spans"] if not names(span["attributes"])] == [{}] * (
        len(found["spans"]) - len(named)
    )


@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("row", ROWS)
def test_nothing_else_changes(row: str, order: str, observed: Observed) -> None:
    """Spans, and all on them that is not ours, are as they are without our processor."""
    without = observed(row, "absent")["spans"]
    assert all(ours(span) == {} for span in without)
    assert Counter(map(others, observed(row, order)["spans"])) == Counter(map(others, without))


@pytest.mark.parametrize("row", [row for row in ROWS if row.endswith("-anthropic")])
def test_two_spans_for_one_call(row: str, observed: Observed) -> None:
    """Anthropic's client makes a span of its own for each call, beside the instrumentation's: both are enriched."""
    for call in ANTHROPIC:
        spans = [span for span in observed(row, "last")["spans"] if span["call"] == call]
        own, other = sorted(spans, key=lambda span: span["scope"] != ANTHROPICS_OWN)
        assert (own["scope"] == ANTHROPICS_OWN) > (other["scope"] == ANTHROPICS_OWN)
        assert ours(own)["status"] == ours(other)["status"]


def test_the_documentation(observed: Observed, request: pytest.FixtureRequest) -> None:
    """The table of the documentation is what this run saw; ``--write-docs`` renews it."""
    lines = ["| instrumentation | package | version | model known | found by | calls |\n", "| --- " * 6 + "|\n"]
    for row, (title, package, calls) in ROWS.items():
        found = observed(row, "last")
        spans = [
            span
            for span in found["spans"]
            if names(span["attributes"]) and (row == "anthropic" or span["scope"] != ANTHROPICS_OWN)
        ]
        starts = {span["at_start"] for span in spans}
        known = "both" if len(starts) > 1 else "at start" if True in starts else "late"
        keys = sorted({ours(span)["matched_by"] for span in spans if "matched_by" in ours(span)})
        cells = [title, f"`{package}`", found["version"], known, ", ".join(f"`{key}`" for key in keys)]
        lines.append(f"| {' | '.join([*cells, ', '.join(calls)])} |\n")
    text = PAGE.read_text("utf-8")
    renewed = TABLE.sub(lambda block: f"{block[1]}{''.join(lines)}{block[2]}", text)
    if request.config.getoption("--write-docs"):
        PAGE.write_text(renewed, "utf-8")
    assert PAGE.read_text("utf-8") == renewed, "run make matrix ARGS=--write-docs"
