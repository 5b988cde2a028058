"""The files of an evidence package, written atomically to a folder or a zip.

``attestation.json`` and ``evidence.csv`` are the evidence. ``registry.json`` has the registry's entries, and each file
``registry-<number>-<name>`` has the bytes of a registry file. ``calendar-<name>`` has those of a provider calendar, and
``framework-<name>`` those of the framework. The files of ``DERIVED_FILES`` show the evidence in other formats.
``manifest.json`` lists the inputs. ``SHA256SUMS`` has the digests of these files, for ``sha256sum -c``.
``signature.dsse.json`` signs them; an unsigned package does not have it. ``timestamp.tsr`` stamps that file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import stat
import zipfile
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.atomic_files import (
    explain_not_synced,
    explain_os_error,
    open_folder,
    replace_file,
    sync_folder,
    temporary_path,
    write_synced,
)
from spanforge.model_registry._core.errors import PackageError
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.derived_files import DERIVED_FILES
from spanforge.model_registry.compliance._packages.dsse import seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry.compliance._packages.keys import SigningKey

ATTESTATION: Final = "attestation.json"
EVIDENCE: Final = "evidence.csv"
REGISTRY: Final = "registry.json"
MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
SIGNATURE: Final = "signature.dsse.json"
TIME_STAMP: Final = "timestamp.tsr"

SIGNED_FILES: Final = (SUMS, ATTESTATION, EVIDENCE, MANIFEST, REGISTRY)
"""The files that each package has and that a signature covers, sorted. It also covers the optional files."""

PACKAGE_FILES: Final = (*SIGNED_FILES, SIGNATURE)
"""The files that each signed package has, sorted. An unsigned package does not have the last one."""

_REGISTRY_COPY: Final = re.compile(r"(?:registry-[1-9][0-9]{0,8}|calendar|framework)-[A-Za-z0-9._-]{1,100}")

MAX_PACKAGE_SIZE: Final = 256 * 1024 * 1024
"""The limit of the total bytes of a package's files. Rows and entries of 100,000 models take about a quarter of it."""

MAX_FILES: Final = 10_000
"""The limit of the number of a package's files. It has a copy of each registry file, and their limit is smaller."""
ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The time of all entries of a package's zip: the first that a zip can have."""

FORMAT_VERSION: Final = 2
"""The version of the manifest's format."""

UNSIGNED: Final = "none: this package is unsigned, so nothing shows who made it or that it is unchanged"
SIGNED: Final = f"{SIGNATURE}: a DSSE envelope over an in-toto Statement of the files' digests"


def is_optional_file(name: str) -> bool:
    """Check whether a name is that of a file that some packages have: a derived file, or a copy of another file."""
    return name in DERIVED_FILES or _REGISTRY_COPY.fullmatch(name) is not None


def is_package_file(name: str) -> bool:
    """Check whether a package may have a file with this name."""
    return name in (*PACKAGE_FILES, TIME_STAMP) or is_optional_file(name)


def build_sums(files: Mapping[str, bytes]) -> bytes:
    """Return the digests of files, as ``sha256sum`` prints them."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def build_manifest(files: Mapping[str, bytes], inputs: Iterable[Mapping[str, Any]], signed_by: str | None) -> bytes:
    """Return the manifest, in canonical JSON.

    Args:
        files: The evidence and the registry, by name.
        inputs: The inputs of the evidence, as JSON objects.
        signed_by: The id of the key that signs the package; with ``None`` the manifest states that it is unsigned.

    Raises:
        MissingExtraError: The extra ``compliance`` is not installed.
        ValueError: The inputs are not JSON.
    """
    content = {
        "format_version": FORMAT_VERSION,
        "files": file_digests(files),
        "inputs": [dict(each) for each in inputs],
        "signature": UNSIGNED if signed_by is None else SIGNED,
        "signed_by": signed_by,
    }
    return encode_canonical(content)


def file_digests(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the SHA-256 and the size in bytes of files, as the manifest lists them."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in files.items()
    }


def assemble(
    files: Mapping[str, bytes],
    inputs: Iterable[Mapping[str, Any]],
    signer: SigningKey | None = None,
    predicate: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """Return the contents of all files of a package, signed if there is a signer.

    Args:
        files: The contents of ``attestation.json``, ``evidence.csv``, ``registry.json`` and optional files, by name.
        inputs: The inputs of the evidence, as JSON objects.
        signer: The key that signs; ``None`` for an unsigned package.
        predicate: Additional data to sign, a small JSON object.

    Raises:
        PackageError: A file is missing or unknown, the files are too large, or the key cannot sign.
        MissingExtraError: The extra ``compliance`` is not installed, or ``sign`` with a signer.
        ValueError: The inputs or the predicate are not JSON.
    """
    package = {**files, MANIFEST: build_manifest(files, inputs, None if signer is None else signer.keyid)}
    package[SUMS] = build_sums(package)
    if signer is not None:
        package[SIGNATURE] = seal(package, signer, predicate or {})
    _check_files("evidence package", package)
    return package


def write_folder(folder: str | os.PathLike[str], package: Mapping[str, bytes]) -> None:
    """Write a package as a new folder, or into an empty one.

    The write is atomic and durable: a hidden folder beside the target is written, synced and renamed. If the process is
    killed, either the complete package or none remains, perhaps with the hidden folder. Missing parent folders are
    created.

    Raises:
        PackageError: The folder is not empty, or cannot be written. No file remains, unless the error reports that only
            the folder's parent could not be synced.
    """
    name = os.fsdecode(folder)
    _check_files(name, package)
    with _translate_errors(name):
        target = os.path.realpath(name)
        _check_target(name, target)
        with _make_parents(os.path.dirname(target)) as parent:
            _write_new_folder(target, package)
            not_synced = sync_folder(parent)
    _check_synced(name, not_synced)


def write_zip(path: str | os.PathLike[str], package: Mapping[str, bytes]) -> None:
    """Write a package as a zip, or replace an existing file. The write is atomic and durable, as in ``write_folder``.

    Raises:
        PackageError: The zip cannot be written. An existing file is unchanged, unless the error reports that only its
            folder could not be synced.
    """
    name = os.fsdecode(path)
    _check_files(name, package)
    with _translate_errors(name):
        target = os.path.realpath(name)
        if os.path.exists(target) and not os.path.isfile(target):
            raise PackageError(name, "exists and is not a file")
        with _make_parents(os.path.dirname(target)) as parent:
            replace_file(target, [zip_bytes(package)])
            not_synced = sync_folder(parent)
    _check_synced(name, not_synced)


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return the zip of files, with the same bytes on every system and at every time.

    Entries are sorted, their time is 1980-01-01, and their mode is 0644. They are stored without compression, because
    compressed bytes differ between builds of zlib.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.create_system = 3  # Unix, on every system
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


def _check_files(name: str, package: Mapping[str, bytes]) -> None:
    if not set(SIGNED_FILES) <= set(package) or not all(map(is_package_file, package)):
        raise PackageError(name, f"a package has the files {', '.join(SIGNED_FILES)}; got {', '.join(sorted(package))}")
    if len(package) > MAX_FILES:
        raise PackageError(name, f"it would have more than {MAX_FILES:,} files")
    if sum(map(len, package.values())) > MAX_PACKAGE_SIZE:
        raise PackageError(name, f"its files would be larger than {MAX_PACKAGE_SIZE} bytes")


def _check_target(name: str, target: str) -> None:
    if not os.path.lexists(target):
        return
    if not os.path.isdir(target):
        raise PackageError(name, "exists and is not a folder")
    if os.listdir(target):
        raise PackageError(name, "exists and is not empty; pass a new or an empty folder")
    if target == os.path.realpath(os.curdir):
        raise PackageError(name, "is the current folder, which would be replaced; pass a folder in it")


def _check_synced(name: str, error: OSError | None) -> None:
    if error is not None:
        raise PackageError(name, explain_not_synced(error)) from error


@contextlib.contextmanager
def _translate_errors(name: str) -> Iterator[None]:
    """Turn errors of the operating system into those of ``write_folder``."""
    try:
        yield
    except PackageError:
        raise
    except (OSError, ValueError) as error:
        raise PackageError(name, f"cannot be written: {explain_os_error(error)}") from error


@contextlib.contextmanager
def _make_parents(folder: str) -> Iterator[int | None]:
    """Create a folder and its parents, and yield the open folder to sync it later; on failure, remove the new ones."""
    missing = []
    above = folder
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    try:
        os.makedirs(folder, exist_ok=True)
        with open_folder(folder) as descriptor:
            yield descriptor
    except BaseException:
        for made in missing:
            with contextlib.suppress(OSError):
                os.rmdir(made)
        raise


def _write_new_folder(target: str, package: Mapping[str, bytes]) -> None:
    temporary = temporary_path(target)
    try:
        _write_files(temporary, package)
        if os.name != "posix" and os.path.isdir(target):
            os.rmdir(target)  # on other systems, a folder cannot replace another one
        os.rename(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_files(folder: str, package: Mapping[str, bytes]) -> None:
    os.mkdir(folder)
    for name, content in package.items():
        write_synced(os.path.join(folder, name), content)
    with open_folder(folder) as descriptor:
        not_synced = sync_folder(descriptor)
    if not_synced is not None:
        raise not_synced
