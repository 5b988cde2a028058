"""Evidence of trusted, unknown and untrusted senders."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import csv_rows, make_entry
from support.scans import HOUR

from spanforge.model_registry.compliance._analysis import call_groups, seen_events

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._attestation_senders import SenderFigures

RETIRED = make_entry("old", status="retired", decommission_date="2025-06-01")


def figures(found: Attestation, sender: str) -> SenderFigures:
    """Return the figures of a sender."""
    (one,) = (each for each in found.senders if each.sender == sender)
    return one


def results(found: Attestation) -> dict[str, tuple[str, int, int]]:
    """Return the status, population and exceptions of each check."""
    return {each.check: (each.status, each.population, each.exceptions) for each in found.checks}


def test_input_without_marks_has_unknown_senders(case: EvidenceCase, otlp: Otlp) -> None:
    """Records of an input without marks count like those of trusted senders, and a limit says so."""
    case.write(otlp.line(otlp.enriched()))
    package = case.package(case.engine(make_entry()))
    found = package.attestation
    assert found.overall_status == "supported"
    assert [(each.sender, each.calls) for each in found.senders] == [("trusted", 0), ("unknown", 1), ("untrusted", 0)]
    assert [row["sender"] for row in csv_rows(package)] == ["unknown"]
    assert any(limit.startswith("Inputs without the attribute model_registry.sender: 1.") for limit in found.limits)
    assert any("set the attribute `model_registry.sender`" in limit for limit in found.limits)


@pytest.mark.parametrize("place", ["call", "outside", "log", "other"])
def test_unmarked_records_beside_marked_ones_are_untrusted(case: EvidenceCase, otlp: Otlp, place: str) -> None:
    """In an input with a mark anywhere, records without one are of untrusted senders."""
    early = otlp.span(start=otlp.start - HOUR)
    marked = {
        "call": otlp.line(*otlp.marked("trusted", otlp.enriched())),
        "outside": otlp.line(*otlp.marked("trusted", early)),
        "log": otlp.logs(*otlp.marked("trusted", {})),
        "other": otlp.line(*otlp.marked("untrusted", otlp.span())),
    }
    for lines in ([otlp.line(otlp.enriched()), marked[place]], [marked[place], otlp.line(otlp.enriched())]):
        case.write(*lines)
        found = case.attest(make_entry())
        assert figures(found, "untrusted").calls == 1
        assert found.population.calls == figures(found, "trusted").calls == (place == "call")
        assert not any("without marks" in limit for limit in found.limits)


def test_untrusted_records_change_no_figure(case: EvidenceCase, otlp: Otlp) -> None:
    """Calls, claims, events and filler spans of untrusted senders are counted apart only."""
    calls = otlp.marked("trusted", otlp.enriched(), otlp.enriched(start=otlp.start + 12 * HOUR))
    forged = otlp.marked("untrusted", otlp.enriched("old"), otlp.span("unknown"), otlp.span("gpt"), otlp.span())
    forged[0]["events"] = [otlp.lifecycle_event(model_id="gpt")]
    events = otlp.marked("untrusted", otlp.lifecycle_record(model_id="gpt"), otlp.lifecycle_record(otlp.start + 1))
    entries = make_entry(deployment_date="2025-01-01", decommission_date="2026-01-01T23:00:00Z"), RETIRED
    case.write(otlp.line(*calls))
    alone = case.package(case.engine(*entries))
    case.write(otlp.line(*forged), otlp.logs(*events), otlp.line(*calls))
    package = case.package(case.engine(*entries))
    found, before = package.attestation, alone.attestation
    assert (found.checks, found.clauses, found.population) == (before.checks, before.clauses, before.population)
    assert (found.coverage, found.model_warnings, found.limits) == (
        before.coverage,
        before.model_warnings,
        before.limits,
    )
    assert found.changes == before.changes
    untrusted = figures(found, "untrusted")
    assert (untrusted.spans, untrusted.calls, untrusted.models_called, untrusted.lifecycle_events) == (4, 3, 3, 2)
    counted = {each.check: (each.population, each.exceptions) for each in untrusted.checks}
    assert counted["no_calls_after_retirement"] == (2, 1)
    assert counted["calls_registered"] == (3, 1)
    assert not {"spans_enriched", "registry_and_spans_agree", "changes_recorded"} & set(counted)
    rows = csv_rows(package)
    assert rows[: len(csv_rows(alone))] == csv_rows(alone)
    assert [row["model_id"] for row in rows if row["sender"] == "untrusted"] == ["gpt", "old", "unknown"]


FORGERIES = {
    "no model": {},
    "active model": {"gen_ai.request.model": "gpt"},
    "agent": {"gen_ai.request.model": "gpt", "gen_ai.operation.name": "invoke_agent"},
    "tool": {"gen_ai.request.model": "old", "gen_ai.operation.name": "execute_tool"},
    "claim": {"model_registry.status": "active", "model_registry.model_id": "gpt"},
    "enriched": {"gen_ai.request.model": "old", "model_registry.status": "retired"},
}


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("sender", ["trusted", None])
@pytest.mark.parametrize("is_upper", [False, True])
def test_copy_of_an_untrusted_sender_hides_no_call(
    case: EvidenceCase, otlp: Otlp, kind: str, sender: str | None, *, is_upper: bool
) -> None:
    """A copy that an untrusted sender wrote first hides no call of a retired model, and is listed apart."""
    span = otlp.span("old")
    (call,) = [span] if sender is None else otlp.marked(sender, span)
    ids = {key: span[key].upper() if is_upper else span[key] for key in ("traceId", "spanId")}
    forged = otlp.span() | ids | {"attributes": otlp.attributes(FORGERIES[kind])}
    other, more = case.folder / "a.jsonl", otlp.marked("untrusted", forged)
    case.write(otlp.line(call))
    alone = case.attest(make_entry(), RETIRED)
    assert results(alone)["no_calls_after_retirement"] == ("findings", 1, 1)
    other.write_bytes(otlp.line(*more))
    found = case.attest(make_entry(), RETIRED, telemetry=[other, case.file])
    assert (found.checks, found.population, found.overall_status) == (alone.checks, alone.population, "findings")
    assert (found.untrusted_copies.spans, alone.untrusted_copies.spans) == (1, 0)
    assert [sample.span_id.lower() for sample in found.untrusted_copies.samples] == [span["spanId"]]
    about = case.attest(make_entry(), RETIRED, model_id="old", telemetry=[other, case.file])
    assert about.overall_status == "findings"


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.parametrize("sender", ["trusted", None])
def test_differing_copy_of_a_counted_sender_is_a_finding(
    case: EvidenceCase, otlp: Otlp, kind: str, sender: str | None
) -> None:
    """Of copies from trusted or unknown senders that differ, the worst one counts and the difference is a finding."""
    call = otlp.span("old")
    copy = call | {"attributes": otlp.attributes(FORGERIES[kind])}
    copies = [call, copy] if sender is None else otlp.marked(sender, call, copy)
    for given in (copies, copies[::-1]):
        case.write(otlp.line(*given))
        found = results(case.attest(make_entry(), RETIRED))
        assert found["no_calls_after_retirement"] == ("findings", 1, 1)
        assert found["spans_unambiguous"] == ("findings", 1, 1)


def test_equal_copies_of_trusted_and_unknown_senders_agree(case: EvidenceCase, otlp: Otlp) -> None:
    """A copy that differs in the mark alone is no finding, and the trusted one counts."""
    call, other = otlp.enriched(), case.folder / "old.jsonl"
    case.write(otlp.line(*otlp.marked("trusted", call)))
    other.write_bytes(otlp.line(call))
    found = case.attest(make_entry(), telemetry=[other, case.file])
    assert (found.population.copies, found.population.differing_copies) == (1, 0)
    assert (figures(found, "trusted").calls, figures(found, "unknown").calls) == (1, 0)
    assert results(found)["spans_unambiguous"] == ("supported", 1, 0)


def test_differing_agent_spans_are_findings(case: EvidenceCase, otlp: Otlp) -> None:
    """A difference of spans that are no calls is a finding too, also in evidence about one model."""
    span = otlp.span("gpt", gen_ai__operation__name="invoke_agent")
    case.write(otlp.line(span, span | {"attributes": []}, otlp.enriched()))
    for model_id in (None, "gpt"):
        found = case.attest(make_entry(), model_id=model_id)
        assert results(found)["spans_unambiguous"] == ("findings", 2, 1)


def test_repeated_attribute_that_resolves_otherwise_is_a_finding(case: EvidenceCase, otlp: Otlp) -> None:
    """If the later value of a repeated attribute resolves otherwise, the call is a finding; the first value counts."""
    key = "gen_ai.request.model"
    for models, calls in ((["old", "gpt"], 1), (["gpt", "old"], 0)):
        pairs: list[Any] = [pair for model in models for pair in otlp.attributes({key: model})]
        case.write(otlp.line(otlp.span() | {"attributes": pairs}))
        found = case.attest(make_entry(), RETIRED)
        assert results(found)["spans_unambiguous"] == ("findings", 1, 1)
        assert results(found)["no_calls_after_retirement"][2] == calls
        (check,) = (check for check in found.checks if check.check == "spans_unambiguous")
        assert check.notes == ("spans in which an attribute occurs twice with different values: 1",)


def test_senders_share_no_limit(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups and events of untrusted senders use up no limit of others."""
    for module, name in ((call_groups, "MAX_CALL_GROUPS"), (seen_events, "MAX_SEEN_EVENTS")):
        monkeypatch.setattr(module, name, 2)
    flood = [otlp.line(*otlp.marked("untrusted", otlp.span(f"x{number}")), service=f"s{number}") for number in range(9)]
    events = otlp.marked("untrusted", *(otlp.lifecycle_record(otlp.start + number) for number in range(9)))
    case.write(*flood, otlp.logs(*events), otlp.line(*otlp.marked("trusted", otlp.enriched()), service="web"))
    package = case.package(case.engine(make_entry()))
    assert package.attestation.overall_status == "supported"
    assert csv_rows(package)[0]["services"] == "web"
    assert figures(package.attestation, "untrusted").calls == 9


def test_spans_of_two_senders_in_one_batch(case: EvidenceCase, otlp: Otlp) -> None:
    """Coverage counts the spans of trusted senders, also if a batch has spans of several senders."""
    spans = [otlp.enriched(start=otlp.start + hour * HOUR) for hour in range(24)]
    batch = [
        *otlp.marked("trusted", *spans[:2]),
        *otlp.marked("untrusted", *spans[2:22]),
        *otlp.marked("trusted", *spans[22:]),
    ]
    case.write(otlp.line(*batch))
    found = case.package(case.engine(make_entry(), max_gap=timedelta(hours=2))).attestation
    assert [(gap.from_date[11:16], gap.to_date[11:16]) for gap in found.coverage.gaps] == [("01:00", "22:00")]
    assert (found.population.spans, figures(found, "untrusted").spans) == (4, 20)
