"""Verification that an evidence package is exactly the one that a trusted key signed, without extracting any file."""

from __future__ import annotations

import json
import os
import stat
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance._packages.dsse import list_subjects, unseal
from spanforge.model_registry.compliance._packages.files import (
    ATTESTATION,
    EVIDENCE,
    FORMAT_VERSION,
    MANIFEST,
    MAX_PACKAGE_SIZE,
    PACKAGE_FILES,
    SIGNATURE,
    SIGNED_FILES,
    file_digests,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.optional_keys import keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._packages.dsse import Statement

MAX_ZIP_SIZE: Final = MAX_PACKAGE_SIZE + 4096
"""The limit of a zip's bytes: those of the files, and more than enough for the structure of the zip."""

# .ZIP File Format Specification, section 4.3.7: signature, version, flags, method, time, date, CRC-32, both sizes,
# lengths of name and extra field.
_HEADER: Final = struct.Struct("<4s5H3I2H")
_LOCAL: Final = b"PK\x03\x04"
_UNREADABLE: Final = 0b1001
"""The flags of an entry that is encrypted, or whose size follows its content; see section 4.4.4."""
_OPEN_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""The flags that protect against a link or a pipe that replaces a file before it is opened."""


class VerificationReport(msgspec.Struct, frozen=True):
    """A verified package: its signer, and the main facts of its attestation. A missing fact is ``None``.

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


class _PackageContents(NamedTuple):
    """The unverified contents of a folder or a zip.

    Attributes:
        files: The files that a package may have.
        unexpected: A sentence about another file in it; ``None`` if there is none.
        archive: The bytes of the zip; ``None`` for a folder.
    """

    files: dict[str, bytes]
    unexpected: str | None
    archive: bytes | None


def verify_package(path: str | os.PathLike[str], trusted_keys: Iterable[str | os.PathLike[str]]) -> VerificationReport:
    """Return a report on a package, if it is exactly the one that the holder of a trusted key signed.

    Args:
        path: The path of the folder or the zip.
        trusted_keys: The paths of public keys in PEM; several while keys rotate.

    Raises:
        VerificationError: Anything is missing, changed or added, no trusted key signed it, or no key was given. The
            error names the first fault.
        PackageError: A trusted key cannot be used.
        MissingExtraError: The extra ``compliance`` or ``sign`` is not installed.
    """
    name = os.fsdecode(path)
    trusted = keys.load_trusted(trusted_keys)
    contents = _read_package(name)
    if not contents.files:
        raise VerificationError(name, "is not an evidence package")
    if SIGNATURE not in contents.files:
        raise VerificationError(name, f"is unsigned: it has no file {SIGNATURE}")
    statement, keyid = unseal(contents.files[SIGNATURE], trusted, name)
    _check_file_names(name, contents, statement)
    _check_digests(name, contents.files, statement)
    _check_manifest(name, contents.files, keyid)
    if contents.archive is not None and contents.archive != zip_bytes(contents.files):
        raise VerificationError(name, "the zip container was modified")
    return _build_report(
        name, keyid, trusted[keyid].path, _parse_object(name, ATTESTATION, contents.files[ATTESTATION])
    )


def _read_package(name: str) -> _PackageContents:
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            return _read_folder(name)
        if stat.S_ISREG(mode):
            return _read_zip(name)
    except FileNotFoundError:
        raise VerificationError(name, "does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VerificationError(name, f"cannot be read: {reason}") from error
    raise VerificationError(name, "is neither a folder nor a zip")


def _read_folder(name: str) -> _PackageContents:
    files: dict[str, bytes] = {}
    unexpected: str | None = None
    with os.scandir(name) as entries:
        for entry in entries:
            if entry.name in PACKAGE_FILES and entry.is_file(follow_symlinks=False):
                left = MAX_PACKAGE_SIZE - sum(map(len, files.values()))
                files[entry.name] = _read_package_file(name, entry.path, left, _OPEN_FLAGS)
            else:
                unexpected = min(filter(None, (unexpected, _describe_unexpected(entry.name))))
    return _PackageContents(files, unexpected, None)


def _read_zip(name: str) -> _PackageContents:
    archive = _read_package_file(name, name, MAX_ZIP_SIZE)
    files: dict[str, bytes] = {}
    unexpected: str | None = None
    for entry, content in _list_zip_entries(name, archive):
        if entry in files:
            unexpected = unexpected or f"{entry} is in the zip twice"
        elif entry in PACKAGE_FILES:
            files[entry] = content
        else:
            unexpected = unexpected or _describe_unexpected(entry)
    return _PackageContents(files, unexpected, archive)


def _describe_unexpected(entry: str) -> str:
    return f"{entry} is not a regular file" if entry in PACKAGE_FILES else f"unexpected file {shorten(entry)}"


def _read_package_file(name: str, path: str, limit: int, flags: int = 0) -> bytes:
    with open(path, "rb", opener=lambda path, mode: os.open(path, mode | flags)) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise VerificationError(name, f"is larger than {MAX_PACKAGE_SIZE} bytes")
        return file.read(size + 1)


def _list_zip_entries(name: str, archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each entry, one after another, in the layout of ``zip_bytes``.

    The zip's directory is not read, and its sizes are not trusted. The zip is valid if writing its files again results
    in the same bytes.
    """
    end = 0
    while archive.startswith(_LOCAL, end) and len(archive) >= end + _HEADER.size:
        _, _, flags, method, _, _, _, _, size, name_length, extra_length = _HEADER.unpack_from(archive, end)
        name_end = end + _HEADER.size + name_length
        entry = archive[end + _HEADER.size : name_end].decode("utf-8", "backslashreplace")
        if method or flags & _UNREADABLE:
            reason = f"the zip container was modified: {shorten(entry)} is compressed or encrypted"
            raise VerificationError(name, reason)
        end = name_end + extra_length + size
        yield entry, archive[name_end + extra_length : end]
    if end == 0:
        raise VerificationError(name, "is neither a folder nor a zip")


def _check_file_names(name: str, contents: _PackageContents, statement: Statement) -> None:
    if tuple(subject.name for subject in statement.subject) != SIGNED_FILES:
        raise VerificationError(name, f"the signature does not cover the files {', '.join(SIGNED_FILES)}")
    missing = next((file for file in SIGNED_FILES if file not in contents.files), None)
    if missing is not None:
        raise VerificationError(name, f"{missing} is missing")
    if contents.unexpected is not None:
        raise VerificationError(name, contents.unexpected)


def _check_digests(name: str, files: dict[str, bytes], statement: Statement) -> None:
    for signed, subject in zip(
        statement.subject, list_subjects({file: files[file] for file in SIGNED_FILES}), strict=True
    ):
        if signed != subject:
            raise VerificationError(name, f"{subject.name} is not the file that was signed: its SHA-256 differs")


def _check_manifest(name: str, files: dict[str, bytes], keyid: str) -> None:
    manifest = _parse_object(name, MANIFEST, files[MANIFEST])
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise VerificationError(name, f"{MANIFEST} has format version {shorten(version)} instead of {FORMAT_VERSION}")
    if manifest.get("files") != file_digests({file: files[file] for file in (ATTESTATION, EVIDENCE)}):
        raise VerificationError(name, f"{MANIFEST} lists digests that differ from those of the files")
    if manifest.get("signed_by") != keyid:
        raise VerificationError(name, f"{MANIFEST} does not name the key that signed the package, {keyid}")


def _parse_object(name: str, file: str, content: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(content)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        raise VerificationError(name, f"{file} is not a JSON object")
    return decoded


def _build_report(name: str, keyid: str, key: str, attestation: dict[str, Any]) -> VerificationReport:
    period = attestation.get("period")
    bounds = period if isinstance(period, dict) else {}
    return VerificationReport(
        name,
        keyid,
        key,
        PACKAGE_FILES,
        generated_at=_read_string(attestation, "generated_at"),
        model_id=_read_string(attestation, "model_id"),
        framework=_read_string(attestation, "framework"),
        period=(_read_string(bounds, "from_date"), _read_string(bounds, "to_date")),
        overall_status=_read_string(attestation, "overall_status"),
    )


def _read_string(attestation: dict[str, Any], field: str) -> str | None:
    value = attestation.get(field)
    return value if isinstance(value, str) else None
