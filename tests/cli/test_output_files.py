"""Files that commands write: new ones replace nothing, and no part of one remains."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry import ModelRegistry, ModelRegistryError
from spanforge.model_registry._cli.output_files import NewFile, replace_output, write_new_files

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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    """A target that is no file stays what it is, whatever the user may do in its folder."""
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for write in (lambda: replace_output(str(pipe), b"one"), lambda: ModelRegistry().save(pipe)):
        with pytest.raises(ModelRegistryError, match="cannot be written: it is not a regular file"):
            write()
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert os.listdir(tmp_path) == ["pipe.json"]
