"""Files that are no regular files: they are refused at once, and nothing waits for them."""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.watching import wait_until

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry.calendar import Calendar
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

IS_LINUX = sys.platform == "linux"


def make_device(path: Path) -> None:
    """Make a node of ``/dev/zero``, or a link to it if this user may not."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def make_socket(path: Path) -> None:
    """Make a socket by a short relative name, because the system limits the length."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


def link_to(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "device": make_device,
    "terminal": link_to("/dev/tty"),
    "random numbers": link_to("/dev/urandom"),
    "folder": lambda path: path.mkdir(),
    "link to itself": lambda path: path.symlink_to(path.name),
}
if IS_LINUX:
    SPECIAL |= {
        "messages of the kernel": link_to("/proc/kmsg"),  # reading it waits for a message
        "memory of the process": link_to("/proc/self/mem"),
        "pages of the process": link_to("/proc/self/pagemap"),  # it has no end
        "memory of the kernel": link_to("/proc/kcore"),
        "standard input that is a pipe": lambda path: path.symlink_to(f"/proc/self/fd/{PIPE[0]}"),
    }
    PIPE = os.pipe()


@pytest.mark.skipif(os.name != "posix", reason="there are no special files")
@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_file_is_an_error_at_once(tmp_path: Path, kind: str, ending: str) -> None:
    """``load``, a calendar and a watcher refuse it without waiting; nothing changes, and no descriptor stays open."""
    path = tmp_path / f"models.{ending}"
    SPECIAL[kind](path)
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "M", "1", "low", "team", "a test")
    descriptors = len(os.listdir("/dev/fd"))
    for load in (registry.load, Calendar.load):
        with pytest.raises(RegistryFileError) as caught:
            load(path)
        assert str(caught.value).startswith(str(path))
    watcher = FileWatcher(registry, [os.path.join(path, "")[:-1]], reload_interval=0)
    if kind != "folder":  # a watcher follows folders
        watcher.start()
        wait_until(lambda: any(state.error for state in watcher.states()))  # a read that waits would never end
        watcher.stop()
    assert len(os.listdir("/dev/fd")) == descriptors
    assert [entry.model_id for entry in registry] == ["m"]


@pytest.mark.skipif(not IS_LINUX, reason="there is no /proc")
def test_file_by_its_descriptor(tmp_path: Path) -> None:
    """A regular file may be read by another name, as standard input is."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "M", "1", "low", "team", "a test")
    registry.save(tmp_path / "models.json")
    with open(tmp_path / "models.json", "rb") as file:
        other = ModelRegistry(auto_emit=False)
        other.load(f"/proc/self/fd/{file.fileno()}")
    assert other.list_all() == registry.list_all()
