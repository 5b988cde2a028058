"""The lock of a folder: one holder at a time, never left behind, and waits that end."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.calls import at_calls
from support.processes import exit_code_of

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._core import saving
from spanforge.model_registry._core.file_lock import SIDECAR, lock_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

real_flock = fcntl.flock


@pytest.fixture(params=["folder", "file", "none"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the kind of path that the file system can lock: folders, files only (NFS), or nothing."""

    def refuse(descriptor: int, operation: int) -> None:
        if request.param == "none" or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        real_flock(descriptor, operation)

    if request.param != "folder":
        monkeypatch.setattr(fcntl, "flock", refuse)
    return str(request.param)


def fork_holder(folder: Path) -> int:
    """Start a process that holds the lock for ever; return its id when it has the lock."""
    readable, writable = os.pipe()
    process = os.fork()
    if process == 0:
        with lock_folder(str(folder), 1):
            os.write(writable, b".")
            time.sleep(60)
        os._exit(1)
    os.read(readable, 1)
    os.close(readable)
    os.close(writable)
    return process


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def test_one_holder_at_a_time(tmp_path: Path, kind: str) -> None:
    """Threads that count with the lock lose no count, and no file is left. Without locks, one thread still works."""
    counter = tmp_path / "count"
    counter.write_text("0")

    def count() -> None:
        for _ in range(20):
            with lock_folder(str(tmp_path), 30):
                number = int(counter.read_text())
                time.sleep(0.0001)
                counter.write_text(str(number + 1))

    threads = [threading.Thread(target=count) for _ in range(1 if kind == "none" else 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int(counter.read_text()) == 20 * len(threads)
    assert os.listdir(tmp_path) == ["count"]


def test_a_wait_ends(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the process that has the lock; if that is killed, the lock is free."""
    if kind == "none":
        return
    process = fork_holder(tmp_path)
    monkeypatch.setattr(saving, "SAVE_WAIT", 0.05)
    registry = ModelRegistry(auto_emit=False)
    try:
        with pytest.raises(RegistryFileError) as caught:
            registry.save(tmp_path / "models.json")
    finally:
        kill(process)
    holder = f"process {process}" if os.path.exists("/proc/locks") else "another process"
    said = f"cannot be written: {holder} has locked {tmp_path} for more than 0.05 seconds; try again later"
    assert caught.value.reason == said
    registry.save(tmp_path / "models.json")
    assert set(os.listdir(tmp_path)) == {"models.json"}


def test_another_thread_has_the_lock(tmp_path: Path) -> None:
    """The error says so, as a signal handler that saves during a save would learn."""
    twice = lock_folder(str(tmp_path), 0)
    with lock_folder(str(tmp_path), 0), pytest.raises(TimeoutError, match="another thread of this process has"), twice:
        pytest.fail("locked twice")


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A child that was forked while its parent held the lock cannot hold it longer than the parent."""
    readable, writable = os.pipe()
    with lock_folder(str(tmp_path), 0):
        child = os.fork()
        if child == 0:
            os.close(writable)
            os.read(readable, 1)
            os._exit(0)
        assert exit_code_of(lambda: has_lock(tmp_path)) == 2
    assert exit_code_of(lambda: has_lock(tmp_path)) == 0
    os.close(writable)
    os.close(readable)
    assert os.waitpid(child, 0)[1] == 0


def has_lock(folder: Path) -> bool:
    """Check whether the lock can be had."""
    try:
        with lock_folder(str(folder), 0):
            return True
    except TimeoutError:
        return False


def test_a_removed_lock_file_is_not_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a lock file is removed while somebody waits for it, the one who waits takes the new file."""

    def refuse_folders(descriptor: int, operation: int) -> Any:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        result = real_flock(descriptor, operation)
        if operation != fcntl.LOCK_UN and not removed:
            removed.append(os.unlink(tmp_path / SIDECAR))
        return result

    removed: list[None] = []
    monkeypatch.setattr(fcntl, "flock", refuse_folders)
    with lock_folder(str(tmp_path), 5):
        assert os.listdir(tmp_path) == [SIDECAR]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("function", [os.open, os.fstat, os.stat, real_flock], ids=lambda function: function.__name__)
def test_an_interrupted_lock_is_free(tmp_path: Path, function: Callable[..., Any]) -> None:
    """If a signal handler raises an exception at any step, the lock is free."""

    def interrupt(_name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), at_calls(function, do=interrupt), lock_folder(str(tmp_path), 1):
        pytest.fail("not interrupted")
    assert exit_code_of(lambda: has_lock(tmp_path)) == 0
    assert os.listdir(tmp_path) == []
