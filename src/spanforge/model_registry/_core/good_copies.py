"""Copies on disk of the last valid registry file at an address, so that a restart works while the server is away.

A copy is one file, written atomically, that only its user can read: a line of JSON, then the bytes from the server.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from typing import Final, NamedTuple

import msgspec

from spanforge.model_registry._core.atomic_files import explain_os_error, replace_file
from spanforge.model_registry._core.file_access import find_writers
from spanforge.model_registry._core.setting_parsers import NO_CACHE, USER_CACHE

_COPIES_FOLDER: Final = ("spanforge-model-registry", "registry-copies")
_MAX_HEADER: Final = 256 * 1024
"""The limit of the bytes of a copy's first line: a signature in base64, and a little more."""
_TOUCH_SECONDS: Final = 60.0
"""The seconds after which the time of a copy is set again. It is the time at which the server confirmed the file."""


class CopyFacts(msgspec.Struct, frozen=True):
    """What a copy states about its content.

    Attributes:
        address: The key of the address.
        sha256: The SHA-256 of the content, in hexadecimal.
        is_yaml: ``True`` if the content is YAML.
        etag: The ``ETag`` of the answer, if there was one.
        last_modified: The ``Last-Modified`` of the answer, if there was one.
        signature: The signature of the content, if signatures are checked.
    """

    address: str
    sha256: str
    is_yaml: bool = False
    etag: str | None = None
    last_modified: str | None = None
    signature: bytes | None = None


class GoodCopy(NamedTuple):
    """A copy that was read: its facts, its content, and the seconds since the server last confirmed it."""

    facts: CopyFacts
    content: bytes
    age: float


class CopyProblem(Exception):  # noqa: N818 - no error of the library: the caller logs it
    """A copy cannot be read or written. ``reason`` is the predicate of the sentence about it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CopyFile(NamedTuple):
    """The place of the copy of one address.

    Attributes:
        path: The path of the copy.
        key: The key of the address.
    """

    path: str
    key: str

    def read(self, limit: int) -> GoodCopy | None:
        """Return the copy; ``None`` if there is none.

        Raises:
            CopyProblem: It cannot be read, others can change it, or it is damaged.
        """
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > limit + _MAX_HEADER:
                    raise CopyProblem("is damaged")
                writers = find_writers(self.path)
                if writers is not None:
                    raise CopyProblem(f"is not used, because {writers[0]} can change it")
                header, content = file.readline(_MAX_HEADER), file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise CopyProblem(f"cannot be read: {explain_os_error(error)}") from error
        return GoodCopy(self._check(header, content), content, max(time.time() - status.st_mtime, 0.0))

    def _check(self, header: bytes, content: bytes) -> CopyFacts:
        try:
            facts = msgspec.json.decode(header, type=CopyFacts)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise CopyProblem("is damaged") from None
        if facts.address != self.key or facts.sha256 != hashlib.sha256(content).hexdigest():
            raise CopyProblem("is damaged")
        return facts

    def write(self, facts: CopyFacts, content: bytes) -> None:
        """Replace the copy.

        Raises:
            CopyProblem: It cannot be written.
        """
        folder = os.path.dirname(self.path)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            writers = find_writers(folder)
            if writers is not None:
                raise CopyProblem(f"cannot be kept, because {writers[0]} can change the folder {folder}")
            replace_file(self.path, [msgspec.json.encode(facts), b"\n", content], is_private=True)
        except (OSError, ValueError) as error:
            raise CopyProblem(f"cannot be written: {explain_os_error(error)}") from error

    def touch(self) -> None:
        """Note that the server confirmed the content of the copy now."""
        try:
            if abs(time.time() - os.stat(self.path).st_mtime) > _TOUCH_SECONDS:
                os.utime(self.path)
        except OSError:  # there is no copy
            return


def find_copy(setting: str, key: str) -> CopyFile | None:
    """Return the place of the copy of an address; ``None`` if there is no folder for it.

    Args:
        setting: The setting ``cache``.
        key: The key of the address.
    """
    folder = _find_user_folder() if setting == USER_CACHE else setting
    return None if folder in ("", NO_CACHE) else CopyFile(os.path.join(folder, f"{key}.copy"), key)


def _find_user_folder() -> str:
    """Return the folder for copies in the user's cache folder; empty if the user has none."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        places = {"win32": os.environ.get("LOCALAPPDATA", ""), "darwin": "~/Library/Caches"}
        base = os.path.expanduser(places.get(sys.platform, "~/.cache"))
    return os.path.join(base, *_COPIES_FOLDER) if os.path.isabs(base) else ""
