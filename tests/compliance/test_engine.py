"""The engine: what it is asked, what it looks up in the registry, and what it states."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from spanforge.model_registry import InvalidEntryError, ModelRegistry, ModelRegistryEntry, get_default_registry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import (
    ComplianceMappingEngine,
    EvidencePackage,
    TelemetryError,
    TelemetryReader,
    verify_package,
)
from spanforge.model_registry.compliance import _report as statement_module
from spanforge.model_registry.compliance._analysis import scan
from spanforge.model_registry.compliance._attestation_parts import CheckResult, Coverage, Name
from spanforge.model_registry.compliance._frameworks import ClauseRow
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spanforge.model_registry.compliance._attestation import Attestation

DAY = ("2026-01-01", "2026-01-02")
NOW = "2026-06-01T00:00:00Z"
HOUR = 3_600 * 10**9


def entry(model_id: str = "gpt", **fields: Any) -> ModelRegistryEntry:
    described = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"}
    return ModelRegistryEntry(model_id, **described | {"deployment_date": "2025-01-01"} | fields)


def record(at: str, status: str, owner: str = "ml", risk_tier: str = "high") -> dict[str, str]:
    return {"at": at, "status": status, "owner": owner, "risk_tier": risk_tier}


class Case:
    """A folder with telemetry, and questions about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "spans.jsonl"
        self.file.write_bytes(b"")

    def registry(self, *entries: ModelRegistryEntry) -> ModelRegistry:
        path = self.folder / "models.json"
        path.write_bytes(encode_entries(entries))
        registry = ModelRegistry(auto_emit=False)
        registry.load(path)
        return registry

    def engine(self, *entries: ModelRegistryEntry, **options: Any) -> ComplianceMappingEngine:
        return ComplianceMappingEngine(self.registry(*entries), **options)

    def write(self, *lines: bytes) -> None:
        self.file.write_bytes(b"".join(line + b"\n" for line in lines))

    def package(
        self,
        engine: ComplianceMappingEngine,
        model_id: str | None = None,
        framework: str = "soc2",
        period: tuple[Any, Any] = DAY,
        **given: Any,
    ) -> EvidencePackage:
        said = {"telemetry": [self.file], "generated_at": NOW} | given
        return engine.generate_evidence_package(model_id, framework, *period, **said)

    def states(self, *entries: ModelRegistryEntry, **given: Any) -> Attestation:
        return self.package(self.engine(*entries), **given).attestation


def csv_rows(made: EvidencePackage) -> list[dict[str, str]]:
    """Return the rows of ``evidence.csv``, by column."""
    return list(csv.DictReader(made.evidence_csv.decode().splitlines()))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_an_unknown_framework_is_one_error_that_lists_both(case: Case) -> None:
    """Whoever misspells a framework is told which there are."""
    with pytest.raises(InvalidEntryError, match=r"framework must be one of soc2, nist_ai_rmf; got 'iso'"):
        case.states(framework="iso")


UTC = "2026-01-01T00:00:00.000000Z"
EASTERN = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("given", "stated"),
    [
        ("2026-01-01", UTC),
        (date(2026, 1, 1), UTC),
        (datetime(2026, 1, 1), UTC),  # noqa: DTZ001 - that is what is tested
        (datetime(2025, 12, 31, 19, tzinfo=EASTERN), UTC),
        ("2026-01-01T02:00:00+02:00", UTC),
        ("2026-01-01 00:00:00", UTC),
        ("2026-01-01T00:00:00.123456789z", "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_dates_come_in_many_forms_and_are_stated_in_utc(case: Case, given: Any, stated: str) -> None:
    """A text, a date, a date-time with or without offset: it is one instant, and stated in UTC."""
    period = case.states(period=(given, "2026-02-01")).period
    assert (period.from_date, period.to_date) == (stated, "2026-02-01T00:00:00.000000Z")
    assert period.interval == "from_date is included, to_date is not; UTC"
    later = case.states(period=("2025-12-01", given), generated_at=given)
    assert (later.period.to_date, later.generated_at) == (stated, stated)


@pytest.mark.parametrize(
    ("period", "field"),
    [
        (("2026-01-02", "2026-01-01"), "to_date must be later than from_date"),
        (("2026-01-01", "2026-01-01T00:00:00Z"), "to_date must be later than from_date"),
        (("soon", "2026-01-01"), "from_date must be an RFC 3339"),
        (("2026-01-01", None), "to_date must be an RFC 3339"),
        (("1969-12-31", "2026-01-01"), "from_date must be in the years 1970 to 2261"),
        (("0001-01-01T00:00:00+05:00", "2026-01-01"), "from_date must be in the years"),
        (("2026-01-01", datetime.max.replace(tzinfo=EASTERN)), "to_date must be in the years"),
    ],
)
def test_a_period_that_is_none(case: Case, period: tuple[Any, Any], field: str) -> None:
    """An end before the start, an empty period, and what is no date or out of range, are one clear error."""
    with pytest.raises(InvalidEntryError, match=re.escape(field)):
        case.states(period=period)


@pytest.mark.parametrize(
    "options",
    [
        {"max_gap": timedelta(seconds=59)},
        {"max_gap": timedelta.max},
        {"max_gap": 3600},
        {"delay": timedelta(seconds=-1)},
        {"delay": timedelta.max},
    ],
)
def test_durations_have_limits(options: dict[str, Any]) -> None:
    """A gap is a minute or more, a delay is not negative, and neither is longer than a century."""
    with pytest.raises(InvalidEntryError, match=r"max_gap|delay"):
        ComplianceMappingEngine(**options)
    ComplianceMappingEngine(max_gap=timedelta(minutes=1), delay=timedelta())


def test_the_period_is_half_open_to_the_nanosecond(case: Case, otlp: Any) -> None:
    """The first instant is in, the one before and the end are out, and what is out is counted as such."""
    start, end = otlp.start, otlp.start + 24 * HOUR
    case.write(otlp.line(*[otlp.span("gpt", at) for at in (start - 1, start, end - 1, end)]))
    found = case.states(entry())
    assert (found.population.spans, found.population.calls) == (2, 2)
    assert (found.inputs[0].spans, found.inputs[0].spans_outside) == (4, 2)


@pytest.mark.parametrize("asked", ["gpt", "an-alias", "gpt-2026-01"])
def test_a_model_by_any_of_its_names(case: Case, otlp: Any, asked: str) -> None:
    """The id, an alias and what a glob matches stand for the model, whose calls are those under all of its names."""
    aliases = {"aliases": ["an-alias", "gpt-2026-*"]}
    case.write(otlp.line(otlp.span("gpt"), otlp.span("an-alias"), otlp.span("gpt-2026-02"), otlp.span("other")))
    found = case.states(entry(metadata=aliases), entry("other"), model_id=asked)
    assert (found.model_id, found.model_owner, found.model_risk_tier) == ("gpt", "ml", "high")
    assert (found.model_status, found.model_warnings) == ("active", ())
    assert (found.population.calls, found.population.other_spans) == (3, 0)
    assert (found.population.models, found.population.models_called) == (1, 1)


@pytest.mark.parametrize("calls", [0, 2])
def test_a_model_that_the_registry_does_not_know(case: Case, otlp: Any, calls: int) -> None:
    """Called or not, owner, tier and status are null, there is the warning, and a row says unregistered."""
    case.write(otlp.line(otlp.span("gpt"), *[otlp.span("mystery") for _ in range(calls)]))
    made = case.package(case.engine(entry()), "mystery")
    found = made.attestation
    assert (found.model_id, found.model_owner, found.model_risk_tier, found.model_status) == ("mystery", *[None] * 3)
    assert found.model_warnings == ("model 'mystery' is not registered",)
    assert found.population.calls == calls
    assert found.overall_status == ("findings" if calls else "no_evidence")
    (row,) = csv_rows(made)
    assert (row["model_id"], row["status"], row["calls"]) == ("mystery", "unregistered", str(calls))
    assert {row[column] for column in ("name", "version", "owner", "risk_tier", "purpose")} == {""}


def test_a_model_with_an_endless_name(case: Case, otlp: Any) -> None:
    """An id beyond what is shown of names from the network is found all the same."""
    name = "x" * 2_000
    case.write(otlp.line(otlp.span(name)))
    found = case.states(entry(name), model_id=name)
    assert (found.model_id, found.model_status, found.population.calls) == (name, "active", 1)
    unknown = case.states(entry(), model_id=name)
    assert (unknown.model_id, unknown.population.calls) == ("x" * 1_024 + "…", 1)


@pytest.mark.parametrize("model_id", ["", " ", 5, "\ud800"])
def test_a_model_id_that_is_none(case: Case, model_id: Any) -> None:
    """An empty text, or none at all, is no model."""
    with pytest.raises(InvalidEntryError, match="model_id must be"):
        case.states(model_id=model_id)


def test_the_inventory_has_no_single_owner(case: Case, otlp: Any) -> None:
    """About all models, owner, tier and status are null; the warnings are those of what was called."""
    old = {"status": "deprecated", "metadata": {"deprecation_date": "2025-06-01"}}
    case.write(otlp.line(otlp.span("called"), otlp.span("gpt"), otlp.span("nobody's"), otlp.span("mine")))
    found = case.states(entry(), entry("called", **old), entry("idle", **old))
    assert (found.model_id, found.model_owner, found.model_risk_tier, found.model_status) == (None,) * 4
    unknown = "model 'mine' is not registered", "model 'nobody's' is not registered"
    assert found.model_warnings == ("model 'called' is deprecated", *unknown)
    assert (found.population.models, found.population.models_called) == (3, 4)
    assert found.unregistered_names == tuple(Name(name=name, model_id=None, calls=1) for name in ("mine", "nobody's"))


def test_without_a_registry_it_is_that_of_the_process(case: Case, otlp: Any) -> None:
    """The process-wide registry is asked when evidence is generated, not when the engine is made."""
    case.write(otlp.line(otlp.span("gpt")))
    engine = ComplianceMappingEngine()
    assert case.package(engine).attestation.registry.models == 0
    get_default_registry().register("gpt", "GPT", "1", "high", "ml", "chat", deployment_date="2025-01-01")
    found = case.package(engine, "gpt").attestation
    assert (found.registry.models, found.model_owner) == (1, "ml")


def test_a_given_registry_is_asked_at_generation(case: Case) -> None:
    """What was registered after the engine was made is in the evidence, and an empty registry is not the process's."""
    get_default_registry().register("gpt", "GPT", "1", "high", "ml", "chat")
    registry = ModelRegistry(auto_emit=False)
    engine = ComplianceMappingEngine(registry)
    assert case.package(engine).attestation.registry.models == 0
    registry.register("late", "Late", "1", "low", "ops", "chat")
    assert case.package(engine).attestation.registry.models == 1


HISTORY = [
    record("2025-01-01T00:00:00Z", "active", "first", "low"),
    record("2026-01-01T12:00:00Z", "deprecated", "second", "medium"),
    record("2026-01-02T00:00:00Z", "deprecated", "third", "critical"),
    record("2026-03-01T00:00:00Z", "retired", "third", "critical"),
]


@pytest.mark.parametrize(
    ("end", "now", "state"),
    [
        ("2026-01-02", NOW, ("second", "medium", "deprecated", ("model 'gpt' is deprecated",))),
        ("2026-01-02T00:00:00.000001Z", NOW, ("third", "critical", "deprecated", ("model 'gpt' is deprecated",))),
        ("2026-05-01", NOW, ("third", "critical", "retired", ("model 'gpt' is retired",))),
        ("2026-05-01", "2026-01-01T11:00:00Z", ("first", "low", "active", ())),
    ],
)
def test_the_state_is_that_of_the_periods_end(case: Case, end: str, now: str, state: tuple[Any, ...]) -> None:
    """Owner, tier, status and warnings are those of the period's last moment, or of generation if that is earlier."""
    retired = {"status": "retired", "decommission_date": "2026-03-01", "owner": "third", "risk_tier": "critical"}
    model = entry(metadata={"history": HISTORY}, **retired)
    made = case.package(case.engine(model), "gpt", period=(DAY[0], end), generated_at=now)
    found = made.attestation
    assert (found.model_owner, found.model_risk_tier, found.model_status, found.model_warnings) == state
    assert made.evidence_csv.decode().splitlines()[1].startswith(f"gpt,GPT,1,{','.join(state[:3])},chat,")


def test_a_model_that_was_not_in_use_yet(case: Case, otlp: Any) -> None:
    """A model deployed after the period has no state in it, and calls before its date are findings."""
    case.write(otlp.line(otlp.span("gpt")))
    made = case.package(case.engine(entry(deployment_date="2026-02-01")), "gpt")
    found = made.attestation
    assert (found.model_owner, found.model_risk_tier, found.model_status, found.model_warnings) == (
        None,
        None,
        None,
        (),
    )
    assert made.evidence_csv.decode().splitlines()[1].startswith("gpt,GPT,1,ml,high,,chat,1,")
    assert found.overall_status == "findings"


@pytest.mark.parametrize("framework", ["soc2", "nist_ai_rmf"])
@pytest.mark.parametrize("model_id", [None, "gpt", "unknown"])
@pytest.mark.parametrize("given", [{"telemetry": ()}, {"telemetry": (), "audit_events": []}, {}])
def test_no_telemetry_is_never_a_pass(case: Case, framework: str, model_id: str | None, given: Any) -> None:
    """Nothing given, nothing in it: no evidence in every check and clause, and coverage says why."""
    period = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    found = case.states(entry(), framework=framework, model_id=model_id, period=period, **given)
    assert {check.status for check in found.checks} == {"no_evidence"}
    assert {clause.status for clause in found.clauses} | {found.overall_status} == {"no_evidence"}
    assert {check.share for check in found.checks} == {None}
    reason = "no telemetry was given" if given == {"telemetry": ()} else "no span started in the period"
    assert (found.coverage.status, found.coverage.reasons) == ("incomplete", (reason,))


def test_telemetry_of_another_period_is_no_evidence(case: Case, otlp: Any) -> None:
    """Spans and events outside of the period are no telemetry of it: a change without event is no finding then."""
    case.write(otlp.line(otlp.span("gpt", otlp.start - HOUR)))
    event = {
        "event_type": "model_registry.retired",
        "timestamp": DAY[1],
        "payload": MappingProxyType({"model_id": "x"}),
    }
    given = [MappingProxyType(event)]
    found = case.states(entry(deployment_date="2026-01-01T05:00:00Z"), audit_events=given)
    assert [change.event for change in found.changes] == ["not_recorded"]
    assert {check.status for check in found.checks} == {"no_evidence"}
    assert (found.population.spans, found.population.lifecycle_events) == (0, 0)


def test_events_without_spans(case: Case, otlp: Any) -> None:
    """Log records alone tell of changes, and are no evidence of calls."""
    case.write(otlp.logs(log(otlp, "model_registry.registered", otlp.start, "gpt")))
    found = case.states(entry(deployment_date="2026-01-01"))
    statuses = {check.check: check.status for check in found.checks}
    assert statuses.pop("changes_recorded") == "supported"
    assert set(statuses.values()) == {found.overall_status} == {"no_evidence"}
    assert found.population.lifecycle_events == 1


def test_a_clause_to_which_nothing_applies() -> None:
    """Where none of a clause's checks has anything to look at, there is no evidence, whatever the coverage."""
    check = CheckResult(
        check="changes_recorded",
        title="",
        status="not_applicable",
        unit="changes",
        population=0,
        exceptions=0,
        share=None,
        notes=(),
        samples=(),
    )
    for status in ("complete", "incomplete"):
        coverage = Coverage(status=status, max_gap_seconds=60, gaps=(), gap_count=0, reasons=())  # type: ignore[arg-type]
        row = ClauseRow("X", "Nothing.", ("changes_recorded",), ())
        assert statement_module._build_clause(row, [check], coverage).status == "no_evidence"


def test_too_many_events(case: Case, otlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events beyond what is remembered of one input make the evidence incomplete."""
    for module in (scan, statement_module):
        monkeypatch.setattr(module, "MAX_SEEN_EVENTS", 1)
    logs = [log(otlp, "model_registry.retired", otlp.start + number, "x") for number in range(3)]
    case.write(otlp.line(good(otlp)), otlp.logs(*logs))
    found = case.states(entry())
    assert found.coverage.reasons == ("ignored lifecycle events, beyond the limit of 1 per input: 2",)


def test_the_same_name_at_another_provider(case: Case, otlp: Any) -> None:
    """Calls at a provider that the entry does not serve are not its calls; the inventory has them as unregistered."""
    case.write(otlp.line(otlp.span("gpt", gen_ai__provider__name="other")))
    model = entry(metadata={"provider": "openai"})
    assert case.states(model, model_id="gpt").population.calls == 0
    assert case.states(model).unregistered_names == (Name(name="gpt", model_id=None, calls=1),)


def test_copies_that_differ(case: Case, otlp: Any) -> None:
    """Of one span with different contents the first copy counts, and the attestation says how many there are."""
    first = good(otlp)
    other = first | {"attributes": otlp.span("nobody's")["attributes"]}
    case.write(otlp.line(first), otlp.line(other))
    found = case.states(entry())
    assert (found.population.calls, found.population.copies, found.population.differing_copies) == (1, 1, 1)
    assert found.unregistered_names == ()
    assert any("in a fact that is counted: 1." in limit for limit in found.limits)


def test_first_and_last_call(case: Case, otlp: Any) -> None:
    """The first and the last call are those of all services, in whatever order they are read."""
    times = otlp.start + HOUR, otlp.start, otlp.start + 2 * HOUR
    case.write(*[otlp.line(good(otlp, at), service=f"s{at}") for at in times])
    (row,) = csv_rows(case.package(case.engine(entry())))
    assert [row["first_call"], row["last_call"]] == [UTC, "2026-01-01T02:00:00.000000Z"]


def log(otlp: Any, name: str, at: int, model_id: str) -> dict[str, Any]:
    attributes = otlp.attributes({"model_registry.model_id": model_id})
    return {"eventName": name, "timeUnixNano": str(at), "attributes": attributes}


def good(otlp: Any, at: int | None = None, model: str = "gpt", **attributes: Any) -> Any:
    enriched = {"model_registry__status": "active", "model_registry__model_id": model} | attributes
    return otlp.span(model, otlp.start if at is None else at, **enriched)


@pytest.mark.parametrize("framework", ["soc2", "nist_ai_rmf"])
def test_supported(case: Case, otlp: Any, framework: str) -> None:
    """Where every call is as it should be and nothing is missing, the evidence supports every clause."""
    case.write(otlp.line(good(otlp), good(otlp)))
    found = case.states(entry(), framework=framework)
    assert {clause.status for clause in found.clauses} | {found.overall_status} == {"supported"}
    assert (found.coverage.status, found.coverage.reasons, found.coverage.gap_count) == ("complete", (), 0)


def test_a_gap_makes_it_incomplete(case: Case, otlp: Any) -> None:
    """A stretch longer than allowed is listed, one just as long is not, and the period's ends count."""
    end = otlp.start + 24 * HOUR
    case.write(otlp.line(good(otlp, otlp.start + 6 * HOUR), good(otlp, otlp.start + 13 * HOUR), good(otlp, end - HOUR)))
    found = case.package(case.engine(entry(), max_gap=timedelta(hours=6))).attestation
    assert [(gap.from_date[11:19], gap.to_date[11:19], gap.seconds) for gap in found.coverage.gaps] == [
        ("06:00:00", "13:00:00", 7 * 3_600),
        ("13:00:00", "23:00:00", 10 * 3_600),
    ]
    short = case.package(case.engine(entry(), max_gap=timedelta(minutes=59))).attestation.coverage.gaps
    assert (short[0].from_date, short[-1].to_date, len(short)) == (UTC, "2026-01-02T00:00:00.000000Z", 4)
    assert (found.coverage.gap_count, found.coverage.max_gap_seconds) == (2, 6 * 3_600)
    assert found.coverage.reasons == ("gaps that are longer than max_gap_seconds: 2",)
    assert {clause.status for clause in found.clauses} | {found.overall_status} == {"incomplete"}


def test_a_bad_line_makes_it_incomplete(case: Case, otlp: Any) -> None:
    """What cannot be read is counted and said, and the rest still counts."""
    case.write(b"{oops", otlp.line(good(otlp)))
    found = case.states(entry())
    assert (found.inputs[0].lines, found.inputs[0].bad_lines, found.population.calls) == (2, 1, 1)
    assert found.coverage.reasons == ("unreadable lines, spans or log records: 1",)
    assert found.overall_status == "incomplete"


def test_findings_are_worse_than_a_gap(case: Case, otlp: Any) -> None:
    """The overall status is the worst one, and findings are worse than missing telemetry."""
    case.write(b"{oops", otlp.line(good(otlp), otlp.span("nobody's")))
    assert case.states(entry()).overall_status == "findings"


def test_no_evidence_is_worse_than_a_gap(case: Case, otlp: Any) -> None:
    """Telemetry without any call is no evidence, whether it is complete or not."""
    case.write(b"{oops", otlp.line(otlp.span()))
    found = case.states(entry())
    assert found.overall_status == "no_evidence"
    assert found.population.other_spans == 1


def test_limits_are_stated(case: Case, otlp: Any) -> None:
    """Every attestation says that samplers thin what it counts, and what the registry has no history of."""
    case.write(otlp.line(good(otlp)))
    limits = case.states(entry()).limits
    assert any("a sampler drops" in limit and "all counts are of recorded spans" in limit for limit in limits)
    assert any("sunset dates are those at generation" in limit for limit in limits)
    assert sum("without a history record at the period's start" in limit for limit in limits) == 1


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
def test_what_is_known_by_dates_only_is_a_limit(
    case: Case,
    otlp: Any,
    deployed: str | None,
    first_record: str,
    stated: bool,  # noqa: FBT001 - expected
) -> None:
    """Where the history begins after the period, or after the deployment in it, the attestation says so."""
    case.write(otlp.line(good(otlp, otlp.start + 8 * HOUR)))
    history = {"history": [record(first_record, "active")]}
    limits = case.states(entry(deployment_date=deployed, metadata=history)).limits
    assert any("deployment in the period: 1." in limit for limit in limits) == stated


def test_served_names_that_no_entry_covers(case: Case, otlp: Any) -> None:
    """An answered name that no entry or alias covers is listed for each model that it stood for, with its calls."""
    spans = [otlp.span(model, gen_ai__response__model="served") for model in ("a", "b", "b")]
    case.write(otlp.line(*spans, otlp.span("a", gen_ai__response__model="known")))
    case.file.write_bytes(case.file.read_bytes() + otlp.line(otlp.span("b", gen_ai__response__model="z")))
    models = entry("a"), entry("b", metadata={"aliases": ["known"]})
    expected = (Name(name="served", model_id="b", calls=2), Name(name="served", model_id="a", calls=1))
    assert case.states(*models).uncovered_names == (*expected, Name(name="z", model_id="b", calls=1))
    assert case.states(*models, model_id="a").uncovered_names == expected[1:]
    asked = case.states(*models, model_id="served")
    assert (asked.uncovered_names, asked.population.calls, asked.overall_status) == (expected, 0, "no_evidence")


def test_agents_are_no_calls(case: Case, otlp: Any) -> None:
    """A span of an agent that names a model is counted apart."""
    case.write(otlp.line(good(otlp), good(otlp, gen_ai__operation__name="invoke_agent"), otlp.span()))
    found = case.states(entry()).population
    assert (found.spans, found.calls, found.agent_spans, found.other_spans) == (3, 1, 1, 1)


def test_copies_count_once_whatever_the_order(case: Case, otlp: Any) -> None:
    """A file given twice, by two names or as a copy, and the order of the inputs, change no figure."""
    case.write(otlp.line(good(otlp), otlp.span("nobody's")))
    copy, more = case.folder / "copy.jsonl", case.folder / "more.jsonl"
    shutil.copy(case.file, copy)
    more.write_bytes(otlp.line(good(otlp)))
    alone = case.states(entry(), telemetry=[case.file, more])
    assert case.states(entry(), telemetry=[case.file, str(case.file), case.folder / "." / "spans*", more]) == alone
    both = case.states(entry(), telemetry=[copy, more, case.file])
    assert (both.population.copies, both.population.differing_copies) == (2, 0)
    assert both.checks == alone.checks
    assert both.population.calls == alone.population.calls == 3


@pytest.mark.parametrize("telemetry", [[5], ["no/such/file"], [b"bytes"], ["no/such/*.jsonl"]])
def test_telemetry_that_is_not_there(case: Case, telemetry: Any) -> None:
    """What is no path, and a path that leads to nothing, are one clear error."""
    with pytest.raises(TelemetryError, match=r"must be paths, globs|no such file|matches no file"):
        case.states(telemetry=telemetry)


class Reader:
    """A reader of one's own."""

    name, kind, size, limits = "mine", "queue", 3, ["a part is missing"]
    sha256 = hashlib.sha256(b"abc").hexdigest()

    def __init__(self, line: bytes) -> None:
        self.line = line

    def requests(self) -> Iterator[bytes]:
        yield self.line


def test_a_reader_of_ones_own(case: Case, otlp: Any) -> None:
    """What follows the protocol is read, alone or in a list, and its limits make the evidence incomplete."""
    reader: TelemetryReader = Reader(otlp.line(good(otlp)))
    found = case.states(entry(), telemetry=reader)
    assert (found.inputs[0].name, found.inputs[0].kind, found.inputs[0].size) == ("mine", "queue", 3)
    assert found.coverage.reasons == ("mine: a part is missing",)
    assert found.overall_status == "incomplete"
    assert case.states(entry(), telemetry=[reader]) == found


def test_inputs_are_described(case: Case, otlp: Any) -> None:
    """Each input has its name, size, SHA-256, lines, and when its first and last span started."""
    case.write(otlp.line(good(otlp, otlp.start + HOUR), good(otlp)))
    (given,) = case.states(entry()).inputs
    content = case.file.read_bytes()
    assert (given.name, given.kind, given.size) == ("spans.jsonl", "otlp_json", len(content))
    assert given.sha256 == hashlib.sha256(content).hexdigest()
    assert (given.first, given.last) == (UTC, "2026-01-01T01:00:00.000000Z")


def test_the_registrys_digest_is_that_of_its_file(case: Case, tmp_path: Path) -> None:
    """The digest is the SHA-256 of what save writes, integers beyond 2**53 in metadata included."""
    registry = case.registry(entry(metadata={"big": 2**63 - 1, "note": "ü\n"}), entry("b"))
    made = case.package(ComplianceMappingEngine(registry))
    registry.save(tmp_path / "saved.json")
    assert made.attestation.registry.sha256 == hashlib.sha256((tmp_path / "saved.json").read_bytes()).hexdigest()
    assert made.attestation.registry.models == 2
    assert json.loads(made.to_json())["registry"]["models"] == 2


def test_what_is_listed_has_a_limit(case: Case, otlp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of endless names the most frequent ones are listed; the counts are whole."""
    monkeypatch.setattr(statement_module, "MAX_LISTED", 2)
    case.write(otlp.line(*[otlp.span(f"m{number}") for number in range(9)], otlp.span("m7")))
    found = case.states()
    assert [name.name for name in found.unregistered_names] == ["m7", "m0"]
    assert len(found.model_warnings) == 2
    assert found.population.models_called == 9


GENERATE = """
import sys
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine
registry = ModelRegistry(auto_emit=False)
registry.load("models.json")
made = ComplianceMappingEngine(registry).generate_evidence_package(
    None, "soc2", "2026-01-01", "2026-01-02", telemetry="spans.jsonl", generated_at="2026-06-01")
sys.stdout.buffer.write(made.to_json().encode() + made.evidence_csv)
"""


def test_the_same_input_gives_the_same_bytes(case: Case, otlp: Any, tmp_path: Path) -> None:
    """Another process, another hash seed, another folder and a relative path change nothing."""
    names = [f"m{number}" for number in range(30)]
    case.write(
        *[otlp.line(*[otlp.span(name) for name in names], service=f"s{number}") for number in range(5)],
        otlp.line(*[otlp.span("gpt", gen_ai__response__model=name) for name in names]),
    )
    made = case.package(case.engine(entry()))
    expected = made.to_json().encode() + made.evidence_csv
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in ("models.json", "spans.jsonl"):
        shutil.copy(tmp_path / name, copy)
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", GENERATE], cwd=copy, env=environment, check=True, stdout=-1)
        assert done.stdout == expected


def test_generated_now(case: Case) -> None:
    """Unless it is given, the time of generation is now."""
    before = datetime.now(timezone.utc)
    stated = datetime.fromisoformat(case.states(generated_at=None).generated_at[:-1] + "+00:00")
    assert before <= stated <= datetime.now(timezone.utc)


@pytest.mark.parametrize("make", [Ed25519PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256R1())])
@pytest.mark.parametrize("way", [EvidencePackage.write, EvidencePackage.to_zip])
def test_from_real_spans_to_a_verified_package(
    tmp_path: Path, make: Callable[[], Any], way: Callable[..., None]
) -> None:
    """Spans of the real SDK, enriched by the real processor, become evidence that the public key verifies."""
    file = tmp_path / "spans.jsonl"
    provider = TracerProvider(resource=Resource({"service.name": "support"}), shutdown_on_exit=False)
    registry = ModelRegistry(tracer_provider=provider)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter(str(file))))
    start = datetime.now(timezone.utc)
    registry.register("gpt", "GPT", "1", "high", "ml", "chat")
    for _ in range(3):
        provider.get_tracer("test").start_span("chat", attributes={"gen_ai.request.model": "gpt"}).end()
    registry.deprecate("gpt", reason="old")
    provider.get_tracer("test").start_span("chat", attributes={"gen_ai.request.model": "gpt"}).end()
    provider.shutdown()
    private, public = written(tmp_path, make())
    period = start, datetime.now(timezone.utc)
    made = ComplianceMappingEngine(registry).generate_evidence_package("gpt", "soc2", *period, telemetry=str(file))
    assert made.attestation.overall_status == "supported"
    assert [(change.status, change.event) for change in made.attestation.changes] == [
        ("active", "recorded"),
        ("deprecated", "recorded"),
    ]
    (row,) = csv_rows(made)
    assert (row["status"], row["purpose"], row["calls"], row["services"]) == ("deprecated", "chat", "4", "support")
    assert (row["calls_while_deprecated"], row["calls_after_retirement"]) == ("1", "0")
    way(made, tmp_path / "package", str(private))
    report = verify_package(tmp_path / "package", [public])
    assert (report.model_id, report.framework, report.overall_status) == ("gpt", "soc2", "supported")
    assert report.generated_at == made.attestation.generated_at
    assert report.period == (made.attestation.period.from_date, made.attestation.period.to_date)


def written(folder: Path, key: Any) -> tuple[Path, Path]:
    private, public = folder / "key.pem", folder / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_package_survives_pickling(case: Case, otlp: Any) -> None:
    """What was generated in a worker comes back equal."""
    case.write(otlp.line(good(otlp), otlp.span("x")))
    made = case.package(case.engine(entry()))
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such a name")
def test_a_file_whose_name_is_not_unicode(case: Case, otlp: Any) -> None:
    """The name of an input is Unicode text, whatever bytes the file's name is made of."""
    path = os.fsencode(case.folder) + b"/spans-\xff.jsonl"
    Path(os.fsdecode(path)).write_bytes(otlp.line(good(otlp)))
    made = case.package(case.engine(entry()), telemetry=[os.fsdecode(path)])
    assert json.loads(made.to_json())["inputs"][0]["name"].startswith("spans-")


@pytest.mark.parametrize("given", [5, [5], None, b"spans.jsonl"])
def test_telemetry_that_is_none(given: Any) -> None:
    """What is no path, glob, address or reader is refused in one sentence, alone as well as in a list."""
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    with pytest.raises(TelemetryError, match="must be paths, globs, addresses or readers"):
        engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=given)


def test_a_period_that_is_not_over() -> None:
    """Telemetry cannot cover what is still to come: the period is incomplete, and says why."""
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False), max_gap=timedelta(days=60))
    stated = engine.generate_evidence_package(
        None, "soc2", "2026-01-01", "2026-02-01", generated_at="2026-01-31T23:59:59Z"
    ).attestation
    assert "the period had not ended when the evidence was generated" in stated.coverage.reasons


@pytest.mark.parametrize(
    "line",
    [
        b'{"resourceSpans":[{"resource":{},"instrumentationLibrarySpans":[{"spans":[]}]}]}',
        b'{"resourceSpans":[{"scope_spans":[{"spans":[]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"Spans":[{}]}]}]}',
        b'{"resourceLogs":[{"scope_logs":[]}]}',
    ],
)
def test_other_forms_of_otlp_are_reported(tmp_path: Path, line: bytes) -> None:
    """Spans under names that OTLP does not have are not read over without a word."""
    (tmp_path / "spans.jsonl").write_bytes(line + b"\n" + b'{"resourceSpans":[{"resource":{}}]}\n')
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    stated = engine.generate_evidence_package(
        None, "soc2", "2026-01-01", "2026-02-01", telemetry=tmp_path / "spans.jsonl"
    ).attestation
    assert (stated.inputs[0].lines, stated.inputs[0].bad_lines) == (2, 1)


def test_one_further_attribute() -> None:
    """A single key that holds model names needs no list; what is no key is refused."""
    one, several = (ComplianceMappingEngine(model_attributes=keys) for keys in ("my.model", ["my.model"]))
    assert one._model_attributes == several._model_attributes == ("my.model",)
    with pytest.raises(InvalidEntryError, match="model_attributes must be text"):
        ComplianceMappingEngine(model_attributes=[3])  # type: ignore[list-item]


def test_a_log_event_with_only_an_observed_time(tmp_path: Path) -> None:
    """Where a log record has no time of its own, the time at which it was observed counts, as OTLP says."""
    registry = ModelRegistry(auto_emit=False)
    entry = registry.register("m", "M", "1", "low", "team", "test")
    at = datetime.fromisoformat(entry.metadata["history"][0]["at"][:-1]).replace(tzinfo=timezone.utc)
    record = {
        "eventName": "model_registry.registered",
        "observedTimeUnixNano": str(int(at.timestamp() * 1_000_000) * 1_000),
        "attributes": [{"key": "model_registry.model_id", "value": {"stringValue": "m"}}],
    }
    file = tmp_path / "logs.jsonl"
    file.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}))
    stated = (
        ComplianceMappingEngine(registry)
        .generate_evidence_package("m", "soc2", at - timedelta(hours=1), at + timedelta(hours=1), telemetry=[file])
        .attestation
    )
    assert [change.event for change in stated.changes] == ["recorded"]


def test_lists_that_are_cut_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where not all names are listed, a limit says how many there are."""
    monkeypatch.setattr(statement_module, "MAX_LISTED", 2)
    spans = [
        {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "startTimeUnixNano": "1767300000000000000",
            "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": f"m{number}"}}],
        }
        for number in range(1, 4)
    ]
    file = tmp_path / "spans.jsonl"
    file.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    stated = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=file).attestation
    assert len(stated.unregistered_names) == len(stated.model_warnings) == 2
    assert "The list unregistered_names has the first 2 of 3 items." in stated.limits
