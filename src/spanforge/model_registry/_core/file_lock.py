"""``lock_folder``: one process or thread at a time changes the registry files of a folder.

The lock is that of the operating system, so it ends with the process that has it. On Linux and macOS the folder itself
is locked, and no file is left. Network file systems and Windows cannot lock a folder. There a hidden file beside the
registry file is locked, and removed afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.process import ProcessState

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDECAR: Final = ".model-registry.lock"
"""The name of the file that is locked if the folder cannot be."""
_NAP: Final = 0.005
"""The seconds between two tries. They are few, so that a process that locks in a loop leaves others a chance."""
_NO_LOCKS: Final = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""The errors of file systems that cannot lock this kind of file."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        """Lock a file, or return ``False`` if another process has locked it."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        """Lock a file or folder, or return ``False`` if another process or thread has locked it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        """Unlock also the copies of the descriptor that forked children have."""
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


class _OpenLocks(ProcessState):
    """The descriptors of the locks of this process. A forked child closes its copies, or it would keep the locks."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()
        super().__init__()

    def add(self, descriptor: int) -> int:
        """Close this descriptor in forked children; return it."""
        self._descriptors.add(descriptor)
        return descriptor

    def close_last(self, descriptors: list[int]) -> None:
        """Unlock and close the last descriptor of a list, unless this is a child that has closed it already.

        It may be called again if a signal handler's exception interrupts it. At worst, an unlocked descriptor stays
        open.
        """
        if descriptors[-1] in self._descriptors:
            _unlock(descriptors[-1])
        descriptor = descriptors.pop()
        if descriptor in self._descriptors:
            self._descriptors.discard(descriptor)
            os.close(descriptor)

    def after_fork_in_child(self) -> None:
        """Close the descriptors without unlocking what the parent has locked."""
        while self._descriptors:
            with contextlib.suppress(OSError):
                os.close(self._descriptors.pop())


_open_locks: Final = _OpenLocks()


@contextlib.contextmanager
def lock_folder(folder: str, seconds: float) -> Iterator[None]:
    """Hold the lock of a folder. On a file system without locks, nothing is locked.

    Args:
        folder: The folder.
        seconds: The seconds to wait while another process or thread has the lock.

    Raises:
        TimeoutError: Another process or thread still has the lock. ``str()`` is a sentence that names it.
        OSError: The folder cannot be opened.
    """
    until = time.monotonic() + seconds
    descriptors: list[int] = []
    sidecar, removes_sidecar = os.path.join(folder, SIDECAR), False
    try:
        if os.name != "posix" or not _wait_for_lock(folder, os.O_RDONLY, descriptors, until):
            _wait_for_lock(sidecar, os.O_RDWR | os.O_CREAT, descriptors, until)
            removes_sidecar = True
        yield
    except _LockedError as error:
        msg = f"{error} has locked {folder} for more than {seconds:g} seconds; try again later"
        raise TimeoutError(msg) from None
    finally:
        if removes_sidecar:
            with contextlib.suppress(OSError):
                os.unlink(sidecar)
        try:
            _close_all(descriptors)
        finally:
            _close_all(descriptors)  # a signal handler's exception may have interrupted the call before


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        _open_locks.close_last(descriptors)


class _LockedError(Exception):
    """Another process or thread has the lock."""


def _wait_for_lock(path: str, flags: int, descriptors: list[int], until: float) -> bool:
    """Lock a file or a folder; ``False`` if its file system cannot.

    The descriptor is in the list before it is locked, so that an exception of a signal handler leaves no lock.
    """
    while True:
        descriptors.append(_open_locks.add(os.open(path, flags, 0o666)))
        try:
            if _try_lock(descriptors[-1]) and _is_still_there(descriptors[-1], path):
                return True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return False
        if time.monotonic() >= until:
            raise _LockedError(_find_holder(descriptors[-1]))
        _open_locks.close_last(descriptors)
        time.sleep(random.uniform(0, _NAP))  # noqa: S311 - so that waiting processes do not all try at once


def _is_still_there(descriptor: int, path: str) -> bool:
    """Check whether a locked file was not removed by the process that had the lock before."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _find_holder(descriptor: int) -> str:
    """Return who has the lock, as far as Linux tells."""
    status = os.fstat(descriptor)
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError:
        rows = []
    holders = [int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK" and row[5] == inode]  # noqa: PLR2004
    process = next(iter(holders), 0)
    if process == os.getpid():
        return "another thread of this process"
    return f"process {process}" if process > 0 else "another process"
