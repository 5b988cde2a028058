"""The check ``retention``: how far back an archive reaches, compared with required days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import ListReader, make_entry
from support.figures import assert_equal_figures, assert_page_figures
from support.frameworks import make_clause, make_framework
from support.otlp import START
from support.pages import ReportPage

from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.retention import NANOS_PER_DAY, ArchiveDays, measure_retention
from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry.compliance._attestation_parts import CheckResult

DAYS = 10


def ago(days: float) -> int:
    """Return the time that many days before the default start."""
    return START - int(days * NANOS_PER_DAY)


def attest(case: EvidenceCase, *lines: bytes, **options: Any) -> CheckResult:
    """Return the result of the check on an archive with these lines."""
    case.write(*lines)
    framework = make_framework(make_clause(checks=[{"check": "retention", "days": DAYS}]))
    (check,) = case.attest(make_entry(), framework=framework, **options).checks
    return check


@pytest.mark.parametrize(("reach", "missing"), [(DAYS, 0), (DAYS + 50, 0), (DAYS - 1, 1), (3, 7), (0, 10)])
def test_the_earliest_day_decides(case: EvidenceCase, otlp: Otlp, reach: int, missing: int) -> None:
    """Required days before the earliest record are exceptions, wherever the period of the evidence is."""
    check = attest(case, otlp.line(otlp.enriched(), otlp.enriched(start=ago(reach))))
    assert (check.population, check.exceptions) == (DAYS, missing)
    assert check.status == ("findings" if missing else "supported")
    assert [(each.name, each.value) for each in check.parameters] == [("days", DAYS)]
    assert check.notes[:3] == (
        f"earliest record: {format_nanos(ago(reach))}",
        f"newest record until generation: {format_nanos(START)}",
        f"required days before the day of the newest record: {DAYS}",
    )
    assert check.notes[4:] == (("earliest deployment date in the registry: 2025-01-01",) if missing else ())


def test_missing_days_are_one_finding(case: EvidenceCase, otlp: Otlp) -> None:
    """The attestation, ``findings.csv`` and the page have the missing days, if any, as one finding about no model."""
    case.write(otlp.line(otlp.enriched(), otlp.enriched(start=ago(3))))
    framework = make_framework(make_clause(checks=[{"check": "retention", "days": DAYS}]))
    package = case.package(case.engine(make_entry()), framework=framework)
    assert_equal_figures(package)
    (finding,) = package.attestation.findings
    assert (finding.check, finding.occurrences, finding.name, finding.sender) == ("retention", 7, "", None)
    assert finding.reason == "no record on the required days from 2025-12-22 to 2025-12-28"
    page = ReportPage(render_page(package.attestation))
    assert_page_figures(page, package.attestation)
    assert "(the archive)" in page.read_rows("found-retention")[0][0]
    assert "days: 10" in page.read_rows("check-list")[0][0]
    case.write(otlp.line(otlp.enriched(), otlp.enriched(start=ago(DAYS))))
    assert case.attest(make_entry(), framework=framework).findings == ()


def test_days_without_records_are_noted(case: EvidenceCase, otlp: Otlp) -> None:
    """Empty days after the earliest one are no exceptions, and a note counts them."""
    check = attest(case, otlp.line(otlp.enriched(), *(otlp.enriched(start=ago(days)) for days in (9.5, 9, 2))))
    assert (check.exceptions, check.status) == (0, "supported")
    assert check.notes[3] == "required days after the day of the earliest record and without any record: 7"


def test_only_counted_senders_reach_back(case: EvidenceCase, otlp: Otlp) -> None:
    """Early spans of untrusted senders, marked or not in an input with marks, do not extend the reach."""
    now = otlp.line(*otlp.marked("trusted", otlp.enriched()))
    old = otlp.line(*otlp.marked("untrusted", otlp.enriched(start=ago(20))))
    unmarked = otlp.line(otlp.enriched(start=ago(20)))
    trusted = otlp.line(*otlp.marked("trusted", otlp.enriched(start=ago(20))))
    assert attest(case, now, old, unmarked).exceptions == DAYS
    assert attest(case, unmarked, old, now).exceptions == DAYS
    assert attest(case, now, trusted, unmarked).exceptions == 0


def test_calls_in_log_records_reach_back(case: EvidenceCase, otlp: Otlp) -> None:
    """A log record that reports a call counts like a span, in the period and outside it."""
    record = {**otlp.lifecycle_record(ago(20)), "eventName": "gen_ai.client.inference.operation.details"}
    assert attest(case, otlp.line(otlp.enriched()), otlp.logs(record)).exceptions == 0
    assert attest(case, otlp.line(otlp.enriched()), otlp.logs(otlp.lifecycle_record(ago(20)))).exceptions == DAYS


def test_records_without_a_time_or_after_generation_do_not_count(case: EvidenceCase, otlp: Otlp) -> None:
    """A span of 1970 has no time, and one of the future cannot lengthen the archive."""
    spans = [otlp.enriched(), otlp.enriched(start=0), otlp.enriched(start=ago(-400))]
    check = attest(case, otlp.line(*spans), otlp.line(spans[1]))
    assert (check.population, check.exceptions, check.status) == (DAYS, DAYS, "findings")


def test_nothing_to_compare_is_no_evidence(case: EvidenceCase, otlp: Otlp) -> None:
    """Without records there is no reach, and telemetry outside of the period is no evidence of the period."""
    assert attest(case).status == "no_evidence"
    assert attest(case, otlp.line(otlp.enriched(start=ago(20)))).status == "no_evidence"
    assert measure_retention(ArchiveDays({}, START), 5) == (0, 0, 0, None, None)


def test_a_query_of_jaeger_cannot_reach_back(case: EvidenceCase, otlp: Otlp) -> None:
    """Jaeger is asked for the period only, which a limit states for frameworks with the check."""
    reader = ListReader([otlp.line(otlp.enriched())], kind="jaeger", name="http://jaeger:16686")
    limits = {
        framework: [
            each for each in case.attest(make_entry(), framework=framework, telemetry=reader).limits if "Jaeger" in each
        ]
        for framework in ("soc2", "eu_ai_act")
    }
    sentence = "Jaeger is queried for the period only. So the check `retention` sees no earlier traces of this input: "
    assert limits == {"soc2": [], "eu_ai_act": [f"{sentence}http://jaeger:16686"]}


def test_old_telemetry_is_not_supported_by_its_age(case: EvidenceCase, otlp: Otlp) -> None:
    """The days are counted back from the newest record, not from the time of generation."""
    check = attest(case, otlp.line(otlp.enriched()), generated_at="2030-01-01")
    assert check.exceptions == DAYS
