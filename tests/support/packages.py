"""Signed packages, and zips that other programs make of them."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import write_key_pair

from spanforge.model_registry.compliance import VerificationError, verify_package
from spanforge.model_registry.compliance._packages.files import assemble, write_folder, write_zip, zip_bytes
from spanforge.model_registry.compliance._packages.keys import load_signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ATTESTATION = {
    "framework": "soc2",
    "generated_at": "2026-02-01T00:00:00.000000Z",
    "model_id": "gpt",
    "overall_status": "supported",
    "period": {"from_date": "2026-01-01T00:00:00.000000Z", "to_date": "2026-02-01T00:00:00.000000Z"},
}
EVIDENCE = {
    "attestation.json": json.dumps(ATTESTATION).encode(),
    "evidence.csv": b"model_id\r\ngpt\r\n",
    "registry.json": b"[]\n",
    "registry-1-models.yaml": b"[]  # none\n",
}
FILES = ("SHA256SUMS", "attestation.json", "evidence.csv", "manifest.json", "registry-1-models.yaml", "registry.json")
ALL_FILES = (*FILES, "signature.dsse.json")


class SignedCase:
    """A key pair, and a package that it signed, as a folder and as a zip."""

    def __init__(self, place: Path, key: Any) -> None:
        place.mkdir(exist_ok=True)
        self.place = place
        private, self.public = write_key_pair(place, key)
        self.signer = load_signer(private)
        self.made = assemble(EVIDENCE, [], self.signer, {})
        self.folder = place / "folder"
        self.zip = place / "package.zip"
        write_folder(self.folder, self.made)
        write_zip(self.zip, self.made)

    def refuse(self, path: Path, reason: str, *keys: Path) -> None:
        """Assert that a package is refused for a reason."""
        with pytest.raises(VerificationError, match=reason) as caught:
            verify_package(path, keys or [self.public])
        assert caught.value.path == str(path)

    def sign(self, changes: dict[str, bytes]) -> dict[str, bytes]:
        """Return the files of a package with changed evidence that the key signed."""
        return assemble(EVIDENCE | changes, [], self.signer, {})

    def write(self, files: dict[str, bytes]) -> tuple[Path, Path]:
        """Write any files as a folder and as a zip."""
        folder, archive = self.place / "changed", self.place / "changed.zip"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        archive.write_bytes(zip_bytes(files))
        return folder, archive


def make_zip(files: list[tuple[str, bytes]], change: Callable[[zipfile.ZipInfo], Any], comment: bytes = b"") -> bytes:
    """Return a zip that is made as a package's is, but for a change to each entry."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.comment = comment
        for name, data in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            change(entry)
            archive.writestr(entry, data)
    return content.getvalue()
