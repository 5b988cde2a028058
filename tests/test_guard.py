"""``Guard``: one thread at a time."""

from __future__ import annotations

import threading

import pytest

from spanforge.model_registry._core.guard import Guard


@pytest.fixture
def held() -> tuple[Guard, threading.Event]:
    """Return a guard with another thread inside, which leaves when the event is set."""
    guard, entered, leave = Guard(), threading.Event(), threading.Event()
    threading.Thread(target=guard.run, args=(lambda: (entered.set(), leave.wait(10)),), daemon=True).start()
    assert entered.wait(10)
    return guard, leave


def test_another_thread_waits(held: tuple[Guard, threading.Event]) -> None:
    """A function of a second thread starts after the function of the first one has ended."""
    guard, leave = held
    threading.Timer(0.05, leave.set).start()
    assert guard.run(leave.is_set)


def test_run_if_free_does_not_wait(held: tuple[Guard, threading.Event]) -> None:
    """``run_if_free`` runs nothing while another thread is inside."""
    guard, leave = held
    assert guard.run_if_free(int) is None
    assert not guard.is_free()
    leave.set()
    assert guard.run(guard.is_free) is False
    assert (guard.run_if_free(int), guard.is_free()) == (0, True)


def test_nested_functions_of_one_thread() -> None:
    """Inside a function ``run`` runs at once and ``run_if_free`` does not; the guard is free in the end."""
    guard = Guard()
    assert guard.run(lambda: (guard.run(int), guard.run_if_free(int))) == (0, None)
    assert guard.run_if_free(lambda: (guard.run(int), guard.run_if_free(int))) == (0, None)
    assert guard.is_free()


def test_error_leaves_the_guard_free() -> None:
    """An error is raised, and the lock is released."""
    guard = Guard()
    for run in (guard.run, guard.run_if_free):
        with pytest.raises(ZeroDivisionError):
            run(lambda: 1 / 0)
        assert guard.is_free()
