"""The library's logger. Each message is one line of printable characters.

Errors of the application's log handlers do not pass through it, but interruptions do.
"""

from __future__ import annotations

import logging

from spanforge.model_registry._core.interruptions import SuppressFailures
from spanforge.model_registry._core.shown_values import make_printable

_logger = logging.getLogger("spanforge.model_registry")


def warn(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a warning, with an error's traceback if there is one."""
    with SuppressFailures():
        message, values = _make_one_line(message, values)
        _logger.warning(message, *values, exc_info=error)


def info(message: str, *values: object) -> None:
    """Log an event that is not a fault."""
    with SuppressFailures():
        message, values = _make_one_line(message, values)
        _logger.info(message, *values)


def debug(message: str, *values: object, error: BaseException | None = None) -> None:
    """Log a detail that users do not need, with an error's traceback if there is one."""
    with SuppressFailures():
        if is_debugging():
            message, values = _make_one_line(message, values)
            _logger.debug(message, *values, exc_info=error)


def is_informing() -> bool:
    """Check whether messages that are no fault are logged."""
    return _logger.isEnabledFor(logging.INFO)


def is_debugging() -> bool:
    """Check whether debug messages are logged."""
    return _logger.isEnabledFor(logging.DEBUG)


def _make_one_line(message: str, values: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """Return a message and its values; or the whole text, escaped, if a value contains control characters.

    A path of a setting or an error of a library may contain them. Usually the message stays separate from its values,
    because log backends group lines by it.
    """
    text = message % values if values else message
    return (message, values) if text.isprintable() else (make_printable(text), ())
