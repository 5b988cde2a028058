"""The values of the metrics ``model_registry.file.*``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry.watch import file_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.otel._info import Labels
    from spanforge.model_registry.watch import FileState

PATH_KEY: Final = "file.path"  # OpenTelemetry's
DIGEST_KEY: Final = f"{PREFIX}file.digest"


def read_file_ages() -> Iterable[Observation]:
    """Return the age of each file."""
    return (Observation(file.age, {PATH_KEY: file.path}) for file in file_states())


def read_file_failures() -> Iterable[Observation]:
    """Return the failures of each file."""
    return (Observation(file.failures, {PATH_KEY: file.path}) for file in file_states())


def read_file_info() -> Iterable[Observation]:
    """Return 1 for each file that was valid."""
    return (Observation(1, describe_file(file)) for file in file_states() if file.version)


def read_file_uses() -> Iterable[Observation]:
    """Return the time for which the version of each file was reported."""
    return [Observation(seconds, describe_file(file)) for file, seconds in _versions.measure(file_states())]


def describe_file(file: FileState) -> Labels:
    """Return the path of a registry file and the digest of its last valid content."""
    return {PATH_KEY: file.path, DIGEST_KEY: file.version or ""}


class _FileVersions:
    """The time since which this process reports each version of its files."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str | None], float] = {}

    def measure(self, files: Iterable[FileState]) -> Iterator[tuple[FileState, float]]:
        """Yield each file that was valid, with the seconds since its version was first reported.

        The values grow while the process runs. So a reader notices if a backend repeats the last value of a process
        that ended, or of a version that was replaced.
        """
        now, before = time.monotonic(), self._since
        valid = [file for file in files if file.version]
        since = {(file.path, file.version): before.get((file.path, file.version), now) for file in valid}
        self._since = since
        for file in valid:
            yield file, now - since[file.path, file.version]


_versions: Final = _FileVersions()
