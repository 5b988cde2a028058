"""Threads of tests: their errors are raised, and every thread has ended when a helper returns."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def run_in_threads(*works: Callable[[], object]) -> None:
    """Run functions at once, each in a thread, and raise the first error."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def in_background(*works: Callable[[threading.Event], object]) -> Iterator[None]:
    """Run functions in threads while a block runs; each gets the event that ends it."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: _run_until(stop, works, errors))
    errors: list[BaseException] = []
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def _run_until(
    stop: threading.Event, works: tuple[Callable[[threading.Event], object], ...], errors: list[BaseException]
) -> None:
    try:
        run_in_threads(*(lambda work=work: work(stop) for work in works))  # type: ignore[misc]
    except BaseException as error:  # noqa: BLE001 - raised in the thread of the block
        errors.append(error)


@contextlib.contextmanager
def switching_often(interval: float) -> Iterator[None]:
    """Let threads take turns more often while a block runs."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
