"""Paging of Jaeger's traces: the limit of traces in a response, and the intervals to request."""

from __future__ import annotations

from typing import Final

_FAST_SECONDS: Final = 5.0
_SMALL_RESPONSE: Final = 8 * 1024 * 1024
"""The bytes of a response below which a response with twice as many traces is still small."""


class TraceLimit:
    """The limit of traces in one response. It grows as long as responses are fast and small.

    Few large responses cost less than many small ones: some storages go through all their traces for each request.

    Args:
        first: The limit of the first request.
        last: The highest limit.

    Attributes:
        value: The limit of the next request.
    """

    def __init__(self, first: int, last: int) -> None:
        self.value = self._first = min(first, last)
        self._last = last

    def grow(self, seconds: float, size: int) -> bool:
        """Double the limit if a full response was fast and small; return ``True`` if it is higher now."""
        before = self.value
        if seconds < _FAST_SECONDS and size < _SMALL_RESPONSE:
            self.value = min(2 * before, self._last)
        return self.value > before

    def reset(self) -> bool:
        """Return to the first limit for good; return ``True`` if the limit was higher."""
        was_higher = self.value > self._first
        self.value = self._last = self._first
        return was_higher


class Intervals:
    """The intervals that are still to be read, the earliest first.

    Jaeger reports neither how many traces an interval has, nor the rest of a response that is cut off. An interval in
    which more traces than the limit are likely is halved without a request. The latest complete response shows how
    dense traces are.
    """

    def __init__(self, low: int, high: int) -> None:
        self._waiting = [(low, high)] if low < high else []
        self._density = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, limit: int) -> tuple[int, int]:
        """Remove the interval of the next request, and return it."""
        low, high = self._waiting.pop()
        while high - low > 1 and self._density * (high - low) > limit:
            self.put_halves(low, high)
            low, high = self._waiting.pop()
        return low, high

    def put(self, low: int, high: int) -> None:
        """Add the interval of the next request."""
        self._waiting.append((low, high))

    def put_halves(self, low: int, high: int) -> None:
        """Add both halves of an interval."""
        middle = (low + high) // 2
        self._waiting += [(middle, high), (low, middle)]

    def note_complete(self, low: int, high: int, traces: float) -> None:
        """Note that an interval has so many traces."""
        self._density = traces / (high - low)
