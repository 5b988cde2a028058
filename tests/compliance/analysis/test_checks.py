"""The checks, each alone: what it looks at, what it finds, and what it says where there is nothing."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._analysis import checks
from spanforge.model_registry.compliance._analysis.checks import (
    EVIDENCE_CHECKS,
    SAMPLES_PER_CHECK,
    CheckInput,
    Outcome,
    run_checks,
)
from spanforge.model_registry.compliance._analysis.scan_data import SpanRef
from spanforge.model_registry.compliance._analysis.totals import EXCEPTIONS, CallTotals, ModelTotals
from spanforge.model_registry.compliance._attestation_parts import Change, CheckResult
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS

HOUR = 3_600 * 10**9
NAMES = [row.check for row in EVIDENCE_CHECKS]
CALL_CHECKS = [row.check for row in EVIDENCE_CHECKS if "calls" in row.unit]

Look = Callable[..., dict[str, CheckResult]]


def entry(model_id: str = "gpt", **fields: Any) -> ModelRegistryEntry:
    described = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"}
    return ModelRegistryEntry(model_id, **described | {"deployment_date": "2025-01-01"} | fields)


def record(at: str, status: str, owner: str = "ml") -> dict[str, str]:
    return {"at": at, "status": status, "owner": owner, "risk_tier": "high"}


@pytest.fixture
def look(tmp_path: Path, otlp: Any) -> Look:
    """Return what all checks find about the first of January."""

    def look(entries: list[ModelRegistryEntry], *spans: Any, model_id: str | None = None) -> dict[str, CheckResult]:
        models, file = tmp_path / "models.json", tmp_path / "spans.jsonl"
        models.write_bytes(encode_entries(entries))
        file.write_bytes(otlp.line(*spans) + b"\n")
        registry = ModelRegistry(auto_emit=False)
        registry.load(models)
        engine = ComplianceMappingEngine(registry)
        found: dict[str, CheckResult] = {}
        for framework in FRAMEWORKS:
            made = engine.generate_evidence_package(model_id, framework, "2026-01-01", "2026-01-02", telemetry=file)
            found |= {check.check: check for check in made.attestation.checks}
        return found

    return look


def said(check: CheckResult) -> tuple[str, int, int, float | None]:
    return check.status, check.population, check.exceptions, check.share


def ids(check: CheckResult) -> list[str]:
    return [sample.span_id for sample in check.samples]


def enriched(otlp: Any, start: int | None = None, model: str = "gpt", **attributes: Any) -> Any:
    carried = {"status": "active", "model_id": model, "owner": "ml", "risk_tier": "high"} | attributes
    given = {f"model_registry__{key}": value for key, value in carried.items()}
    return otlp.span(model, otlp.start if start is None else start, **given)


def test_all_checks_are_looked_for(look: Look, otlp: Any) -> None:
    """The frameworks together use every check, and call after call as it should be is supported in all of them."""
    found = look([entry()], enriched(otlp), enriched(otlp))
    assert list(dict.fromkeys(NAMES)) == NAMES == sorted(found, key=NAMES.index)
    for row in EVIDENCE_CHECKS:
        check = found[row.check]
        assert (check.title, check.unit, check.exceptions, check.samples) == (row.title, row.unit, 0, ())
        assert said(check) in [("supported", check.population, 0, 1.0), ("not_applicable", 0, 0, None)]
        if row.check in CALL_CHECKS:
            assert said(check) == ("supported", 2, 0, 1.0)


@pytest.mark.parametrize("model_id", [None, "gpt"])
def test_telemetry_without_calls(look: Look, otlp: Any, model_id: str | None) -> None:
    """Where there are spans and no call, checks of calls have no evidence."""
    found = look([entry()], otlp.span(), model_id=model_id)
    assert {said(found[name]) for name in CALL_CHECKS} == {("no_evidence", 0, 0, None)}
    assert {check.status for check in found.values()} == {"no_evidence", "not_applicable"}
    assert said(found["accountable"]) == ("no_evidence", 0, 0, None)
    assert said(found["changes_recorded"]) == ("not_applicable", 0, 0, None)


def test_changes_of_an_unknown_model(look: Look, otlp: Any) -> None:
    """A model that the registry does not know has no changes to look at, which is no evidence."""
    assert look([entry()], otlp.span("x"), model_id="x")["changes_recorded"].status == "no_evidence"


def test_calls_registered(look: Look, otlp: Any) -> None:
    """A call of a model that nobody registered is an exception, and so is one before the deployment date."""
    strange, early = otlp.span("x"), otlp.span("late", otlp.start + HOUR)
    found = look(
        [entry(), entry("late", deployment_date="2026-01-01T01:00:00.000001Z")],
        *[otlp.span("gpt"), strange, early, otlp.span("late", otlp.start + HOUR + 1_000)],
    )["calls_registered"]
    assert said(found) == ("findings", 4, 2, 0.5)
    assert found.notes == (
        "unregistered names: 1",
        "calls before the model's deployment date: 1",
    )
    assert ids(found) == [strange["spanId"], early["spanId"]]
    assert found.samples[1].trace_id == early["traceId"]
    assert found.samples[1].start == "2026-01-01T01:00:00.000000Z"


def test_accountable(look: Look, otlp: Any) -> None:
    """Models are counted, not calls: of one that nobody registered, nobody knows owner, tier and purpose."""
    found = look([entry(), entry("idle")], *[otlp.span("gpt") for _ in range(5)], otlp.span("x"))["accountable"]
    assert said(found) == ("findings", 2, 1, 0.5)
    assert found.unit == "models"


RETIRED = {"status": "retired", "decommission_date": "2026-01-01T12:00:00Z"}


@pytest.mark.parametrize("history", [[], [record("2025-01-01", "active"), record("2026-01-01T12:00:00Z", "retired")]])
def test_no_calls_after_retirement(look: Look, otlp: Any, history: list[Any]) -> None:
    """What counts is the status at each call, to the nanosecond, not today's."""
    noon = otlp.start + 12 * HOUR
    first = otlp.span("old", noon)
    spans = [otlp.span("old", otlp.start), otlp.span("old", noon - 1), first, otlp.span("x")]
    found = look([entry("old", metadata={"history": history} if history else {}, **RETIRED)], *spans)
    assert said(found["no_calls_after_retirement"]) == ("findings", 3, 1, 0.6666)
    assert found["no_calls_after_retirement"].notes == ("models called after their retirement: 1",)
    assert ids(found["no_calls_after_retirement"]) == [first["spanId"]]


def test_a_model_that_was_retired_since(look: Look, otlp: Any) -> None:
    """A model that is retired today was no retired model when it was called."""
    found = look([entry(status="retired", decommission_date="2026-01-02")], otlp.span("gpt"))
    assert said(found["no_calls_after_retirement"]) == ("supported", 1, 0, 1.0)


def test_unregistered_models_cannot_be_retired(look: Look, otlp: Any) -> None:
    """Calls of models that nobody registered are no evidence that no retired or deprecated one was called."""
    found = look([entry()], otlp.span("x"))
    for name in ("no_calls_after_retirement", "no_calls_past_sunset"):
        assert said(found[name]) == ("no_evidence", 0, 0, None)
        assert found[name].unit == "calls of registered models"


def test_no_calls_past_sunset(look: Look, otlp: Any) -> None:
    """A deprecated model may be called until its sunset date, not from then on; a retired one is not meant."""
    noon = otlp.start + 12 * HOUR
    metadata = {"deprecation_date": "2026-01-01T06:00:00Z", "sunset_date": "2026-01-01T12:00:00Z"}
    past = otlp.span("old", noon)
    gone = entry("gone", metadata=metadata, status="retired", decommission_date="2026-01-01T12:00:00Z")
    spans = [otlp.span("old", at) for at in (otlp.start, otlp.start + 6 * HOUR, noon - 1)]
    found = look([entry("old", status="deprecated", metadata=metadata), gone], *spans, past, otlp.span("gone", noon))
    check = found["no_calls_past_sunset"]
    assert said(check) == ("findings", 5, 1, 0.8)
    assert check.notes == (
        "models called on or after their sunset date: 1",
        "calls of deprecated models, exceptions included: 3",
    )
    assert ids(check) == [past["spanId"]]


def test_an_active_model_has_no_sunset(look: Look, otlp: Any) -> None:
    """A sunset date without deprecation, and a deprecation without sunset date, are no findings."""
    open_end = entry("old", status="deprecated", metadata={"deprecation_date": "2025-06-01"})
    found = look([entry(metadata={"sunset_date": "2025-06-01"}), open_end], otlp.span("gpt"), otlp.span("old"))
    assert said(found["no_calls_past_sunset"]) == ("supported", 2, 0, 1.0)


def test_spans_enriched(look: Look, otlp: Any) -> None:
    """A span of a call without the registry's status was not enriched."""
    plain = otlp.span("gpt")
    found = look([entry()], plain, enriched(otlp), enriched(otlp))["spans_enriched"]
    assert said(found) == ("findings", 3, 1, 0.6666)
    assert ids(found) == [plain["spanId"]]


@pytest.mark.parametrize(
    "wrong", [{"status": "deprecated"}, {"model_id": "other"}, {"owner": "someone"}, {"risk_tier": "low"}]
)
def test_registry_and_spans_agree(look: Look, otlp: Any, wrong: dict[str, str]) -> None:
    """What a span carries is compared with what was in force; spans that carry nothing are left out."""
    odd = enriched(otlp, **wrong)
    found = look([entry()], otlp.span("gpt"), enriched(otlp), odd)["registry_and_spans_agree"]
    assert said(found) == ("findings", 2, 1, 0.5)
    assert ids(found) == [odd["spanId"]]
    assert found.unit == "enriched calls"


def test_spans_agree_with_what_was_in_force_then(look: Look, otlp: Any) -> None:
    """An owner and a status that changed since are no disagreement."""
    history = [record("2025-01-01", "active", "first"), record("2026-02-01", "deprecated", "second")]
    model = entry(owner="second", status="deprecated", metadata={"history": history})
    found = look([model], enriched(otlp, owner="first"), enriched(otlp, owner="second"))
    assert said(found["registry_and_spans_agree"]) == ("findings", 2, 1, 0.5)


def test_spans_of_unregistered_models_agree(look: Look, otlp: Any) -> None:
    """A span that says that its model is not registered agrees with a registry that does not know it."""
    honest = otlp.span("x", model_registry__status="unregistered")
    found = look([entry()], honest, enriched(otlp, model="y"))["registry_and_spans_agree"]
    assert said(found) == ("findings", 2, 1, 0.5)


def facts(calls: int, exceptions: int, kind: str = "not_enriched", samples: int = 0, ids: str = "0") -> CheckInput:
    model = ModelTotals(calls=calls)
    model.exceptions[kind] = exceptions
    model.samples[kind] = {SpanRef(number, f"{number:032x}", ids * 16) for number in reversed(range(samples))}
    return CheckInput(CallTotals({"gpt": model}, {}, calls, 0, 0, 0, []), [entry()], [], has_telemetry=True)


@pytest.mark.parametrize(
    ("calls", "exceptions", "share"),
    [(100_000, 1, 0.9999), (100_000, 0, 1.0), (3, 1, 0.6666), (10**17, 1, 0.9999), (20_000, 19_999, 0.0), (2, 2, 0.0)],
)
def test_the_share_is_cut_off(calls: int, exceptions: int, share: float) -> None:
    """One exception among ever so many calls is never a share of one."""
    (found,) = run_checks(["spans_enriched"], facts(calls, exceptions))
    assert found.share == share
    assert found.status == ("findings" if exceptions else "supported")


def test_samples_have_a_limit() -> None:
    """Of many exceptions the earliest spans are named."""
    (found,) = run_checks(["spans_enriched"], facts(50, 50, samples=50))
    assert [int(sample.trace_id, 16) for sample in found.samples] == list(range(SAMPLES_PER_CHECK))


@pytest.mark.parametrize("digit", ["g", "ａ", "\n"])  # noqa: RUF001 - no hexadecimal digit
def test_samples_can_be_looked_up(digit: str) -> None:
    """A span whose ids are no hexadecimal digits counts, and is not named: nobody could look it up."""
    (found,) = run_checks(["spans_enriched"], facts(2, 2, samples=2, ids=digit))
    assert (found.exceptions, found.samples) == (2, ())


def test_checks_come_in_one_order_and_each_once() -> None:
    """However they are asked for, checks stand in the order of the documentation."""
    found = run_checks([*reversed(NAMES), *NAMES], facts(1, 0))
    assert [check.check for check in found] == NAMES
    assert run_checks([], facts(1, 0)) == []


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
    changes = [
        Change(model_id="gpt", at="2026-01-01", status="active", reason=None, actor=None, source="dates", event=event)
        for event in events
    ]
    (found,) = run_checks(["changes_recorded"], facts(1, 0)._replace(changes=changes))
    assert said(found) == expected
    (nothing,) = run_checks(["changes_recorded"], facts(1, 0)._replace(changes=changes, has_telemetry=False))
    assert nothing.status == "no_evidence"


def test_no_check_is_without_evidence_of_ordinary_calls() -> None:
    """Calls of a model that is as it should be, and nothing else, leave no check and no clause without evidence.

    A check that looks at something that need not be there says so by ``Outcome.may_be_empty``.
    """
    model = ModelTotals(calls=1)
    totals = CallTotals({"gpt": model}, {}, spans=1, agent_spans=0, copies=0, differing_copies=0, gaps=[])
    results = run_checks(NAMES, CheckInput(totals, [entry(risk_tier="low")], [], has_telemetry=True))
    assert {check.check: check.status for check in results if check.status == "no_evidence"} == {}


def test_an_empty_population() -> None:
    """It is no evidence, unless the check says that it may be empty."""
    assert [checks._rate(Outcome(0, 0, may_be_empty=empty), has_telemetry=True) for empty in (False, True)] == [
        "no_evidence",
        "not_applicable",
    ]
    assert checks._rate(Outcome(0, 0, may_be_empty=True), has_telemetry=False) == "no_evidence"


@pytest.mark.parametrize("finding", [row.finding for row in LIFECYCLE.values() if row.finding is not None])
def test_a_check_looks_at_every_status_with_a_finding(finding: str) -> None:
    """Calls of models with such a status change the result of a check that a clause asks for, or at least its notes."""
    assert finding in EXCEPTIONS
    usual, exceptional = facts(5, 0), facts(5, 5, kind=finding)
    before, after = (
        [(check.exceptions, check.notes) for check in run_checks(NAMES, given)] for given in (usual, exceptional)
    )
    assert before != after
    asked = {name for framework in FRAMEWORKS.values() for clause in framework.clauses for name in clause.checks}
    assert asked == set(NAMES)


NEW_STATUS = """
ModelStatus = Literal["active", "deprecated", "retired", "suspended"]
_SUSPENDED = LIFECYCLE["deprecated"]._replace(
    warning="is suspended", date="suspension_date", finding="while_suspended"
)
LIFECYCLE = {**LIFECYCLE, "suspended": _SUSPENDED}
STATUSES = tuple(LIFECYCLE)
"""
CALL_OF_SUSPENDED = """
import json, sys
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine
registry = ModelRegistry(auto_emit=False)
registry.load(sys.argv[1])
engine = ComplianceMappingEngine(registry)
made = engine.generate_evidence_package(None, sys.argv[3], "2026-01-01", "2026-01-02", telemetry=sys.argv[2])
clauses = {clause.clause: clause.status for clause in made.attestation.clauses}
checks = {check.check: check.exceptions for check in made.attestation.checks if check.exceptions}
changes = [(change.status, change.source) for change in made.attestation.changes]
print(json.dumps([clauses, checks, changes, made.evidence_csv.decode()]))
"""


@pytest.mark.parametrize("framework", ["soc2", "nist_ai_rmf"])
def test_a_new_status_needs_its_row_only(tmp_path: Path, otlp: Any, framework: str) -> None:
    """With a row of ``LIFECYCLE``, calls of models that have the status are counted, shown, and never supported."""
    package = tmp_path / "src" / "spanforge" / "model_registry"
    shutil.copytree(Path(checks.__file__).parents[2], package, ignore=shutil.ignore_patterns("__pycache__"))
    with (package / "_core" / "lifecycle.py").open("a", encoding="utf-8") as file:
        file.write(NEW_STATUS)
    models, spans = tmp_path / "models.json", tmp_path / "spans.jsonl"
    history = [record("2025-01-01", "active"), record("2026-01-01T06:00:00Z", "suspended")]
    dated = {"suspension_date": "2026-01-01T06:00:00Z"}
    of_dates = {"b": dated, "c": {"history": history[:1], **dated}}
    described = [json.loads(json.dumps(entry(name, metadata=of_dates.get(name, {})).to_dict())) for name in "abc"]
    described[0] |= {"status": "suspended", "metadata": {"history": history}}
    models.write_text(json.dumps(described))
    noon = otlp.start + 12 * HOUR
    calls = [enriched(otlp, noon, name, status="suspended") for name in "ab"]
    spans.write_bytes(otlp.line(*calls, enriched(otlp, model="b"), enriched(otlp, model="c")))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", CALL_OF_SUSPENDED, str(models), str(spans), framework]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    clauses, exceptions, changes, table = json.loads(done.stdout)
    assert exceptions.pop("no_calls_while_suspended") == 2
    assert set(exceptions) <= {"changes_recorded"}
    about_calls = {clause for clause in clauses if clause not in {"MAP 1.1", "GOVERN 1.6"}}
    assert {clauses[clause] for clause in about_calls} == {"findings"}
    assert sorted(changes) == [["suspended", "dates"], ["suspended", "dates"], ["suspended", "history"]]
    rows = csv.DictReader(table.splitlines())
    assert [(row["status"], row["calls"], row["calls_while_suspended"]) for row in rows] == [
        ("suspended", "1", "1"),
        ("suspended", "2", "1"),
        ("active", "1", "0"),
    ]
