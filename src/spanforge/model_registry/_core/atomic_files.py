"""Atomic and durable files: a synced temporary file replaces the target in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAX_BASE: Final = 50
"""The limit of characters of a file's name that the name of its temporary file has. A name has at most 255 bytes."""


def replace_file(target: str, parts: Iterable[bytes], *, is_private: bool = False) -> os.stat_result:
    """Write a file that replaces the target, and return the status of the new one.

    The owner and the mode of an existing target are kept. Only its user can read a new file that is private. At no
    moment can others read more than before. If the process is killed, either the old or the new file remains, perhaps
    beside a hidden temporary file.

    The time of the new file is exact. The clock of file systems ticks every few milliseconds, so a later change could
    otherwise have the same time.

    Raises:
        OSError: The file cannot be written, or the target is a pipe, a device or a folder. It is unchanged.
    """
    old = find_regular_file(target)
    temporary = temporary_path(target)
    try:
        with open(temporary, "xb", opener=_open_private if old or is_private else None) as file:
            if old is not None:
                _copy_access(old, file.fileno())
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        now = time.time_ns()
        os.utime(temporary, ns=(now, now))
        status = os.stat(temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return status


def find_regular_file(target: str) -> os.stat_result | None:
    """Return the status of a file that may be replaced; ``None`` if there is nothing.

    Raises:
        OSError: It is a pipe, a device or a folder. Replacing a device would break the system.
    """
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    check_regular(status)
    return status


def check_regular(status: os.stat_result) -> None:
    """Raise an ``OSError`` if a status is not that of a regular file."""
    if not stat.S_ISREG(status.st_mode):
        refuse_special()


def refuse_special() -> NoReturn:
    """Raise the ``OSError`` about a file that is not regular."""
    raise OSError(errno.EINVAL, "it is not a regular file")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _copy_access(old: os.stat_result, descriptor: int) -> None:
    """Give a new file the owner, the group and the mode of the old one; without its group, the group gets no access."""
    mode = stat.S_IMODE(old.st_mode)
    if hasattr(os, "fchown"):
        for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
            with contextlib.suppress(PermissionError):  # only root may give files away
                os.fchown(descriptor, owner, group)
        has_group = os.fstat(descriptor).st_gid == old.st_gid
        os.fchmod(descriptor, mode if has_group else mode & ~stat.S_IRWXG)


def temporary_path(target: str) -> str:
    """Return a new hidden path beside the target. It is on the same file system, so a rename can replace the target."""
    folder, base = os.path.split(target)
    return os.path.join(folder, f".{base[:_MAX_BASE]}.{secrets.token_hex(8)}.tmp")


def write_synced(path: str, content: bytes) -> None:
    """Write a new file and sync it to disk."""
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def open_folder(folder: str) -> Iterator[int | None]:
    """Open a folder before any work in it, so that a folder that cannot be opened is an early error.

    Yields:
        A descriptor for ``sync_folder``; ``None`` on systems that cannot open folders.
    """
    if os.name != "posix":
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_folder(descriptor: int | None) -> OSError | None:
    """Sync a folder, and return the error, if any. A file system that cannot sync folders is not an error."""
    try:
        if descriptor is not None:
            os.fsync(descriptor)
    except OSError as error:
        return None if error.errno in (errno.EINVAL, errno.ENOTSUP) else error
    return None


def explain_not_synced(error: OSError) -> str:
    """Return the predicate of a sentence about a file whose folder could not be synced."""
    return f"is written, but may not survive a power failure: its folder cannot be synced: {explain_os_error(error)}"


def explain_os_error(error: OSError | ValueError) -> str:
    """Return the operating system's message for an error, without the name of the file."""
    return getattr(error, "strerror", None) or str(error)
