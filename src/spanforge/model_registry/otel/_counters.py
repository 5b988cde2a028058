"""Span counters, unregistered names and live processors of this process.

Counting is thread-safe, and takes no lock when a span ends.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from spanforge.model_registry._core.counter import AtomicCounter
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.values import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_SERIES: Final = 1_000
"""The limit of counters. Above it, registered models are counted together, without their attributes."""
MAX_UNREGISTERED: Final = 100
"""The limit of unregistered model names that are kept for ``status``."""


class Series(NamedTuple):
    """The key of a span counter.

    Attributes:
        status: The model's status; empty if the model is over the limit.
        model_id: The model; ``None`` if it is unregistered or over the limit.
        risk_tier: Its risk tier.
        owner: Its owner.
        is_call: Whether the spans are calls of it.
        is_enriched: Whether they got attributes.
    """

    status: str
    model_id: str | None
    risk_tier: str | None
    owner: str | None
    is_call: bool
    is_enriched: bool


class SpanCounters(ProcessState):
    """The counters of this process, by what the spans have in common."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Remove all counters."""
        self._counters: dict[tuple[object, ...], AtomicCounter] = {}
        self._lock = threading.RLock()  # re-entrant: garbage collection can end a span while this thread holds it

    def counter_for(self, entry: ModelRegistryEntry | None, *, is_call: bool, is_enriched: bool) -> AtomicCounter:
        """Return the counter of spans that name a model; ``entry`` is ``None`` if it is unregistered."""
        series: tuple[object, ...] = (UNREGISTERED, None, None, None, is_call, is_enriched)
        if entry is not None:
            series = entry.status, entry.model_id, entry.risk_tier, entry.owner, is_call, is_enriched
        return self._counters.get(series) or self._add(series)

    def _add(self, series: tuple[object, ...]) -> AtomicCounter:
        with self._lock:
            if series[1] is not None and len(self._counters) >= MAX_SERIES:
                series = ("", None, None, None, *series[4:])
            return self._counters.setdefault(series, AtomicCounter())

    def values(self) -> Mapping[Series, int]:
        """Return the counts so far."""
        with self._lock:
            counters = list(self._counters.items())
        return {Series(*series): counter.value() for series, counter in counters}  # type: ignore[arg-type]

    def after_fork_in_child(self) -> None:
        """Reset the counters; the parent reports its own counts."""
        # The counters themselves stay, because cached decisions hold their ticks.
        self._lock = threading.RLock()
        for counter in self._counters.values():
            counter.reset()


class UnregisteredNames(ProcessState):
    """The first names of models that are not registered that this process met."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Remove all names."""
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Keep a name, if there is room."""
        if len(self._names) < MAX_UNREGISTERED:
            self._names.setdefault(name[:MAX_NAME])

    def names(self) -> tuple[str, ...]:
        """Return the names, in the order in which they were met."""
        return tuple(self._names)


class EnrichingProcessor(Protocol):
    """The part of a span processor that ``status`` reads."""

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""

    @property
    def late_writes(self) -> str:
        """The hook in which it reaches a span whose model is set late."""


class Processors(ProcessState):
    """The span processors that were made in this process."""

    def __init__(self) -> None:
        self.live: WeakKeyDictionary[EnrichingProcessor, None] = WeakKeyDictionary()
        super().__init__()

    def reset(self) -> None:
        """Forget all processors."""
        self.live.clear()


span_counters: Final = SpanCounters()
unregistered_names: Final = UnregisteredNames()
processors: Final = Processors()
