"""The state of one watched file: the result of a look at it, and the rules for taking its content."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.storage import SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spanforge.model_registry._core.storage import FileMark

MTIME_GRANULARITY: Final = 3.0
"""The seconds after which any later change alters a file's times. The coarsest file system clock ticks every 2 s."""

_VERSION_DIGITS: Final = 12
"""The number of digits of a SHA-256 that identify a version of a file."""


class Sighting(Enum):
    """The result of a look at a file, compared with the look before. See ``RULES``."""

    SAME = "the content, or the error, that was settled last"
    NEW = "the first content or error"
    STEADY = "another content or error, found by two looks in a row"
    REPLACED = "another content or error, in another file of the same name, as after a rename"
    UNSTABLE = "another content or error, which may be an incomplete change"


class Rule(NamedTuple):
    """One row of ``RULES``.

    Attributes:
        takes_entries: ``True`` if valid content is taken.
        reports_errors: ``True`` if an error is reported.
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
"""The rule for each result of a look.

A look races with the writer of the file. If a writer truncates the file and writes it again, a look can see an
incomplete file. Such a file may be invalid, or still valid, such as a YAML list without its end. So an ``UNSTABLE``
result is neither taken nor reported before a second look finds the same.

A file that was renamed was complete before the rename, so a ``REPLACED`` file is taken at once if it is valid. If it is
not, the writer may have removed the file and may be writing a new one, as git does. So the error waits for a second
look.
"""


class _Reading(NamedTuple):
    """The data that one look read.

    Attributes:
        moment: The monotonic time, in seconds, before the file was opened.
        mark: The file's mark; ``None`` if it could not be opened.
        digest: The SHA-256 of the content, or of the error.
        content: The content; empty if there is an error.
        error: The error, if the file cannot be read.
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
        path: The path of the file.
        mark: The mark at the last look; ``None`` if the file could not be opened.
        mark_since: The monotonic time, in seconds, of the first look that found this mark.
        mark_is_reliable: ``True`` if the last look was so long after that time that any later change alters the mark.
        digest: The digest of the content, or of the error, at the last look.
        settled_digest: The digest of the content last taken, or of the error last reported; ``None`` before the first.
        entries: The last valid content, parsed: a sequence of entries, or a calendar.
        error: The error when the file was last settled.
        sha256: The SHA-256 of the last valid content, in hexadecimal; ``None`` if the file never was valid.
        parse: The function that parses content; ``None`` for that of registry files.
        confirmed: The monotonic time, in seconds, at which the server of an address last confirmed the content;
            ``None`` for a file, which each look confirms.
    """

    path: str
    mark: FileMark | None = None
    mark_since: float = 0.0
    mark_is_reliable: bool = False
    digest: bytes | None = None
    settled_digest: bytes | None = None
    entries: Any = None
    error: RegistryFileError | None = None
    sha256: str | None = None
    parse: Callable[[str, bytes], Any] | None = None
    confirmed: float | None = None

    @property
    def version(self) -> str | None:
        """The first digits of ``sha256``."""
        return None if self.sha256 is None else self.sha256[:_VERSION_DIGITS]

    @property
    def source(self) -> SourceFile:
        """The file as it was when its entries were read."""
        return SourceFile(self.path, self.sha256 or "")

    @property
    def is_settled(self) -> bool:
        """``True`` if the content or error of the last look was taken or reported."""
        return self.digest == self.settled_digest

    def look(self) -> WatchedFile:
        """Look at the file, and return its new state."""
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
            return storage.read_registry_file(self.path, self.mark)[1] is None
        except RegistryFileError:
            return self.mark is None

    def _read(self) -> _Reading | None:
        """Read the file, and return the data; ``None`` if its mark shows that it has not changed."""
        moment = time.monotonic()
        last_mark = self.mark if self.mark_is_reliable and self.is_settled else None
        try:
            mark, content = storage.read_registry_file(self.path, last_mark)
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
        """Return the state with the mark and digest of this reading, but not yet with its entries or error."""
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
    """Return the state with the entries or the error of the reading."""
    error = reading.error
    if error is None:
        try:
            entries = (seen.parse or storage.parse_entries)(seen.path, reading.content)
        except RegistryFileError as caught:
            error = caught
        else:
            digest = reading.digest
            return replace(seen, settled_digest=digest, entries=entries, error=None, sha256=digest.hex())
    return replace(seen, settled_digest=reading.digest, error=error)


def _compute_digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
