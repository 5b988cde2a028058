"""Evidence: entries, readers, keys, and ``EvidenceCase``, a folder with telemetry and a registry."""

from __future__ import annotations

import csv
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from spanforge.model_registry.compliance import Framework
    from spanforge.model_registry.compliance._attestation import Attestation

FIELDS: dict[str, Any] = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"}
"""The fields of entries, except the model id."""
DAY = ("2026-01-01", "2026-01-02")
"""The period of evidence."""
GENERATED = "2026-06-01T00:00:00Z"
"""The time of generation."""


def make_entry(model_id: str = "gpt", **fields: Any) -> ModelRegistryEntry:
    """Return the entry of a model, deployed in 2025; ``fields`` replace these and ``FIELDS``."""
    return ModelRegistryEntry(model_id, **FIELDS | {"deployment_date": "2025-01-01"} | fields)


def make_record(at: str, status: str, owner: str = "ml", risk_tier: str = "high") -> dict[str, str]:
    """Return a record of an entry's history."""
    return {"at": at, "status": status, "owner": owner, "risk_tier": risk_tier}


class ListReader:
    """A telemetry reader of requests that are in memory; ``attributes`` replace those of the reader."""

    name, kind, size, sha256 = "list", "otlp_json", 0, ""
    limits: Sequence[str] = ()

    def __init__(self, lines: Iterable[bytes], **attributes: Any) -> None:
        self.lines = lines
        self.__dict__ |= attributes

    def requests(self) -> Iterator[bytes]:
        """Yield the requests."""
        yield from self.lines


class EvidenceCase:
    """A folder with a file of telemetry, and evidence about it.

    Attributes:
        folder: The folder.
        file: The file of telemetry, empty at first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "spans.jsonl"
        self.file.write_bytes(b"")

    def registry(self, *entries: ModelRegistryEntry) -> ModelRegistry:
        """Return a registry with these entries, loaded from a file."""
        path = self.folder / "models.json"
        path.write_bytes(encode_entries(entries))
        registry = ModelRegistry(auto_emit=False)
        registry.load(path)
        return registry

    def engine(self, *entries: ModelRegistryEntry, **options: Any) -> ComplianceMappingEngine:
        """Return an engine about these entries."""
        return ComplianceMappingEngine(self.registry(*entries), **options)

    def write(self, *lines: bytes) -> None:
        """Write the lines of the file of telemetry."""
        self.file.write_bytes(b"".join(line + b"\n" for line in lines))

    def package(
        self,
        engine: ComplianceMappingEngine,
        model_id: str | None = None,
        framework: str | Framework = "soc2",
        period: tuple[Any, Any] = DAY,
        **options: Any,
    ) -> EvidencePackage:
        """Return an evidence package, about all models and the file of telemetry by default."""
        options = {"telemetry": [self.file], "generated_at": GENERATED} | options
        return engine.generate_evidence_package(model_id, framework, *period, **options)

    def attest(self, *entries: ModelRegistryEntry, **options: Any) -> Attestation:
        """Return the attestation about these entries."""
        return self.package(self.engine(*entries), **options).attestation


def csv_rows(package: EvidencePackage) -> list[dict[str, str]]:
    """Return the rows of ``evidence.csv``, by column."""
    return list(csv.DictReader(package.evidence_csv.decode().splitlines()))


def write_key_pair(folder: Path, key: Any, name: str = "key") -> tuple[Path, Path]:
    """Write a private key and its public key in PEM, and return their paths."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def run_code(code: str, *missing: str) -> str:
    """Run code in a new process without these modules, and return its output."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=True).stdout


@contextmanager
def limit_peak_memory(limit: int) -> Iterator[None]:
    """Assert that Python allocates fewer bytes than this at any time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, peak
