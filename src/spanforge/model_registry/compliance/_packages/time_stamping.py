"""``timestamp_package``: a time stamp for a signed package, from an authority on the network."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.atomic_files import (
    explain_not_synced,
    explain_os_error,
    open_folder,
    replace_file,
    sync_folder,
)
from spanforge.model_registry._core.errors import InvalidValueError, PackageError, VerificationError
from spanforge.model_registry.compliance._packages.authority import ask_authority, parse_authority
from spanforge.model_registry.compliance._packages.containers import read_package
from spanforge.model_registry.compliance._packages.files import SIGNATURE, TIME_STAMP, write_zip
from spanforge.model_registry.compliance._packages.optional_keys import rfc3161

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry.compliance._packages.containers import PackageContents
    from spanforge.model_registry.compliance._packages.time_stamp import TimeStamp

DEFAULT_TIMEOUT: Final = 30.0
"""The time that an authority has for a reply, in seconds, by default."""
MAX_TIMEOUT: Final = 3_600.0
"""The limit of this time."""


def timestamp_package(
    path: str | os.PathLike[str],
    url: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    certificates: Iterable[str | os.PathLike[str]] | None = None,
    replace: bool = False,
) -> TimeStamp:
    """Add a time stamp to a signed package, and return the facts of the stamp.

    The authority receives the SHA-256 of the file ``signature.dsse.json`` and nothing else. Its reply becomes the file
    ``timestamp.tsr`` of the package. The signature does not cover this file, and it needs no private key. If anything
    fails, the package is unchanged.

    Args:
        path: The path of the folder or the zip.
        url: The address of the authority, ``http`` or ``https``; ``user:password@`` in it is sent as Basic
            authentication.
        timeout: The limit of seconds until the reply begins, and of seconds until it is complete; more than 0, and at
            most 3,600.
        certificates: The paths of the authority's certificates in PEM, to verify the time stamp before it is added;
            ``None`` to add it without. Then its facts are only what the reply states.
        replace: Whether an earlier time stamp is replaced.

    Raises:
        PackageError: The package is unsigned, has a time stamp already, or cannot be written; or a certificate cannot
            be used. Or the authority cannot be reached, is too slow, refuses, or sends something else, such as the
            time stamp of an authority that is not trusted (also a ``ValueError``).
        VerificationError: The package cannot be read, or has a file that does not belong to it.
        InvalidValueError: The timeout is not allowed (also a ``ValueError``).
        MissingExtraError: The extra ``timestamp`` is not installed (also an ``ImportError``).
    """
    name = os.fsdecode(path)
    if not 0 < timeout <= MAX_TIMEOUT:
        raise InvalidValueError.must_be("timeout", timeout, f"more than 0 and at most {MAX_TIMEOUT:g} seconds")
    address = parse_authority(url)
    trusted = None if certificates is None else rfc3161.load_certificates(certificates)
    package = _read_signed(name, replace=replace)
    content = package.files[SIGNATURE]
    query = rfc3161.make_query(content)
    reply = ask_authority(address, query.as_bytes(), timeout)
    try:
        response = rfc3161.read_reply(reply, content)
        rfc3161.check_nonce(response, query)
        stamp: TimeStamp = rfc3161.describe_stamp(response)
        if trusted is not None:
            rfc3161.verify_stamp(response, trusted)
    except rfc3161.StampError as error:
        raise PackageError(address.name, f"the reply {error}") from None
    _write_stamp(name, package, reply)
    return stamp


def verify_time_stamp(
    name: str, files: Mapping[str, bytes], certificates: Iterable[str | os.PathLike[str]]
) -> TimeStamp:
    """Return the facts of a package's time stamp after its verification.

    Args:
        name: The path of the package, for errors.
        files: The files of the package.
        certificates: The paths of the authority's certificates in PEM.

    Raises:
        VerificationError: There is no time stamp, or none of these authorities made it for this signature.
        PackageError: A certificate cannot be used.
        MissingExtraError: The extra ``timestamp`` is not installed.
    """
    trusted = rfc3161.load_certificates(certificates)
    if TIME_STAMP not in files:
        raise VerificationError(name, f"has no time stamp: it has no file {TIME_STAMP}")
    try:
        response = rfc3161.read_reply(files[TIME_STAMP], files[SIGNATURE])
        stamp: TimeStamp = rfc3161.describe_stamp(response)
        rfc3161.verify_stamp(response, trusted)
    except rfc3161.StampError as error:
        raise VerificationError(name, f"{TIME_STAMP} {error}") from None
    return stamp


def _read_signed(name: str, *, replace: bool) -> PackageContents:
    """Return the contents of a package that can get a time stamp."""
    contents = read_package(name)
    if contents.unexpected is not None:
        raise VerificationError(name, contents.unexpected)
    if SIGNATURE not in contents.files:
        raise PackageError(name, f"is no signed evidence package: it has no file {SIGNATURE}")
    if TIME_STAMP in contents.files and not replace:
        reason = "has a time stamp already; to replace it (--force, replace=True) loses the earlier time"
        raise PackageError(name, reason)
    return contents


def _write_stamp(name: str, contents: PackageContents, reply: bytes) -> None:
    """Write a time stamp into a package: a new file of a folder, or the whole zip. The write is atomic and durable."""
    if contents.archive is not None:
        write_zip(name, {**contents.files, TIME_STAMP: reply})
        return
    try:
        with open_folder(name) as descriptor:
            replace_file(os.path.join(name, TIME_STAMP), [reply])
            not_synced = sync_folder(descriptor)
    except (OSError, ValueError) as error:
        raise PackageError(name, f"cannot be written: {explain_os_error(error)}") from error
    if not_synced is not None:
        raise PackageError(name, explain_not_synced(not_synced)) from not_synced
