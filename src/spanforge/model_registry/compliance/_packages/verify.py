"""Verification that an evidence package is exactly the one that a trusted key signed, without extracting any file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance._packages.containers import PackageContents, read_package
from spanforge.model_registry.compliance._packages.dsse import list_subjects, unseal
from spanforge.model_registry.compliance._packages.expectations import Expected, check_expected
from spanforge.model_registry.compliance._packages.files import (
    FORMAT_VERSION,
    MANIFEST,
    SIGNATURE,
    SIGNED_FILES,
    SUMS,
    TIME_STAMP,
    build_sums,
    file_digests,
    is_optional_file,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.optional_keys import keys
from spanforge.model_registry.compliance._packages.time_stamping import verify_time_stamp
from spanforge.model_registry.compliance._packages.verification_report import (
    VerificationReport,
    build_report,
    parse_object,
)
from spanforge.model_registry.compliance._packages.zip_entries import describe_modified

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry.compliance._packages.dsse import Statement


class VerifiedPackage(NamedTuple):
    """The report on a verified package, and the bytes of its files as they were verified."""

    report: VerificationReport
    files: Mapping[str, bytes]


def verify_package(
    path: str | os.PathLike[str],
    trusted_keys: Iterable[str | os.PathLike[str]],
    *,
    expect: Expected | None = None,
    timestamp_certificates: Iterable[str | os.PathLike[str]] | None = None,
) -> VerificationReport:
    """Return a report on a package, if it is exactly the one that the holder of a trusted key signed.

    Files that file managers add, such as ``.DS_Store``, are ignored. A zip that another program made of the package's
    files is verified like a folder. The report notes both.

    Args:
        path: The path of the folder or the zip.
        trusted_keys: The paths of public keys in PEM; several while keys rotate.
        expect: The facts that the package must have. Without them, an older package of the same signer is valid too.
        timestamp_certificates: The paths of certificates of time stamp authorities in PEM, with the root certificate.
            The package must then have a time stamp of one of them. With ``None``, a time stamp is not verified.

    Raises:
        VerificationError: Anything is missing, changed or added, no trusted key signed it, no key was given, a fact is
            not the expected one, or the time stamp is missing or not valid. The error names the first fault.
        InvalidValueError: An expectation is not allowed (also a ``ValueError``).
        PackageError: A trusted key or a certificate cannot be used.
        MissingExtraError: The extra ``compliance`` or ``sign``, or ``timestamp`` with certificates, is not installed.
    """
    return verify_contents(path, trusted_keys, expect=expect, timestamp_certificates=timestamp_certificates).report


def verify_contents(
    path: str | os.PathLike[str],
    trusted_keys: Iterable[str | os.PathLike[str]],
    *,
    expect: Expected | None = None,
    timestamp_certificates: Iterable[str | os.PathLike[str]] | None = None,
) -> VerifiedPackage:
    """Return the report on a package with the verified bytes of its files; arguments and errors as there.

    A reader of the package must use these bytes, because files can change after the verification.
    """
    name = os.fsdecode(path)
    trusted = keys.load_trusted(trusted_keys)
    contents = read_package(name)
    if not contents.files:
        raise VerificationError(name, "is not an evidence package")
    if SIGNATURE not in contents.files:
        raise VerificationError(name, f"is unsigned: it has no file {SIGNATURE}")
    statement, keyid = unseal(contents.files[SIGNATURE], trusted, name)
    _check_file_names(name, contents, statement)
    _check_digests(name, contents.files, statement)
    _check_manifest(name, contents.files, keyid)
    _check_container(name, contents)
    stamp = None
    if timestamp_certificates is not None:
        stamp = verify_time_stamp(name, contents.files, timestamp_certificates)
    report = build_report(name, contents, keyid, trusted[keyid].path, stamp)
    if expect is not None:
        check_expected(report, expect)
    return VerifiedPackage(report, contents.files)


def _check_file_names(name: str, contents: PackageContents, statement: Statement) -> None:
    signed = [subject.name for subject in statement.subject]
    optional = [file for file in signed if is_optional_file(file)]
    if signed != sorted({*SIGNED_FILES, *optional}):
        raise VerificationError(name, f"the signature does not cover the files {', '.join(SIGNED_FILES)}")
    missing = sorted(set(signed) - set(contents.files))
    if missing:
        raise VerificationError(name, f"{missing[0]} is missing")
    if contents.unexpected is not None:
        raise VerificationError(name, contents.unexpected)
    unsigned = sorted(set(contents.files) - {*signed, SIGNATURE, TIME_STAMP})
    if unsigned:
        raise VerificationError(name, f"unexpected file {shorten(unsigned[0])}")


def _check_digests(name: str, files: dict[str, bytes], statement: Statement) -> None:
    for signed, subject in zip(statement.subject, list_subjects(_without_unsigned(files)), strict=True):
        if signed != subject:
            raise VerificationError(name, f"{subject.name} is not the file that was signed: its SHA-256 differs")


def _check_manifest(name: str, files: dict[str, bytes], keyid: str) -> None:
    """Check that the lists in a package, which was signed, are about its own files."""
    manifest = parse_object(name, MANIFEST, files[MANIFEST])
    version = manifest.get("format_version")
    if version != FORMAT_VERSION:
        raise VerificationError(name, f"{MANIFEST} has format version {shorten(version)} instead of {FORMAT_VERSION}")
    if manifest.get("files") != file_digests(_without_unsigned(files, SUMS, MANIFEST)):
        raise VerificationError(name, f"{MANIFEST} lists digests that differ from those of the files")
    if files[SUMS] != build_sums(_without_unsigned(files, SUMS)):
        raise VerificationError(name, f"{SUMS} lists digests that differ from those of the files")
    if manifest.get("signed_by") != keyid:
        raise VerificationError(name, f"{MANIFEST} does not name the key that signed the package, {keyid}")


def _check_container(name: str, contents: PackageContents) -> None:
    """Check that a zip is the one that was written, or that another program made it of the files."""
    if contents.archive is None or contents.is_repacked or contents.archive == zip_bytes(contents.files):
        return
    raise describe_modified(name, "it differs from the one that was written")


def _without_unsigned(files: Mapping[str, bytes], *others: str) -> dict[str, bytes]:
    """Return files without those that the signature does not cover, and without others."""
    return {name: content for name, content in files.items() if name not in (SIGNATURE, TIME_STAMP, *others)}
