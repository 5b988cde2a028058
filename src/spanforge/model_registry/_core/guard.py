"""``Guard``: one thread at a time, whatever a signal handler's exception interrupts."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from spanforge.model_registry._core.process import ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Guard:
    """Runs functions of one thread at a time.

    A signal handler's exception may come between any two steps of Python code, also between taking a lock and the
    ``try`` or ``with`` that is to release it. So an outer frame looks once more: after ``run`` the lock is free.

    A function that is run while this thread runs another one (in a signal handler, or because garbage was collected)
    runs at once, in the midst of that one.
    """

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()

    def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call the function while no other thread is in here, and return its result."""
        lock = self.lock
        if _is_owned(lock):
            return function(*arguments)
        try:
            return cast("_T", _run_locked(lock, function, arguments))
        finally:
            if _is_owned(lock):
                lock.release()

    def run_if_free(self, function: Callable[..., _T], *arguments: Any) -> _T | None:
        """Call the function and return its result; ``None``: another one is running, in this or another thread."""
        lock = self.lock
        if _is_owned(lock):
            return None
        try:
            return cast("_T | None", _run_if_free(lock, function, arguments))
        finally:
            if _is_owned(lock):
                lock.release()

    def is_free(self) -> bool:
        """Check that nothing is being run."""
        return self.run_if_free(bool) is not None

    def replace_lock(self) -> None:
        """Make a new lock, in a child of which the parent's other threads are no part."""
        self.lock = threading.RLock()


def _is_owned(lock: Any) -> bool:
    """Check whether this thread has the lock, as ``threading.Condition`` does."""
    return bool(lock._is_owned())  # noqa: SLF001 - no public name says this of a lock that is re-entrant


def _run_locked(lock: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with lock:
        return function(*arguments)


def _run_if_free(lock: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    if not lock.acquire(blocking=False):
        return None
    try:
        return function(*arguments)
    finally:
        lock.release()


class _GuardsAtForks(ProcessState):
    """Guards whose locks are held during forks: no child inherits half of what they run."""

    def __init__(self) -> None:
        self._guards: weakref.WeakSet[Guard] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._held: list[Any] = []
        super().__init__()

    def add(self, guard: Guard) -> None:
        """Hold this guard's lock during forks."""
        with self._lock:
            self._guards.add(guard)

    def before_fork(self) -> None:
        """Wait until nothing is half done."""
        self._lock.acquire()
        self._held[:] = [guard.lock for guard in self._guards]
        for lock in self._held:
            lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Let operations go on."""
        for lock in self._held:
            lock.release()
        self._held.clear()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Make new locks: the thread that held the parent's is not here, and uWSGI may skip ``before_fork``."""
        self._lock = threading.RLock()
        self._held.clear()
        for guard in list(self._guards):
            guard.replace_lock()


guards_at_forks: Final = _GuardsAtForks()
