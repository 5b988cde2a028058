"""State of one process: what a fork does to it, warnings that are logged once, threads, and weak collections."""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from spanforge.model_registry._core import logs

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from weakref import WeakKeyDictionary

_T = TypeVar("_T")
_Kept = TypeVar("_Kept")


START_TIMEOUT: Final = 1.0
"""The seconds that the start of an application waits for its files, because a network disk may not respond."""
STOP_TIMEOUT: Final = 1.0
"""The seconds that ``stop`` waits for the end of a look, because a network disk may not respond."""
FORK_TIMEOUT: Final = 1.0
"""The seconds that a fork waits for the end of looks. A look that takes longer usually waits for a disk or a server."""


class ProcessState:
    """State that belongs to one process. Each method does nothing unless a subclass needs it.

    A state registers itself when it is made, and lives as long as the process.
    """

    goes_on: ClassVar[bool] = False
    """``True`` for a state that ``set_process_aside`` leaves alone."""

    def __init__(self) -> None:
        _states.append(self)

    def before_fork(self) -> None:
        """Prepare for a fork, in the parent."""

    def after_fork_in_parent(self) -> None:
        """Undo what ``before_fork`` did."""

    def after_fork_in_child(self) -> None:
        """Adapt to the child, which has the parent's memory and none of its other threads."""

    def reset(self) -> None:
        """Start again as in a new process."""

    def set_aside(self) -> Callable[[], None]:
        """Start again as in a new process for the time of a test, and return the function that restores the state.

        It is for states whose ``reset`` makes new objects. A state that changes its objects has a method of its own.
        """
        before = dict(vars(self))
        self.reset()
        return lambda: vars(self).update(before)


_states: Final[list[ProcessState]] = []


def reset_process() -> None:
    """Restore the library's state in a new process, for tests. Discard the span processors that were made before."""
    for state in reversed(_states):
        state.reset()


def set_process_aside() -> Callable[[], None]:
    """Start again as in a new process for the time of a test, and return the function that restores the state.

    Span processors and metrics go on, because the application may have installed them at its import.
    """
    restoring = [state.set_aside() for state in reversed(_states) if not state.goes_on]

    def restore() -> None:
        for restore_state in reversed(restoring):
            restore_state()

    return restore


def _before_fork() -> None:
    for state in reversed(_states):
        state.before_fork()


def _after_fork_in_parent() -> None:
    for state in _states:
        state.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for state in _states:
        state.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


class WarnOnce(ProcessState):
    """Warnings of one kind: one line per subject, and at most ``limit`` lines in a process.

    A subject is marked before its line is logged, because a log handler may call the library again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.reset()
        super().__init__()

    def warn(self, subject: object, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log a warning, unless this subject has had one, or the limit is reached."""
        if self.admit(subject):
            logs.warn(message, *values, error=error)

    def admit(self, subject: object) -> bool:
        """Mark a subject, and check whether the caller must log its line."""
        if self.is_exhausted():
            return False
        mark = object()
        return self._marks.setdefault(subject, mark) is mark and next(self._turns) < self._limit

    def is_exhausted(self) -> bool:
        """Check whether all lines are logged."""
        return len(self._marks) >= self._limit

    def reset(self) -> None:
        """Forget which subjects have had their line."""
        self._marks: dict[object, object] = {}
        self._turns = itertools.count()


def live_keys(mapping: WeakKeyDictionary[_T, Any]) -> list[_T]:
    """Return the keys that are still alive, in one step; iterating would fail if another thread adds one."""
    return [key for ref in mapping.keyrefs() if (key := ref()) is not None]


def start_daemon(run: Callable[[threading.Event], None], stopped: threading.Event, name: str) -> RuntimeError | None:
    """Start a daemon thread that runs until an event is set, and return the error if it cannot be started.

    It cannot if there are too many threads, or if the interpreter is ending.
    """
    try:
        threading.Thread(target=run, args=(stopped,), name=name, daemon=True).start()
    except RuntimeError as error:
        return error
    return None


def is_owned(lock: Any) -> bool:
    """Check whether this thread holds a re-entrant lock, as ``threading.Condition`` does."""
    return bool(lock._is_owned())  # noqa: SLF001 - a re-entrant lock has no public method for this


def look_first(look: Callable[[], None], looking: threading.RLock) -> bool:
    """Run the first look of a watcher in a daemon thread, and wait a second for its end; return whether it has ended.

    The look runs in this thread if no other one can be started, or if a log handler starts the watcher during a look.

    Args:
        look: The function that looks.
        looking: The lock that it holds meanwhile.
    """
    ended = threading.Event()

    def run(ended: threading.Event) -> None:
        try:
            look()
        finally:
            ended.set()

    if is_owned(looking) or start_daemon(run, ended, "model-registry-first-look") is not None:
        run(ended)
    return ended.wait(START_TIMEOUT)


def wait_for_look(looking: threading.RLock) -> None:
    """Wait up to ``STOP_TIMEOUT`` until no other thread holds the lock of a watcher's look."""
    if looking.acquire(timeout=STOP_TIMEOUT):
        looking.release()


class WatcherState(ProcessState):
    """The watchers of this process by registry. None of them looks while the process forks.

    A look holds locks that a child would inherit and could never acquire: those of modules that Python imports, and
    those inside OpenSSL. A thread that waits for OpenSSL's locks can stop the whole process.
    """

    def __init__(self) -> None:
        self.by_registry: WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self.starting = threading.RLock()
        self._held = threading.local()
        super().__init__()

    def list_looking(self) -> list[threading.RLock]:
        """Return the locks that the watchers hold while they look."""
        raise NotImplementedError

    def before_fork(self) -> None:
        """Acquire the locks of looks, after waiting up to ``FORK_TIMEOUT`` for looks that are running."""
        end = time.monotonic() + FORK_TIMEOUT
        locks = self.list_looking()
        self._held.locks = [lock for lock in locks if lock.acquire(timeout=max(end - time.monotonic(), 0.0))]

    def after_fork_in_parent(self) -> None:
        """Release the locks that this thread acquired."""
        for lock in vars(self._held).pop("locks", ()):
            lock.release()


def pause_watcher(
    watchers: MutableMapping[Any, Any], registry: object, resume: Callable[[Any], None]
) -> Callable[[], None]:
    """Stop a registry's watcher for the time of a test, and return the function that goes on with it.

    Args:
        watchers: The watchers by registry; ``None`` if the registry must have none.
        registry: The registry.
        resume: Goes on with a stopped watcher.
    """
    is_known, before = registry in watchers, watchers.pop(registry, None)
    if before is not None:
        before.stop()

    def restore() -> None:
        later = watchers.pop(registry, None)
        if later is not None:
            later.stop()
        if is_known:
            watchers[registry] = before
        if before is not None:
            resume(before)

    return restore


class ByIdentity(Generic[_Kept]):
    """Values by object. An object is found by its identity, and its value ends with it.

    Tracer and meter providers are the application's, and those of some libraries have no hash.
    """

    def __init__(self) -> None:
        self._items: dict[int, tuple[Callable[[], object], _Kept]] = {}

    def get(self, key: object) -> _Kept | None:
        """Return the value of an object; ``None`` if it has none."""
        item = self._items.get(id(key))
        return item[1] if item is not None and item[0]() is key else None

    def put(self, key: object, value: _Kept) -> None:
        """Keep a value as long as its object lives; for ever if the object allows no weak references."""
        key_id = id(key)
        try:
            self._items[key_id] = (weakref.ref(key, lambda _ref: self._items.pop(key_id, None)), value)
        except TypeError:
            self._items[key_id] = (lambda: key, value)

    def values(self) -> list[_Kept]:
        """Return the values."""
        return [value for _, value in list(self._items.values())]

    def clear(self) -> None:
        """Forget all values."""
        self._items.clear()
