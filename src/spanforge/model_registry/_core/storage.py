"""Registry files: JSON arrays of entries, written and read completely. YAML files are only read."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._core import json_entries
from spanforge.model_registry._core.atomic_files import (
    check_regular,
    explain_not_synced,
    explain_os_error,
    open_folder,
    refuse_special,
    replace_file,
    sync_folder,
)
from spanforge.model_registry._core.errors import (
    MissingExtraError,
    ModelRegistryError,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry._core.file_lock import lock_folder
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.json_entries import encode_parts
from spanforge.model_registry._core.registry_sources import explain_missing
from spanforge.model_registry._core.settings import MAX_FILE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry

FileMark = tuple[int, ...]
"""Device, inode, size, and the times of content and inode. One of them changes if the file changes."""


class SourceFile(NamedTuple):
    """A registry file, as it was when its entries were read.

    Attributes:
        path: Its path.
        sha256: The SHA-256 of its bytes, in hexadecimal.
    """

    path: str
    sha256: str


@contextlib.contextmanager
def lock_target(name: str, target: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a file's folder; make the folder if it is missing.

    Args:
        name: The path for messages.
        target: The path of the file, without symbolic links.
        seconds: The seconds to wait while another process or thread has the lock.

    Raises:
        RegistryFileError: The folder cannot be made or opened, or another process or thread still has the lock.
    """
    folder = os.path.dirname(target)
    with translate_write_errors(name):
        os.makedirs(folder, exist_ok=True)
        with lock_folder(folder, seconds):
            yield


def write_target(name: str, target: str, parts: Iterable[bytes]) -> os.stat_result:
    """Write the parts of a file atomically and durably, and return the status of the new file.

    Args:
        name: The path for messages.
        target: The path of the file, without symbolic links.
        parts: The content.

    Raises:
        RegistryFileError: The file cannot be written. An existing file is unchanged, unless the error reports that only
            the folder could not be synced.
    """
    with translate_write_errors(name), open_folder(os.path.dirname(target)) as folder:
        status = replace_file(target, parts)
        not_synced = sync_folder(folder)
    if not_synced is not None:
        pass_interruption(not_synced)
        raise RegistryFileError(name, explain_not_synced(not_synced)) from not_synced
    return status


def limit_parts(name: str, parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a registry file, up to the size that can be read again.

    Raises:
        RegistryFileError: The file would be larger.
    """
    size, limit = 0, MAX_FILE_SIZE.read()
    for part in parts:
        size += len(part)
        if size > limit:
            problem = f"cannot be written: it would be larger than {limit:,} bytes; use several files"
            raise RegistryFileError(name, f"{problem}, or raise {MAX_FILE_SIZE.variable}")
        yield part


@contextlib.contextmanager
def translate_write_errors(name: str) -> Iterator[None]:
    """Turn errors of the operating system into errors about a file that cannot be written."""
    try:
        yield
    except ModelRegistryError:
        raise
    except (OSError, ValueError) as error:
        pass_interruption(error)
        raise RegistryFileError(name, f"cannot be written: {explain_os_error(error)}") from error


def encode_entries(entries: Iterable[ModelRegistryEntry]) -> bytes:
    """Return the content of the file that ``save`` would write."""
    return b"".join(encode_parts(list(entries)))


def read_entries(path: str | os.PathLike[str]) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file, in the file's order.

    Raises:
        RegistryFileNotFoundError: The file does not exist.
        RegistryFileError: The file cannot be read, is not a registry file, or is too large. If the fault is in an
            entry, the error names its index, model and field.
    """
    return read_source(path)[0]


def read_source(path: str | os.PathLike[str]) -> tuple[list[ModelRegistryEntry], SourceFile]:
    """Return the entries of a registry file, and its path and digest; raise the errors of ``read_entries``."""
    name = os.fsdecode(path)
    _, read = read_registry_file(name)
    content = read or b""
    entries = parse_entries(name, content)
    return entries, SourceFile(os.path.abspath(name), hashlib.sha256(content).hexdigest())


def find_shared_id(files: Iterable[tuple[str, Iterable[ModelRegistryEntry]]]) -> tuple[str, str, str] | None:
    """Return the first model that two files have, and both paths; ``None`` if each model is in one file.

    Args:
        files: The path and the entries of each file.
    """
    paths: dict[str, str] = {}
    for path, entries in files:
        for entry in entries:
            first = paths.setdefault(entry.model_id, path)
            if first != path:
                return entry.model_id, first, path
    return None


def read_registry_file(path: str, last_mark: FileMark | None = None) -> tuple[FileMark, bytes | None]:
    """Return a registry file's mark and content; raise the errors of ``read_entries``.

    The file is opened even if it has not changed, because a network file system asks its server only then.

    Args:
        path: The path of the file.
        last_mark: The mark of an earlier call. If the file still has it, the content is ``None``.
    """
    with _translate_os_errors(path), open(path, "rb", opener=_open_regular) as file:
        status = os.fstat(file.fileno())
        limit = MAX_FILE_SIZE.read()
        _check_size(path, status.st_size, limit)
        mark = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if mark == last_mark:
            return mark, None
        # The limit is not read at once, because so much memory would be allocated.
        content = file.read(status.st_size + 1)
        if content is None or len(content) > status.st_size == 0:
            refuse_special()  # Linux's files in /proc have no size. Some have no end, or have to be waited for.
        if len(content) > status.st_size:
            content += file.read(limit + 1 - len(content))
    _check_size(path, len(content), limit)
    return mark, content


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file. Another one is refused before it is opened, because opening a device may have an effect."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    check_regular(status)
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    try:
        check_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _translate_os_errors(name: str) -> Iterator[None]:
    """Turn errors of the operating system into errors about the registry file."""
    try:
        yield
    except RegistryFileError:
        raise
    except FileNotFoundError:
        raise RegistryFileNotFoundError(name, explain_missing(name)) from None
    except IsADirectoryError:
        reason = "cannot be read: it is a folder, which only the setting file and FileWatcher read"
        raise RegistryFileError(name, reason) from None
    except (OSError, ValueError) as error:
        pass_interruption(error)
        raise RegistryFileError(name, f"cannot be read: {explain_os_error(error)}") from error


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise RegistryFileError(name, explain_size(limit))


def explain_size(limit: int) -> str:
    """Return the predicate of the sentence about a registry file that is larger than the setting allows."""
    return f"is larger than {limit:,} bytes; to read it, raise {MAX_FILE_SIZE.variable}"


def parse_entries(name: str, content: bytes, *, as_yaml: bool | None = None) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file with this name and content; raise the errors of ``read_entries``.

    Args:
        name: The path or address of the file.
        content: Its bytes.
        as_yaml: ``True`` to read it as YAML, ``False`` as JSON; with ``None``, its name decides.
    """
    if is_yaml(name) if as_yaml is None else as_yaml:
        entries, find_place = _parse_with_extra(name, content)
        return _check_unique_ids(name, entries, find_place)
    entries = json_entries.parse_json(name, content)
    return _check_unique_ids(name, entries, lambda index: json_entries.find_id_in_json(name, content, index))


def is_yaml(name: str) -> bool:
    """Check whether a file with this name is read as YAML."""
    return name.lower().endswith((".yaml", ".yml"))


def preload_parser(name: str) -> None:
    """Import the parser of a file with this name. A fork during a later import in a thread would leave half of it."""
    if is_yaml(name):
        with contextlib.suppress(ImportError):
            importlib.import_module("spanforge.model_registry._core.yaml_entries")


def _parse_with_extra(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], Callable[[int], tuple[int, int]]]:
    try:
        from spanforge.model_registry._core import yaml_entries  # noqa: PLC0415 - few need it, and PyYAML is an extra
    except ImportError:
        raise RegistryFileError(name, str(MissingExtraError("YAML files", "yaml"))) from None
    return yaml_entries.parse_yaml(name, content)


def resolve_target(name: str) -> str:
    """Return the path of the file to write, after following symbolic links.

    Raises:
        RegistryFileError: The path cannot be resolved.
    """
    with translate_write_errors(name):
        return os.path.realpath(name)


def resolve_json_target(name: str) -> str:
    """Return the path of the JSON file to write, after following symbolic links.

    Raises:
        RegistryFileError: The path cannot be resolved, or it is that of a YAML file, which would lose its comments.
    """
    target = resolve_target(name)
    if is_yaml(name) or is_yaml(target):
        reason = "cannot be written: YAML files are read-only, and save writes JSON; use a name that ends in .json"
        raise RegistryFileError(name, reason)
    return target


def _check_unique_ids(
    name: str, entries: list[ModelRegistryEntry], find_place: Callable[[int], tuple[int, int]]
) -> list[ModelRegistryEntry]:
    """Return the entries if their ids are unique.

    Raises:
        RegistryFileError: Two entries have the same id. The error names the second one, with its line and column.
    """
    if len({entry.model_id for entry in entries}) == len(entries):
        return entries
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        first = seen.setdefault(entry.model_id, index)
        if first != index:
            reason = f"must be unique; line {find_place(first)[0]} has it too"
            raise RegistryFileError(name, reason, index, entry.model_id, "model_id", *find_place(index))
    return entries
