"""Exceptions that a signal handler of the application raises while the library runs, such as the timeout of a job.

They are not failures of the library, so its hooks let them pass.
"""

from __future__ import annotations

import functools
import signal
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType


class SuppressFailures:
    """Suppresses exceptions in a ``with`` block, except those that a signal handler raises.

    ``contextlib.suppress(Exception)`` would end the timeout of an application that interrupts the library.
    """

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: TracebackType | None) -> bool:
        """Suppress the error if it is a failure."""
        return isinstance(error, Exception) and not is_interruption(error)


def pass_interruption(error: BaseException) -> None:
    """Raise an error again if a signal handler raised it."""
    if is_interruption(error):
        raise error


def is_interruption(error: BaseException) -> bool:
    """Check whether a signal handler raised an error.

    Python calls a handler with the number of the signal and the frame that it interrupts. No other function has its
    caller's frame among its local variables, unless it asks for it. A handler that deletes the variable is found by its
    code.
    """
    traceback = error.__traceback__
    if traceback is None or traceback.tb_next is None:  # most errors: no other function of Python raised it
        return False
    codes = _list_handler_codes()
    while traceback is not None and traceback.tb_next is not None:
        frame = traceback.tb_next.tb_frame
        if _has_local(frame, traceback.tb_frame) or frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _list_handler_codes() -> list[Any]:
    """Return the code of each signal handler that is written in Python."""
    codes: list[Any] = []
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        while isinstance(handler, (functools.partial, MethodType)):
            handler = handler.func if isinstance(handler, functools.partial) else handler.__func__
        for function in (handler, type(handler).__call__):
            codes += filter(None, [getattr(function, "__code__", None)])
    return codes


def _has_local(frame: FrameType, wanted: FrameType) -> bool:
    """Check whether a frame has another one among its local variables, or in ``*args``."""
    values: list[Any] = list(frame.f_locals.values())
    return any(value is wanted for value in values) or any(
        item is wanted for value in values if type(value) is tuple for item in value
    )
