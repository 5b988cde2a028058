"""The library's logger, which never raises: handlers are the application's, and may."""

from __future__ import annotations

import logging
from contextlib import suppress

_logger = logging.getLogger("spanforge.model_registry")


def warn(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a warning, with an error's traceback if there is one."""
    with suppress(Exception):
        _logger.warning(message, *values, exc_info=error)


def debug(message: str, *, error: BaseException) -> None:
    """Log an error that somebody else has told the user of already."""
    with suppress(Exception):
        _logger.debug(message, exc_info=error)
