"""Whether an evidence package is what was signed, by someone who is trusted. Nothing is ever extracted."""

from __future__ import annotations

import json
import os
import stat
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance._packages.dsse import load_trusted, subjects, unseal
from spanforge.model_registry.compliance._packages.files import (
    ATTESTATION,
    EVIDENCE,
    FORMAT_VERSION,
    MANIFEST,
    MAX_PACKAGE_SIZE,
    PACKAGE_FILES,
    SIGNATURE,
    SIGNED_FILES,
    described,
    zip_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._packages.dsse import Statement

MAX_ZIP_SIZE: Final = MAX_PACKAGE_SIZE + 4096
"""Bytes that a zip may have: the files' own, and more than enough for what stands between them."""

# .ZIP File Format Specification, section 4.3.7: signature, version, flags, method, time, date, CRC-32, both sizes,
# lengths of name and extra field.
_HEADER: Final = struct.Struct("<4s5H3I2H")
_LOCAL: Final = b"PK\x03\x04"
_UNREADABLE: Final = 0b1001
"""Flags, section 4.4.4: encrypted, or its size stands behind it."""
_OPEN_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""Nobody can put a link or a pipe in a file's place in time."""


class VerificationReport(msgspec.Struct, frozen=True):
    """What a verified package says, and who signed it; what the attestation does not say is ``None``.

    Attributes:
        path: The package.
        keyid: The id of the key that signed it.
        key: The path of this key, as it was trusted.
        files: The names of its files.
        generated_at: When the evidence was gathered.
        model_id: The model that it is about; ``None`` also for the whole inventory.
        framework: The framework that it supports.
        period: The first instant of the period, and the first after it.
        overall_status: What it comes to.
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


class _Found(NamedTuple):
    """What is at a path, whoever put it there."""

    files: dict[str, bytes]
    """Those that a package may have."""
    extra: str | None
    """Something that does not belong there, in words."""
    archive: bytes | None
    """The whole zip, where it is one."""


def verify_package(path: str | os.PathLike[str], trusted_keys: Iterable[str | os.PathLike[str]]) -> VerificationReport:
    """Return what a package says, if it is exactly what the holder of a trusted key signed.

    Args:
        path: The folder or the zip.
        trusted_keys: The paths of public keys in PEM; several for as long as keys rotate.

    Raises:
        VerificationError: Anything is missing, changed or added, nobody who is trusted signed it, or no key is given;
            the error names the first thing that is wrong.
        PackageError: A trusted key cannot be used.
        MissingExtraError: The extra ``compliance`` or ``sign`` is not installed.
    """
    name = os.fsdecode(path)
    trusted = load_trusted(trusted_keys)
    found = _find(name)
    if not found.files:
        raise VerificationError(name, "is not an evidence package")
    if SIGNATURE not in found.files:
        raise VerificationError(name, f"is unsigned: it has no file {SIGNATURE}")
    statement, keyid = unseal(found.files[SIGNATURE], trusted, name)
    _check_names(name, found, statement)
    _check_digests(name, found.files, statement)
    _check_manifest(name, found.files, keyid)
    if found.archive is not None and found.archive != zip_bytes(found.files):
        raise VerificationError(name, "is not the zip that was written: it differs outside of its files' content")
    return _report(name, keyid, trusted[keyid].path, _json_object(name, ATTESTATION, found.files[ATTESTATION]))


def _find(name: str) -> _Found:
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            return _in_folder(name)
        if stat.S_ISREG(mode):
            return _in_zip(name)
    except FileNotFoundError:
        raise VerificationError(name, "no such file or folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VerificationError(name, f"cannot be read: {reason}") from error
    raise VerificationError(name, "is neither a folder nor a zip")


def _in_folder(name: str) -> _Found:
    files: dict[str, bytes] = {}
    extra: str | None = None
    with os.scandir(name) as entries:
        for entry in entries:
            if entry.name in PACKAGE_FILES and entry.is_file(follow_symlinks=False):
                left = MAX_PACKAGE_SIZE - sum(map(len, files.values()))
                files[entry.name] = _content(name, entry.path, left, _OPEN_FLAGS)
            else:
                extra = min(filter(None, (extra, _stranger(entry.name))))
    return _Found(files, extra, None)


def _in_zip(name: str) -> _Found:
    archive = _content(name, name, MAX_ZIP_SIZE)
    files: dict[str, bytes] = {}
    extra: str | None = None
    for entry, content in _entries(name, archive):
        if entry in files:
            extra = extra or f"{entry} stands twice"
        elif entry in PACKAGE_FILES:
            files[entry] = content
        else:
            extra = extra or _stranger(entry)
    return _Found(files, extra, archive)


def _stranger(entry: str) -> str:
    return f"{entry} is not a regular file" if entry in PACKAGE_FILES else f"{shorten(entry)} does not belong to it"


def _content(name: str, path: str, limit: int, flags: int = 0) -> bytes:
    with open(path, "rb", opener=lambda path, mode: os.open(path, mode | flags)) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise VerificationError(name, f"is larger than {MAX_PACKAGE_SIZE} bytes")
        return file.read(size + 1)


def _entries(name: str, archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each entry, one after the other, as ``zip_bytes`` puts them.

    No directory is looked up and no size believed: whether the zip is as it should be is known when it equals what is
    written anew.
    """
    end = 0
    while archive.startswith(_LOCAL, end) and len(archive) >= end + _HEADER.size:
        _, _, flags, method, _, _, _, _, size, name_length, extra_length = _HEADER.unpack_from(archive, end)
        name_end = end + _HEADER.size + name_length
        entry = archive[end + _HEADER.size : name_end].decode("utf-8", "backslashreplace")
        if method or flags & _UNREADABLE:
            reason = f"is not the zip that was written: {shorten(entry)} is compressed or encrypted"
            raise VerificationError(name, reason)
        end = name_end + extra_length + size
        yield entry, archive[name_end + extra_length : end]
    if end == 0:
        raise VerificationError(name, "is neither a folder nor a zip")


def _check_names(name: str, found: _Found, statement: Statement) -> None:
    if tuple(subject.name for subject in statement.subject) != SIGNED_FILES:
        raise VerificationError(name, f"the signature is not about the files {', '.join(SIGNED_FILES)}")
    missing = next((file for file in SIGNED_FILES if file not in found.files), None)
    if missing is not None:
        raise VerificationError(name, f"{missing} is missing")
    if found.extra is not None:
        raise VerificationError(name, found.extra)


def _check_digests(name: str, files: dict[str, bytes], statement: Statement) -> None:
    for signed, subject in zip(statement.subject, subjects({file: files[file] for file in SIGNED_FILES}), strict=True):
        if signed != subject:
            raise VerificationError(name, f"{subject.name} is not the file that was signed: its SHA-256 differs")


def _check_manifest(name: str, files: dict[str, bytes], keyid: str) -> None:
    said = _json_object(name, MANIFEST, files[MANIFEST])
    version = said.get("format_version")
    if version != FORMAT_VERSION:
        raise VerificationError(name, f"{MANIFEST} has format version {shorten(version)} instead of {FORMAT_VERSION}")
    if said.get("files") != described({file: files[file] for file in (ATTESTATION, EVIDENCE)}):
        raise VerificationError(name, f"{MANIFEST} is about other files")
    if said.get("signed_by") != keyid:
        raise VerificationError(name, f"{MANIFEST} does not say that the package is signed by {keyid}")


def _json_object(name: str, file: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise VerificationError(name, f"{file} is not a JSON object")
    return found


def _report(name: str, keyid: str, key: str, attestation: dict[str, Any]) -> VerificationReport:
    period = attestation.get("period")
    first, end = (_text(period, "from_date"), _text(period, "to_date")) if isinstance(period, dict) else (None, None)
    return VerificationReport(
        name,
        keyid,
        key,
        PACKAGE_FILES,
        generated_at=_text(attestation, "generated_at"),
        model_id=_text(attestation, "model_id"),
        framework=_text(attestation, "framework"),
        period=(first, end),
        overall_status=_text(attestation, "overall_status"),
    )


def _text(said: dict[str, Any], field: str) -> str | None:
    value = said.get(field)
    return value if isinstance(value, str) else None
