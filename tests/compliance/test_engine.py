"""``ComplianceMappingEngine``: its arguments, its registry, and packages of real spans."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.evidence import DAY, GENERATED, csv_rows, make_entry, make_record, write_key_pair

from spanforge.model_registry import InvalidEntryError, ModelRegistry, __version__, get_default_registry
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage, TelemetryError, verify_package
from spanforge.model_registry.compliance._attestation_names import Name
from spanforge.model_registry.compliance._attestation_request import Arguments
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.evidence import EvidenceCase
    from support.otlp import Otlp


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
def test_dates_are_stated_in_utc(case: EvidenceCase, given: Any, stated: str) -> None:
    """A text, a date, or a date-time with or without offset is one instant, which the attestation states in UTC."""
    period = case.attest(period=(given, "2026-02-01")).period
    assert (period.from_date, period.to_date) == (stated, "2026-02-01T00:00:00.000000Z")
    assert period.interval == "from_date is included, to_date is not; UTC"
    later = case.attest(period=("2025-12-01", given), generated_at=given)
    assert (later.period.to_date, later.generated_at) == (stated, stated)


PERIODS: list[tuple[tuple[Any, Any], str]] = [
    (("2026-01-02", "2026-01-01"), "to_date must be later than from_date"),
    (("2026-01-01", "2026-01-01T00:00:00Z"), "to_date must be later than from_date"),
    (("soon", "2026-01-01"), "from_date must be an RFC 3339"),
    (("2026-01-01", None), "to_date must be an RFC 3339"),
    (("1969-12-31", "2026-01-01"), "from_date must be in the years 1970 to 2261"),
    (("0001-01-01T00:00:00+05:00", "2026-01-01"), "from_date must be in the years"),
    (("2026-01-01", datetime.max.replace(tzinfo=EASTERN)), "to_date must be in the years"),
]


@pytest.mark.parametrize(
    ("argument", "value", "reason"),
    [
        ("framework", "iso", "framework must be one of soc2, nist_ai_rmf, iso_42001, eu_ai_act; got 'iso'"),
        *(("model_id", value, "model_id must be") for value in ("", " ", 5, "\ud800")),
        *(("period", period, reason) for period, reason in PERIODS),
    ],
)
def test_invalid_arguments_are_refused(case: EvidenceCase, argument: str, value: Any, reason: str) -> None:
    """The engine refuses an unknown framework, an invalid model id, and a period that is empty or out of range."""
    with pytest.raises(InvalidEntryError, match=re.escape(reason)):
        case.attest(**{argument: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("max_gap", value) for value in (timedelta(seconds=59), timedelta.max, 3600)),
        *(("delay", value) for value in (timedelta(seconds=-1), timedelta.max)),
        ("model_attributes", [3]),
    ],
)
def test_invalid_options_are_refused(option: str, value: Any) -> None:
    """A gap is at least a minute, a delay is not negative, neither exceeds a century, and attributes are texts."""
    with pytest.raises(InvalidEntryError, match=f"{option} must be"):
        ComplianceMappingEngine(**{option: value})
    ComplianceMappingEngine(max_gap=timedelta(minutes=1), delay=timedelta())


@pytest.mark.parametrize("asked", ["gpt", "an-alias", "gpt-2026-01"])
def test_model_is_found_by_any_of_its_names(case: EvidenceCase, otlp: Otlp, asked: str) -> None:
    """An id, an alias and a name that a glob matches select the model, with its calls under all of its names."""
    aliases = {"aliases": ["an-alias", "gpt-2026-*"]}
    case.write(otlp.line(otlp.span("gpt"), otlp.span("an-alias"), otlp.span("gpt-2026-02"), otlp.span("other")))
    found = case.attest(make_entry(metadata=aliases), make_entry("other"), model_id=asked)
    assert (found.model_id, found.model_owner, found.model_risk_tier) == ("gpt", "ml", "high")
    assert (found.model_status, found.model_warnings) == ("active", ())
    assert (found.population.calls, found.population.other_spans) == (3, 0)
    assert (found.population.models, found.population.models_called) == (1, 1)


def test_evidence_about_unregistered_model(case: EvidenceCase, otlp: Otlp) -> None:
    """Owner, tier and status are null, a warning names the model, and its row has the status unregistered."""
    case.write(otlp.line(otlp.span("gpt"), otlp.span("mystery"), otlp.span("mystery")))
    made = case.package(case.engine(make_entry()), "mystery")
    found = made.attestation
    assert (found.model_id, found.model_owner, found.model_risk_tier, found.model_status) == ("mystery", *[None] * 3)
    assert found.model_warnings == ("model 'mystery' is not registered",)
    assert found.population.calls == 2
    assert found.overall_status == "findings"
    (row,) = csv_rows(made)
    assert (row["model_id"], row["status"], row["calls"]) == ("mystery", "unregistered", "2")
    assert {row[column] for column in ("name", "version", "owner", "risk_tier", "purpose")} == {""}


@pytest.mark.parametrize("telemetry", [[], None])
def test_model_that_nobody_registered_and_called_is_an_error(
    case: EvidenceCase, otlp: Otlp, telemetry: list[str] | None
) -> None:
    """A name without an entry and without a call in the period is an error that lists similar names."""
    case.write(otlp.line(otlp.span("acme-chat-9"), otlp.span("acme-chat-2", otlp.start - 1)))
    options = {} if telemetry is None else {"telemetry": telemetry}
    engine = case.engine(make_entry("acme-chat-1"), make_entry("other"), match="exact")
    with pytest.raises(InvalidEntryError) as caught:
        case.package(engine, "ACME-chat-2", **options)
    nearest = "name is 'acme-chat-1'" if telemetry == [] else "names are 'acme-chat-9', 'acme-chat-1'"
    reason = "model_id 'ACME-chat-2' is not registered, and no call of the period counts under it"
    assert str(caught.value) == f"{reason}; the nearest {nearest}"
    with pytest.raises(InvalidEntryError, match=r"no call of the period counts under it$"):
        case.package(engine, "x", **options)


def test_models_that_only_agents_or_answers_name_are_no_error(case: EvidenceCase, otlp: Otlp) -> None:
    """A name that only a span of an agent has, or only a response, is a name of the period."""
    agent = otlp.span("helper", gen_ai__operation__name="invoke_agent")
    case.write(otlp.line(agent, otlp.span("gpt", gen_ai__response__model="served")))
    for name in ("helper", "served"):
        assert case.attest(make_entry(), model_id=name).model_id == name


ARGUMENTS: list[tuple[dict[str, Any], dict[str, Any], str, Any]] = [
    ({"max_gap": timedelta(seconds=60.5)}, {}, "max_gap_seconds", 60.5),
    ({"delay": timedelta(days=36_000, microseconds=1)}, {}, "delay_seconds", 3_110_400_000.000001),
    ({"model_attributes": "my.model"}, {}, "model_attributes", ["my.model"]),
    ({"model_attributes": ["b", "a"]}, {}, "model_attributes", ["b", "a"]),
    ({"match": "exact"}, {}, "match", "exact"),
    ({}, {"model_id": "an-alias"}, "model_id", "an-alias"),
    ({}, {"generated_at": None}, "generated_at", "clock"),
]


@pytest.mark.parametrize(("options", "given", "field", "stated"), ARGUMENTS)
def test_arguments_that_change_a_result_are_stated(
    case: EvidenceCase, options: dict[str, Any], given: dict[str, Any], field: str, stated: Any
) -> None:
    """The attestation has each argument exactly, and those that were not given with their defaults."""
    entry = make_entry(metadata={"aliases": ["an-alias"]})
    arguments = json.loads(case.package(case.engine(entry, **options), **given).to_json())["arguments"]
    assert (arguments["framework"].pop("name"), len(arguments["framework"].pop("sha256"))) == ("soc2.json", 64)
    assert arguments["framework"].pop("size") > 1_000
    assert arguments == {
        "framework": {"file": "framework-soc2.json", "origin": "shipped"},
        "retention_days": None,
        "model_id": None,
        "max_gap_seconds": 86_400,
        "delay_seconds": 300,
        "model_attributes": [],
        "match": "forms",
        "calendar": None,
        "generated_at": "given",
        field: stated,
    }


def test_every_argument_is_known_to_the_test_of_arguments() -> None:
    """Each argument changes no result, or the attestation states it in its arguments or in a field of its own."""
    own = {"registry", "framework", "from_date", "to_date", "telemetry", "audit_events", "source_revision", "progress"}
    taken = {
        *inspect.signature(ComplianceMappingEngine).parameters,
        *inspect.signature(ComplianceMappingEngine.generate_evidence_package).parameters,
    }
    stated = {field.removesuffix("_seconds") for field in Arguments.__struct_fields__}
    assert taken - {"self"} == own | stated


@pytest.mark.parametrize(
    ("argument", "shown"), [("delay", "301 seconds instead of 300"), ("max_gap", "86,401 seconds")]
)
def test_longer_durations_than_usual_are_limits(case: EvidenceCase, argument: str, shown: str) -> None:
    """A delay or gap that is longer than its default is a limit; a shorter one and the default are none."""
    default = inspect.signature(ComplianceMappingEngine).parameters[argument].default
    for change, is_stated in ((-1, False), (0, False), (1, True)):
        engine = case.engine(**{argument: default + timedelta(seconds=change)})
        limits = case.package(engine).attestation.limits
        assert any(f"The argument {argument} is {shown}" in limit for limit in limits) == is_stated
        assert any(f"The argument {argument} is" in limit for limit in limits) == is_stated


def test_given_time_of_generation_is_a_limit(case: EvidenceCase) -> None:
    """If the caller set the time of generation, a limit says that no clock confirms it."""
    limit = "The person or program that generated the package set the time of generation. No clock confirms it."
    assert limit in case.attest().limits
    assert limit not in case.attest(generated_at=None).limits


def test_versions_of_code_and_schema_are_stated(case: EvidenceCase) -> None:
    """The attestation has the version of the package, of its format, and the digest of its schema."""
    found = case.attest()
    schema = (files("spanforge.model_registry.compliance") / "attestation.schema.json").read_bytes()
    assert found.generator.version == __version__
    assert found.format == "spanforge-model-registry/evidence/2"
    assert found.generator.schema_sha256 == hashlib.sha256(schema).hexdigest()


def test_evidence_about_model_with_long_name(case: EvidenceCase, otlp: Otlp) -> None:
    """A model is found by an id that is longer than the limit for names from the network."""
    name = "x" * 2_000
    case.write(otlp.line(otlp.span(name)))
    found = case.attest(make_entry(name), model_id=name)
    assert (found.model_id, found.model_status, found.population.calls) == (name, "active", 1)
    unknown = case.attest(make_entry(), model_id=name)
    assert (unknown.model_id, unknown.population.calls) == ("x" * 1_024 + "…", 1)


def test_evidence_about_all_models(case: EvidenceCase, otlp: Otlp) -> None:
    """Owner, tier and status are null, and the warnings are about the models that were called."""
    old = {"status": "deprecated", "metadata": {"deprecation_date": "2025-06-01"}}
    case.write(otlp.line(otlp.span("called"), otlp.span("gpt"), otlp.span("nobody's"), otlp.span("mine")))
    found = case.attest(make_entry(), make_entry("called", **old), make_entry("idle", **old))
    assert (found.model_id, found.model_owner, found.model_risk_tier, found.model_status) == (None,) * 4
    unknown = "model 'mine' is not registered", r"model 'nobody\'s' is not registered"
    assert found.model_warnings == ("model 'called' is deprecated", *unknown)
    assert (found.population.models, found.population.models_called) == (3, 4)
    assert found.unregistered_names == tuple(Name(name=name, calls=1) for name in ("mine", "nobody's"))


def test_default_registry_is_read_at_generation(case: EvidenceCase, otlp: Otlp) -> None:
    """Without a registry, the engine reads the process-wide one when it generates evidence."""
    case.write(otlp.line(otlp.span("gpt")))
    engine = ComplianceMappingEngine()
    assert case.package(engine).attestation.registry.models == 0
    get_default_registry().register("gpt", "GPT", "1", "high", "ml", "chat", deployment_date="2025-01-01")
    found = case.package(engine, "gpt").attestation
    assert (found.registry.models, found.model_owner) == (1, "ml")


def test_given_registry_is_read_at_generation(case: EvidenceCase) -> None:
    """Evidence has models that were registered after the engine was made; an empty registry is not the default one."""
    get_default_registry().register("gpt", "GPT", "1", "high", "ml", "chat")
    registry = ModelRegistry(auto_emit=False)
    engine = ComplianceMappingEngine(registry)
    assert case.package(engine).attestation.registry.models == 0
    registry.register("late", "Late", "1", "low", "ops", "chat")
    assert case.package(engine).attestation.registry.models == 1


HISTORY = [
    make_record("2025-01-01T00:00:00Z", "active", "first", "low"),
    make_record("2026-01-01T12:00:00Z", "deprecated", "second", "medium"),
    make_record("2026-01-02T00:00:00Z", "deprecated", "third", "critical"),
    make_record("2026-03-01T00:00:00Z", "retired", "third", "critical"),
]


@pytest.mark.parametrize(
    ("end", "now", "state"),
    [
        ("2026-01-02", GENERATED, ("second", "medium", "deprecated", ("model 'gpt' is deprecated",))),
        ("2026-01-02T00:00:00.000001Z", GENERATED, ("third", "critical", "deprecated", ("model 'gpt' is deprecated",))),
        ("2026-05-01", GENERATED, ("third", "critical", "retired", ("model 'gpt' is retired",))),
        ("2026-05-01", "2026-01-01T11:00:00Z", ("first", "low", "active", ())),
    ],
)
def test_model_state_is_that_of_the_end_of_the_period(
    case: EvidenceCase, end: str, now: str, state: tuple[Any, ...]
) -> None:
    """Owner, tier, status and warnings are those of the last instant before the end or, if earlier, of generation."""
    retired = {"status": "retired", "decommission_date": "2026-03-01", "owner": "third", "risk_tier": "critical"}
    model = make_entry(metadata={"history": HISTORY}, **retired)
    made = case.package(case.engine(model), "gpt", period=(DAY[0], end), generated_at=now)
    found = made.attestation
    assert (found.model_owner, found.model_risk_tier, found.model_status, found.model_warnings) == state
    assert made.evidence_csv.decode().splitlines()[1].startswith(f"gpt,GPT,1,{','.join(state[:3])},chat,")


def test_model_deployed_after_the_period_has_no_state(case: EvidenceCase, otlp: Otlp) -> None:
    """A model deployed after the period has no state, and its calls are findings."""
    case.write(otlp.line(otlp.span("gpt")))
    made = case.package(case.engine(make_entry(deployment_date="2026-02-01")), "gpt")
    found = made.attestation
    assert found.model_owner is found.model_risk_tier is found.model_status is None
    assert found.model_warnings == ()
    assert made.evidence_csv.decode().splitlines()[1].startswith("gpt,GPT,1,ml,high,,chat,1,")
    assert found.overall_status == "findings"


@pytest.mark.parametrize("telemetry", [5, [5], None, b"spans.jsonl", [b"bytes"], ["no/such/file"], ["no/such/*.jsonl"]])
def test_telemetry_must_be_sources_that_exist(case: EvidenceCase, telemetry: Any) -> None:
    """The engine refuses telemetry that is not a source, and paths that lead to no file."""
    is_path = isinstance(telemetry, list) and isinstance(telemetry[0], str)
    reason = "no such file|matches no file" if is_path else "must be paths, globs, addresses or readers"
    with pytest.raises(TelemetryError, match=reason):
        case.attest(telemetry=telemetry)


def test_registry_digest_is_that_of_its_file(case: EvidenceCase, tmp_path: Path) -> None:
    """The digest is the SHA-256 of the file that ``save`` writes, even if metadata has integers beyond 2**53."""
    registry = case.registry(make_entry(metadata={"big": 2**63 - 1, "note": "ü\n"}), make_entry("b"))
    made = case.package(ComplianceMappingEngine(registry))
    registry.save(tmp_path / "saved.json")
    assert made.attestation.registry.sha256 == hashlib.sha256((tmp_path / "saved.json").read_bytes()).hexdigest()
    assert made.attestation.registry.models == 2
    assert json.loads(made.to_json())["registry"]["models"] == 2


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


@pytest.mark.slow
def test_same_input_gives_same_bytes(case: EvidenceCase, otlp: Otlp, tmp_path: Path) -> None:
    """Another process, hash seed or folder, and a relative path, change no byte of the evidence."""
    names = [f"m{number}" for number in range(30)]
    case.write(
        *[otlp.line(*[otlp.span(name) for name in names], service=f"s{number}") for number in range(5)],
        otlp.line(*[otlp.span("gpt", gen_ai__response__model=name) for name in names]),
    )
    made = case.package(case.engine(make_entry()))
    expected = made.to_json().encode() + made.evidence_csv
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in ("models.json", "spans.jsonl"):
        shutil.copy(tmp_path / name, copy)
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", GENERATE], cwd=copy, env=environment, check=True, stdout=-1)
        assert done.stdout == expected


def test_time_of_generation_is_now_by_default(case: EvidenceCase) -> None:
    """If no time of generation is given, it is now."""
    before = datetime.now(timezone.utc)
    stated = datetime.fromisoformat(case.attest(generated_at=None).generated_at[:-1] + "+00:00")
    assert before <= stated <= datetime.now(timezone.utc)


@pytest.mark.parametrize("make", [Ed25519PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256R1())])
@pytest.mark.parametrize("way", [EvidencePackage.write, EvidencePackage.to_zip])
def test_real_spans_become_a_verified_package(
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
    private, public = write_key_pair(tmp_path, make())
    period = start, datetime.now(timezone.utc)
    made = ComplianceMappingEngine(registry).generate_evidence_package("gpt", "soc2", *period, telemetry=str(file))
    assert made.attestation.overall_status == "supported"
    assert [change.status for change in made.attestation.changes] == ["active", "deprecated"]
    assert {change.event for change in made.attestation.changes} == {"recorded"}
    (row,) = csv_rows(made)
    assert (row["status"], row["purpose"], row["calls"], row["services"]) == ("deprecated", "chat", "4", "support")
    assert (row["calls_while_deprecated"], row["calls_after_retirement"]) == ("1", "0")
    way(made, tmp_path / "package", str(private))
    report = verify_package(tmp_path / "package", [public])
    assert (report.model_id, report.framework, report.overall_status) == ("gpt", "soc2", "supported")
    assert report.generated_at == made.attestation.generated_at
    assert report.period == (made.attestation.period.from_date, made.attestation.period.to_date)
