"""Waiting for a condition, with a deadline that also suits a machine under load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds that something may take that is sure to happen."""
INTERVAL = 0.03
"""Seconds between two looks."""


def poll(
    look: Callable[[], T],
    is_enough: Callable[[T], object] = bool,
    *,
    seconds: float = PATIENCE,
    interval: float = INTERVAL,
) -> T:
    """Return the first result of ``look`` that is enough, or its result at the deadline."""
    deadline = time.monotonic() + seconds
    while not is_enough(value := look()) and time.monotonic() < deadline:
        time.sleep(interval)
    return value


def wait_until(holds: Callable[[], object], *, seconds: float = PATIENCE, interval: float = INTERVAL) -> None:
    """Wait for a condition, and fail if it does not hold at the deadline."""
    assert poll(holds, seconds=seconds, interval=interval), f"it did not happen within {seconds} s"
