"""The thread that looks at the files of a registry."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.calls import at_calls
from support.log_lines import log_handler
from support.processes import exit_code_of
from support.watching import LONG, Watched, content, owners, put, threads, wait_until

from spanforge.model_registry import ModelRegistry, get_default_registry, watch
from spanforge.model_registry._core.process import STOP_TIMEOUT
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps(threading.Event):
    """An event that ends each wait when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []
        self.begun, self.ended = threading.Semaphore(0), threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        self.begun.release()
        return not self.ended.acquire(timeout=LONG) or self.is_set()

    def finish_wait(self) -> None:
        """End a wait when it has begun, and return when the next one has begun."""
        self.ended.release()
        self.await_begin()

    def await_begin(self) -> None:
        assert self.begun.acquire(timeout=LONG)

    def set(self) -> None:
        super().set()
        self.ended.release()


@pytest.mark.parametrize(("change", "looks"), [(put, 1), (lambda path, data: path.write_bytes(data), 2)])
def test_thread_looks_three_times_an_interval(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, change: Callable[..., object], looks: int
) -> None:
    """The thread waits a third of the interval before each look, and needs two looks at most to take a change."""
    steps: list[Steps] = []

    def make_event() -> Steps:
        steps.append(Steps())
        return steps[-1]

    fake = SimpleNamespace(**{**vars(threading), "Event": make_event})
    monkeypatch.setattr(watch, "threading", fake)
    watcher = watched.follow(interval=300)
    steps[-1].await_begin()
    for name in "bcdef":
        before = watched.owner
        change(watched.path, content(name))
        for _ in range(looks):
            assert watched.owner == before
            steps[-1].finish_wait()
        assert watched.owner == name
    assert steps[-1].pauses == [0.1] * (1 + 5 * looks)
    watcher.stop()
    wait_until(lambda: not threads())


def test_no_thread_without_an_interval(watched: Watched) -> None:
    """With an interval of 0 only ``start`` reads the files, also files that were half changed."""
    watcher = watched.follow(interval=0)
    assert threads() == []
    watched.path.write_bytes(content("b"))
    assert watched.owners == {"m": "a"}
    watcher.start()
    assert watched.owners == {"m": "b"}
    assert threads() == []


def test_no_thread_in_a_child_without_an_interval(watched: Watched) -> None:
    """A forked child has no thread if its parent has none."""
    watched.follow(interval=0)
    child = os.fork()
    if child == 0:
        os._exit(len(threads()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_fork_waits_for_a_look(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork waits for the end of a look, because a child could never acquire the locks that the look holds."""
    watcher = watched.follow(interval=0)
    lock, is_looking = threading.Lock(), threading.Event()

    def look_slowly() -> None:  # in the place of an import, or of TLS
        with lock:
            is_looking.set()
            time.sleep(0.2)

    monkeypatch.setattr(watcher, "_look_at_files", look_slowly)
    thread = threading.Thread(target=watcher.look)
    thread.start()
    assert is_looking.wait(LONG)
    assert exit_code_of(lambda: lock.acquire(timeout=1)) == 0
    thread.join()


def test_stop_and_start(watched: Watched) -> None:
    """After ``stop`` nothing changes until ``start`` reads the files again."""
    watcher = watched.follow(interval=100)
    watcher.stop()
    wait_until(lambda: not threads())
    put(watched.path, content("b"))
    watcher.look()
    assert watched.owners == {"m": "a"}
    watcher.start()
    assert watched.owners == {"m": "b"}
    put(watched.path, content("c"))
    watched.wait_for_owner("c")
    watcher.start()
    wait_until(lambda: len(threads()) == 1)
    watcher.stop()
    watcher.stop()
    wait_until(lambda: not threads())


def test_last_watcher_counts(watched: Watched) -> None:
    """A registry has one watcher: another one takes over, and the first one may take over again."""
    other = watched.path.with_name("other.json")
    other.write_bytes(content("other"))
    first, second = watched.follow(interval=100), watched.follow(other, interval=100)
    assert watched.owners == {"m": "other"}
    wait_until(lambda: len(threads()) == 1)
    put(watched.path, content("b"))
    first.look()
    assert watched.owners == {"m": "other"}
    put(other, content("newer"))
    watched.wait_for_owner("newer")
    first.start()
    assert watched.owners == {"m": "b"}
    second.stop()
    put(watched.path, content("c"))
    watched.wait_for_owner("c")


def test_several_registries(watched: Watched) -> None:
    """Registries follow the same file or different ones, and each stops alone."""
    default, third = get_default_registry(), ModelRegistry(auto_emit=False)
    other = watched.path.with_name("other.json")
    other.write_bytes(content("x"))
    first = watched.follow(interval=100)
    watched.follow(watched.path, other.with_name("none.json"), interval=100, registry=default)
    watched.follow(other, interval=100, registry=third)

    def all_owners() -> tuple[dict[str, str], ...]:
        return watched.owners, owners(default), owners(third)

    assert all_owners() == ({"m": "a"}, {"m": "a"}, {"m": "x"})
    put(watched.path, content("b"))
    put(other, content("y"))
    wait_until(lambda: all_owners() == ({"m": "b"}, {"m": "b"}, {"m": "y"}))
    first.stop()
    wait_until(lambda: len(threads()) == 2)
    put(watched.path, content("c"))
    wait_until(lambda: owners(default) == {"m": "c"})
    first.look()
    assert all_owners() == ({"m": "b"}, {"m": "c"}, {"m": "y"})


def test_dropped_registry_is_freed(watched: Watched) -> None:
    """A registry that nobody uses any more is freed although it follows files, and its thread ends."""
    registry = ModelRegistry(auto_emit=False)
    watcher = watched.follow(interval=100, registry=registry)
    (thread,) = threads()
    freed = weakref.ref(registry)
    del registry
    gc.collect()
    wait_until(lambda: freed() is None)
    thread.join(LONG)
    assert not thread.is_alive()
    watcher.start()
    watcher.look()
    watcher.stop()
    assert threads() == []


def test_thread_that_cannot_start(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no further thread can start, the files are read, and one line says that they are not followed."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    watched.follow(interval=100)
    watched.follow(interval=100)
    assert watched.owners == {"m": "a"}
    text = "changes of registry files are not loaded, because no thread could be started: can't start new thread"
    assert watched.lines() == [f"warning: model registry: {text}"]


def test_failing_log_handler_stops_nothing(watched: Watched) -> None:
    """The thread goes on if a log handler raises."""
    seen: list[str] = []

    def handle(record: logging.LogRecord) -> None:
        seen.append(record.levelname)
        raise ZeroDivisionError

    with log_handler(handle):
        watched.follow(interval=100)
        put(watched.path, b"null")
        wait_until(lambda: "WARNING" in seen)
        put(watched.path, content("b"))
        watched.wait_for_owner("b")


@pytest.mark.parametrize("action", [FileWatcher.look, FileWatcher.stop, FileWatcher.start])
def test_log_handler_may_use_the_watcher(watched: Watched, action: Callable[[FileWatcher], Any]) -> None:
    """A log handler may look, stop and start, in the thread and where the files are first read."""
    watcher = watched.follow()
    done = []

    def handle(record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            action(watcher)
            done.append(threading.current_thread().name)

    watched.path.write_bytes(b"null")
    with log_handler(handle):
        watcher.reload_interval = 100
        watcher.start()
        assert "model-registry-first-look" in done
        watcher.start()
        watched.path.write_bytes(b"5")
        wait_until(lambda: "model-registry-files" in done)
        watched.path.write_bytes(content("c"))
        if action is FileWatcher.stop:
            wait_until(lambda: not threads())
            assert watched.owners == {"m": "a"}
        else:
            watched.wait_for_owner("c")


def test_stop_does_not_wait_for_a_slow_look(watched: Watched) -> None:
    """``stop`` waits ``STOP_TIMEOUT`` for a look, and returns although the look has not ended."""
    watcher = watched.follow()
    begun, done = threading.Event(), threading.Event()

    def hold(_record: logging.LogRecord) -> None:
        begun.set()
        done.wait(4 * LONG)

    watched.path.unlink()
    watcher.look()
    with log_handler(hold):
        thread = threading.Thread(target=watcher.look)
        thread.start()
        assert begun.wait(LONG)
        before = time.monotonic()
        watcher.stop()
        assert time.monotonic() - before >= STOP_TIMEOUT
        assert thread.is_alive()
        done.set()
        thread.join()


def test_look_that_ends_after_stop_changes_nothing(watched: Watched) -> None:
    """A look does not take a change if the watcher is stopped meanwhile: another watcher may be in force by then."""
    watcher = watched.follow()
    put(watched.path, content("b"))
    with at_calls(open, at={1: watcher.stop}):
        watcher.look()
    assert watched.owners == {"m": "a"}
