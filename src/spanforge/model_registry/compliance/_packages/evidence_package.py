"""``EvidencePackage``: an attestation, its CSV and the registry, as JSON, as a folder and as a zip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from spanforge.model_registry._core.file_access import warn_about_key
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.derived_files import render_derived_files
from spanforge.model_registry.compliance._packages.files import (
    ATTESTATION,
    EVIDENCE,
    REGISTRY,
    assemble,
    write_folder,
    write_zip,
)
from spanforge.model_registry.compliance._packages.optional_keys import keys

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._model_calls import ModelCalls

StrPath = str | os.PathLike[str]


class EvidencePackage(msgspec.Struct, frozen=True):
    """Evidence for the clauses of a framework. It is immutable, and the same input results in the same bytes.

    Attributes:
        attestation: The attestation.
        evidence_csv: The CSV in UTF-8, with a row for each model.
        registry_json: The registry's entries at generation, as the JSON file that ``ModelRegistry.save`` writes.
        framework_file: The bytes of the framework's file that the attestation describes.
        registry_files: The bytes of each registry file that the attestation lists.
        calendar_file: The bytes of the calendar file that the attestation names; ``None`` if it names none.
        model_calls: The models that were called, each with the facts of its entry and its calls.
        findings_csv: The CSV in UTF-8, with a row for each span of a finding that is listed.
    """

    attestation: Attestation
    evidence_csv: bytes
    registry_json: bytes
    framework_file: bytes
    registry_files: tuple[bytes, ...] = ()
    calendar_file: bytes | None = None
    model_calls: tuple[ModelCalls, ...] = ()
    findings_csv: bytes = b""

    def to_json(self) -> str:
        """Return the attestation as canonical JSON (RFC 8785).

        Raises:
            MissingExtraError: The extra ``compliance`` is not installed (also an ``ImportError``).
        """
        return self._encode_attestation().decode()

    def list_files(self) -> dict[str, bytes]:
        """Return the main files as bytes, by name: attestation, CSV, registry, and copies of files that were read.

        Raises:
            MissingExtraError: The extra ``compliance`` is not installed (also an ``ImportError``).
        """
        attestation = self.attestation
        files = {
            ATTESTATION: self._encode_attestation(),
            EVIDENCE: self.evidence_csv,
            REGISTRY: self.registry_json,
        }
        for file, content in zip(attestation.registry.files, self.registry_files, strict=True):
            files[file.file] = content
        files[attestation.arguments.framework.file] = self.framework_file
        calendar = attestation.arguments.calendar
        if calendar is not None and self.calendar_file is not None:
            files[calendar.file] = self.calendar_file
        return files

    def write(self, folder: StrPath, signing_key: Any = None, *, public_key: StrPath | None = None) -> None:
        """Write the complete package as a new folder, or into an empty one; if that fails, write nothing.

        Args:
            folder: The folder. Missing parents are created.
            signing_key: The path of an Ed25519 or ECDSA private key in PEM, a URI of one of securesystemslib's signers
                (``awskms:…``, ``gcpkms:…``, ``hsm:…``), or such a signer. With ``None`` the package is unsigned, and
                its manifest states that.
            public_key: The path of the public key in PEM, for keys that are URIs.

        Raises:
            PackageError: The folder cannot be written, or the key cannot be used (also a ``ValueError``).
            MissingExtraError: The extra ``compliance``, or ``sign`` with a key, is not installed.
        """
        write_folder(folder, self._assemble_files(signing_key, public_key))

    def to_zip(self, path: StrPath, signing_key: Any = None, *, public_key: StrPath | None = None) -> None:
        """Write the package as a zip file that replaces an existing one; arguments and errors are as for ``write``."""
        write_zip(path, self._assemble_files(signing_key, public_key))

    def _assemble_files(self, signing_key: Any, public_key: StrPath | None) -> dict[str, bytes]:
        signer = None if signing_key is None else keys.load_signer(signing_key, public_key)
        if isinstance(signing_key, (str, os.PathLike)):
            warn_about_key(os.fsdecode(signing_key))
        attestation = self.attestation
        inputs = [{"name": i.name, "kind": i.kind, "size": i.size, "sha256": i.sha256} for i in attestation.inputs]
        predicate = {
            "format": attestation.format,
            "framework": attestation.framework,
            "model_id": attestation.model_id,
            "from_date": attestation.period.from_date,
            "to_date": attestation.period.to_date,
            "overall_status": attestation.overall_status,
            "generated_at": attestation.generated_at,
        }
        evidence = self.list_files()
        return assemble(evidence | render_derived_files(self, evidence), inputs, signer, predicate)

    def _encode_attestation(self) -> bytes:
        return encode_canonical(msgspec.to_builtins(self.attestation))
