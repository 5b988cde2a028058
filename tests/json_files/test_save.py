"""Files that ``save`` writes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.calls import at_calls
from support.json_files import ENTRY, WRITTEN

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core import json_entries

if TYPE_CHECKING:
    from collections.abc import Callable


def test_format(registry: ModelRegistry, path: Path) -> None:
    """A file is an indented JSON array in UTF-8 with a final newline."""
    registry.save(path)
    assert path.read_bytes() == WRITTEN.encode()
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_chunks_do_not_change_the_bytes(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The file is one array however many entries are encoded at once, and it loads."""
    monkeypatch.setattr(json_entries, "ENCODE_CHUNK", 2)
    plain = [{**ENTRY, "model_id": f"m{i}"} for i in range(number)]
    registry = ModelRegistry(auto_emit=False)
    path.write_text(json.dumps(plain))
    registry.load(path)
    registry.save(path)
    assert path.read_text() == json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    registry.load(path)
    assert [entry.to_dict() for entry in registry] == plain


def test_empty_registry(path: Path) -> None:
    """An empty registry is an empty array, and loads as one."""
    ModelRegistry(auto_emit=False).save(path)
    assert path.read_bytes() == b"[]\n"
    other = ModelRegistry(auto_emit=False)
    other.register("m", "N", "1", "low", "team", "test")
    other.load(path)
    assert other.list_all() == []


@pytest.mark.parametrize("kind", [str, Path, lambda path: path.name])
def test_kinds_of_path(
    registry: ModelRegistry, path: Path, kind: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path may be text or a path object, also for loading; a bare name is a file in the working directory."""
    monkeypatch.chdir(path.parent)
    registry.save(kind(path))
    assert path.read_text() == WRITTEN
    before = registry.list_all()
    registry.clear()
    registry.load(kind(path))
    assert registry.list_all() == before


def test_missing_folders(registry: ModelRegistry, tmp_path: Path) -> None:
    """Parent folders that do not exist are created."""
    path = tmp_path / "a" / "b" / "models.json"
    registry.save(path)
    assert path.read_text() == WRITTEN


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o444, 0o666])
def test_mode_is_kept(registry: ModelRegistry, path: Path, mode: int) -> None:
    """A file keeps its mode, whatever the umask."""
    path.write_text("[]")
    path.chmod(mode)
    registry.save(path)
    assert path.read_text() == WRITTEN
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_new_file_has_the_mode_of_the_umask(registry: ModelRegistry, path: Path, umask: int, mode: int) -> None:
    """A new file has the mode that the umask gives it."""
    before = os.umask(umask)
    try:
        registry.save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_content_of_a_private_file_stays_private(registry: ModelRegistry, path: Path) -> None:
    """The content of a private file is never in a file that others may read."""
    path.write_text("[]")
    path.chmod(0o600)
    private: list[bool] = []

    def note(_name: str) -> None:
        found = [item.stat() for item in path.parent.iterdir()]
        private.extend(not item.st_mode & 0o077 or item.st_size == 0 for item in found)

    with at_calls(os.fchmod, os.fsync, os.replace, do=note):
        registry.save(path)
    assert all(private)
    assert len(private) >= 6


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_symbolic_link_is_kept(registry: ModelRegistry, tmp_path: Path, *, absolute: bool, there: bool) -> None:
    """Links stay as they are, and the file at their end has the new content."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "models.json"
    if there:
        target.write_text("[]")
        target.chmod(0o640)
    middle = tmp_path / "middle.json"
    middle.symlink_to(target if absolute else "real/models.json")
    link = tmp_path / "link.json"
    link.symlink_to("middle.json")
    registry.save(link)
    assert os.readlink(link) == "middle.json"
    assert middle.is_symlink()
    assert target.read_text() == WRITTEN
    assert not there or stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.json", "middle.json", "real"]
    assert os.listdir(target.parent) == ["models.json"]


def test_file_and_folder_are_synced(registry: ModelRegistry, path: Path) -> None:
    """The content is synced before the rename, and the folder after it."""
    calls: list[tuple[str, list[str]]] = []

    def note(name: str) -> None:
        calls.append((name, sorted((item.read_text() for item in path.parent.iterdir()), key=len)))

    path.write_text("[]")
    with at_calls(os.fsync, os.replace, do=note):
        registry.save(path)
    assert calls == [("fsync", ["[]", WRITTEN]), ("replace", ["[]", WRITTEN]), ("fsync", [WRITTEN])]
