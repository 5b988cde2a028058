"""The status of evidence: coverage, limits, and which status is the worst."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import DAY, csv_rows, make_entry, make_record
from support.frameworks import make_clause, make_framework
from support.scans import HOUR

from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance import _limits
from spanforge.model_registry.compliance._analysis import seen_events
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.totals import CallTotals

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp


@pytest.mark.parametrize("framework", ["soc2", "nist_ai_rmf"])
@pytest.mark.parametrize("model_id", [None, "gpt"])
@pytest.mark.parametrize("given", [{"telemetry": ()}, {"telemetry": (), "audit_events": []}, {}])
def test_missing_telemetry_is_no_evidence(case: EvidenceCase, framework: str, model_id: str | None, given: Any) -> None:
    """Without telemetry, every check and clause has no evidence, and coverage has the reason."""
    period = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    found = case.attest(make_entry(), framework=framework, model_id=model_id, period=period, **given)
    assert {check.status for check in found.checks} == {"no_evidence"}
    assert {clause.status for clause in found.clauses} | {found.overall_status} == {"no_evidence"}
    assert {check.share for check in found.checks} == {None}
    reason = (
        "no telemetry was given"
        if given == {"telemetry": ()}
        else "the period has no span and no call in a log record from a trusted or unknown sender"
    )
    assert (found.coverage.status, found.coverage.reasons) == ("incomplete", (reason,))


def test_telemetry_of_another_period_is_no_evidence(case: EvidenceCase, otlp: Otlp) -> None:
    """Spans and events outside of the period are not telemetry of it, so a change without event is no finding."""
    case.write(otlp.line(otlp.span("gpt", otlp.start - HOUR)))
    payload = MappingProxyType({"model_id": "x"})
    event = {"event_type": "model_registry.retired", "timestamp": DAY[1], "payload": payload}
    given = [MappingProxyType(event)]
    found = case.attest(make_entry(deployment_date="2026-01-01T05:00:00Z"), audit_events=given)
    assert [change.event for change in found.changes] == ["not_recorded"]
    assert {check.status for check in found.checks} == {"no_evidence"}
    assert (found.population.spans, found.population.lifecycle_events) == (0, 0)


def test_log_records_alone_are_no_evidence_of_calls(case: EvidenceCase, otlp: Otlp) -> None:
    """Log records confirm changes, and are no evidence of calls."""
    case.write(otlp.logs(otlp.lifecycle_record(name="model_registry.registered")))
    found = case.attest(make_entry(deployment_date="2026-01-01"))
    statuses = {check.check: check.status for check in found.checks}
    assert statuses.pop("changes_recorded") == "supported"
    assert statuses.pop("no_calls_past_provider_shutdown") == "not_applicable"
    assert set(statuses.values()) == {found.overall_status} == {"no_evidence"}
    assert found.population.lifecycle_events == 1


@pytest.mark.parametrize("lines", [[], [b"{oops"]])
def test_clause_without_applicable_checks_has_no_evidence(case: EvidenceCase, otlp: Otlp, lines: list[bytes]) -> None:
    """A clause whose checks are all not applicable has no evidence, whether coverage is complete or not."""
    framework = make_framework(make_clause(checks=["changes_recorded"]))
    case.write(otlp.line(otlp.enriched()), *lines)
    found = case.attest(make_entry(), framework=framework)
    assert [check.status for check in found.checks] == ["not_applicable"]
    assert found.coverage.status == ("incomplete" if lines else "complete")
    assert [clause.status for clause in found.clauses] == [found.overall_status] == ["no_evidence"]


@pytest.mark.parametrize("framework", ["soc2", "nist_ai_rmf"])
@pytest.mark.parametrize(
    ("models", "lines", "status"),
    [
        (["gpt", "gpt"], [], "supported"),
        (["gpt"], [b"{oops"], "incomplete"),
        (["gpt", "unknown"], [b"{oops"], "findings"),
        ([None], [b"{oops"], "no_evidence"),
        ([None], [], "no_evidence"),
    ],
)
def test_overall_status_is_the_worst(  # noqa: PLR0913 - the case and its surroundings
    case: EvidenceCase, otlp: Otlp, framework: str, models: list[str | None], lines: list[bytes], status: str
) -> None:
    """Findings are worse than no evidence, which is worse than incomplete telemetry."""
    case.write(*lines, otlp.line(*(otlp.enriched(model) if model else otlp.span() for model in models)))
    found = case.attest(make_entry(), framework=framework)
    assert found.overall_status == status
    if status == "supported":
        assert {clause.status for clause in found.clauses} == {"supported"}
        assert (found.coverage.status, found.coverage.reasons, found.coverage.gap_count) == ("complete", (), 0)
    assert found.population.other_spans == models.count(None)


@pytest.mark.parametrize("together", [2, 3])
def test_gaps_make_coverage_incomplete(case: EvidenceCase, otlp: Otlp, together: int) -> None:
    """Coverage lists each stretch without spans that is longer than allowed, also at the ends of the period."""
    spans = [otlp.enriched(start=otlp.start + hour * HOUR) for hour in (6, 13, 23)]
    case.write(otlp.line(*spans[:together]), otlp.line(*spans[together:]))
    found = case.package(case.engine(make_entry(), max_gap=timedelta(hours=6))).attestation
    assert [(gap.from_date[11:19], gap.to_date[11:19], gap.seconds) for gap in found.coverage.gaps] == [
        ("06:00:00", "13:00:00", 7 * 3_600),
        ("13:00:00", "23:00:00", 10 * 3_600),
    ]
    short = case.package(case.engine(make_entry(), max_gap=timedelta(minutes=59))).attestation.coverage.gaps
    assert [short[0].from_date, short[-1].to_date] == [f"{day}T00:00:00.000000Z" for day in DAY]
    assert len(short) == 4
    assert (found.coverage.gap_count, found.arguments.max_gap_seconds) == (2, 6 * 3_600)
    assert found.coverage.reasons == ("gaps that are longer than max_gap_seconds: 2",)
    assert {clause.status for clause in found.clauses} | {found.overall_status} == {"incomplete"}


def test_period_that_is_not_over_is_incomplete(case: EvidenceCase) -> None:
    """Telemetry cannot cover the future: if the period ends after generation, coverage has a reason."""
    for generated_at, is_over in (("2026-01-01T23:59:59Z", False), ("2026-01-02T00:00:00Z", True)):
        reasons = case.attest(generated_at=generated_at).coverage.reasons
        assert ("the period had not ended when the evidence was generated" not in reasons) == is_over


def test_lost_events_make_coverage_incomplete(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events beyond the limit of an input make coverage incomplete."""
    for module in (seen_events, _limits):
        monkeypatch.setattr(module, "MAX_SEEN_EVENTS", 1)
    logs = [otlp.lifecycle_record(otlp.start + number) for number in range(3)]
    case.write(otlp.line(otlp.enriched()), otlp.logs(*logs))
    found = case.attest(make_entry())
    assert found.coverage.reasons == ("ignored lifecycle events, beyond 1 for each input and kind of sender: 2",)


def test_bad_lines_make_coverage_incomplete(case: EvidenceCase, otlp: Otlp) -> None:
    """The attestation counts a line that cannot be read, and counts the other lines."""
    case.write(b"{oops", otlp.line(otlp.enriched()))
    found = case.attest(make_entry())
    assert (found.inputs[0].lines, found.inputs[0].bad_lines, found.population.calls) == (2, 1, 1)
    fault = "line 1: is not JSON: object keys must be strings (byte 1)"
    assert found.inputs[0].faults == (fault,)
    assert found.coverage.reasons == (
        f"spans.jsonl: unreadable documents, spans or log records: 1; the input's first fault: {fault}",
    )


def test_malformed_span_spoils_no_other_period(case: EvidenceCase, otlp: Otlp) -> None:
    """A malformed span makes the coverage of its own period incomplete, unless it has no time or is untrusted."""
    good = otlp.line(otlp.enriched())
    untrusted = {"model_registry__sender": "untrusted"}
    for bad, is_incomplete in (
        (otlp.span("gpt") | {"traceId": ""}, True),
        (otlp.span("gpt", otlp.start - 1) | {"traceId": ""}, False),
        (otlp.span("gpt") | {"startTimeUnixNano": "0"}, False),
        (otlp.span("gpt", **untrusted) | {"traceId": ""}, False),
    ):
        case.write(good, otlp.line(bad))
        found = case.attest(make_entry())
        assert (found.coverage.status == "incomplete") is is_incomplete
        assert (found.inputs[0].bad_lines, len(found.inputs[0].faults)) == (1, 1)
        stated = [limit for limit in found.limits if limit.startswith("spans.jsonl: malformed spans and log records")]
        assert len(stated) == (not is_incomplete)


@pytest.mark.parametrize(
    "line",
    [
        b'{"resourceSpans":[{"resource":{},"instrumentationLibrarySpans":[{"spans":[]}]}]}',
        b'{"resourceSpans":[{"scope_spans":[{"spans":[]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"Spans":[{}]}]}]}',
        b'{"resourceLogs":[{"scope_logs":[]}]}',
    ],
)
def test_other_forms_of_otlp_are_bad_lines(case: EvidenceCase, line: bytes) -> None:
    """A line with names that OTLP JSON does not have is counted as unreadable."""
    case.write(line, b'{"resourceSpans":[{"resource":{}}]}')
    (found,) = case.attest().inputs
    assert (found.lines, found.bad_lines) == (2, 1)


@pytest.mark.parametrize(
    ("models", "unregistered", "expected"),
    [
        ({"gpt": ModelTotals(services={"api"})}, {"x": ModelTotals(services={"api"})}, False),
        ({"gpt": ModelTotals(services={"api", OTHERS_NAME})}, {}, True),
        ({}, {"x": ModelTotals(services={OTHERS_NAME})}, True),
        ({}, {OTHERS_NAME: ModelTotals(services={"api"})}, True),
    ],
)
def test_merged_groups_are_noticed(
    models: dict[str, ModelTotals],
    unregistered: dict[str, ModelTotals],
    expected: bool,  # noqa: FBT001 - the case
) -> None:
    """Services or names that are counted together are a limit."""
    assert _limits.has_merged_groups(CallTotals(models, unregistered, 0, 0, 0, 0, [])) is expected


def test_limits_are_stated(case: EvidenceCase, otlp: Otlp) -> None:
    """Every attestation states that samplers drop spans, and what the registry has no history of."""
    case.write(otlp.line(otlp.enriched()))
    limits = case.attest(make_entry()).limits
    assert any("a sampler drops" in limit and "all counts are of recorded spans" in limit for limit in limits)
    assert any("sunset dates are those at generation" in limit for limit in limits)
    assert sum("whose first status in the period" in limit for limit in limits) == 1


@pytest.mark.parametrize(
    ("deployed", "first_record", "stated"),
    [
        ("2025-01-01", "2025-12-31", False),
        ("2025-01-01", "2026-01-01", False),
        ("2025-01-01", "2026-01-01T00:00:00.000001Z", True),
        (None, "2026-01-01T06:00:00Z", True),
        ("2026-01-01T06:00:00Z", "2026-01-01T06:00:00Z", False),
        ("2026-01-01T06:00:00Z", "2026-01-01T07:00:00Z", True),
        ("2026-01-02", "2026-01-03", False),
    ],
)
def test_missing_history_is_a_limit(
    case: EvidenceCase,
    otlp: Otlp,
    deployed: str | None,
    first_record: str,
    stated: bool,  # noqa: FBT001 - expected
) -> None:
    """If the history begins after the period or after a deployment in it, a limit states so."""
    case.write(otlp.line(otlp.enriched(start=otlp.start + 8 * HOUR)))
    history = {"history": [make_record(first_record, "active")]}
    limits = case.attest(make_entry(deployment_date=deployed, metadata=history)).limits
    assert any("from the entry's dates instead of a history record: 1." in limit for limit in limits) == stated


@pytest.mark.parametrize("since", ["2026-10-01", "2026-12-01", "2027-01-01"])
def test_calls_past_a_sunset_before_the_period_are_findings(case: EvidenceCase, otlp: Otlp, since: str) -> None:
    """A call after the sunset date is a finding in every period that contains it."""
    metadata = {"deprecation_date": "2026-10-05", "sunset_date": "2026-11-01"}
    case.write(otlp.line(otlp.span("gpt", to_nanos("2027-01-15"))))
    found = case.attest(make_entry(status="deprecated", metadata=metadata), period=(since, "2027-02-01"))
    (check,) = (check for check in found.checks if check.check == "no_calls_past_sunset")
    assert (check.status, check.exceptions) == ("findings", 1)


@pytest.mark.parametrize(
    ("status", "column", "check", "exceptions"),
    [
        ("retired", "calls_after_retirement", "no_calls_after_retirement", 1),
        ("deprecated", "calls_while_deprecated", "no_calls_past_sunset", 1),
    ],
)
def test_status_without_a_date_is_in_force(  # noqa: PLR0913 - the case and its surroundings
    case: EvidenceCase, otlp: Otlp, status: Any, column: str, check: str, exceptions: int
) -> None:
    """A status without its date counts for every call; a limit lists the model, and no output contradicts it."""
    entry = make_entry(status=status, metadata={"sunset_date": "2025-12-01"})
    case.write(otlp.line(otlp.enriched(model_registry__status=status)))
    package = case.package(case.engine(entry), framework="nist_ai_rmf")
    found, (row,) = package.attestation, csv_rows(package)
    assert (row["status"], row[column]) == (status, "1")
    assert found.model_warnings == (f"model 'gpt' is {status}",)
    results = {each.check: (each.status, each.exceptions) for each in found.checks}
    assert results[check] == ("findings", exceptions)
    assert results["registry_and_spans_agree"] == ("supported", 0)
    assert results["changes_recorded"] == ("not_applicable", 0)
    assert any(limit.startswith("Models whose status has no date: 1 ('gpt').") for limit in found.limits)


def test_contradictory_entries_are_a_limit(case: EvidenceCase, otlp: Otlp) -> None:
    """If dates or the history of an entry contradict its status, they count, and a limit lists the model."""
    planned = make_entry("planned", status="retired", decommission_date="2030-01-01")
    names = [f"m{number:02}" for number in range(12)]
    case.write(otlp.line(*map(otlp.span, ["planned", *names])))
    past = [make_entry(name, decommission_date="2025-06-01") for name in names]
    package = case.package(case.engine(planned, *past))
    assert [row["status"] for row in csv_rows(package)] == ["active", *["retired"] * 12]
    shown = ", ".join(f"'{name}'" for name in ["planned", *names[:9]])
    assert any(f"show at generation: 13 ({shown}, …)." in limit for limit in package.attestation.limits)
