"""The state of one watched address: the last valid file, the last error, and the time of the next request."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.address_answers import fetch_file
from spanforge.model_registry._core.address_copies import AddressCopy
from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.http_answers import RequestFailure
from spanforge.model_registry._core.polling import choose_pause
from spanforge.model_registry._core.watched_file import WatchedFile

if TYPE_CHECKING:
    from spanforge.model_registry._core.address_answers import RequestOptions, ServedFile
    from spanforge.model_registry._core.good_copies import CopyFacts
    from spanforge.model_registry._core.registry_addresses import Address

_random: Final = random.SystemRandom()
"""It needs no seed, so processes that fork ask at different times."""
_SETTLED: Final = b""
"""The digest of each state: an answer is complete, so nothing waits for a second look as for files."""


@dataclass(frozen=True, slots=True)
class WatchedAddress:
    """The state of one watched address.

    Attributes:
        address: The address.
        options: The settings of requests.
        interval: The seconds within which a change is in force.
        file: The last valid file and the last error; ``None`` before the first answer.
        last: The facts of the last complete answer, whether its content was valid or not.
        refused: The error of this answer's content.
        moment: The time of the version in force, in seconds since the epoch.
        failures: The number of requests in a row that failed.
        doubt: The reason for which the last answer was refused, if the next one may succeed.
        due: The monotonic time, in seconds, of the next request.
        has_read_copy: ``True`` after the first look, which reads the copy on disk.
    """

    address: Address
    options: RequestOptions
    interval: float
    file: WatchedFile | None = None
    last: CopyFacts | None = None
    refused: RegistryFileError | None = None
    moment: float | None = None
    failures: int = 0
    doubt: str | None = None
    due: float = 0.0
    has_read_copy: bool = False

    @property
    def source(self) -> str:
        """The address without credentials."""
        return self.address.shown

    @property
    def files(self) -> tuple[WatchedFile, ...]:
        """The file, if there was an answer or a copy."""
        return () if self.file is None else (self.file,)

    @property
    def error(self) -> None:
        """The error of a folder or glob; an address has none."""
        return

    @property
    def is_settled(self) -> bool:
        """``True``, because an answer is complete."""
        return True

    def is_unchanged(self) -> bool:
        """Return ``True``, because no request is made here."""
        return True

    @property
    def _copy(self) -> AddressCopy:
        return AddressCopy(self.address, self.options)

    def look(self) -> WatchedAddress:
        """Return the state with the copy on disk, at the first look. No request is made."""
        if self.has_read_copy:
            return self
        seen = replace(self, has_read_copy=True)
        copy = self._copy.read()
        if copy is None:
            return seen
        try:
            return _put(seen, copy[0], time.monotonic() - copy[1])
        except RegistryFileError:  # another version of this library wrote it
            return seen

    def ask(self) -> WatchedAddress:
        """Ask the server, and return the new state."""
        known = None if self.file is None else self.file.sha256
        retry_after = None
        try:
            served = fetch_file(self.address, self.options, self.last, known)
            seen = self._confirm() if served is None else self._take(served)
        except RequestFailure as failure:
            seen, retry_after = self._fail(failure), failure.retry_after
        return seen.schedule(retry_after)

    def schedule(self, retry_after: float | None = None) -> WatchedAddress:
        """Return the state with the time of the next request."""
        pause = choose_pause(self.interval, self.failures, retry_after, _random.random())
        return replace(self, due=time.monotonic() + pause)

    def _confirm(self) -> WatchedAddress:
        """Return the state after the server confirmed its last answer."""
        seen = _show_error(replace(self, failures=0, doubt=None), self.refused)
        if self.refused is not None or seen.file is None:
            return seen
        self._copy.touch()
        return replace(seen, file=replace(seen.file, confirmed=time.monotonic()))

    def _take(self, served: ServedFile) -> WatchedAddress:
        """Return the state with the content of an answer.

        Raises:
            RequestFailure: The content is an older version than that in force.
        """
        if self.file is not None and self.file.sha256 == served.facts.sha256:
            return replace(self, last=served.facts, refused=None)._confirm()  # noqa: SLF001 - of this class
        if self.moment is not None and served.moment is not None and served.moment < self.moment:
            raise RequestFailure(_explain_age(served, is_signed=bool(self.options.trusted_keys)))
        try:
            seen = _put(self, served, time.monotonic())
        except RegistryFileError as error:
            refused = replace(self, last=served.facts, refused=error, failures=0, doubt=None)
            return _show_error(refused, error)
        self._copy.write(served)
        return seen

    def _fail(self, failure: RequestFailure) -> WatchedAddress:
        """Return the state after a failed request. If the next one may succeed, the error waits for it."""
        failed = replace(self, failures=self.failures + 1, doubt=failure.reason if failure.may_pass else None)
        waits = failure.may_pass and self.doubt != failure.reason
        if waits and self.file is not None:
            return failed
        return _show_error(failed, RegistryFileError(self.source, failure.reason))


def _put(state: WatchedAddress, served: ServedFile, confirmed: float) -> WatchedAddress:
    """Return the state with valid content; raise a ``RegistryFileError`` if it is not valid."""
    file = WatchedFile(
        state.source,
        digest=_SETTLED,
        settled_digest=_SETTLED,
        entries=served.parse(state.source),
        sha256=served.facts.sha256,
        confirmed=confirmed,
    )
    return replace(state, file=file, last=served.facts, refused=None, moment=served.moment, failures=0, doubt=None)


def _show_error(state: WatchedAddress, error: RegistryFileError | None) -> WatchedAddress:
    """Return the state with an error of the file, or without one."""
    file = WatchedFile(state.source) if state.file is None else state.file
    return replace(state, file=replace(file, error=error, digest=_SETTLED, settled_digest=_SETTLED))


def _explain_age(served: ServedFile, *, is_signed: bool) -> str:
    """Return the predicate of the sentence about an address that serves an older version."""
    if is_signed:
        return f"serves an older version again, signed at {served.shown_moment}; to go back to it, sign it again"
    return f"serves an older version again, of {served.shown_moment}; to go back to it, give it a new Last-Modified"
