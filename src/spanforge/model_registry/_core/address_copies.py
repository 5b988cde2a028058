"""The copy on disk of the registry file at an address: read at the start, and written after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.address_answers import check_file
from spanforge.model_registry._core.good_copies import CopyProblem, find_copy
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.registry_signatures import SignatureProblem
from spanforge.model_registry._core.setting_parsers import NO_CACHE, USER_CACHE
from spanforge.model_registry._core.settings import CACHE, MAX_FILE_SIZE

if TYPE_CHECKING:
    from spanforge.model_registry._core.address_answers import RequestOptions, ServedFile
    from spanforge.model_registry._core.good_copies import CopyFile
    from spanforge.model_registry._core.registry_addresses import Address

_NO_FOLDER: Final = f"no cache folder; set {CACHE.variable} to a folder, or to {NO_CACHE}"
_warnings: Final = WarnOnce(100)


class AddressCopy(NamedTuple):
    """The copy of the registry file at an address.

    Attributes:
        address: The address.
        options: The settings: the folder, and the keys of which one must have signed the copy.
    """

    address: Address
    options: RequestOptions

    @property
    def _file(self) -> CopyFile | None:
        """The place of the copy; ``None`` if no copies are kept."""
        if self.address.problem is not None:
            return None
        return find_copy(self.options.cache, self.address.key)

    def read(self) -> tuple[ServedFile, float] | None:
        """Return the copy, and the seconds since the server last confirmed it; ``None`` if there is none to use."""
        file = self._file
        if file is None:
            return None
        try:
            good = file.read(MAX_FILE_SIZE.read())
            return None if good is None else (check_file(good.content, good.facts, self.options), good.age)
        except (CopyProblem, SignatureProblem) as problem:
            self._warn("the copy of registry file %s is not used", file.path, problem.reason)
            return None

    def write(self, served: ServedFile) -> None:
        """Replace the copy."""
        file = self._file
        if file is None:
            if self.options.cache == USER_CACHE:
                self._warn("no copy of registry file %s is kept for a restart", "the user", f"has {_NO_FOLDER}")
            return
        try:
            file.write(served.facts, served.content)
        except CopyProblem as problem:
            self._warn("no copy of registry file %s is kept for a restart", file.path, problem.reason)

    def touch(self) -> None:
        """Note that the server confirmed the copy now."""
        file = self._file
        if file is not None:
            file.touch()

    def _warn(self, effect: str, path: str, reason: str) -> None:
        """Log why there is no copy, once for each cause: what cannot be read can often not be written either."""
        cause = reason.rpartition(": ")[2]
        _warnings.warn((path, cause), f"model registry: {effect}: %s %s", self.address.shown, path, reason)
