"""Files that cannot be written: the old file stays, and no other file is left."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Any

import pytest
from support.calls import at_calls
from support.json_files import WRITTEN
from support.permissions import without_privileges

from spanforge.model_registry import ModelRegistry, RegistryFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("function", [os.fchmod, os.fsync, os.replace], ids=lambda function: function.__name__)
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_failure_at_any_step(
    registry: ModelRegistry, path: Path, function: Callable[..., Any], error: BaseException
) -> None:
    """If a step fails or is interrupted, the old file stays and no temporary file is left."""

    def fail(_name: str) -> None:
        raise error

    path.write_text("[]")
    expected = RegistryFileError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected), at_calls(function, do=fail):
        registry.save(path)
    assert path.read_text() == "[]"
    assert os.listdir(path.parent) == [path.name]


def test_folder_that_cannot_be_synced(registry: ModelRegistry, path: Path) -> None:
    """The error says that the file is written but may not survive a power failure."""
    calls = []

    def fail(name: str) -> None:
        calls.append(name)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")

    path.write_text("[]")
    said = "is written, but may not survive a power failure: its folder cannot be synced: Input/output error"
    with pytest.raises(RegistryFileError, match=said), at_calls(os.fsync, do=fail):
        registry.save(path)
    assert path.read_text() == WRITTEN
    assert os.listdir(path.parent) == [path.name]


def test_full_disk(registry: ModelRegistry, path: Path) -> None:
    """If the new content does not fit, the old file stays."""
    path.write_text("[]")
    registry.register("big", "N", "1", "low", "team", "test", metadata={"pad": "x" * 50_000})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(RegistryFileError, match="cannot be written: File too large") as caught:
            registry.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.path, caught.value.index) == (str(path), None)
    assert path.read_text() == "[]"
    assert os.listdir(path.parent) == [path.name]


def test_read_only_folder(registry: ModelRegistry, open_folder: Path) -> None:
    """In a read-only folder the old file stays."""
    path = open_folder / "models.json"
    path.write_text("[]")
    path.chmod(0o666)
    open_folder.chmod(0o555)
    with without_privileges(), pytest.raises(RegistryFileError, match="cannot be written: Permission denied"):
        registry.save(path)
    open_folder.chmod(0o755)
    assert path.read_text() == "[]"
    assert os.listdir(open_folder) == ["models.json"]


def test_folder_that_may_not_be_listed(registry: ModelRegistry, open_folder: Path) -> None:
    """In a folder that cannot be opened, a save either works or changes nothing."""
    path = open_folder / "models.json"
    path.write_text("[]")
    open_folder.chmod(0o333)
    expected = WRITTEN
    with without_privileges():
        try:
            registry.save(path)
        except RegistryFileError:
            expected = "[]"
    open_folder.chmod(0o755)
    assert path.read_text() == expected


@pytest.mark.parametrize("name", ["folder", "file/models.json", "loop", "with\0null"])
def test_impossible_path(registry: ModelRegistry, tmp_path: Path, name: str) -> None:
    """A path at which no file can be is an error, and nothing is left."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RegistryFileError, match="cannot be written"):
        registry.save(f"{tmp_path}/{name}")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "loop"]
    assert (tmp_path / "file").read_text() == "kept"
    assert os.listdir(tmp_path / "folder") == []


def test_longest_name(registry: ModelRegistry, tmp_path: Path) -> None:
    """A file may have the longest name that the file system allows."""
    path = tmp_path / ("x" * 250 + ".json")
    registry.save(path)
    assert path.read_text() == WRITTEN
