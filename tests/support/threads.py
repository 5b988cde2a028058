"""Threads of tests: their errors are raised, and every thread has ended when a helper returns."""

from __future__ import annotations

import contextlib
import sys
import threading
from functools import partial
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
    errors: list[BaseException] = []

    def run() -> None:
        try:
            run_in_threads(*(partial(work, stop) for work in works))
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def switching_often(interval: float) -> Iterator[None]:
    """Let threads take turns more often while a block runs."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
