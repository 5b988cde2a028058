"""``save_entries``: writes a registry's entries to a file, unless changes by others would be lost."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.atomic_files import find_regular_file
from spanforge.model_registry._core.errors import RegistryFileChangedError, RegistryFileError, shorten
from spanforge.model_registry._core.json_entries import encode_parts
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.name_limit import check_saved_names
from spanforge.model_registry._core.storage import (
    limit_parts,
    lock_target,
    parse_entries,
    read_registry_file,
    resolve_json_target,
    write_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.storage import SourceFile

SAVE_WAIT: Final = 3.0
"""The seconds that ``save`` waits while another process changes a file in the folder. A change takes milliseconds."""
MAX_SAVED: Final = 100
"""The limit of files whose last version a registry remembers, so that memory does not grow with new paths."""
_MAX_NAMED: Final = 3
"""The limit of models that an error lists; it also has their number."""
_REMEDY: Final = "load it and repeat your changes, or pass overwrite=True"

SavedFiles = dict[str, "SavedFile"]
"""The files that a registry has saved, by their paths."""


class FileVersion(NamedTuple):
    """A version of a file that this process wrote. Each later write changes the inode or the time.

    Attributes:
        device: The device of the file system.
        inode: The number of the file.
        size: The number of bytes.
        mtime: The time of the content, in nanoseconds since the epoch.
    """

    device: int
    inode: int
    size: int
    mtime: int


class SavedFile(NamedTuple):
    """A file that this process wrote.

    Attributes:
        version: Its version. If the file still has it, the file need not be read.
        sha256: The SHA-256 of its bytes, in hexadecimal. A file that was only touched or copied still has it.
    """

    version: FileVersion
    sha256: str


def save_entries(
    path: str | os.PathLike[str],
    get_index: Callable[[], ModelIndex],
    list_sources: Callable[[], Iterable[SourceFile]],
    saved_files: SavedFiles,
    *,
    overwrite: bool,
) -> None:
    """Write entries as an indented JSON array in UTF-8, with the same bytes for the same entries.

    The write is atomic and durable: a synced temporary file in the same folder replaces the file. If the process is
    killed, either the old or the new file remains, perhaps beside a hidden temporary file. Missing parent folders are
    created. The mode of an existing file is kept, and a symbolic link still has the same target.

    Args:
        path: The path of the file.
        get_index: The function that returns the index of the entries. It is called when no other process can change the
            file.
        list_sources: The function that returns the files from which the entries were read.
        saved_files: The files that the registry saved. The file is added.
        overwrite: ``True`` to write even if changes by others are lost.

    Raises:
        RegistryFileChangedError: The file has models or changes that the entries do not have.
        RegistryFileError: The file cannot be written. An existing file is unchanged, unless the error reports that only
            the folder could not be synced. YAML files are never written, because their comments would be lost.
    """
    name = os.fsdecode(path)
    target = resolve_json_target(name)
    with lock_target(name, target, SAVE_WAIT):
        index = get_index()
        check_saved_names(name, index.name_count)
        entries = index.entries.values()
        old = find_regular_file(target)
        last = saved_files.get(target)
        is_ours = old is None or (last is not None and _make_version(old) == last.version)
        if not is_ours and not overwrite:
            known = {source.sha256 for source in list_sources() if os.path.realpath(source.path) == target}
            _check_unchanged(name, target, entries, known if last is None else {*known, last.sha256})
        digest = hashlib.sha256()
        status = write_target(name, target, _hash_parts(limit_parts(name, encode_parts(entries)), digest))
        _remember(saved_files, target, SavedFile(_make_version(status), digest.hexdigest()))


def _make_version(status: os.stat_result) -> FileVersion:
    return FileVersion(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _hash_parts(parts: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """Yield the parts of a file, and add each to a digest."""
    for part in parts:
        digest.update(part)
        yield part


def _remember(saved_files: SavedFiles, target: str, saved: SavedFile) -> None:
    """Remember a saved file, and forget the oldest one of too many."""
    saved_files.pop(target, None)
    saved_files[target] = saved
    while len(saved_files) > MAX_SAVED:
        saved_files.pop(next(iter(saved_files)))


def _check_unchanged(name: str, target: str, entries: list[ModelRegistryEntry], digests: set[str]) -> None:
    """Raise an error if the file has changes that are not in the entries.

    A file that the registry neither loaded nor saved may be replaced if no model and no retirement is lost.

    Args:
        name: The path for messages.
        target: The path of the file.
        entries: The entries to save.
        digests: The digests of the versions that the registry loaded or saved; empty if it did neither.
    """
    content = read_registry_file(target)[1] or b""
    if hashlib.sha256(content).hexdigest() in digests:
        return
    try:
        lost = _describe_losses(parse_entries(target, content), entries)
    except RegistryFileError:
        reason = "is not a valid registry file, so it is not replaced; remove it, or pass overwrite=True"
        raise RegistryFileChangedError(name, reason) from None
    if digests:
        raise RegistryFileChangedError(name, f"has changed since this registry loaded or saved it{lost}; {_REMEDY}")
    if lost:
        raise RegistryFileChangedError(name, f"was never loaded by this registry{lost}; {_REMEDY}")


def _describe_losses(old: list[ModelRegistryEntry], new: list[ModelRegistryEntry]) -> str:
    """Describe the models and retirements that only the old entries have; the text is empty if there are none."""
    statuses = {entry.model_id: entry.status for entry in new}
    missing = [entry.model_id for entry in old if entry.model_id not in statuses]
    final = [
        f"{entry.status} {shorten(entry.model_id)}"
        for entry in old
        if not LIFECYCLE[entry.status].operations and statuses.get(entry.model_id, entry.status) != entry.status
    ]
    lost = [*map(shorten, missing), *final]
    more = f" and {len(lost) - _MAX_NAMED:,} more" if len(lost) > _MAX_NAMED else ""
    return f"; only the file has {', '.join(lost[:_MAX_NAMED])}{more}" if lost else ""
