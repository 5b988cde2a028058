"""Handlers of the library's log records."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def log_handler(handle: Callable[[logging.LogRecord], object]) -> Iterator[None]:
    """Call a function with every log record of the library."""
    handler = logging.Handler()
    handler.emit = handle  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("spanforge.model_registry")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
