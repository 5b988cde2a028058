"""Many clients that follow one address, on a clock that jumps to the time of the next request. Requests are real."""

from __future__ import annotations

import heapq
from types import SimpleNamespace
from typing import TYPE_CHECKING

from spanforge.model_registry._core import watched_address
from spanforge.model_registry._core.address_answers import RequestOptions
from spanforge.model_registry._core.registry_addresses import parse_registry_address

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 10.0
"""The default interval in seconds."""


class Clients:
    """Clients that all start at the same time, as after a deployment.

    Attributes:
        now: The time in seconds since the start.
        times: The times of requests.
    """

    def __init__(self, url: str, number: int, set_clock: Callable[[object], None], cache: str = "none") -> None:
        self.now = 0.0
        self.times: list[float] = []
        set_clock(SimpleNamespace(monotonic=lambda: self.now))
        address, options = parse_registry_address(url), RequestOptions(cache=cache)
        self.states = [watched_address.WatchedAddress(address, options, INTERVAL).look() for _ in range(number)]
        self._queue = [(state.due, number) for number, state in enumerate(self.states)]
        heapq.heapify(self._queue)

    def run(self, seconds: float) -> list[float]:
        """Let time pass, and return the times of the requests in it."""
        end, before = self.now + seconds, len(self.times)
        while self._queue and self._queue[0][0] <= end:
            due, number = heapq.heappop(self._queue)
            self.now = max(due, self.now)
            self.times.append(self.now)
            self.states[number] = state = self.states[number].ask()
            heapq.heappush(self._queue, (state.due, number))
        self.now = end
        return self.times[before:]

    def owners(self) -> set[str]:
        """Return the owners that the clients know."""
        return {entry.owner for state in self.states if state.file is not None for entry in state.file.entries or ()}
