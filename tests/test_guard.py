"""``Guard``: one thread at a time."""

from __future__ import annotations

import threading

import pytest

from spanforge.model_registry._core.guard import Guard


@pytest.fixture
def held() -> tuple[Guard, threading.Event]:
    """Give a guard in which another thread is, until the event is set."""
    guard, entered, leave = Guard(), threading.Event(), threading.Event()
    threading.Thread(target=guard.run, args=(lambda: (entered.set(), leave.wait(10)),), daemon=True).start()
    assert entered.wait(10)
    return guard, leave


def test_another_thread_waits(held: tuple[Guard, threading.Event]) -> None:
    """What a second thread runs begins after what the first one runs."""
    guard, leave = held
    threading.Timer(0.05, leave.set).start()
    assert guard.run(leave.is_set)


def test_run_if_free_does_not_wait(held: tuple[Guard, threading.Event]) -> None:
    """While another thread is in, nothing is run; afterwards it is."""
    guard, leave = held
    assert guard.run_if_free(int) is None
    assert not guard.is_free()
    leave.set()
    assert guard.run(guard.is_free) is False
    assert (guard.run_if_free(int), guard.is_free()) == (0, True)


def test_one_thread_may_run_a_function_within_another() -> None:
    """``run`` runs it at once, ``run_if_free`` does not; in the end the guard is free for others."""
    guard = Guard()
    assert guard.run(lambda: (guard.run(int), guard.run_if_free(int))) == (0, None)
    assert guard.run_if_free(lambda: (guard.run(int), guard.run_if_free(int))) == (0, None)
    assert guard.is_free()


def test_an_error_leaves_it_free() -> None:
    """What a function raises comes out, and the lock is released."""
    guard = Guard()
    for run in (guard.run, guard.run_if_free):
        with pytest.raises(ZeroDivisionError):
            run(lambda: 1 / 0)
        assert guard.is_free()
