"""``reconcile`` for any telemetry: its counts are those of evidence, and no name from telemetry does harm."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from support.evidence import make_entry, make_record
from support.otlp import START, Otlp
from support.unfinished import fill_in

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._cli.findings import Findings, find_all
from spanforge.model_registry._cli.reconcile_output import make_document, print_findings, render_findings_csv
from spanforge.model_registry._cli.scanning import Observed, make_scan_request, open_telemetry, scan_telemetry
from spanforge.model_registry._cli.suggestions import suggest_entries
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import parse_entries
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry import ModelRegistryEntry

HOUR = 3_600 * 10**9
PERIOD = ("2026-01-01", "2026-01-02")
CALENDAR = [
    {"provider": "openai", "model": "c", "shutdown_on": "2026-01-01", "source": "page", "checked_on": "2025-06-01"},
    {"provider": "openai", "model": "x", "shutdown_on": "2026-01-01", "source": "page", "checked_on": "2025-06-01"},
]
ENTRIES = [
    make_entry(
        "a",
        metadata={
            "aliases": ["a-*"],
            "history": [
                make_record("2025-01-01", "active"),
                make_record("2026-01-01T03:00:00Z", "deprecated"),
                make_record("2026-01-01T07:00:00Z", "retired"),
            ],
            "sunset_date": "2026-01-01T05:00:00Z",
        },
    ),
    make_entry("b", deployment_date="2026-01-01T02:00:00Z"),
    make_entry("c", metadata={"provider": "openai"}),
]
"""Entries of which one is deprecated, passes its sunset date and is retired in the period."""
REGISTRY = ModelRegistry(auto_emit=False)
replace_file_entries(REGISTRY, ENTRIES, [])
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
SNEAKY = st.sampled_from(
    [
        *("\n- model_id: evil", '"', "\\", "': x", "# c", "\x1b[31m", "\u202e", "\u2028", "\x85", "\ufeff"),
        *("&a", "*a", "!!str", "%YAML", "gpt-4o", "openai/", "-2024-08-06", " "),
    ]
)
NAMES = st.lists(TEXTS | SNEAKY, min_size=1, max_size=3).map("".join)


@st.composite
def spans(draw: st.DrawFn, number: int) -> tuple[str, dict[str, Any]]:
    """Draw a span of a model or of an agent, with the service."""
    otlp = Otlp()
    names = st.sampled_from(["a", "A", "a-1", "b", "b-2026-01-01", "c", "x", "openai/x", "x-2024-08-06"])
    attributes = {"gen_ai__provider__name": draw(st.sampled_from(["openai", "azure"]))}
    if draw(st.booleans()):
        attributes["gen_ai__response__model"] = draw(names)
    if draw(st.integers(0, 4)) == 0:
        attributes["gen_ai__operation__name"] = "invoke_agent"
    span = otlp.span(draw(names), START + draw(st.integers(0, 23)) * HOUR, **attributes)
    span |= {"traceId": f"{number:032x}", "spanId": f"{number:016x}"}
    if draw(st.booleans()):
        (span,) = otlp.marked(draw(st.sampled_from(["trusted", "trusted", "untrusted"])), span)
    return draw(st.sampled_from(["api", "web", ""])), span


class Result(NamedTuple):
    """The result of a comparison, as each format has it."""

    observed: Observed
    findings: Findings

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document, after a round trip."""
        document: dict[str, Any] = json.loads(json.dumps(make_document(self.observed, self.findings)))
        return document

    @property
    def text(self) -> str:
        """The text for people."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            print_findings(self.observed, self.findings, None)
        return out.getvalue()


def report_nothing(number: int, size: int) -> None:
    """Ignore the progress."""
    del number, size


def compare(
    folder: str, lines: list[bytes], entries: Sequence[ModelRegistryEntry], calendar: str | None = None
) -> Result:
    """Write a file of telemetry, and compare it with entries and a calendar."""
    path = Path(folder, "spans.jsonl")
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    request = make_scan_request((0, MAX_TIME), entries, calendar)
    observed = scan_telemetry(open_telemetry([str(path)], request), request, report_nothing)
    return Result(observed, find_all(observed, to_nanos("2026-06-01")))


def count(rows: list[dict[str, Any]], kind: str, *fields: str) -> Counter[Any]:
    """Return the calls of the findings of a kind, by the values of these fields."""
    calls = Counter[Any]()
    for row in rows:
        if row["kind"] == kind:
            calls[tuple(row[field] for field in fields)] += row["calls"]
    return calls


@given(drawn=st.integers(0, 12).flatmap(lambda size: st.tuples(*map(spans, range(size)))), data=st.data())
def test_counts_are_those_of_evidence(drawn: tuple[tuple[str, dict[str, Any]], ...], data: st.DataObject) -> None:
    """Calls, copies, names, substitutions and checks have the numbers of an evidence package."""
    again = data.draw(st.lists(st.sampled_from(drawn), max_size=4)) if drawn else []
    lines = [Otlp().line(span, service=service) for service, span in (*drawn, *again)]
    with tempfile.TemporaryDirectory() as folder:
        calendar = Path(folder, "calendar.json")
        calendar.write_text(json.dumps(CALENDAR), "utf-8")
        document = compare(folder, lines, ENTRIES, str(calendar)).document
        engine = ComplianceMappingEngine(REGISTRY, calendar=calendar)
        package = engine.generate_evidence_package(None, "soc2", *PERIOD, telemetry=Path(folder, "spans.jsonl"))
    attestation = package.attestation
    population, summary, rows = attestation.population, document["summary"], document["findings"]
    assert (summary["calls"], summary["spans"], summary["agent_spans"], summary["copies"]) == (
        population.calls,
        population.spans,
        population.agent_spans,
        population.copies,
    )
    assert {name: calls for row in rows for name, calls in row["names"].items()} == {
        each.name: each.calls for each in attestation.unregistered_names
    }
    assert count(rows, "matched", "name", "model_id", "rule") == {
        (each.name, each.model_id, each.rule): each.calls for each in attestation.matched_names
    }
    assert count(rows, "substituted", "model_id", "name", "served_id") == {
        (each.requested_model_id, each.served_name, each.served_model_id): each.calls
        for each in attestation.substitutions
    }
    agents = Counter[str]()
    for model in attestation.agent_only_models:
        agents[str(model.model_id or model.name)] += model.spans
    assert sum(count(rows, "agent-only").values()) == agents.total()
    found = {check.check: check.exceptions for check in attestation.checks}
    for kind, check in {
        "retired": "no_calls_after_retirement",
        "sunset": "no_calls_past_sunset",
        "shutdown": "no_calls_past_provider_shutdown",
    }.items():
        assert count(rows, kind).total() == found[check], check
    figures = {each.sender: each.calls for each in attestation.senders if each.calls}
    assert summary["senders"] == figures


@given(names=st.lists(NAMES, min_size=1, max_size=5), service=NAMES)
def test_suggestions_for_any_names(names: list[str], service: str) -> None:
    """The file has exactly the suggested ids as values; filled in, it loads, and its models are registered."""
    otlp = Otlp()
    lines = [otlp.line(*map(otlp.span, names), service=service)]
    with tempfile.TemporaryDirectory() as folder:
        result = compare(folder, lines, [])
        suggestions = suggest_entries(result.findings.rows, [], "forms")
        content = suggestions.format()
        assert all(line.isprintable() for line in content.split("\n"))
        filled = parse_entries("new.yaml", fill_in(content).encode())
        after = compare(folder, lines, filled)
    assert [entry.model_id for entry in filled] == [each.fields["model_id"] for each in suggestions.entries]
    assert all(entry.owner == "unknown" and not entry.metadata.keys() - {"aliases"} for entry in filled)
    left_out = {name for row in suggestions.left_out for name in row.names}
    assert list_unregistered(after) == left_out | suggestions.lost


def list_unregistered(result: Result) -> set[str]:
    """Return the names that are not registered."""
    return {name for row in result.findings.rows if row.kind == "unregistered" for name in row.names}


@given(names=st.lists(NAMES, min_size=1, max_size=4), owner=TEXTS.filter(lambda text: not text.isspace()), more=NAMES)
def test_output_for_any_names(names: list[str], owner: str, more: str) -> None:
    """The text fits 80 columns, and no name controls the terminal; CSV has one line per finding."""
    otlp = Otlp()
    entries = [make_entry("a", owner=owner, status="retired", decommission_date="2025-06-01")]
    answered = otlp.span("a", gen_ai__response__model=names[0])
    with tempfile.TemporaryDirectory() as folder:
        result = compare(folder, [otlp.line(*map(otlp.span, ["a", *names]), answered, service=more)], entries)
    assert all(line.isprintable() and cell_len(line) <= 80 for line in result.text.split("\n"))
    rows = render_findings_csv(result.findings).split("\n")
    assert len(rows) == len(result.findings.rows) + 2
    assert all(row.isprintable() for row in rows)
