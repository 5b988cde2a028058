"""``save`` over a file that others changed: nothing is lost without a word."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from support.json_files import ENTRY

from spanforge.model_registry import ModelRegistry, RegistryFileChangedError, RegistryFileError
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import read_source
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "load it and repeat your changes, or pass overwrite=True"


def fill(registry: ModelRegistry, *model_ids: str) -> ModelRegistry:
    for model_id in model_ids:
        registry.register(model_id, "N", "1", "low", "team-a", "test")
    return registry


def new_registry(*model_ids: str) -> ModelRegistry:
    return fill(ModelRegistry(auto_emit=False), *model_ids)


def load_registry_from(path: Path) -> ModelRegistry:
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    return registry


def refuse_save(registry: ModelRegistry, path: Path) -> str:
    """Return the reason for which a save is refused; the file stays."""
    before = path.read_bytes()
    with pytest.raises(RegistryFileChangedError) as caught:
        registry.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    return caught.value.reason


def test_a_file_that_changed_since_it_was_loaded(path: Path) -> None:
    """The error names what only the file has. After another load, or with ``overwrite``, the save works."""
    new_registry("a", "b").save(path)
    first, second = load_registry_from(path), load_registry_from(path)
    fill(first, "c").retire("b")
    first.save(path)
    fill(second, "d")
    lost = "; only the file has 'c', retired 'b'"
    assert refuse_save(second, path) == f"has changed since this registry loaded or saved it{lost}; {REMEDY}"
    second.load(path)
    fill(second, "d").save(path)
    assert [entry.model_id for entry in load_registry_from(path)] == ["a", "b", "c", "d"]
    first.save(path, overwrite=True)
    assert [entry.model_id for entry in load_registry_from(path)] == ["a", "b", "c"]


def test_a_file_that_changed_since_it_was_saved(path: Path) -> None:
    """A change in place is seen at once, even if the size stays the same; without a change, saves go on."""
    registry = new_registry("a")
    registry.save(path)
    fill(registry, "b").save(path)
    for team in ("team-b", "team-c"):
        path.write_text(path.read_text().replace(registry.list_all()[0].owner, team))
        assert refuse_save(registry, path) == f"has changed since this registry loaded or saved it; {REMEDY}"
        registry.load(path)
    path.write_bytes(path.read_bytes())
    registry.save(path)
    path.unlink()
    registry.save(path)
    assert load_registry_from(path).list_all() == registry.list_all()


def test_a_file_that_was_only_touched_or_copied(path: Path) -> None:
    """After a save and after a load, a file with the same content has not changed, whatever its time and inode are."""
    registry = new_registry()
    registry.save(path)
    for number in range(2):
        os.utime(path, (1, 1))
        fill(registry, f"touched-{number}").save(path)
        os.replace(shutil.copyfile(path, path.with_suffix(".copy")), path)
        fill(registry, f"copied-{number}").save(path)
        registry = load_registry_from(path)
        assert len(registry) == 2 * number + 2


def test_a_file_that_was_never_loaded(path: Path) -> None:
    """It is replaced if no model and no retirement is lost: a script that saves can run twice."""
    new_registry("a").save(path)
    new_registry("b", "a").save(path)
    assert refuse_save(new_registry("a"), path) == f"was never loaded by this registry; only the file has 'b'; {REMEDY}"
    retired = load_registry_from(path)
    retired.retire("a")
    retired.save(path)
    reason = refuse_save(new_registry("a", "b"), path)
    assert reason == f"was never loaded by this registry; only the file has retired 'a'; {REMEDY}"
    many = new_registry(*(f"m{i}" for i in range(1_234)))
    path.write_bytes(b"[]")
    many.save(path)
    assert "only the file has 'm0', 'm1', 'm2' and 1,231 more" in refuse_save(new_registry("a"), path)


def test_a_file_that_is_no_registry(path: Path) -> None:
    """A file that no registry wrote is not overwritten; neither is one that is not regular."""
    path.write_text("notes")
    reason = "is not a valid registry file, so it is not replaced; remove it, or pass overwrite=True"
    assert refuse_save(new_registry("a"), path) == reason
    new_registry("a").save(path, overwrite=True)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RegistryFileError, match="cannot be written: it is not a regular file"):
        new_registry("a").save(path, overwrite=True)


def test_a_followed_file(path: Path) -> None:
    """A registry that follows a file may save to it, until the file has a change that is not in force yet."""
    path.write_text(json.dumps([ENTRY]))
    registry = ModelRegistry(auto_emit=False)
    watcher = FileWatcher(registry, [str(path)], reload_interval=1_000)
    watcher.start()
    watcher.stop()
    fill(registry, "b").save(path)
    changed = load_registry_from(path)
    fill(changed, "c").save(path)
    assert "only the file has 'c'" in refuse_save(registry, path)
    entries, source = read_source(path)
    replace_file_entries(registry, entries, [source])
    fill(registry, "d").save(path)
    assert len(load_registry_from(path)) == 4


def change_many_times(path: Path, name: str, number: int) -> None:
    """Load, register and save, and repeat each change that another process made impossible."""
    for i in range(number):
        while True:
            try:
                fill(load_registry_from(path), f"{name}-{i}").save(path)
                break
            except RegistryFileChangedError:
                continue


@pytest.mark.slow
def test_processes_that_repeat_their_changes_lose_nothing(path: Path) -> None:
    """Three processes load, register and save at once; all their models are in the file."""
    path.write_text("[]")
    children = []
    for name in ("first", "second"):
        children.append(os.fork())
        if children[-1] == 0:
            change_many_times(path, name, 15)
            os._exit(0)
    change_many_times(path, "third", 15)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert len(load_registry_from(path)) == 3 * 15
