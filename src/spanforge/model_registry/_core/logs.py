"""The library's logger. Errors of the application's log handlers do not pass through it, but interruptions do."""

from __future__ import annotations

import logging

from spanforge.model_registry._core.interruptions import SuppressFailures

_logger = logging.getLogger("spanforge.model_registry")


def warn(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a warning, with an error's traceback if there is one."""
    with SuppressFailures():
        _logger.warning(message, *values, exc_info=error)


def info(message: str, *values: object) -> None:
    """Log an event that is not a fault."""
    with SuppressFailures():
        _logger.info(message, *values)


def debug(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a detail that users do not need, with an error's traceback if there is one."""
    with SuppressFailures():
        _logger.debug(message, *values, exc_info=error)


def is_informing() -> bool:
    """Check whether messages that are no fault are logged."""
    return _logger.isEnabledFor(logging.INFO)


def is_debugging() -> bool:
    """Check whether debug messages are logged."""
    return _logger.isEnabledFor(logging.DEBUG)
