"""``at_calls``: actions just before calls of functions that are written in C."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def at_calls(
    *functions: Callable[..., Any],
    do: Callable[[str], object] = str,
    at: Mapping[int, Callable[[], object]] | None = None,
) -> Iterator[list[str]]:
    """Give the names of the calls so far. Before each call run ``do`` with the name, before the n-th also ``at[n]``."""
    calls: list[str] = []

    def observe(frame: Any, event: str, called: Any) -> None:
        del frame  # a function that keeps the frame looks like a signal handler
        if event == "c_call" and called in functions:
            calls.append(called.__name__)
            sys.setprofile(None)
            do(called.__name__)
            if at and len(calls) in at:
                at[len(calls)]()
            sys.setprofile(observe)

    before = sys.getprofile()
    sys.setprofile(observe)
    try:
        yield calls
    finally:
        sys.setprofile(before)
