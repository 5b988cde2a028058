"""Timeouts of tests: exceptions that a handler of SIGALRM raises at random moments."""

from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

SOON = 1e-4
"""The seconds after which a timeout is tried again."""


def wait_for_log_call(frame: FrameType | None) -> bool:
    """Check whether a log call is interrupted; if so, send the signal again soon.

    ``logging`` acquires its lock before a ``try``, until Python 3.13. An exception between them leaves the lock locked
    for ever, and no other thread of the test process could log again.
    """
    while frame is not None:
        if frame.f_code.co_filename == logging.__file__:
            signal.setitimer(signal.ITIMER_REAL, SOON)
            return True
        frame = frame.f_back
    return False
