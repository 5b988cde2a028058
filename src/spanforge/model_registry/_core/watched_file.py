"""The state of one watched file: what a look at it finds, and whether its content may be taken."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.errors import RegistryFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.storage import FileMark

MTIME_GRANULARITY: Final = 3.0
"""Seconds after which every further change moves a file's times: the coarsest clocks of file systems tick in twos."""

_VERSION_DIGITS: Final = 12
"""Digits of a SHA-256 that tell versions of a file apart."""


class Sighting(Enum):
    """What a look finds, compared with the look before. See ``RULES``."""

    SAME = "the content, or the error, that was settled last"
    NEW = "the first content or error"
    STEADY = "another content or error, found by two looks in a row"
    REPLACED = "another content or error, in another file of the same name, as after a rename"
    UNSTABLE = "another content or error, which may be half of a change"


class Rule(NamedTuple):
    """One row of ``RULES``.

    Attributes:
        takes_entries: Whether valid content is taken.
        reports_errors: Whether an error is reported.
    """

    takes_entries: bool
    reports_errors: bool


RULES: Final[Mapping[Sighting, Rule]] = {
    Sighting.SAME: Rule(takes_entries=False, reports_errors=False),
    Sighting.NEW: Rule(takes_entries=True, reports_errors=True),
    Sighting.STEADY: Rule(takes_entries=True, reports_errors=True),
    Sighting.REPLACED: Rule(takes_entries=True, reports_errors=False),
    Sighting.UNSTABLE: Rule(takes_entries=False, reports_errors=False),
}
"""What follows from what a look finds.

A look races with the writer of the file. A writer that truncates the file and writes it in its place is seen halfway.
The half may be invalid, or valid, such as a YAML list without its end. So nothing ``UNSTABLE`` is taken or reported
before a second look finds the same. A file that was renamed into place was complete before, so ``REPLACED`` is taken at
once if it is valid. If it is not, the writer may have removed the file and be writing a new one, as git does, so the
error waits for a second look.
"""


class _Reading(NamedTuple):
    """What one look read.

    Attributes:
        moment: The monotonic time, in seconds, before the file was opened.
        mark: The file's mark; ``None``: it could not be opened.
        digest: The SHA-256 of the content, or of the error.
        content: The content; empty if there is an error.
        error: Why the file cannot be read.
    """

    moment: float
    mark: FileMark | None
    digest: bytes
    content: bytes = b""
    error: RegistryFileError | None = None


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """The state of one watched file.

    Attributes:
        path: Its path.
        mark: Its mark at the last look; ``None``: it could not be opened.
        mark_since: The monotonic time, in seconds, of the first look that found this mark.
        mark_is_reliable: Whether the last look was so long after that time that any later change changes the mark.
        digest: The digest of the content, or of the error, at the last look.
        settled_digest: The digest of what was last taken or reported; ``None``: nothing yet.
        entries: The entries when it was last valid.
        error: Its error when it was last settled.
        version: The first digits of the SHA-256 of the content when it was last valid.
    """

    path: str
    mark: FileMark | None = None
    mark_since: float = 0.0
    mark_is_reliable: bool = False
    digest: bytes | None = None
    settled_digest: bytes | None = None
    entries: Sequence[ModelRegistryEntry] | None = None
    error: RegistryFileError | None = None
    version: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether what the last look found is taken or reported."""
        return self.digest == self.settled_digest

    def look(self) -> WatchedFile:
        """Look at the file and return its state now."""
        reading = self._read()
        if reading is None:
            return self
        rule = RULES[self._classify(reading)]
        seen = self._note(reading)
        if not rule.takes_entries:
            return seen
        settled = _settle(seen, reading)
        return settled if settled.error is None or rule.reports_errors else seen

    def is_unchanged(self) -> bool:
        """Check that the file still has the mark of the last look."""
        try:
            return storage.read_registry_file(self.path, self.mark, regular_only=True)[1] is None
        except RegistryFileError:
            return self.mark is None

    def _read(self) -> _Reading | None:
        """Return the reading of the file; ``None`` if its mark shows that it has not changed."""
        moment = time.monotonic()
        last_mark = self.mark if self.mark_is_reliable and self.is_settled else None
        try:
            mark, content = storage.read_registry_file(self.path, last_mark, regular_only=True)
        except RegistryFileError as error:
            return _Reading(moment, None, _compute_digest(str(error).encode(errors="replace")), error=error)
        return None if content is None else _Reading(moment, mark, _compute_digest(content), content)

    def _classify(self, reading: _Reading) -> Sighting:
        if self.settled_digest is None:
            return Sighting.NEW
        if reading.digest == self.settled_digest:
            return Sighting.SAME
        if reading.digest == self.digest:
            return Sighting.STEADY
        if reading.mark is not None and self.mark is not None and reading.mark[:2] != self.mark[:2]:
            return Sighting.REPLACED
        return Sighting.UNSTABLE

    def _note(self, reading: _Reading) -> WatchedFile:
        """Return the state after this reading, whose entries or error are not settled yet."""
        has_same_mark = reading.mark is not None and reading.mark == self.mark
        since = self.mark_since if has_same_mark else reading.moment
        return replace(
            self,
            mark=reading.mark,
            mark_since=since,
            mark_is_reliable=has_same_mark and reading.moment - since > MTIME_GRANULARITY,
            digest=reading.digest,
        )


def _settle(seen: WatchedFile, reading: _Reading) -> WatchedFile:
    """Return the state with the entries that were read, or with the error."""
    error = reading.error
    if error is None:
        try:
            entries = storage.parse_entries(seen.path, reading.content)
        except RegistryFileError as caught:
            error = caught
        else:
            version = reading.digest.hex()[:_VERSION_DIGITS]
            return replace(seen, settled_digest=reading.digest, entries=entries, error=None, version=version)
    return replace(seen, settled_digest=reading.digest, error=error)


def _compute_digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
