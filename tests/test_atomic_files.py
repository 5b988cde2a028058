"""Files that are replaced: their owner, their mode, and what is refused."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._core.atomic_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_access_is_kept(tmp_path: Path, mode: int) -> None:
    """The new file has the old one's owner and mode, and nobody else can read it before."""
    target = tmp_path / "models.json"
    target.write_bytes(b"old")
    owner = 12_345 if IS_ROOT else os.getuid()
    os.chown(target, owner, owner if IS_ROOT else -1)
    target.chmod(mode)
    seen: list[int] = []

    def parts() -> Iterator[bytes]:
        (temporary,) = [path for path in tmp_path.iterdir() if path != target]
        seen.append(temporary.stat().st_mode)
        yield b"new"

    replace_file(str(target), parts())
    status = target.stat()
    assert (target.read_bytes(), stat.S_IMODE(status.st_mode), status.st_uid) == (b"new", mode, owner)
    assert [stat.S_IMODE(found) & ~mode for found in seen] == [0]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_special_files_are_refused(tmp_path: Path, kind: str) -> None:
    """A pipe, a device or a folder stays what it is, also for ``save``."""
    target = tmp_path / "models.json"
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "folder":
        target.mkdir()
    elif IS_ROOT:
        os.mknod(target, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    else:
        pytest.skip("only root can make devices")
    before = target.lstat()
    with pytest.raises(OSError, match="it is not a regular file"):
        replace_file(str(target), [b"new"])
    with pytest.raises(RegistryFileError):
        ModelRegistry(auto_emit=False).save(target)
    assert target.lstat() == before
    assert list(tmp_path.iterdir()) == [target]
