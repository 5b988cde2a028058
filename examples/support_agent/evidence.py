"""Evidence of a run: a package from registry and telemetry, which is signed, and verified as auditors do."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, verify_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from spanforge.model_registry.compliance import Attestation


def attest(telemetry: Path, models: Path, start: datetime, end: datetime, package: Path) -> Attestation:
    """Write a signed evidence package of a period, its public key and its page, and return its attestation."""
    trusted = package.with_suffix(".pub.pem")
    registry = ModelRegistry(auto_emit=False)
    registry.load(models)
    engine = ComplianceMappingEngine(registry)
    evidence = engine.generate_evidence_package(None, "soc2", start, end, telemetry=[telemetry])
    with tempfile.TemporaryDirectory() as folder:
        private, public = make_keys(Path(folder))
        evidence.to_zip(package, signing_key=private)
        trusted.write_bytes(public.read_bytes())
    verify_package(package, trusted_keys=[trusted])
    with zipfile.ZipFile(package) as files:
        package.with_suffix(".html").write_bytes(files.read("report.html"))
    return evidence.attestation


def show_checks(attestation: Attestation, package: Path) -> Iterator[str]:
    """Yield the package, its public key, and the result of each check."""
    yield f"SOC 2: {package}, signed with a key made for this run, and verified"
    yield f"  its public key: {package.with_suffix('.pub.pem')}"
    width = max(len(check.check) for check in attestation.checks)
    for check in attestation.checks:
        yield f"  {check.status:14} {check.check:{width}} exceptions: {check.exceptions} of {check.population}"


def show_findings(attestation: Attestation, package: Path) -> Iterator[str]:
    """Yield each finding with its model, service and owner, and the page that shows them to people."""
    yield "Findings"
    for finding in attestation.findings:
        place = f" in {finding.service}" if finding.service else ""
        owner = f" (owner: {finding.owner})" if finding.owner else ""
        yield f"  {finding.name}{owner}: {finding.reason}{place}"
    if not attestation.findings:
        yield "  none"
    yield f"\nReport: {package.with_suffix('.html')} (open it in a browser)"


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Create a key pair, as ``openssl genpkey -algorithm ed25519`` does, and return the files of both keys."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "key.pub.pem"
    private.touch(mode=0o600)  # nobody else may read it
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
