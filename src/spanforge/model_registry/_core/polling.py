"""The time until the next request to a server: an interval, longer after failures, and different for each client."""

from __future__ import annotations

from typing import Final

MAX_PAUSE: Final = 300.0
"""The limit of seconds between requests after failures, so that a server that is back is noticed within minutes."""
MAX_RETRY_AFTER: Final = 3_600.0
"""The limit of seconds that a server's ``Retry-After`` can ask for. A mistake there must not stop updates for days."""
_EARLIEST: Final = 0.5
_LATEST: Final = 0.95
"""The parts of an interval between which the next request lies: a change is in force within the interval."""
_MOST_DOUBLINGS: Final = 16
"""The limit of doublings. More would only overflow."""


def choose_pause(interval: float, failures: int, retry_after: float | None, spread: float) -> float:
    """Return the seconds until the next request.

    Without failures, it lies within the interval. Each failure doubles the pause, up to ``MAX_PAUSE``.

    Args:
        interval: The interval in seconds.
        failures: The number of failures in a row.
        retry_after: The seconds for which the server asks not to be asked again.
        spread: A random number from 0 to 1, which keeps many clients from asking at the same time.
    """
    if not failures:
        return interval * (_EARLIEST + (_LATEST - _EARLIEST) * spread)
    longest = max(MAX_PAUSE, interval)
    pause = min(interval * 2.0 ** min(failures, _MOST_DOUBLINGS), longest) * (0.5 + 0.5 * spread)
    if retry_after is None:
        return pause
    return max(pause, min(retry_after, MAX_RETRY_AFTER) * (1 + 0.5 * spread))
