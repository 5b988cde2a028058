"""``EvidencePackage``: what an attestation and its table are, as JSON, as a folder and as a zip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from spanforge.model_registry.compliance._packages.canonical import canonical
from spanforge.model_registry.compliance._packages.dsse import load_signer
from spanforge.model_registry.compliance._packages.files import ATTESTATION, EVIDENCE, assemble, write_folder, write_zip

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._attestation import Attestation

Path = str | os.PathLike[str]


class EvidencePackage(msgspec.Struct, frozen=True):
    """Evidence for the clauses of a framework: immutable; the same input gives the same bytes.

    Attributes:
        attestation: What it states.
        evidence_csv: A row for each model, as CSV in UTF-8.
    """

    attestation: Attestation
    evidence_csv: bytes

    def to_json(self) -> str:
        """Return the attestation as canonical JSON (RFC 8785).

        Raises:
            MissingExtraError: The extra ``compliance`` is not installed (also an ``ImportError``).
        """
        return self._canonical().decode()

    def write(self, folder: Path, signing_key: Any = None, *, public_key: Path | None = None) -> None:
        """Write the package as a new folder, or into an empty one: whole, or not at all.

        Args:
            folder: The folder; its parents are made.
            signing_key: The path of an Ed25519 or ECDSA private key in PEM, an address that securesystemslib's signers
                take (``awskms:…``, ``gcpkms:…``, ``hsm:…``), or such a signer. ``None``: the package is not signed, and
                says so.
            public_key: The path of the public key in PEM, for keys that are addresses.

        Raises:
            PackageError: The folder cannot be written, or the key cannot be used (also a ``ValueError``).
            MissingExtraError: The extra ``compliance``, or ``sign`` with a key, is not installed.
        """
        write_folder(folder, self._files(signing_key, public_key))

    def to_zip(self, path: Path, signing_key: Any = None, *, public_key: Path | None = None) -> None:
        """Write the package as a zip, in place of a file that is there; arguments and errors are those of ``write``."""
        write_zip(path, self._files(signing_key, public_key))

    def _files(self, signing_key: Any, public_key: Path | None) -> dict[str, bytes]:
        signer = None if signing_key is None else load_signer(signing_key, public_key)
        stated = self.attestation
        inputs = [{"name": i.name, "kind": i.kind, "size": i.size, "sha256": i.sha256} for i in stated.inputs]
        predicate = {
            "framework": stated.framework,
            "model_id": stated.model_id,
            "from_date": stated.period.from_date,
            "to_date": stated.period.to_date,
            "overall_status": stated.overall_status,
            "generated_at": stated.generated_at,
        }
        return assemble({ATTESTATION: self._canonical(), EVIDENCE: self.evidence_csv}, inputs, signer, predicate)

    def _canonical(self) -> bytes:
        return canonical(msgspec.to_builtins(self.attestation))
