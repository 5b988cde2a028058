"""From the real Collector's archive of the demo to an evidence package that an auditor verifies."""

from __future__ import annotations

import csv
import json
import subprocess
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.servers import archive_settings
from support.waiting import wait_until

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, VerificationError, verify_package

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers import Server

    from spanforge.model_registry.compliance import EvidencePackage

pytestmark = pytest.mark.e2e

Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def archived(demo: Demo, run_module_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a demo that has sent its telemetry to a Collector by HTTP, whose archive is complete."""
    folder = tmp_path_factory.mktemp("archived")
    server = run_module_server("otelcol", **archive_settings(folder / "archive"))
    endpoint = f"http://{server.at['OTELCOL_OTLP_HTTP']}"
    done = demo(folder, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")
    assert done.returncode == 0, done.stderr
    spans = folder / "archive" / "spans.jsonl"
    wait_until(lambda: spans.read_bytes().count(b'"startTimeUnixNano"') >= 26)  # 12 calls, 14 operations
    return folder


def generated(folder: Path, telemetry: str, framework: str = "soc2") -> EvidencePackage:
    """Return the evidence of the period that the demo's own evidence is about."""
    with zipfile.ZipFile(folder / "build" / "demo-evidence.zip") as package:
        period = json.loads(package.read("attestation.json"))["period"]
    registry = ModelRegistry(auto_emit=False)
    registry.load(folder / "build" / "demo-models.json")
    engine = ComplianceMappingEngine(registry, max_gap=timedelta(minutes=10))
    return engine.generate_evidence_package(
        None, framework, period["from_date"], period["to_date"], telemetry=[str(folder / telemetry)]
    )


def test_from_the_archive_to_a_verified_package(archived: Path) -> None:
    """What the archive proves is in a signed package, which the public key verifies and a changed byte does not."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = archived / "key.pem", archived / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    evidence = generated(archived, "archive/*.jsonl", "nist_ai_rmf")
    evidence.write(archived / "package", signing_key=private)

    report = verify_package(archived / "package", trusted_keys=[public])
    assert (report.framework, report.overall_status) == ("nist_ai_rmf", "findings")
    stated = evidence.attestation
    assert {clause.clause: clause.status for clause in stated.clauses} == {
        "MAP 1.1": "findings",
        "GOVERN 1.6": "findings",
        "GOVERN 1.7": "findings",
    }
    assert {check.check: (check.population, check.exceptions) for check in stated.checks} == {
        "calls_registered": (6, 1),
        "served_as_requested": (0, 0),
        "accountable": (6, 1),
        "no_calls_after_retirement": (5, 1),
        "no_calls_past_sunset": (5, 0),
        "no_calls_past_provider_shutdown": (0, 0),
        "changes_recorded": (7, 0),
        "spans_enriched": (6, 0),
        "registry_and_spans_agree": (6, 0),
        "spans_unambiguous": (6, 0),
    }
    assert stated.coverage.status == "complete"
    rows = list(csv.DictReader((archived / "package" / "evidence.csv").read_text("utf-8").splitlines()))
    assert [(row["model_id"], row["status"], row["calls"], row["calls_after_retirement"]) for row in rows] == [
        ("gpt-4o", "active", "1", "0"),
        ("gpt-4o-mini", "active", "1", "0"),
        ("text-embedding-3-small", "active", "1", "0"),
        ("gpt-3.5-turbo", "deprecated", "1", "0"),
        ("text-davinci-003", "retired", "1", "1"),
        ("gpt-4.1-nano-2025-04-14", "unregistered", "1", "0"),
    ]

    table = archived / "package" / "evidence.csv"
    table.write_bytes(table.read_bytes().replace(b"retired", b"retirex", 1))
    with pytest.raises(VerificationError, match=r"evidence\.csv"):
        verify_package(archived / "package", trusted_keys=[public])


def test_archive_and_export_prove_the_same(archived: Path) -> None:
    """The archive, which holds no content, gives the same findings and table as what the application exported."""
    archive, export = (generated(archived, name) for name in ("archive/spans.jsonl", "build/demo-telemetry.jsonl"))
    assert archive.evidence_csv.replace(b",trusted\n", b",unknown\n") == export.evidence_csv
    for field in (
        "checks",
        "clauses",
        "changes",
        "unregistered_names",
        "matched_names",
        "substitutions",
        "model_warnings",
    ):
        assert getattr(archive.attestation, field) == getattr(export.attestation, field), field
