"""A job that makes an evidence package each month, and an auditor who verifies it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Literal

from typing_extensions import assert_type

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import (
    Attestation,
    ComplianceMappingEngine,
    EvidencePackage,
    MatchingDifference,
    VerificationError,
    VerificationReport,
    compare_matching,
    verify_package,
)


class Bucket:
    """A source of telemetry of the user's own, which fits the protocol ``TelemetryReader``."""

    name = "bucket"
    kind = "otlp-json"
    size = 0
    sha256 = ""

    def __init__(self) -> None:
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        yield b"{}"


def make(registry: ModelRegistry, folder: Path) -> EvidencePackage:
    engine = ComplianceMappingEngine(registry)
    package = engine.generate_evidence_package(
        None, "soc2", "2026-10-01", date(2026, 11, 1), telemetry=[folder / "spans.jsonl", Bucket()]
    )
    package.write(folder / "evidence", signing_key="signer.pem")
    package.to_zip(folder / "evidence.zip")
    return package


def verify(path: Path) -> str | None:
    try:
        report = verify_package(path, ["signer.pub.pem"], expect={"framework": "soc2"})
    except VerificationError as error:
        return str(error)
    assert_type(report, VerificationReport)
    assert_type(report.digests, Mapping[str, str])
    return report.overall_status


package = make(ModelRegistry(), Path("october"))
assert_type(package.attestation, Attestation)
assert_type(package.attestation.overall_status, Literal["findings", "no_evidence", "incomplete", "supported"])
assert_type(package.attestation.model_owner, str | None)
assert_type(package.evidence_csv, bytes)
for found in compare_matching("spans.jsonl", "2026-01-01", "2027-01-01"):
    assert_type(found, MatchingDifference)

verify_package("p.zip")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
verify_package("p.zip", ["k"], expect={"model": "m"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ComplianceMappingEngine("models.json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ComplianceMappingEngine(ModelRegistry()).generate_evidence_package(None, "soc2", 1, 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
