"""``Guard``: a lock that is released even if a signal handler's exception interrupts its use."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from spanforge.model_registry._core.process import ProcessState, is_owned

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Guard:
    """Runs functions while holding a lock.

    A signal handler's exception can occur between acquiring the lock and entering ``with``. Therefore ``run`` releases
    the lock in an outer ``finally``.

    A signal handler or a finalizer may run a function in the thread that already holds the lock. That function does not
    wait.
    """

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()

    def run(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Run the function while holding the lock, and return its result."""
        lock = self.lock
        if is_owned(lock):
            return function(*arguments)
        try:
            return cast("_T", _run_locked(lock, function, arguments))
        finally:
            if is_owned(lock):
                lock.release()

    def run_if_free(self, function: Callable[..., _T], *arguments: Any) -> _T | None:
        """Run the function as ``run`` does, or return ``None`` if this or another thread already holds the lock."""
        lock = self.lock
        if is_owned(lock):
            return None
        try:
            return cast("_T | None", _run_if_free(lock, function, arguments))
        finally:
            if is_owned(lock):
                lock.release()

    def is_free(self) -> bool:
        """Check that no thread holds the lock."""
        return self.run_if_free(lambda: True) is True

    def replace_lock(self) -> None:
        """Create a new lock. In a forked child, a thread that exists only in the parent may hold the old one."""
        self.lock = threading.RLock()


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
    """Holds the locks of all guards during a fork, so that a child never inherits an incomplete change."""

    def __init__(self) -> None:
        self._guards: weakref.WeakSet[Guard] = weakref.WeakSet()
        self._lock = threading.RLock()
        self._held: list[Any] = []
        super().__init__()

    def add(self, guard: Guard) -> None:
        """Hold this guard's lock during forks. The guard is kept as a weak reference."""
        with self._lock:
            self._guards.add(guard)

    def before_fork(self) -> None:
        """Acquire all locks, after waiting until no guard runs a function."""
        self._lock.acquire()
        self._held[:] = [guard.lock for guard in self._guards]
        for lock in self._held:
            lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Release the locks."""
        for lock in self._held:
            lock.release()
        self._held.clear()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Create new locks. Threads that hold the old ones do not exist here, and uWSGI may skip ``before_fork``."""
        self._lock = threading.RLock()
        self._held.clear()
        for guard in list(self._guards):
            guard.replace_lock()


guards_at_forks: Final = _GuardsAtForks()
