"""Sources of registry files: files, folders and globs, and the files that they contain."""

from __future__ import annotations

import functools
import glob
import itertools
import os
import re
import string
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.errors import RegistryFileError, RegistryFileNotFoundError
from spanforge.model_registry._core.registry_addresses import is_registry_address

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDINGS: Final = (".json", ".yaml", ".yml")
"""The endings of registry files in folders, in any case."""
SCHEMA_ENDING: Final = ".schema.json"
"""The ending of JSON Schemas, which are no registry files, and which editors need beside them."""
MAX_SOURCE_FILES: Final = 1_000
"""The limit of files in one folder or glob, because a look opens each of them."""

_ENDS: Final = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
_COMMA: Final = re.compile(
    rf"(?<=[/\\]),|(?:{'|'.join(f'(?<={re.escape(ending)}),' for ending in ENDINGS)})", re.IGNORECASE
)
"""A comma between two sources. After another text, a comma is a part of a name."""


class Listing(NamedTuple):
    """The files of a source at one moment.

    Attributes:
        files: Their paths, sorted. A path that is neither a folder nor a glob is a file, also if it does not exist.
        error: The reason why there are none.
    """

    files: tuple[str, ...]
    error: RegistryFileError | None = None


def split_sources(text: str, separator: str = os.pathsep) -> tuple[str, ...]:
    """Return the sources in a text, each once: they are separated as in ``PATH``, or by commas.

    A comma separates two paths if a file's ending or a slash is before it. Any other comma is a part of a name. An
    address ends at the next separator or comma that is followed by an address, or by a path that begins with a slash,
    ``./`` or ``../``. On Windows, such a path may also begin with a drive.

    Args:
        text: The text.
        separator: The separator of paths.
    """
    items: list[str] = []
    start = 0
    for address in _compile_address_pattern(separator).finditer(text):
        items += _split_paths(text[start : address.start()], separator)
        items.append(address["address"].rstrip(f"{separator},{string.whitespace}"))
        start = address.end() + 1  # after the separator
    items += _split_paths(text[start:], separator)
    return tuple(dict.fromkeys(items))


def _split_paths(text: str, separator: str) -> list[str]:
    items = (item.strip() for part in text.split(separator) for item in _COMMA.split(part))
    return [item for item in items if item]


@functools.cache
def _compile_address_pattern(separator: str) -> re.Pattern[str]:
    """Return the pattern of an address in a text, from the separator before it to the one after it."""
    between = f"[{re.escape(separator)},]"
    scheme = "[A-Za-z][A-Za-z0-9+.-]+://"
    drive = r"|[A-Za-z]:[/\\]" if separator == ";" else ""
    path = rf"[/\\]|\.\.?[/\\]{drive}"
    end = rf"{between}\s*(?:{scheme}|{path})|\s*$"
    return re.compile(rf"(?:^|{between})\s*(?P<address>{scheme}.*?)(?={end})", re.DOTALL)


def find_files(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the files of sources, each once, in the order of the sources and sorted within a folder or glob.

    Raises:
        RegistryFileNotFoundError: A source does not exist.
        RegistryFileError: A folder or glob has no registry file, too many, or cannot be read.
    """
    files: dict[str, str] = {}
    for source in sources:
        listing = list_files(source)
        if listing.error is not None:
            raise listing.error
        for path in listing.files:
            files.setdefault(_find_real_place(path), path)
    return tuple(files.values())


def _find_real_place(path: str) -> str:
    """Return the path without symbolic links, or the address, of a file that exists."""
    if is_registry_address(path):
        return path
    if not os.path.lexists(path):
        raise RegistryFileNotFoundError(path, explain_missing(path))
    return os.path.realpath(path)


def list_files(source: str) -> Listing:
    """Return the files of one source.

    A folder's files are those with one of ``ENDINGS``, except hidden files and JSON Schemas. An address is one file.
    """
    if is_registry_address(source):
        return Listing((source,))
    try:
        if os.path.isdir(source):
            return _list_folder(source)
        if glob.has_magic(source) and not os.path.lexists(source):
            return _list_matches(source)
    except (OSError, ValueError) as error:
        return Listing((), RegistryFileError(source, f"cannot be read: {explain_os_error(error)}"))
    return Listing((source,))


def _list_folder(source: str) -> Listing:
    with os.scandir(source) as entries:
        paths = [entry.path for entry in entries if is_registry_name(entry.name) and not entry.is_dir()]
    return _make_listing(source, paths, f"no file in this folder has a name that ends in {_ENDS}")


def _list_matches(source: str) -> Listing:
    matches = itertools.islice(glob.iglob(source, recursive=True), 2 * MAX_SOURCE_FILES)
    paths = [path for path in matches if not os.path.isdir(path)]
    return _make_listing(source, paths, f"matches no file whose name ends in {_ENDS}")


def _make_listing(source: str, paths: Iterable[str], if_empty: str) -> Listing:
    files = sorted(filter(_has_ending, paths))
    if not files:
        return Listing((), RegistryFileError(source, if_empty))
    if len(files) > MAX_SOURCE_FILES:
        return Listing((), RegistryFileError(source, f"has more than {MAX_SOURCE_FILES:,} registry files"))
    return Listing(tuple(files))


def is_registry_name(name: str) -> bool:
    """Check whether a file with this name in a folder is a registry file: not hidden, with an ending of ``ENDINGS``."""
    return not name.startswith(".") and _has_ending(name)


def _has_ending(path: str) -> bool:
    return path.lower().endswith(ENDINGS) and not path.lower().endswith(SCHEMA_ENDING)


def explain_missing(path: str) -> str:
    """Return the predicate of the sentence about a path at which there is nothing."""
    reason = "no such file" if path.lower().endswith(ENDINGS) else "no such file or folder"
    return f"{reason}; several are separated by {os.pathsep!r}" if "," in path else reason
