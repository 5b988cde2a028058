"""Atomic and durable files: a synced temporary file replaces the target in one step."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def replace_file(target: str, parts: Iterable[bytes]) -> os.stat_result:
    """Write a file that replaces the target, keep the mode of an existing target, and return the status of the new one.

    If the process is killed, either the old or the new file remains, perhaps beside a hidden temporary file.

    The time of the new file is exact. The clock of file systems ticks every few milliseconds, so a later change could
    otherwise have the same time.
    """
    temporary = temporary_path(target)
    try:
        with open(temporary, "xb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
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


def temporary_path(target: str) -> str:
    """Return a new hidden path beside the target. It is on the same file system, so a rename can replace the target."""
    folder, base = os.path.split(target)
    return os.path.join(folder, f".{base[:50]}.{secrets.token_hex(8)}.tmp")


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
