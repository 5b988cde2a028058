"""A counter that is safe to use from any thread and from signal handlers, without a lock."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPR_START: Final = len("count(")


class AtomicCounter:
    """A count of things: ``next(counter.ticks)`` counts one, in one atomic step of CPython.

    Attributes:
        ticks: The iterator that counts. It stays the same after ``reset``, so it can be kept.
    """

    __slots__ = ("_start", "ticks")

    def __init__(self) -> None:
        self.ticks: Iterator[int] = itertools.count()
        self._start = 0

    def value(self) -> int:
        """Return the count."""
        return self._total() - self._start

    def reset(self) -> None:
        """Count from zero."""
        self._start = self._total()

    def _total(self) -> int:
        # ``repr`` is ``count(5)``. It is the one way to read the next value that neither takes it nor is deprecated.
        return int(repr(self.ticks)[_REPR_START:-1])
