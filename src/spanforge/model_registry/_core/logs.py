"""The library's logger, which never raises: handlers are the application's, and may."""

from __future__ import annotations

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
    """Log a detail, with the traceback of an error that the user has been told of already."""
    with suppress(Exception):
        _logger.debug(message, *values, exc_info=error)


def is_debugging() -> bool:
    """Check whether debug messages are logged."""
    return _logger.isEnabledFor(logging.DEBUG)
