"""The library's log records."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

LOGGER = "spanforge.model_registry"


def not_registered(name: str) -> str:
    """Return the log line about a name that no entry matches."""
    advice = "register it, correct the name, or list it in aliases of its entry"
    explanation = "spanforge-models resolve shows the nearest entries"
    return f"model registry: model '{name}' is not registered; {advice}; {explanation}"


def library_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the captured log records of the library."""
    return [record for record in caplog.records if record.name == LOGGER]


@contextlib.contextmanager
def log_handler(handle: Callable[[logging.LogRecord], object]) -> Iterator[None]:
    """Call a function with every log record of the library."""
    handler = logging.Handler()
    handler.emit = handle  # type: ignore[assignment, method-assign]
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
