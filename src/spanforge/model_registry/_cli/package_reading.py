"""Evidence packages that a command reads: the bytes of their files, and the attestation in them."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance import Attestation, VerificationReport
from spanforge.model_registry.compliance._evidence_csv import COLUMNS
from spanforge.model_registry.compliance._packages.containers import read_package
from spanforge.model_registry.compliance._packages.files import ATTESTATION, EVIDENCE
from spanforge.model_registry.compliance._packages.verify import verify_contents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spanforge.model_registry.compliance import Expected

MAX_ATTESTATION: Final = 64 * 1024 * 1024
"""The limit of the bytes of an attestation that is read. Its lists have at most 1,000 items."""
MAX_INVENTORY: Final = 200_000
"""The limit of the rows of ``evidence.csv`` that are read. An unsigned package can have rows without any content."""
_MAX_INTEGER: Final = 2**53
"""The largest integer of canonical JSON. An unsigned package can have larger ones, with any number of digits."""
_attestation_decoder: Final = msgspec.json.Decoder(Attestation)

TimestampCertOption = Annotated[
    list[str] | None,
    typer.Option(
        "--timestamp-cert",
        metavar="FILE",
        help="The certificates of the time stamp authority in PEM, with its root; repeat it for several files.",
    ),
]


class OpenedPackage(NamedTuple):
    """A package that was read.

    Attributes:
        path: Its path.
        files: The bytes of its files.
        report: The report on its verification; ``None`` if it was not verified.
        attestation: Its attestation; ``None`` if this version of the library cannot read it.
        fault: The reason why the attestation cannot be read; empty if it can be.
    """

    path: str
    files: Mapping[str, bytes]
    report: VerificationReport | None
    attestation: Attestation | None
    fault: str

    def list_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each file, in hexadecimal, by name."""
        return {name: hashlib.sha256(self.files[name]).hexdigest() for name in sorted(self.files)}

    def list_inventory(self) -> list[dict[str, str]]:
        """Return the first rows of ``evidence.csv``, until an unreadable one: a dictionary for each, by column."""
        text = self.files.get(EVIDENCE, b"").decode("utf-8", "replace")
        rows = list[dict[str, str]]()
        try:
            for row in islice(csv.DictReader(io.StringIO(text)), MAX_INVENTORY):
                rows.append({column: row.get(column) or "" for column in COLUMNS})
        except csv.Error:
            return rows
        return rows


def verify_opened(
    path: str, keys: Sequence[str], expect: Expected | None = None, certificates: Sequence[str] | None = None
) -> OpenedPackage:
    """Return a package after its verification.

    Args:
        path: Its path.
        keys: The paths of the trusted keys.
        expect: The facts that it must have.
        certificates: The paths of certificates of time stamp authorities; ``None`` to verify no time stamp.

    Raises:
        VerificationError: It is not the package that a trusted key signed, not the expected one, or its time stamp is
            missing or not valid.
        PackageError: A key or a certificate cannot be used.
        UsageError: There is no file or folder with this path.
    """
    check_readable(path)
    report, files = verify_contents(path, keys, expect=expect, timestamp_certificates=certificates)
    return _decode_package(path, files, report)


def open_unverified(path: str) -> OpenedPackage:
    """Return a package without its verification.

    Raises:
        UsageError: It cannot be read, or is no package.
    """
    check_readable(path)
    try:
        files = read_package(path).files
    except VerificationError as error:
        raise UsageError(str(error)) from None
    return _decode_package(path, files, None)


def check_readable(path: str) -> None:
    """Check that a path can be read.

    Raises:
        UsageError: It cannot be.
    """
    if not os.path.exists(path):
        msg = f"{path}: no such file or folder"
        raise UsageError(msg)
    if not os.access(path, os.R_OK):
        msg = f"{path}: cannot be read: permission denied"
        raise UsageError(msg)


def require_attestation(package: OpenedPackage) -> Attestation:
    """Return the attestation of a package.

    Raises:
        UsageError: This version of the library cannot read it.
    """
    if package.attestation is None:
        msg = f"{package.path}: {package.fault}"
        raise UsageError(msg)
    return package.attestation


def _decode_package(path: str, files: Mapping[str, bytes], report: VerificationReport | None) -> OpenedPackage:
    content = files.get(ATTESTATION)
    if content is None:
        return OpenedPackage(path, files, report, None, f"is not an evidence package: it has no {ATTESTATION}")
    if len(content) > MAX_ATTESTATION:
        return OpenedPackage(path, files, report, None, f"{ATTESTATION} is larger than {MAX_ATTESTATION:,} bytes")
    try:
        attestation = _attestation_decoder.decode(content)
        _check_integers(msgspec.to_builtins(attestation))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        fault = f"{ATTESTATION} is not of the format that this version reads: {shorten(str(error))}"
        return OpenedPackage(path, files, report, None, fault)
    return OpenedPackage(path, files, report, attestation, "")


def _check_integers(value: Any) -> None:
    if isinstance(value, int) and value > _MAX_INTEGER:
        raise ValueError("an integer is larger than 2**53")
    items = value.values() if isinstance(value, dict) else value
    if isinstance(items, Iterable) and not isinstance(items, str):
        for item in items:
            _check_integers(item)
