"""Evidence of a run: a package from registry and telemetry, which is signed, and verified as auditors do."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, verify_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


def attest(telemetry: Path, models: Path, start: datetime, end: datetime, package: Path) -> Iterator[str]:
    """Write a signed evidence package of a period and its public key, and yield the lines of a report on it."""
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
    yield f"SOC 2: {package}, signed with a key made for this run, and verified"
    yield f"  its public key: {trusted}"
    width = max(len(check.check) for check in evidence.attestation.checks)
    for check in evidence.attestation.checks:
        yield f"  {check.status:14} {check.check:{width}} exceptions: {check.exceptions} of {check.population}"


def make_keys(folder: Path) -> tuple[Path, Path]:
    """Create a key pair, as ``openssl genpkey -algorithm ed25519`` does, and return the files of both keys."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "key.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
