"""Evidence for auditors: what a registry and the telemetry of a period prove, in packages that anyone can verify."""

from __future__ import annotations

from spanforge.model_registry.compliance.attestation import Attestation
from spanforge.model_registry.compliance.engine import ComplianceMappingEngine
from spanforge.model_registry.compliance.evidence import EvidencePackage
from spanforge.model_registry.compliance.telemetry import TelemetryReader
from spanforge.model_registry.compliance.verification import VerificationReport, verify_package
from spanforge.model_registry.errors import MissingExtraError, PackageError, TelemetryError, VerificationError

__all__ = [
    "Attestation",
    "ComplianceMappingEngine",
    "EvidencePackage",
    "MissingExtraError",
    "PackageError",
    "TelemetryError",
    "TelemetryReader",
    "VerificationError",
    "VerificationReport",
    "verify_package",
]
