"""Evidence packages for auditors: attestations from a registry and the telemetry of a period, for anyone to verify."""

from __future__ import annotations

from spanforge.model_registry._core.errors import MissingExtraError, PackageError, TelemetryError, VerificationError
from spanforge.model_registry.compliance._attestation import Attestation
from spanforge.model_registry.compliance._engine import ComplianceMappingEngine
from spanforge.model_registry.compliance._frameworks.framework import Framework
from spanforge.model_registry.compliance._frameworks.framework_files import FrameworkFileError, load_framework
from spanforge.model_registry.compliance._matching import MatchingDifference, compare_matching
from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage
from spanforge.model_registry.compliance._packages.expectations import Expected
from spanforge.model_registry.compliance._packages.time_stamp import TimeStamp
from spanforge.model_registry.compliance._packages.time_stamping import timestamp_package
from spanforge.model_registry.compliance._packages.verification_report import VerificationReport
from spanforge.model_registry.compliance._packages.verify import verify_package
from spanforge.model_registry.compliance._sources.files import TelemetryReader

__all__ = [
    "Attestation",
    "ComplianceMappingEngine",
    "EvidencePackage",
    "Expected",
    "Framework",
    "FrameworkFileError",
    "MatchingDifference",
    "MissingExtraError",
    "PackageError",
    "TelemetryError",
    "TelemetryReader",
    "TimeStamp",
    "VerificationError",
    "VerificationReport",
    "compare_matching",
    "load_framework",
    "timestamp_package",
    "verify_package",
]
