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

    from spanforge.model_registry._core.span_kinds import SpanKind
    from spanforge.model_registry._core.span_models import ModelMatch

MAX_SERIES: Final = 1_000
"""The limit of counters, because each is a series in the metrics backend. Above it, registered models are counted
together, without their attributes; substitutions apart."""
MAX_UNREGISTERED: Final = 100
"""The limit of unregistered model names that are kept for ``status``. They come from the network."""

NO_PROCESSOR: Final = "no span processor was made"
"""The reason why spans are not enriched before the first span processor."""


class Series(NamedTuple):
    """The key of a span counter.

    Attributes:
        status: The model's status; empty if the model is over the limit.
        model_id: The model; ``None`` if it is unregistered or over the limit.
        risk_tier: Its risk tier.
        owner: Its owner.
        kind: Whether the spans are calls of the model.
        is_enriched: Whether the spans got attributes.
        is_substitution: Whether another model answered than the one that was requested.
        requested_model_id: The request model, if another registered model answered.
    """

    status: str
    model_id: str | None
    risk_tier: str | None
    owner: str | None
    kind: SpanKind
    is_enriched: bool
    is_substitution: bool = False
    requested_model_id: str | None = None


_Key = tuple[str, "str | None", "str | None", "str | None", "SpanKind", bool, bool, "str | None"]
"""The fields of a ``Series``."""


class SpanCounters(ProcessState):
    """The span counters of this process, one per series."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Remove all counters.

        Discard the span processors made before: their cached decisions count in the removed counters.
        """
        self._counters: dict[_Key, AtomicCounter] = {}
        self._lock = threading.RLock()  # re-entrant: in the thread that holds it, garbage collection may end a span

    def counter_for(self, match: ModelMatch, *, is_enriched: bool) -> AtomicCounter:
        """Return the counter of the spans with this match.

        Args:
            match: The model that the spans name.
            is_enriched: Whether the spans got attributes.
        """
        entry = match.resolution.entry
        # A plain tuple equals a ``Series`` with the same fields, and takes less time to make.
        if entry is None:
            key: _Key = (UNREGISTERED, None, None, None, match.kind, is_enriched, False, None)
        else:
            is_substitution = match.served is not None
            requested_id = match.requested.model_id if is_substitution and match.requested is not None else None
            known = (entry.status, entry.model_id, entry.risk_tier, entry.owner)
            key = (*known, match.kind, is_enriched, is_substitution, requested_id)
        return self._counters.get(key) or self._add(Series(*key))

    def _add(self, series: Series) -> AtomicCounter:
        with self._lock:
            if series.model_id is not None and len(self._counters) >= MAX_SERIES:
                series = Series("", None, None, None, series.kind, series.is_enriched, series.is_substitution)
            return self._counters.setdefault(series, AtomicCounter())

    def values(self) -> Mapping[Series, int]:
        """Return the counts so far."""
        # The copy is one atomic step. While this thread iterates, a span that ends may add a counter.
        return {Series(*key): counter.value() for key, counter in self._counters.copy().items()}

    def after_fork_in_child(self) -> None:
        """Reset the counters; the parent reports its own counts."""
        # The counters themselves stay, because cached decisions hold their ticks.
        self._lock = threading.RLock()
        for counter in self._counters.copy().values():
            counter.reset()


class UnregisteredNames(ProcessState):
    """The first unregistered model names on spans of this process."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Remove all names."""
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """Add a name, unless the limit is reached."""
        if len(self._names) < MAX_UNREGISTERED:
            self._names.setdefault(name[:MAX_NAME])

    def names(self) -> tuple[str, ...]:
        """Return the names, the first one first."""
        return tuple(self._names)

    def after_fork_in_child(self) -> None:
        """Remove all names; the parent reports its own."""
        self.reset()


class EnrichingProcessor(Protocol):
    """The part of a span processor that ``status`` reads."""

    @property
    def is_on(self) -> bool:
        """Whether the processor is switched on."""

    @property
    def late_writes(self) -> str:
        """The hook that enriches spans whose model is set after their start."""


class Processors(ProcessState):
    """The span processors that were made in this process."""

    goes_on = True

    def __init__(self) -> None:
        # Not a ``WeakSet``: only ``live_keys`` iterates safely while another thread adds a processor.
        self.live: WeakKeyDictionary[EnrichingProcessor, None] = WeakKeyDictionary()
        super().__init__()

    def reset(self) -> None:
        """Forget all processors."""
        self.live.clear()


class Reasons(ProcessState):
    """Why no span is enriched and why there are no metrics, as far as it is known, for ``status``.

    Attributes:
        no_enrichment: The reason why spans are not enriched.
        no_metrics: The reason why there are no metrics; empty if there are some.
    """

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Start again as before the first span processor."""
        self.no_enrichment = self.no_metrics = NO_PROCESSOR


span_counters: Final = SpanCounters()
unregistered_names: Final = UnregisteredNames()
processors: Final = Processors()
reasons: Final = Reasons()
