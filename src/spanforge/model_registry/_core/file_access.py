"""Files that others can change or read: registry files, calendars and signing keys.

Only users and groups are checked, by owner and mode. Access control lists are not. On Windows nothing is checked.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from spanforge.model_registry._core.interruptions import SuppressFailures
from spanforge.model_registry._core.process import WarnOnce

KEY_WARNING: Final = "other users can %s the private key %s: run chmod 600"
"""The sentence about a private key: what others can do, and its path."""
_ROOT_USER: Final = 0

_warnings: Final = WarnOnce(100)


def warn_about_writers(path: str) -> None:
    """Warn once about a file that others can change. The file decides which owner and status spans show."""
    with SuppressFailures():  # the file may be gone by now
        writers = find_writers(path)
        if writers is not None:
            text = "model registry: %s can change %s; let only root and the user of this process write it"
            _warnings.warn(path, text, *writers)


def warn_about_key(path: str) -> None:
    """Warn once about a private key that others can read or change."""
    with SuppressFailures():  # the file may be gone by now
        access = find_key_users(path)
        if access is not None:
            _warnings.warn(path, f"model registry: {KEY_WARNING}", access, path)


def find_writers(path: str) -> tuple[str, str] | None:
    """Return the others who can change a file, and the place where they can; ``None`` if there are none.

    It is the file, or a folder in which the file or a link to it can be replaced. Root, the user of this process and
    its groups are not others. On a file system that is mounted read-only, nobody can change anything.

    Raises:
        OSError: The file cannot be looked up.
    """
    if os.name != "posix" or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    writer = _find_writer(os.stat(path))
    if writer is not None:
        return writer, path
    for folder in dict.fromkeys(os.path.dirname(place) for place in (os.path.abspath(path), os.path.realpath(path))):
        writer = _find_writer(os.stat(folder))
        if writer is not None:
            return writer, f"{path}, because it can change the folder {folder}"
    return None


def find_key_users(path: str) -> str | None:
    """Return the verb for the use of a private key by others: ``read`` or ``change``; ``None`` if they have no access.

    A key that is not a regular file, such as a pipe, has no other users.

    Raises:
        OSError: The file cannot be looked up.
    """
    if os.name != "posix" or not os.path.isfile(path):
        return None
    status = os.stat(path)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid not in (_ROOT_USER, os.geteuid()):
        return "change"
    return "read" if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) else None


def _find_writer(status: os.stat_result) -> str | None:
    """Return the others who can change a file, or replace the files in a folder; ``None`` if there are none.

    Users have numbers here, because looking up a name may ask a server.
    """
    if status.st_uid not in (_ROOT_USER, os.geteuid()):
        return f"user {status.st_uid}"
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return None  # in such a folder, only the owner of a file replaces it
    if status.st_mode & stat.S_IWOTH:
        return "every user"
    is_foreign = status.st_gid not in (_ROOT_USER, os.getegid(), *os.getgroups())
    return f"group {status.st_gid}" if status.st_mode & stat.S_IWGRP and is_foreign else None
