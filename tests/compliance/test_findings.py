"""The findings, the inventory and the calls that an attestation lists, and ``findings.csv``."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from support.evidence import make_entry
from support.figures import assert_equal_figures
from support.pages import ReportPage, make_rich_package

from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance import Attestation, _figures, _findings, _name_lists
from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry.compliance._attestation_figures import AttestedFinding


def summarize(finding: AttestedFinding) -> tuple[str, str | None, str | None, str, int]:
    return finding.check, finding.name, finding.service, finding.reason, finding.occurrences


def test_each_exception_has_its_model_service_sender_and_reason() -> None:
    """The findings of each check state what happened, where, how often, and who owns the model."""
    package = make_rich_package()
    assert_equal_figures(package)
    findings = package.attestation.findings
    counted = [each for each in findings if each.sender != "untrusted"]
    assert {
        ("calls_registered", "nobody's", "api", "not registered", 2),
        ("calls_registered", "late", "api", "called before its deployment date", 1),
        ("served_as_requested", "gpt", "api", "answered by a model that is not registered: 'stranger'", 1),
        ("accountable", "nobody's", None, "not registered, so nobody is accountable", 1),
        ("no_calls_after_retirement", "old", "api", "called while it was retired", 4),
        ("changes_recorded", "dying", None, "the change to deprecated has no event", 1),
        ("spans_unambiguous", "nobody's", "api", "copies of the span differ", 1),
    } <= set(map(summarize, counted))
    (retired,) = [each for each in counted if each.check == "no_calls_after_retirement"]
    assert (retired.owner, retired.sender, len(retired.samples)) == ("ml", "trusted", 3)
    assert (retired.first, retired.last) == ("2026-01-01T00:00:00.000000Z", "2026-01-01T02:00:00.000000Z")
    untrusted = {summarize(each)[:2] for each in findings if each.sender == "untrusted"}
    assert untrusted == {("calls_registered", "stranger"), ("no_calls_after_retirement", "old")}


def test_a_difference_names_the_attributes_of_the_span(case: EvidenceCase, otlp: Otlp) -> None:
    """The reason has the status on the span, the other attributes that differ, and whether there is an entry."""
    spans = [
        otlp.enriched("gone", model_registry__status="retired"),
        otlp.enriched("gone", model_registry__status="no status of ours"),
        otlp.enriched(model_registry__owner="others", model_registry__status="deprecated"),
        otlp.enriched(),
    ]
    case.write(otlp.line(*spans))
    found = case.attest(make_entry())
    gone = "the registry has no entry of the model, but the span has"
    other = "the registry has other values than the span"
    assert {(each.name, each.reason) for each in found.findings if each.check == "registry_and_spans_agree"} == {
        ("gone", f"{gone}: status retired, model id, owner, risk tier"),
        ("gone", f"{gone}: status other, model id, owner, risk tier"),
        ("gpt", f"{other}: status (deprecated on the span), owner"),
    }
    (retired,) = [each for each in found.checks if each.check == "no_calls_after_retirement"]
    note = "calls not examined, because the model has no entry; their spans have the status retired: 1"
    assert (retired.exceptions, retired.notes) == (0, (note,))


@pytest.mark.parametrize(("minutes", "number"), [(4, 0), (6, 1)])
def test_spans_after_the_time_of_generation_are_a_limit(
    minutes: int, number: int, case: EvidenceCase, otlp: Otlp
) -> None:
    """If a span started after the stated time of generation, a limit names the input; clocks may differ a little."""
    generated = "2026-03-01T00:00:00Z"
    case.write(otlp.line(otlp.enriched(), otlp.enriched(start=to_nanos(generated) + minutes * 60 * 10**9)))
    found = case.attest(make_entry(), generated_at=generated)
    limits = [each for each in found.limits if "after the time of generation" in each]
    expected = f"1 ('{case.file.name}'). The last one started at 2026-03-01T00:0{minutes}:00.000000Z. "
    assert len(limits) == number
    assert all(expected in each for each in limits)


def test_calls_by_sender_tier_and_status(case: EvidenceCase, otlp: Otlp) -> None:
    """Calls are split by the status when they started, and by sender; an unregistered model has no tier."""
    entries = [
        make_entry(),
        make_entry("old", status="retired", decommission_date="2026-01-01T01:00:00Z"),
        make_entry("new", deployment_date="2026-03-01"),
    ]
    hour = 3_600 * 10**9
    spans = [otlp.enriched(), otlp.span("old"), otlp.span("old", otlp.start + 2 * hour), otlp.span("x")]
    spans.append(otlp.span("new"))
    case.write(otlp.line(*otlp.marked("trusted", *spans), *otlp.marked("untrusted", otlp.span("x"))))
    found = case.attest(*entries)
    assert [(each.sender, each.risk_tier, each.status, each.calls, each.models) for each in found.call_figures] == [
        ("trusted", "high", "active", 2, 2),
        ("trusted", "high", "retired", 1, 1),
        ("trusted", "high", "not_deployed", 1, 1),
        ("trusted", None, "unregistered", 1, 1),
        ("untrusted", None, "unregistered", 1, 1),
    ]
    assert [(each.model_id, each.name, each.status, each.sender, each.calls) for each in found.inventory] == [
        ("old", "old", "retired", "trusted", 2),
        ("gpt", "gpt", "active", "trusted", 1),
        ("new", "new", "not_deployed", "trusted", 1),
        (None, "x", "unregistered", "trusted", 1),
        (None, "x", "unregistered", "untrusted", 1),
    ]
    assert found.inventory_count == 4


def test_evidence_of_one_model_has_its_findings_only(case: EvidenceCase, otlp: Otlp) -> None:
    """Evidence of one model, or of one name that is not registered, lists no findings of others."""
    case.write(otlp.line(otlp.span("gpt", gen_ai__response__model="x"), otlp.span("y"), otlp.span("other")))
    entries = make_entry(), make_entry("other")
    for model_id, expected in (("gpt", {"gpt"}), ("y", {"y"}), ("x", {"gpt"})):
        package = case.package(case.engine(*entries), model_id)
        assert_equal_figures(package)
        assert {each.name for each in package.attestation.findings} == expected


@pytest.mark.parametrize(("number", "cut"), [(2, set()), (3, {"findings", "inventory", "unregistered_names"})])
def test_only_lists_beyond_their_limit_are_cut_off(
    case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch, number: int, cut: set[str]
) -> None:
    """A list with as many items as it may have is complete, and no limit is about it."""
    for module, limit in ((_findings, "MAX_ATTESTED"), (_figures, "MAX_ITEMS"), (_name_lists, "MAX_ITEMS")):
        monkeypatch.setattr(module, limit, 2)
    case.write(otlp.line(*(otlp.span(f"m{each}") for each in range(number))))
    limits = [limit for limit in case.attest().limits if limit.startswith("The list ")]
    assert {limit.split("`")[1] for limit in limits} == cut


@pytest.mark.slow
def test_long_lists_are_cut_off_and_say_so(case: EvidenceCase, otlp: Otlp) -> None:
    """An attestation has the first findings and models, and limits, page and files tell where the others are."""
    names = [f"m{number:04}" for number in range(1_050)]
    case.write(otlp.line(*(otlp.span(name) for name in [*names, *names[:3]])))
    package = case.package(case.engine())
    found = package.attestation
    assert_equal_figures(package)
    registered = [each for each in found.findings if each.check == "calls_registered"]
    assert [(each.name, each.occurrences) for each in registered[:4]] == [
        *(("m0000", 2), ("m0001", 2), ("m0002", 2)),
        ("m0003", 1),
    ]
    assert (len(registered), len(found.inventory), found.inventory_count) == (100, 1_000, 1_050)
    cut = "The list `findings` has the first 100 of 1,050 items of the check `calls_registered`. "
    assert f"{cut}The file `findings.csv` has the first 1,000." in found.limits
    assert "The list `inventory` has the first 1,000 of 1,050 items. The file `evidence.csv` has all of them." in (
        found.limits
    )
    rows = list(csv.DictReader(package.findings_csv.decode().splitlines()))
    assert sum(bool(row["occurrences"]) for row in rows if row["check"] == "calls_registered") == 1_000
    content = render_page(found)
    assert len(content) < 500_000
    page = ReportPage(content)
    assert {row[2] for row in page.read_rows("models")} == {"3 or more"}
    late = [msgspec.structs.replace(each, name="other") for each in found.inventory[:1]]
    cut_page = ReportPage(render_page(msgspec.structs.replace(found, inventory=tuple(late))))
    assert [row[2] for row in cut_page.read_rows("models")] == ["not listed"]
    text = "".join(page.root.itertext())
    assert "950 more are in evidence.csv" in text
    assert "950 of the 1,053 exceptions are not in these rows. findings.csv has more of them." in text


def test_the_page_names_no_rows_for_exceptions_without_findings(case: EvidenceCase, otlp: Otlp) -> None:
    """Missing days have no rows, so the page does not refer to ``findings.csv``. A clause without checks is named."""
    case.write(otlp.line(otlp.enriched()))
    found = case.attest(make_entry(), framework="eu_ai_act")
    (retention,) = [each for each in found.checks if each.check == "retention"]
    assert retention.exceptions == 184
    text = "".join(ReportPage(render_page(found)).root.itertext())
    assert "184 of 184 days" in text
    assert "are not in these rows" not in text
    assert "No check supports this clause" in text


def test_attestations_of_older_versions_are_read() -> None:
    """An attestation without the lists of findings, models and calls is read, and has none of them."""
    package = make_rich_package()
    stated = json.loads(package.to_json())
    for field in ("findings", "inventory", "inventory_count", "call_figures"):
        del stated[field]
    older = msgspec.json.decode(json.dumps(stated), type=Attestation)
    assert (older.findings, older.inventory, older.checks) == ((), (), package.attestation.checks)
