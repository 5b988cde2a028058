"""The limit of names in a registry file: ids, aliases and globs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.errors import RegistryFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_FILE_NAMES: Final = 1_000_000
"""The limit of ids and aliases in one file. Each takes about 200 bytes of memory, and only four in a file. So a file of
64 MiB could take gigabytes. A file of 100,000 models with an alias and a glob each has 300,000."""


def add_names(path: str, number: int, entries: Iterable[ModelRegistryEntry]) -> int:
    """Return a number of names plus the names of entries that were read from a file.

    Raises:
        RegistryFileError: There are too many.
    """
    number += sum(1 + len(entry.metadata.get("aliases") or ()) for entry in entries)
    if number > MAX_FILE_NAMES:
        problem = f"has more than {MAX_FILE_NAMES:,} ids and aliases; replace aliases by globs, or use several files"
        raise RegistryFileError(path, problem)
    return number


def check_saved_names(path: str, number: int) -> None:
    """Check that a file may have this number of names.

    Raises:
        RegistryFileError: There are too many.
    """
    if number > MAX_FILE_NAMES:
        problem = f"cannot be written: the registry has {number:,} ids and aliases; a file may have {MAX_FILE_NAMES:,}"
        raise RegistryFileError(path, problem)
