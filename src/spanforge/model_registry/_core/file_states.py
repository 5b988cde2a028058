"""The state of a followed file or address, for metrics and ``status()``."""

from __future__ import annotations

from typing import NamedTuple


class FileState(NamedTuple):
    """The state of a followed file, for metrics and ``status()``.

    Attributes:
        path: The path of the file, or of a folder or glob without files.
        version: The first 12 digits of the SHA-256 of the last valid content; ``None`` if the file never was valid.
        models: The number of models in the last valid content, or of announcements in a calendar file.
        age: Seconds since a look found the file in force and unchanged; since the start, if it never was in force.
        failures: The number of times that the file became invalid in this process. A file is invalid if it cannot be
            read, its content is not valid, or another file has the same model.
        error: The current error; ``None`` if there is none.
    """

    path: str
    version: str | None
    models: int
    age: float
    failures: int
    error: str | None
