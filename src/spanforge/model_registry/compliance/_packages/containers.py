"""The unverified contents of a package, read from a folder or a zip without extracting any file."""

from __future__ import annotations

import os
import stat
import zipfile
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance._packages.files import (
    MAX_FILES,
    MAX_PACKAGE_SIZE,
    ZIP_TIME,
    is_package_file,
)
from spanforge.model_registry.compliance._packages.zip_entries import MAX_DIRECTORY_SIZE, ZipEntry, list_zip_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_ZIP_SIZE: Final = MAX_PACKAGE_SIZE + 2 * MAX_DIRECTORY_SIZE
"""The limit of a zip's bytes: those of the files, and more than enough for the structure of the zip."""

IGNORED: Final = frozenset(
    {
        ".ds_store",  # macOS: Finder
        "__macosx",  # macOS: attributes of files in a zip
        ".spotlight-v100",
        ".trashes",
        ".fseventsd",
        ".localized",
        "icon\r",
        "thumbs.db",  # Windows: Explorer
        "ehthumbs.db",
        "desktop.ini",
        ".directory",  # KDE: Dolphin
        "@eadir",  # Synology
    }
)
"""The names, in lower case, of files and folders that file managers and file servers add."""
_APPLE_DOUBLE: Final = "._"
"""The beginning of names of files in which macOS keeps attributes of other files."""

_OPEN_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
"""The flags that protect against a link or a pipe that replaces a file before it is opened."""
_SHOWN_NAMES: Final = 5
"""The limit of files that a note lists; it also has their number."""


class PackageContents(NamedTuple):
    """The unverified contents of a folder or a zip.

    Attributes:
        files: The files that a package may have.
        unexpected: A sentence about another file in it; ``None`` if there is none.
        notes: Facts that a reader of the verification report should know, a sentence each.
        archive: The bytes of the zip; ``None`` for a folder.
        is_repacked: ``True`` if another program made the zip.
    """

    files: dict[str, bytes]
    unexpected: str | None
    notes: list[str]
    archive: bytes | None = None
    is_repacked: bool = False


def read_package(name: str) -> PackageContents:
    """Return the contents of a folder or a zip.

    Raises:
        VerificationError: It cannot be read, or is neither.
    """
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


def _read_folder(name: str) -> PackageContents:
    files: dict[str, bytes] = {}
    ignored, unexpected, linked = list[str](), list[str](), list[str]()
    with os.scandir(name) as entries:
        for number, entry in enumerate(entries):
            if number >= MAX_FILES:
                raise VerificationError(name, f"has more than {MAX_FILES:,} entries")
            if is_package_file(entry.name) and entry.is_file(follow_symlinks=False):
                left = MAX_PACKAGE_SIZE - sum(map(len, files.values()))
                files[entry.name] = _read_file(name, entry.path, left, _OPEN_FLAGS)
                if entry.stat(follow_symlinks=False).st_nlink > 1:
                    linked.append(entry.name)
            else:
                (ignored if _is_ignored(entry.name) else unexpected).append(entry.name)
    notes = list(_note_links(name, linked))
    notes += _note_ignored(ignored)
    return PackageContents(files, _describe_unexpected(min(unexpected)) if unexpected else None, notes)


def _read_zip(name: str) -> PackageContents:
    archive = _read_file(name, name, MAX_ZIP_SIZE)
    entries = list_zip_entries(name, archive)
    kept = [entry for entry in entries if not _is_ignored(entry.path)]
    top = _find_top_folder(kept)
    files, unexpected = _select_files(kept, top)
    notes = [*_note_links(name, ()), *_note_ignored([entry.path for entry in entries if _is_ignored(entry.path)])]
    return PackageContents(files, unexpected, notes, archive, bool(top) or _is_repacked(kept))


def _select_files(entries: Iterable[ZipEntry], top: str) -> tuple[dict[str, bytes], str | None]:
    """Return the files of a package in a zip, and a sentence about another one, if any."""
    files: dict[str, bytes] = {}
    unexpected: str | None = None
    for entry in entries:
        path = entry.path.removeprefix(top)
        if path in files:
            unexpected = unexpected or f"{path} is in the zip twice"
        elif is_package_file(path) and not stat.S_ISLNK(entry.info.external_attr >> 16):
            files[path] = entry.read()
        elif path:
            unexpected = unexpected or _describe_unexpected(path)
    return files, unexpected


def _is_ignored(path: str) -> bool:
    parts = path.rstrip("/").split("/")
    return any(part.lower() in IGNORED or part.startswith(_APPLE_DOUBLE) for part in parts)


def _find_top_folder(entries: Sequence[ZipEntry]) -> str:
    """Return the folder in which all entries are, with a slash; empty if there is none."""
    top = entries[0].path.partition("/")[0] if entries else ""
    is_plain = top not in ("", ".", "..") and ":" not in top
    return f"{top}/" if is_plain and all(entry.path.startswith(f"{top}/") for entry in entries) else ""


def _is_repacked(entries: Sequence[ZipEntry]) -> bool:
    """Check whether another program made a zip of the files, in a way that no few changed bytes can imitate.

    A package's own zip is not compressed, and its entries are sorted and have one time. Compressed content that can be
    read, another order, and another time of all entries take changes in several places of the zip.
    """
    paths = [entry.path for entry in entries]
    is_compressed = any(entry.info.compress_type == zipfile.ZIP_DEFLATED for entry in entries)
    return is_compressed or paths != sorted(paths) or all(entry.info.date_time != ZIP_TIME for entry in entries)


def _describe_unexpected(path: str) -> str:
    return f"{path} is not a regular file" if is_package_file(path) else f"unexpected file {shorten(path)}"


def _note_links(name: str, linked: Iterable[str]) -> list[str]:
    """Return notes on links, through which files can change after the verification."""
    notes = []
    if os.path.islink(name):
        notes.append(f"the path is a link to {shorten(os.path.realpath(name))}; the link can change")
    if linked:
        names = _join_names(linked)
        notes.append(
            f"files with further hard links, through which they can change: {names}; verify a copy of the folder"
        )
    return notes


def _note_ignored(ignored: Iterable[str]) -> list[str]:
    if not ignored:
        return []
    return [f"ignored files that file managers add, and that the signature does not cover: {_join_names(ignored)}"]


def _join_names(names: Iterable[str]) -> str:
    ordered = sorted(names)
    rest = f" and {len(ordered) - _SHOWN_NAMES:,} more" if len(ordered) > _SHOWN_NAMES else ""
    return ", ".join(map(shorten, ordered[:_SHOWN_NAMES])) + rest


def _read_file(name: str, path: str, limit: int, flags: int = 0) -> bytes:
    with open(path, "rb", opener=lambda path, mode: os.open(path, mode | flags)) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise VerificationError(name, f"is larger than {MAX_PACKAGE_SIZE} bytes")
        return file.read(size + 1)
