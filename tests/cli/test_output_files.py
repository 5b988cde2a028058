"""Files that commands write: new ones replace nothing, and no part of one remains."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry import ModelRegistryError
from spanforge.model_registry._cli.output_files import NewFile, write_new_files

if TYPE_CHECKING:
    from pathlib import Path


def test_new_files_replace_nothing(tmp_path: Path) -> None:
    """A file that exists is an error and stays; so is a folder that does not exist. The other file is not written."""
    old, new, lost = (str(tmp_path / name) for name in ("old", "new", "nowhere/lost"))
    write_new_files(NewFile(old, b"one", 0o600))
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o600
    with pytest.raises(ModelRegistryError, match="old: exists already, and is never overwritten; choose another name"):
        write_new_files(NewFile(new, b"two"), NewFile(old, b"two"))
    with pytest.raises(ModelRegistryError, match="lost: cannot be written: No such file or directory"):
        write_new_files(NewFile(new, b"two"), NewFile(lost, b"two"))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, no part of the file remains."""

    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ModelRegistryError, match="cannot be written: No space left on device"):
        write_new_files(NewFile(str(tmp_path / "models.yaml"), b"one"))
    assert list(tmp_path.iterdir()) == []
