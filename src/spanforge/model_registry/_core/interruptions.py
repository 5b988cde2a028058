"""Exceptions that a signal handler of the application raises while the library runs, such as the timeout of a job.

They are not failures of the library, so its hooks let them pass.
"""

from __future__ import annotations

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
    caller's frame among its local variables, unless it asks for it.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        if _has_local(traceback.tb_next.tb_frame, traceback.tb_frame):
            return True
        traceback = traceback.tb_next
    return False


def _has_local(frame: FrameType, wanted: FrameType) -> bool:
    """Check whether a frame has another one among its local variables, or in ``*args``."""
    values: list[Any] = list(frame.f_locals.values())
    return any(value is wanted for value in values) or any(
        item is wanted for value in values if type(value) is tuple for item in value
    )
