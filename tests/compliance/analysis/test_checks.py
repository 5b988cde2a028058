"""Checks: the population, exceptions, notes and samples of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import make_entry, make_record
from support.frameworks import LONGEST_DAYS, make_framework
from support.scans import HOUR

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis import check_results
from spanforge.model_registry.compliance._analysis.check_results import run_checks
from spanforge.model_registry.compliance._analysis.checks import (
    EVIDENCE_CHECKS,
    CheckInput,
    Outcome,
)
from spanforge.model_registry.compliance._analysis.copies import EXCEPTIONS
from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.retention import NANOS_PER_DAY, ArchiveDays
from spanforge.model_registry.compliance._analysis.samples import SAMPLES_PER_CHECK
from spanforge.model_registry.compliance._analysis.scan_data import SpanRef
from spanforge.model_registry.compliance._analysis.totals import CallTotals
from spanforge.model_registry.compliance._attestation_parts import Change, CheckResult
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry import ModelRegistryEntry

NAMES = [row.check for row in EVIDENCE_CHECKS]
OF_CALENDAR = "no_calls_past_provider_shutdown"
CALL_CHECKS = [row.check for row in EVIDENCE_CHECKS if "calls" in row.unit and row.check != OF_CALENDAR]

Look = Callable[..., dict[str, CheckResult]]


@pytest.fixture
def look(case: EvidenceCase, otlp: Otlp) -> Look:
    """Return the results of all checks about the first of January."""

    def look(entries: list[ModelRegistryEntry], *spans: Any, model_id: str | None = None) -> dict[str, CheckResult]:
        case.write(otlp.line(*spans))
        attestation = case.attest(*entries, framework=make_framework(), model_id=model_id)
        return {check.check: check for check in attestation.checks}

    return look


def summarize(check: CheckResult) -> tuple[str, int, int, float | None]:
    """Return the figures of a result."""
    return check.status, check.population, check.exceptions, check.share


def span_ids(check: CheckResult) -> list[str]:
    """Return the ids of a result's samples."""
    return [sample.span_id for sample in check.samples]


def make_input(calls: int, exceptions: int, kind: str = "not_enriched", samples: int = 0, id_: str = "0") -> CheckInput:
    """Return the calls of one model, some of which are exceptions."""
    model = ModelTotals(calls=calls)
    model.exceptions[kind] = exceptions
    model.samples[kind] = {SpanRef(number, f"{number:032x}", id_ * 16) for number in reversed(range(samples))}
    totals = CallTotals({"gpt": model}, {}, calls, 0, 0, 0, [])
    return CheckInput(totals, [make_entry()], [], has_telemetry=True)


def test_good_calls_support_every_check(look: Look, otlp: Otlp) -> None:
    """The frameworks use every check, and each one of calls is supported if every call is good."""
    good = [otlp.enriched(gen_ai__response__model="gpt") for _ in range(2)]
    found = look([make_entry()], otlp.enriched(start=otlp.start - LONGEST_DAYS * 24 * HOUR), *good)
    assert list(dict.fromkeys(NAMES)) == NAMES == sorted(found, key=NAMES.index)
    for row in EVIDENCE_CHECKS:
        check = found[row.check]
        assert (check.title, check.unit, check.exceptions, check.samples) == (row.title, row.unit, 0, ())
        assert summarize(check) in [("supported", check.population, 0, 1.0), ("not_applicable", 0, 0, None)]
        if row.check in CALL_CHECKS:
            assert summarize(check) == ("supported", 2, 0, 1.0)


@pytest.mark.parametrize("model_id", [None, "gpt"])
def test_telemetry_without_calls_is_no_evidence(look: Look, otlp: Otlp, model_id: str | None) -> None:
    """If there are spans and no calls, checks of calls have no evidence."""
    found = look([make_entry()], otlp.span(), model_id=model_id)
    assert {summarize(found[name]) for name in CALL_CHECKS} == {("no_evidence", 0, 0, None)}
    assert found.pop("retention").status == "findings"
    assert {check.status for check in found.values()} == {"no_evidence", "not_applicable"}
    assert summarize(found["accountable"]) == ("no_evidence", 0, 0, None)
    assert summarize(found["changes_recorded"]) == ("not_applicable", 0, 0, None)


def test_unregistered_model_has_no_evidence_of_changes(look: Look, otlp: Otlp) -> None:
    """A model that is not registered has no changes, which is no evidence."""
    assert look([make_entry()], otlp.span("x"), model_id="x")["changes_recorded"].status == "no_evidence"


def test_calls_registered(look: Look, otlp: Otlp) -> None:
    """Calls of unregistered models, and calls before the deployment date, are exceptions of this check alone."""
    strange, early = otlp.span("x"), otlp.span("late", otlp.start + HOUR)
    results = look(
        [make_entry(), make_entry("late", deployment_date="2026-01-01T01:00:00.000001Z")],
        *[otlp.span("gpt"), strange, early, otlp.span("late", otlp.start + HOUR + 1_000)],
    )
    assert summarize(results["no_calls_after_retirement"]) == ("supported", 2, 0, 1.0)
    found = results["calls_registered"]
    assert summarize(found) == ("findings", 4, 2, 0.5)
    assert found.notes == (
        "unregistered names: 1",
        "calls before the model's deployment date: 1",
    )
    assert span_ids(found) == [strange["spanId"], early["spanId"]]
    assert found.samples[1].trace_id == early["traceId"]
    assert found.samples[1].start == "2026-01-01T01:00:00.000000Z"


def test_served_as_requested(look: Look, otlp: Otlp) -> None:
    """A call that an unregistered model answered is an exception; a registered model that answered is only noted."""
    strange = [otlp.span("gpt", gen_ai__response__model=name) for name in ("x", "y", "y")]
    spans = [otlp.span("gpt", gen_ai__response__model=name) for name in ("gpt", "GPT-2026-01-31", "rival")]
    spans += [otlp.span("gpt"), otlp.span("z", gen_ai__response__model="zz")]
    found = look([make_entry(), make_entry("rival")], *strange, *spans)["served_as_requested"]
    assert summarize(found) == ("findings", 6, 3, 0.5)
    assert found.notes == (
        "models that answered and are not registered: 2",
        "calls answered by a registered model other than the requested one: 1",
        "registered calls whose request model or response model is missing: 1",
    )
    assert sorted(span_ids(found)) == sorted(span["spanId"] for span in strange)


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("gpt", ("findings", 3, 1, 0.6666)),
        ("rival", ("supported", 2, 0, 1.0)),
        ("x", ("findings", 1, 1, 0.0)),
        ("idle", ("no_evidence", 0, 0, None)),
    ],
)
def test_served_as_requested_of_one_model(look: Look, otlp: Otlp, model_id: str, expected: Any) -> None:
    """Evidence about a model examines the calls that requested it and the calls that it answered."""
    spans = [otlp.span("gpt", gen_ai__response__model=name) for name in ("gpt", "rival", "x")]
    spans.append(otlp.span("rival", gen_ai__response__model="rival"))
    entries = [make_entry(name) for name in ("gpt", "rival", "idle")]
    assert summarize(look(entries, *spans, model_id=model_id)["served_as_requested"]) == expected


def test_calls_without_response_model_are_not_examined(look: Look, otlp: Otlp) -> None:
    """Calls without a response model neither support nor fail the check."""
    assert summarize(look([make_entry()], otlp.span("gpt"))["served_as_requested"]) == ("not_applicable", 0, 0, None)


def test_accountable_counts_models(look: Look, otlp: Otlp) -> None:
    """The population is models, not calls, and unregistered models are exceptions."""
    found = look([make_entry(), make_entry("idle")], *[otlp.span("gpt") for _ in range(5)], otlp.span("x"))[
        "accountable"
    ]
    assert summarize(found) == ("findings", 2, 1, 0.5)
    assert found.unit == "models"


RETIRED = {"status": "retired", "decommission_date": "2026-01-01T12:00:00Z"}


@pytest.mark.parametrize(
    "history", [[], [make_record("2025-01-01", "active"), make_record("2026-01-01T12:00:00Z", "retired")]]
)
def test_no_calls_after_retirement(look: Look, otlp: Otlp, history: list[Any]) -> None:
    """The status at each call counts, to the nanosecond, not the status today."""
    noon = otlp.start + 12 * HOUR
    first = otlp.span("old", noon)
    spans = [otlp.span("old", otlp.start), otlp.span("old", noon - 1), first, otlp.span("x")]
    found = look([make_entry("old", metadata={"history": history} if history else {}, **RETIRED)], *spans)
    assert summarize(found["no_calls_after_retirement"]) == ("findings", 3, 1, 0.6666)
    assert found["no_calls_after_retirement"].notes == ("models called after their retirement: 1",)
    assert span_ids(found["no_calls_after_retirement"]) == [first["spanId"]]


@pytest.mark.parametrize("name", ["no_calls_after_retirement", "no_calls_past_sunset"])
def test_unregistered_models_are_no_evidence_about_retired_ones(look: Look, otlp: Otlp, name: str) -> None:
    """Calls of unregistered models are not in the population of the checks of retirement and sunset."""
    found = look([make_entry()], otlp.span("x"))[name]
    assert summarize(found) == ("no_evidence", 0, 0, None)
    assert found.unit == "calls of registered models"


def test_no_calls_past_sunset(look: Look, otlp: Otlp) -> None:
    """Calls of a deprecated model are exceptions from its sunset date on; those of a retired one are not."""
    noon = otlp.start + 12 * HOUR
    metadata = {"deprecation_date": "2026-01-01T06:00:00Z", "sunset_date": "2026-01-01T12:00:00Z"}
    past = otlp.span("old", noon)
    gone = make_entry("gone", metadata=metadata, status="retired", decommission_date="2026-01-01T12:00:00Z")
    spans = [otlp.span("old", at) for at in (otlp.start, otlp.start + 6 * HOUR, noon - 1)]
    found = look(
        [make_entry("old", status="deprecated", metadata=metadata), gone], *spans, past, otlp.span("gone", noon)
    )
    check = found["no_calls_past_sunset"]
    assert summarize(check) == ("findings", 5, 1, 0.8)
    assert check.notes == (
        "models called on or after their sunset date: 1",
        "calls of deprecated models, exceptions included: 3",
    )
    assert span_ids(check) == [past["spanId"]]


def test_spans_enriched(look: Look, otlp: Otlp) -> None:
    """The span of a call without the registry's status is an exception."""
    plain = otlp.span("gpt")
    found = look([make_entry()], plain, otlp.enriched(), otlp.enriched())["spans_enriched"]
    assert summarize(found) == ("findings", 3, 1, 0.6666)
    assert span_ids(found) == [plain["spanId"]]


@pytest.mark.parametrize(
    ("key", "value"), [("status", "deprecated"), ("model_id", "other"), ("owner", "someone"), ("risk_tier", "low")]
)
def test_registry_and_spans_agree(look: Look, otlp: Otlp, key: str, value: str) -> None:
    """Each attribute of the registry on a span is compared; spans without them are not in the population."""
    odd = otlp.enriched(**{f"model_registry__{key}": value})
    found = look([make_entry()], otlp.span("gpt"), otlp.enriched(), odd)["registry_and_spans_agree"]
    assert summarize(found) == ("findings", 2, 1, 0.5)
    assert span_ids(found) == [odd["spanId"]]
    assert found.unit == "enriched calls"


@pytest.mark.parametrize(
    ("calls", "exceptions", "share"),
    [(100_000, 1, 0.9999), (100_000, 0, 1.0), (3, 1, 0.6666), (10**17, 1, 0.9999), (20_000, 19_999, 0.0), (2, 2, 0.0)],
)
def test_share_is_rounded_down(calls: int, exceptions: int, share: float) -> None:
    """One exception among many calls never gives a share of one."""
    (found,) = run_checks(["spans_enriched"], make_input(calls, exceptions))
    assert found.share == share
    assert found.status == ("findings" if exceptions else "supported")


def test_samples_are_the_earliest_exceptions() -> None:
    """The samples are the earliest exceptions, up to a limit."""
    (found,) = run_checks(["spans_enriched"], make_input(50, 50, samples=50))
    assert [int(sample.trace_id, 16) for sample in found.samples] == list(range(SAMPLES_PER_CHECK))


@pytest.mark.parametrize("digit", ["g", "ａ", "\n"])  # noqa: RUF001 - no hexadecimal digit
def test_spans_with_odd_ids_are_no_samples(digit: str) -> None:
    """A span whose ids are not hexadecimal counts, and is not a sample, because nobody can look it up."""
    (found,) = run_checks(["spans_enriched"], make_input(2, 2, samples=2, id_=digit))
    assert (found.exceptions, found.samples) == (2, ())


def test_checks_have_one_order() -> None:
    """Each check runs once, in the order of ``EVIDENCE_CHECKS``."""
    found = run_checks([*reversed(NAMES), *NAMES], make_input(1, 0))
    assert [check.check for check in found] == NAMES
    assert run_checks([], make_input(1, 0)) == []


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["recorded"], ("supported", 1, 0, 1.0)),
        (["recorded", "not_recorded"], ("findings", 2, 1, 0.5)),
        (["not_recorded"], ("findings", 1, 1, 0.0)),
        ([], ("not_applicable", 0, 0, None)),
    ],
)
def test_changes_recorded(events: list[Any], expected: Any) -> None:
    """A change without its event is an exception."""
    change = {"model_id": "gpt", "at": "2026-01-01", "status": "active", "reason": None, "actor": None}
    change |= {"event_at": None, "emitted": None, "source_revision": None}
    changes = [Change(**change, source="dates", event=event) for event in events]  # type: ignore[arg-type]
    (found,) = run_checks(["changes_recorded"], make_input(1, 0)._replace(changes=changes))
    assert summarize(found) == expected
    (nothing,) = run_checks(["changes_recorded"], make_input(1, 0)._replace(changes=changes, has_telemetry=False))
    assert nothing.status == "no_evidence"


def test_ordinary_calls_leave_no_check_without_evidence() -> None:
    """Calls of a model that is as it should be, and nothing else, leave no check and no clause without evidence.

    A check that looks at something that need not be there says so by ``Outcome.may_be_empty``.
    """
    model = ModelTotals(calls=1)
    totals = CallTotals({"gpt": model}, {}, spans=1, agent_spans=0, copies=0, differing_copies=0, gaps=[])
    given = CheckInput(totals, [make_entry(risk_tier="low")], [], has_telemetry=True)
    archive = ArchiveDays({1: (NANOS_PER_DAY, NANOS_PER_DAY)}, 2 * NANOS_PER_DAY)
    results = run_checks(NAMES, given._replace(archive=archive, parameters={"retention": {"days": 1}}))
    assert {check.check: check.status for check in results if check.status == "no_evidence"} == {}


@pytest.mark.parametrize("may_be_empty", [False, True])
def test_empty_population(monkeypatch: pytest.MonkeyPatch, may_be_empty: bool) -> None:  # noqa: FBT001 - the case
    """An empty population is no evidence, unless the check allows it and there is telemetry."""
    row = EVIDENCE_CHECKS[0]._replace(look=lambda _: Outcome(0, 0, may_be_empty=may_be_empty))
    monkeypatch.setattr(check_results, "EVIDENCE_CHECKS", (row,))
    for has_telemetry in (True, False):
        (found,) = run_checks([row.check], make_input(0, 0)._replace(has_telemetry=has_telemetry))
        assert found.status == ("not_applicable" if may_be_empty and has_telemetry else "no_evidence")


@pytest.mark.parametrize("finding", [row.finding for row in LIFECYCLE.values() if row.finding is not None])
def test_every_finding_changes_a_check(finding: str) -> None:
    """Calls of models with a status that has a finding change a result, or its notes, of a check that a clause uses."""
    assert finding in EXCEPTIONS
    usual, exceptional = make_input(5, 0), make_input(5, 5, kind=finding)
    before, after = (
        [(check.exceptions, check.notes) for check in run_checks(NAMES, given)] for given in (usual, exceptional)
    )
    assert before != after
    asked = {name for each in list_shipped().values() for clause in each.clauses for name in clause.check_names}
    assert asked == set(NAMES)
