"""The state of one watched source: a registry file, or a folder or glob of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.registry_sources import Listing, list_files
from spanforge.model_registry._core.watched_file import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.watched_address import WatchedAddress

_NO_DIGEST: Final = b""
"""No file has this digest."""


@dataclass(frozen=True, slots=True)
class WatchedSource:
    """The state of one watched source.

    Attributes:
        source: The path of a file or folder, or a glob.
        files: The files that were found, with their states. They are kept while the source has no files.
        added: Other files that the last look found.
        listing: The files at the last look; ``None`` before the first.
        is_listed: ``True`` if the last look found the same files, or the same error, as ``files`` and ``error``.
        error: The reason why the source has no files.
    """

    source: str
    files: tuple[WatchedFile, ...] = ()
    added: tuple[WatchedFile, ...] = ()
    listing: tuple[str, ...] | None = None
    is_listed: bool = False
    error: RegistryFileError | None = None

    @property
    def is_settled(self) -> bool:
        """``True`` if all that the last look found was taken or reported."""
        return self.is_listed and all(file.is_settled for file in self.files)

    def look(self) -> WatchedSource:
        """Look at the source and its files, and return its new state.

        Another list of files is taken when two looks in a row find it, because a look races with programs that remove a
        file and write it again. Files that are not found are not looked at.
        """
        listing = self._list()
        is_confirmed = self.listing in (None, listing.files)
        seen = self._look_at(listing.files)
        if is_confirmed and listing.error is None:
            files, added = tuple(seen.values()), tuple[WatchedFile, ...]()
        else:
            files = tuple(seen.pop(file.path, file) for file in self.files)
            added = tuple(seen.values())
        return replace(
            self,
            files=files,
            added=added,
            listing=listing.files,
            is_listed=is_confirmed or tuple(file.path for file in files) == listing.files,
            error=listing.error if is_confirmed else self.error,
        )

    def _look_at(self, paths: Iterable[str]) -> dict[str, WatchedFile]:
        """Return the states of files after a look. An added file is taken when two looks find the same content."""
        known = {file.path: file for file in (*self.files, *self.added)}
        settled = None if self.listing is None else _NO_DIGEST
        return {path: known.get(path, WatchedFile(path, settled_digest=settled)).look() for path in paths}

    def is_unchanged(self) -> bool:
        """Check that each file of the last look still has its mark."""
        return all(file.is_unchanged() for file in self.files if file.path in (self.listing or ()))

    def _list(self) -> Listing:
        """Return the files of the source. A folder or glob with files does not become a missing file."""
        listing = list_files(self.source)
        had_files = any(file.path != self.source for file in self.files)
        if had_files and listing.files == (self.source,):
            return Listing((), RegistryFileError(self.source, "no such folder"))
        return listing


def list_watched_files(sources: Iterable[WatchedSource | WatchedAddress]) -> list[WatchedFile]:
    """Return the files of all sources, each once."""
    files: dict[str, WatchedFile] = {}
    for source in sources:
        for file in source.files:
            files.setdefault(file.path, file)
    return list(files.values())
