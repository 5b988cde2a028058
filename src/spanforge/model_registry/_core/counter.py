"""A counter that is safe to use from any thread and from signal handlers, without a lock."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPR_START: Final = len("count(")


class AtomicCounter:
    """A counter. ``next(counter.ticks)`` adds one, in one atomic step of CPython.

    Attributes:
        ticks: The iterator that counts. ``reset`` does not replace it, so callers can keep a reference to it.
    """

    __slots__ = ("_start", "ticks")

    def __init__(self) -> None:
        self.ticks: Iterator[int] = itertools.count()
        self._start = 0

    def value(self) -> int:
        """Return the count."""
        return self._total() - self._start

    def reset(self) -> None:
        """Start again from zero."""
        self._start = self._total()

    def _total(self) -> int:
        # ``repr`` is ``count(5)``. Only this way of reading the next value neither consumes it nor is deprecated.
        return int(repr(self.ticks)[_REPR_START:-1])
