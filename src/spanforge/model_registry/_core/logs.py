"""The library's logger, which never raises: handlers are the application's, and may."""

from __future__ import annotations

import itertools
import logging
from contextlib import suppress

_logger = logging.getLogger("spanforge.model_registry")


def warn(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a warning, with an error's traceback if there is one."""
    with suppress(Exception):
        _logger.warning(message, *values, exc_info=error)


def info(message: str, *values: object) -> None:
    """Log what went well and may be worth knowing."""
    with suppress(Exception):
        _logger.info(message, *values)


def debug(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a detail, with the traceback of an error that somebody else has told the user of already."""
    with suppress(Exception):
        _logger.debug(message, *values, exc_info=error)


def is_debugging() -> bool:
    """Tell whether anybody sees details."""
    return _logger.isEnabledFor(logging.DEBUG)


class Lines:
    """Warnings of one kind: one for each thing that is warned about, and no more than so many in a process.

    A thing is marked as warned about before the line is logged, for a log handler may lead here again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.forget()

    def warn(self, about: object, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log a warning about something, unless it was warned about before, or there were too many."""
        mark = object()
        fresh = len(self._marks) < self._limit and self._marks.setdefault(about, mark) is mark
        if fresh and next(self._turns) < self._limit:
            warn(message, *values, error=error)

    def forget(self) -> None:
        """Start as a new process does."""
        self._marks: dict[object, object] = {}
        self._turns = itertools.count()
