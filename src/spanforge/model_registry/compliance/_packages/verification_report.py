"""The report on a verified package."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec

from spanforge.model_registry._core.errors import VerificationError
from spanforge.model_registry._core.values import FrozenDict
from spanforge.model_registry.compliance._packages.files import ATTESTATION, TIME_STAMP
from spanforge.model_registry.compliance._packages.time_stamp import TimeStamp  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._packages.containers import PackageContents


class VerificationReport(msgspec.Struct, frozen=True):
    """A verified package: its signer, its digests, and the main facts of its attestation. A missing fact is ``None``.

    Attributes:
        path: The path of the package.
        keyid: The id of the key that signed the package.
        key: The path of this key, as it was given.
        files: The names of the package's files.
        generated_at: The time of generation, RFC 3339.
        model_id: The model that the evidence is about; ``None`` also for the whole inventory.
        framework: The framework.
        period: The first instant of the period, and the first instant after it, RFC 3339.
        overall_status: The overall status.
        digests: The SHA-256 of each file that was verified, in hexadecimal, by name. Files in a folder can change after
            the verification.
        archive_sha256: The SHA-256 of the zip, in hexadecimal; ``None`` for a folder.
        notes: Facts that an auditor should know, a sentence each, such as ignored files.
        timestamp: The verified time stamp of the signature; ``None`` if it was not verified.
    """

    path: str
    keyid: str
    key: str
    files: tuple[str, ...]
    generated_at: str | None
    model_id: str | None
    framework: str | None
    period: tuple[str | None, str | None]
    overall_status: str | None
    digests: Mapping[str, str]
    archive_sha256: str | None
    notes: tuple[str, ...]
    timestamp: TimeStamp | None = None


def parse_object(name: str, file: str, content: bytes) -> dict[str, Any]:
    """Return the JSON object in a file of a package."""
    try:
        decoded = json.loads(content)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise VerificationError(name, f"{file} is not a JSON object")
    return decoded


def build_report(
    name: str, contents: PackageContents, keyid: str, key: str, stamp: TimeStamp | None = None
) -> VerificationReport:
    """Return the report on a package whose contents were verified.

    Args:
        name: The path of the package.
        contents: Its contents.
        keyid: The id of the key that signed it.
        key: The path of this key.
        stamp: Its verified time stamp, if there is one.
    """
    attestation = parse_object(name, ATTESTATION, contents.files[ATTESTATION])
    bounds, arguments = _read_part(attestation, "period"), _read_part(attestation, "arguments")
    notes = list(contents.notes)
    if contents.is_repacked:
        notes.append("another program made this zip; the files in it are those that were signed")
    if _read_string(arguments, "generated_at") == "given":
        notes.append(
            "the person or program that generated the package set the time of generation; no clock confirms it"
        )
    archive = contents.archive
    digests = {file: hashlib.sha256(contents.files[file]).hexdigest() for file in sorted(contents.files)}
    return VerificationReport(
        name,
        keyid,
        key,
        tuple(digests),
        generated_at=_read_string(attestation, "generated_at"),
        model_id=_read_string(attestation, "model_id"),
        framework=_read_string(attestation, "framework"),
        period=(_read_string(bounds, "from_date"), _read_string(bounds, "to_date")),
        overall_status=_read_string(attestation, "overall_status"),
        digests=FrozenDict(digests),
        archive_sha256=None if archive is None else hashlib.sha256(archive).hexdigest(),
        notes=(*notes, *_note_stamp(contents, _read_string(attestation, "generated_at"), stamp)),
        timestamp=stamp,
    )


def _note_stamp(contents: PackageContents, generated_at: str | None, stamp: TimeStamp | None) -> Iterator[str]:
    """Yield notes on a time stamp that was not verified, and on one before the generation."""
    if stamp is None and TIME_STAMP in contents.files:
        yield "the package has a time stamp that was not verified; pass the certificates of its authority"
    if stamp is not None and generated_at is not None and stamp.time < generated_at[:19]:
        yield "the time stamp is older than the time of generation, so one of the two clocks is wrong"


def _read_part(attestation: dict[str, Any], field: str) -> dict[str, Any]:
    value = attestation.get(field)
    return value if isinstance(value, dict) else {}


def _read_string(attestation: dict[str, Any], field: str) -> str | None:
    value = attestation.get(field)
    return value if isinstance(value, str) else None
