"""Counts of spans that name a model: exact from any number of threads, and without a lock where spans end."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.resolution import UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_SERIES: Final = 1_000
"""Combinations of model, status, risk tier and owner that are counted apart; further ones are counted together."""


class Series(NamedTuple):
    """What spans have in common that are counted together.

    Attributes:
        status: The model's status; empty where there are more combinations than ``MAX_SERIES``.
        model_id: The model; ``None``: nobody registered it, or as above.
        risk_tier: Its risk tier.
        owner: Its owner.
        is_call: Whether they are calls of it.
        is_enriched: Whether they got attributes.
    """

    status: str
    model_id: str | None
    risk_tier: str | None
    owner: str | None
    is_call: bool
    is_enriched: bool


class Tally:
    """A count of spans: ``next(tally.count)`` counts one.

    ``itertools.count`` takes one step at a time, whatever the number of threads; reading its value is a step as well,
    which is taken off again.
    """

    __slots__ = ("_not_spans", "count")

    def __init__(self) -> None:
        self.count: Iterator[int] = itertools.count()
        self._not_spans = 0

    def value(self) -> int:
        """Return how many were counted; callers are to be kept apart."""
        value = next(self.count) - self._not_spans
        self._not_spans += 1
        return value

    def forget(self) -> None:
        """Count from zero; callers are to be kept apart."""
        self._not_spans = next(self.count) + 1


class Tallies(ProcessState):
    """The counts of this process, by what the spans have in common."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Forget all counts."""
        self._tallies: dict[Series, Tally] = {}
        self._lock = threading.RLock()  # a span may end while it is held: where garbage is collected

    def of(self, entry: ModelRegistryEntry | None, *, is_call: bool, is_enriched: bool) -> Tally:
        """Return the count of spans that name this model; ``None``: one that nobody registered."""
        if entry is None:
            series = Series(UNREGISTERED, None, None, None, is_call, is_enriched)
        else:
            series = Series(entry.status, entry.model_id, entry.risk_tier, entry.owner, is_call, is_enriched)
        found = self._tallies.get(series)
        return self._add(series) if found is None else found

    def _add(self, series: Series) -> Tally:
        with self._lock:
            if series.model_id is not None and len(self._tallies) >= MAX_SERIES:
                series = Series("", None, None, None, *series[4:])
            return self._tallies.setdefault(series, Tally())

    def values(self) -> Mapping[Series, int]:
        """Return the counts so far."""
        with self._lock:
            return {series: tally.value() for series, tally in list(self._tallies.items())}

    def after_fork_in_child(self) -> None:
        """Count for the child alone: what the parent counted, the parent reports."""
        self._lock = threading.RLock()
        for tally in self._tallies.values():
            tally.forget()


tallies: Final = Tallies()
