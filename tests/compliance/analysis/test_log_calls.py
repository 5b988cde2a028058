"""Calls that applications report as log records."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import make_entry
from support.scans import START, make_request, scan_lines

from spanforge.model_registry.compliance._analysis import log_calls
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan import Scan
from spanforge.model_registry.compliance._analysis.totals import CallTotals, total_calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    Total = Callable[..., CallTotals]


@pytest.fixture
def total(tmp_path: Path) -> Total:
    """Return the totals of inputs, each a list of lines."""

    def total_inputs(*inputs: list[bytes]) -> CallTotals:
        scanned = [scan_lines(tmp_path, lines, number=number) for number, lines in enumerate(inputs)]
        totals = total_calls(scanned, make_request(), str(tmp_path))
        assert list(tmp_path.iterdir()) == []
        return totals

    return total_inputs


def counts(totals: CallTotals) -> tuple[dict[str, int], int, int]:
    """Return the calls by model, the spans, and the calls in log records alone."""
    models = {**totals.models, **totals.unregistered}
    return {name: model.calls for name, model in models.items()}, totals.spans, totals.log_calls


def test_calls_without_a_span_count_alone(total: Total, otlp: Otlp) -> None:
    """A call that only a log record reports counts like that of a span."""
    lines = [otlp.logs(otlp.call_record("gpt"), otlp.call_record("rogue", START + 1)), otlp.line(otlp.span("gpt"))]
    assert counts(total(lines)) == ({"gpt": 2, "rogue": 1}, 1, 2)


@pytest.mark.parametrize("is_first", [True, False])
def test_calls_of_a_span_count_once(total: Total, otlp: Otlp, is_first: bool) -> None:  # noqa: FBT001
    """A log record of a span that is a call of the same model is the same call, in any order and input."""
    span = otlp.enriched()
    log = otlp.logs(otlp.call_record("gpt", START + 5, span), resource={"service.name": "api"})
    inputs = [[log], [otlp.line(span)]] if is_first else [[otlp.line(span), log]]
    totals = total(*inputs)
    assert counts(totals) == ({"gpt": 1}, 1, 0)
    assert not any(totals.models["gpt"].exceptions.values())


@pytest.mark.parametrize("claiming", ["span", "log record"])
def test_attributes_of_the_registry_on_one_report(total: Total, otlp: Otlp, claiming: str) -> None:
    """A call counts once if only one of its reports has attributes that disagree with the registry."""
    claims = {"model_registry__status": "retired"}
    span = otlp.span("gpt", **(claims if claiming == "span" else {}))
    record = otlp.call_record(
        "gpt", START, span, **({} if claiming == "span" else {"model_registry.status": "retired"})
    )
    totals = total([otlp.line(span), otlp.logs(record, resource={"service.name": "api"})])
    assert counts(totals) == ({"gpt": 1}, 1, 0)
    assert totals.models["gpt"].exceptions["disagreeing"] == (claiming == "span")


def test_attributes_of_the_registry_on_a_log_record_alone(total: Total, otlp: Otlp) -> None:
    """Only attributes on spans are compared with the registry."""
    totals = total([otlp.logs(otlp.call_record("gpt", **{"model_registry.status": "retired"}))])
    assert counts(totals) == ({"gpt": 1}, 0, 1)
    assert totals.models["gpt"].exceptions["disagreeing"] == 0


@pytest.mark.parametrize(
    "span",
    [
        {"model": None},
        {"model": "x"},
        {"model": "gpt", "gen_ai__operation__name": "invoke_agent"},
    ],
)
def test_calls_of_another_span_count_alone(total: Total, otlp: Otlp, span: dict[str, Any]) -> None:
    """Each log record of a span that is not a call, or is a call of another model, is a call."""
    written = otlp.span(**span)
    records = [otlp.call_record("gpt", START + number, written) for number in range(3)]
    found, spans, log_calls = counts(total([otlp.line(written), otlp.logs(*records, resource={"service.name": "api"})]))
    assert (found["gpt"], spans, log_calls) == (3, 1, 3)


def test_copies_of_log_records_count_once(total: Total, otlp: Otlp) -> None:
    """A log record that was read twice is one call, alone or with its span."""
    span = otlp.span("gpt")
    alone = otlp.logs(otlp.call_record("rogue"))
    joined = otlp.logs(otlp.call_record("gpt", START, span), resource={"service.name": "api"})
    totals = total([alone, joined, otlp.line(span)], [joined, alone])
    assert counts(totals) == ({"gpt": 1, "rogue": 1}, 1, 1)
    assert totals.differing_copies == 0


EVENTS: dict[str, dict[str, Any]] = {
    "semantic conventions": {
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": {"gen_ai.request.model": "gpt", "gen_ai.operation.name": "chat"},
    },
    "older SDK": {
        "attributes": {"event.name": "gen_ai.client.inference.operation.details", "gen_ai.request.model": "gpt"}
    },
    "Claude Code": {
        "body": {"stringValue": "claude_code.api_request"},
        "attributes": {"event.name": "api_request", "model": "gpt", "duration_ms": "5"},
    },
    "Codex": {"attributes": {"event.name": "codex.api_request", "model": "gpt"}},
    "Gemini CLI": {
        "body": {"stringValue": "API request to gpt."},
        "attributes": {"event.name": "gemini_cli.api_request", "model": "gpt"},
    },
}
OTHERS: dict[str, dict[str, Any]] = {
    "another event": {"eventName": "gen_ai.evaluation.result", "attributes": {"gen_ai.request.model": "gpt"}},
    "another event of an agent": {"attributes": {"event.name": "claude_code.user_prompt", "model": "gpt"}},
    "no model": {"eventName": "claude_code.api_request", "attributes": {}},
    "an agent": {
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": {"gen_ai.request.model": "gpt", "gen_ai.operation.name": "invoke_agent"},
    },
    "no event": {"attributes": {"model": "gpt"}, "body": {"stringValue": "claude_code.api_request"}},
}


@pytest.mark.parametrize("kind", [*EVENTS, *OTHERS])
def test_events_that_report_calls(total: Total, otlp: Otlp, kind: str) -> None:
    """The events of the semantic conventions and of coding agents are calls, and other log records are none."""
    record = {"timeUnixNano": str(START), **(EVENTS | OTHERS)[kind]}
    record["attributes"] = otlp.attributes(record["attributes"])
    expected = {"gpt": 1} if kind in EVENTS else {}
    assert counts(total([otlp.logs(record)])) == (expected, 0, len(expected))


def test_time_of_a_log_record(total: Total, otlp: Otlp) -> None:
    """A call is at the record's time, or at the time at which it was observed, and counts in the period only."""
    at = {"timeUnixNano": "0", "observedTimeUnixNano": str(START)}
    records = [otlp.call_record("gpt") | at, otlp.call_record("gpt", START - 1), otlp.call_record("gpt", 0)]
    assert counts(total([otlp.logs(*records)]))[0] == {"gpt": 1}


@pytest.mark.parametrize(
    ("service", "sender", "calls"), [("web", "trusted", 1), ("a", "trusted", 2), ("a", "untrusted", 1)]
)
def test_order_of_copies_never_decides(total: Total, otlp: Otlp, service: str, sender: str, calls: int) -> None:
    """Of copies that differ, the same one counts in any order, and a copy of an untrusted sender hides no call."""
    span = otlp.span("gpt")
    record = otlp.call_record("gpt", START + 5, span)
    lines = [
        otlp.line(*otlp.marked("trusted", span)),
        otlp.logs(*otlp.marked("trusted", record), resource={"service.name": "api"}),
        otlp.logs(*otlp.marked(sender, record), resource={"service.name": service}),
    ]
    for order in itertools.permutations(lines):
        for inputs in ([list(order)], [[line] for line in order]):
            totals = total(*inputs)
            assert counts(totals) == ({"gpt": calls}, 1, calls - 1)


def test_evidence_about_calls_in_logs(case: EvidenceCase, otlp: Otlp) -> None:
    """Calls in log records are in the population and in the checks of models, not in those of spans' attributes."""
    span = otlp.enriched()
    record = otlp.call_record("rogue-1", otlp.start + 1, span)
    case.write(otlp.line(span), otlp.logs(record))
    found = case.attest(make_entry())
    assert (found.population.spans, found.population.calls, found.population.log_calls) == (1, 2, 1)
    assert found.population.other_spans == 0
    assert [name.name for name in found.unregistered_names] == ["rogue-1"]
    checks = {check.check: (check.population, check.exceptions) for check in found.checks}
    assert checks["calls_registered"] == (2, 1)
    assert checks["spans_enriched"] == checks["registry_and_spans_agree"] == (1, 0)
    (sample,) = next(check.samples for check in found.checks if check.check == "calls_registered")
    assert (sample.trace_id, sample.span_id) == (span["traceId"], span["spanId"])


def test_logs_alone_are_evidence(case: EvidenceCase, otlp: Otlp) -> None:
    """A file of log records without spans has calls, and is no missing telemetry."""
    case.write(otlp.logs(otlp.call_record("gpt")))
    found = case.attest(make_entry())
    assert (found.overall_status, found.coverage.status, found.population.spans) == ("no_evidence", "complete", 0)
    assert found.population.calls == 1


def test_ids_of_calls_are_written_early(tmp_path: Path, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit, the ids of calls in log records are in files before the input ends."""
    monkeypatch.setattr(log_calls, "_BUFFERED_BYTES", 40)
    scan, span = Scan(make_request(), SpanIdWriter(str(tmp_path), 0)), otlp.span()
    for written in (0, 2 * 40):
        scan.count_document(otlp.logs(otlp.call_record("gpt", span=span)))
        assert sum(file.stat().st_size for file in tmp_path.glob("logs-*")) == written
