"""Real clients under each instrumentation: a span that names a model says whose it is, and nothing else changes."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry._core.attributes import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    Observed = Callable[..., dict[str, Any]]
    Rows = dict[str, dict[str, str]]

pytestmark = pytest.mark.matrix

PAGE = Path(__file__).parents[2] / "docs" / "instrumentations.md"

ROWS = [row["row"] for row in json.loads(Path(__file__).with_name("rows.json").read_text("utf-8"))]
OPENAI = ("chat", "stream", "embeddings", "failure")
CALLS = {
    "adk": ("agent", "failure"),
    "anthropic": ("chat", "stream", "failure"),
    "azure": ("chat", "deployment", "failure"),
    "bedrock": ("chat", "profile", "ARN", "invoke", "failure"),
    "crewai": ("agent",),
    "google": ("chat", "path", "stream", "failure"),
    "langchain": ("chat", "stream", "agent", "failure"),
    "langfuse": OPENAI,
    "litellm": OPENAI,
    "litellm_v2": ("chat", "failure"),
    "logfire": OPENAI,
    "mlflow": OPENAI,
    "openai": OPENAI,
    "openai_agents": ("agent", "failure"),
    "pydantic_ai": ("agent", "failure"),
}
"""What is called, and works, but for the failure."""
NAMELESS = {"genai-openai-agents"}
"""Rows without a span that names a model: agents and workflows have spans, their calls have none."""
TOO_LATE = {("logfire", "last")}
"""Where an exporter that comes first gets spans as they are without ours: logfire wraps all processors."""
RAW = "raw_gen_ai_request"
"""litellm's copy of the answer, below the call's own span: ``llm.<provider>.model`` names the model again."""

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
SHORTENED = ("nova-lite-v1:0", "claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929-v1")
"""OpenLLMetry's names of Bedrock's models: without the vendor, and for an ARN without the last number."""
MODELS = {
    "gpt-4o": ("active", "gpt-4o-2024-08-06"),
    "gpt-3.5-turbo": ("deprecated", "gpt-3.5-turbo-0125"),
    "text-embedding-3-small": ("active", "text-embedding-3-small"),
    "claude-sonnet-4-5": ("active", "claude-sonnet-4-5-20250929"),
    "claude-3-haiku": ("retired", "claude-3-haiku-20240307"),
    "amazon.nova-lite-v1:0": ("active", "amazon.nova-lite-v1:0"),
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0": ("active", "claude-sonnet-4-5-20250929"),
    f"{ARN}us.anthropic.claude-sonnet-4-5-20250929-v1:0": ("active", "claude-sonnet-4-5-20250929"),
    "gemini-2.5-flash": ("active", "gemini-2.5-flash"),
    "models/gemini-2.5-flash": ("active", "gemini-2.5-flash"),
    "team-chat": ("active", "gpt-4o-2024-08-06"),
    "no-such-model": ("unregistered", "no-such-model"),
    "gemini-no-such": ("unregistered", "gemini-no-such"),
}
"""Name that is asked for to the status and the name in the answer: the truth, apart from the code that is tested."""

STATUS = dict.fromkeys(SHORTENED, "active") | {
    name: status for asked, (status, answered) in MODELS.items() for name in (asked, answered)
}
VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]*\d[0-9a-f]*")
"""What each run has another of: UUIDs, ports, times, addresses of objects."""
ANTHROPICS_OWN = "com.anthropic.sdk.python"


def names(attributes: dict[str, Any]) -> set[str]:
    """Return the models that a span names by any key, known or not, also as member of a JSON object."""
    found = set()
    for key, value in attributes.items():
        if key.startswith(PREFIX) or not isinstance(value, str):
            continue
        found.add(value.strip('"'))  # MLflow writes JSON
        if key.endswith(("invocation_parameters", "spanInputs")):
            found.add(json.loads(value).get("model"))
    return found & STATUS.keys()


def ours(span: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(PREFIX): value for key, value in span["attributes"].items() if key.startswith(PREFIX)}


def others(span: dict[str, Any]) -> str:
    """Return all that is not ours of a span, but for what each run has another of."""
    rest = {key: value for key, value in span["attributes"].items() if not key.startswith(PREFIX)}
    told = json.dumps([span["call"], span["name"], span["scope"], rest], sort_keys=True)
    return VARIABLE.sub("0", told)


def named(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the spans that name a model."""
    return [span for span in found["spans"] if names(span["attributes"]) and not is_copy(span)]


def is_copy(span: dict[str, Any]) -> bool:
    """Check whether litellm copied the model's name to a span that is no call of it."""
    is_marked = "litellm.team.id" in span["attributes"] and "gen_ai.operation.name" not in span["attributes"]
    return span["name"] == RAW or is_marked


ORDERS = [
    pytest.param(row, order, id=f"{row}-{order}")
    for row in ROWS
    for order in ("first", "last")
    if (row, order) not in TOO_LATE
]


@pytest.mark.parametrize(("row", "order"), ORDERS)
def test_an_instrumentation(row: str, order: str, observed: Observed, rows: Rows) -> None:
    """Each span that names a model has its status, owner and warning; no other has anything of ours."""
    found = observed(row, order)
    calls = CALLS[rows[row]["calls"]]
    assert found["failed"] == {call: call == "failure" for call in calls}
    assert {span["call"] for span in found["spans"]} == set(calls)
    assert {span["call"] for span in named(found)} == (set() if row in NAMELESS else set(calls))
    for span in found["spans"]:
        if span not in named(found):
            assert ours(span) == {}, span
            continue
        (status,) = {STATUS[name] for name in names(span["attributes"])}
        assert ours(span)["status"] == status, span
        assert ours(span).get("owner") == (None if status == "unregistered" else "ml-platform")
        assert ("warnings" in ours(span)) == (status != "active")


@pytest.mark.parametrize(("row", "order"), ORDERS)
def test_nothing_else_changes(row: str, order: str, observed: Observed) -> None:
    """Spans, and all on them that is not ours, are as they are without our processor."""
    without = observed(row, "absent")["spans"]
    assert all(ours(span) == {} for span in without)
    assert Counter(map(others, observed(row, order)["spans"])) == Counter(map(others, without))


@pytest.mark.parametrize(("row", "order"), sorted(TOO_LATE))
def test_an_exporter_before(row: str, order: str, observed: Observed) -> None:
    """Where the processor has to come first, as the documentation says, an exporter before it gets nothing of ours."""
    spans = named(observed(row, order))
    assert spans
    assert [ours(span) for span in spans] == [{}] * len(spans)


@pytest.mark.parametrize("row", [row for row in ROWS if row.endswith("-anthropic")])
def test_two_spans_for_one_call(row: str, observed: Observed) -> None:
    """Anthropic's client makes a span of its own for each call, beside the instrumentation's: both are enriched."""
    for call in CALLS["anthropic"]:
        spans = [span for span in observed(row, "last")["spans"] if span["call"] == call]
        own, other = sorted(spans, key=lambda span: span["scope"] != ANTHROPICS_OWN)
        assert (own["scope"] == ANTHROPICS_OWN) > (other["scope"] == ANTHROPICS_OWN)
        assert ours(own)["status"] == ours(other)["status"]


def test_one_of_the_two_is_turned_off(observed: Observed) -> None:
    """With the variable that the documentation names, Anthropic's client makes no spans, and the others stay."""
    found = observed("genai-anthropic", "last", ANTHROPIC_OPEN_TELEMETRY="false")
    assert [span["call"] for span in found["spans"]] == list(CALLS["anthropic"])
    assert ANTHROPICS_OWN not in {span["scope"] for span in found["spans"]}
    assert [ours(span)["status"] for span in found["spans"]] == ["active", "retired", "unregistered"]
    assert "`ANTHROPIC_OPEN_TELEMETRY=false`" in PAGE.read_text("utf-8")


HEAD = ["instrumentation", "package", "instrumentor", "version", "model known", "found by", "calls"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 gets older releases of some packages")
def test_the_documentation(observed: Observed, rows: Rows, documented: Callable[..., None]) -> None:
    """The table of the documentation is what this run saw; ``--write-docs`` renews it."""
    lines = [line(rows[row], observed(row, "first")) for row in ROWS]
    documented(PAGE, {"matrix: instrumentations": [HEAD, *lines]})


def line(row: dict[str, str], found: dict[str, Any]) -> list[str]:
    """Return a row's line in the documentation; Anthropic's own spans have one to themselves."""
    spans = [span for span in named(found) if row["row"] == "anthropic" or span["scope"] != ANTHROPICS_OWN]
    when = {span["at_start"]: "at start" if span["at_start"] else "late" for span in spans}
    keys = sorted({f"`{ours(span)['matched_by']}`" for span in spans if "matched_by" in ours(span)})
    calls = [call for call in CALLS[row["calls"]] if call in {span["call"] for span in spans}]
    known = " or ".join(when[key] for key in sorted(when, reverse=True))
    return [
        row["title"],
        f"`{row['package']}`",
        f"`{row['instrumentor']}`" if row["instrumentor"] else "-",
        found["version"],
        known or "never",
        ", ".join(keys) or "-",
        ", ".join(calls) or "none that names a model",
    ]
