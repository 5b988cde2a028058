"""The library's logger. It never raises, although the application's log handlers may."""

from __future__ import annotations

import logging
from contextlib import suppress

_logger = logging.getLogger("spanforge.model_registry")


def warn(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a warning, with an error's traceback if there is one."""
    with suppress(Exception):
        _logger.warning(message, *values, exc_info=error)


def info(message: str, *values: object) -> None:
    """Log an event that is not a fault."""
    with suppress(Exception):
        _logger.info(message, *values)


def debug(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a detail that users do not need, with an error's traceback if there is one."""
    with suppress(Exception):
        _logger.debug(message, *values, exc_info=error)


def is_informing() -> bool:
    """Check whether messages that are no fault are logged."""
    return _logger.isEnabledFor(logging.INFO)


def is_debugging() -> bool:
    """Check whether debug messages are logged."""
    return _logger.isEnabledFor(logging.DEBUG)
