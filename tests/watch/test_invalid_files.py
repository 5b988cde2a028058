"""Invalid files: which entries stay in force, and what is logged."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.permissions import without_privileges
from support.watching import LONG, UNREGISTERED, Watched, cannot_load, content, put, settle, valid_again

from spanforge.model_registry import RegistryFileError, watch
from spanforge.model_registry._core import storage
from spanforge.model_registry._core.settings import MAX_FILE_SIZE
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from collections.abc import Callable

PIPE = "cannot be read: it is not a regular file"
EMPTY_FOLDER = "no file in this folder has a name that ends in .json, .yaml or .yml"
TOO_LARGE = f"is larger than 1,024 bytes; to read it, raise {MAX_FILE_SIZE.variable}"
CHANGES: dict[str, tuple[Callable[[Path], object], str | None]] = {
    "missing": (lambda _: None, "no such file"),
    "folder": (Path.mkdir, EMPTY_FOLDER),
    "pipe": (os.mkfifo, PIPE),
    "device": (lambda path: path.symlink_to("/dev/null"), PIPE),
    "link to itself": (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    "broken disk": (lambda path: path.symlink_to("/proc/self/mem"), "cannot be read: Input/output error"),
    "too large": (
        lambda path: path.write_bytes(b" " * 1_025),
        TOO_LARGE,
    ),
    "empty": (Path.touch, None),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), None),
    "half": (lambda path: path.write_bytes(content("b")[:50]), None),
    "no owner": (lambda path: path.write_bytes(content("")), None),
    "a model twice": (lambda path: path.write_bytes(content("b", "m", "m")), None),
}
"""What may take the place of a file, and the reason in the line; ``None``: the reason that a load gives."""


@pytest.fixture(params=CHANGES.values(), ids=CHANGES)
def spoil(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], str]:
    """Return a function that makes a file invalid and returns the reason."""
    monkeypatch.setenv(MAX_FILE_SIZE.variable, "1024")
    change, reason = request.param
    if reason == "cannot be read: Input/output error" and not Path("/proc/self/mem").exists():
        pytest.skip("no file here can be opened and not be read")

    def spoil(path: Path) -> str:
        path.unlink()
        change(path)
        if reason is not None:
            return f": {reason}"
        copy = tmp_path / "copy.json"
        shutil.copy(path, copy)
        with pytest.raises(RegistryFileError) as caught:
            storage.read_entries(copy)
        return str(caught.value).removeprefix(str(copy))

    return spoil


def repair(path: Path, owner: str) -> None:
    """Put a valid file in the place of an invalid one."""
    if path.is_dir():
        path.rmdir()
    put(path, content(owner))


def test_previous_entries_stay_in_force(watched: Watched, spoil: Callable[[Path], str]) -> None:
    """A file that becomes invalid is logged at the second look, only the first time, and again when it is valid."""
    watcher = watched.follow()
    for owner, is_first in (("b", True), ("c", False), ("d", False)):
        reason = spoil(watched.path)
        watcher.look()
        assert watched.lines() == []
        watcher.look()
        watcher.look()
        assert watched.owners.keys() == {"m"}
        assert watched.lines() == ([cannot_load(watched.path, reason)] if is_first else [])
        repair(watched.path, owner)
        settle(watcher)
        assert watched.owners == {"m": owner}
        assert watched.lines() == [valid_again(watched.path)]


def test_invalid_at_the_start(watched: Watched, spoil: Callable[[Path], str]) -> None:
    """A file that is invalid at the start is logged at once, and followed."""
    reason = spoil(watched.path)
    watcher = watched.follow()
    assert watched.lines() == [cannot_load(watched.path, reason, UNREGISTERED)]
    assert watched.owners == {}
    repair(watched.path, "b")
    settle(watcher)
    assert watched.owners == {"m": "b"}
    assert watched.lines() == [valid_again(watched.path)]


def test_named_pipe_blocks_nothing(watched: Watched) -> None:
    """A named pipe without a writer blocks neither looks nor ``stop``, and is not left open."""
    watcher = watched.follow(interval=100)
    watched.path.unlink()
    os.mkfifo(watched.path)
    before = len(os.listdir("/dev/fd"))
    for action in (*[watcher.look] * 10, watcher.stop):
        thread = threading.Thread(target=action, daemon=True)
        thread.start()
        thread.join(LONG)
        assert not thread.is_alive()
    assert len(os.listdir("/dev/fd")) == before
    assert watched.owners == {"m": "a"}


def test_too_large_file_is_not_read(watched: Watched) -> None:
    """A file that is too large takes no memory."""
    watcher = watched.follow()
    os.truncate(watched.path, 2 * MAX_FILE_SIZE.default)
    tracemalloc.start()
    settle(watcher)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
    assert len(watched.lines()) == 1


def test_file_without_permission(watched: Watched) -> None:
    """A file that may not be read is invalid, and is read when the permission is there."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)  # a folder that any user can reach
        path = Path(name, "models.json")
        path.write_bytes(content("a"))
        watcher = watched.follow(path)
        path.chmod(0)
        with without_privileges():
            watcher.look()
            watcher.look()
        assert watched.lines() == [cannot_load(path, ": cannot be read: Permission denied")]
        path.chmod(0o644)
        settle(watcher)
        assert watched.lines() == [valid_again(path)]
        assert watched.owners == {"m": "a"}


def test_impossible_name(watched: Watched) -> None:
    """A path that the system refuses is invalid, and another file is read."""
    watched.follow(Path("with\0null"), watched.path)
    assert watched.lines() == [cannot_load(r"with\x00null", ": cannot be read: embedded null byte", UNREGISTERED)]
    assert watched.owners == {"m": "a"}


def test_each_error_is_logged_once(watched: Watched) -> None:
    """Errors that differ have a line each; the same error about other content has none."""
    path, watcher = watched.path, watched.follow()
    for text in (b"", b"null", b"5", b"null ", b" ", b"6", b""):
        path.write_bytes(text)
        settle(watcher)
    assert watched.lines() == [
        cannot_load(path, ", line 1, column 1: is not valid JSON: Expecting value; the file is empty"),
        cannot_load(path, ": must be a JSON array of entries; got null"),
        cannot_load(path, ": must be a JSON array of entries; got a number"),
        cannot_load(path, ", line 1, column 2: is not valid JSON: Expecting value; the file is empty"),
    ]


def test_one_invalid_file_of_two(watched: Watched) -> None:
    """The entries of an invalid file stay, and a change of another file is taken."""
    watcher, one, two = watched.follow_two(content("a", "first"), content("a", "second"))
    put(one, b"null")
    settle(watcher)
    put(two, content("b", "second"))
    watcher.look()
    assert watched.owners == {"first": "a", "second": "b"}
    one.unlink()
    two.write_bytes(content("c", "second"))
    settle(watcher)
    assert watched.owners == {"first": "a", "second": "c"}
    put(one, content("d", "first"))
    settle(watcher)
    assert watched.owners == {"first": "d", "second": "c"}
    assert watched.lines() == [
        cannot_load(one, ": must be a JSON array of entries; got null"),
        cannot_load(one, ": no such file"),
        valid_again(one),
    ]


def test_model_in_two_files(watched: Watched) -> None:
    """A model in two files is an error that names both; the previous entries of both files stay in force."""
    watcher, one, two = watched.follow_two(content("a", "first"), content("a", "second"))
    for name in "bc":
        put(two, content(name, "second", "first"))
        watcher.look()
        watcher.look()
        assert watched.owners == {"first": "a", "second": "a"}
    text = f"model 'first' is in both {one} and {two}; the previous entries of all files stay in force"
    assert watched.lines() == [f"warning: model registry: {text}"]
    put(one, content("d", "third"))
    watcher.look()
    assert watched.owners == {"third": "d", "second": "c", "first": "c"}
    assert watched.lines() == []


def test_model_in_two_files_at_the_start(watched: Watched) -> None:
    """The models are unregistered as long as both files have one."""
    watcher, _, two = watched.follow_two(content("a"), content("a"))
    assert len(watched.lines()) == 1
    assert watched.owners == {}
    put(two, b"[]")
    watcher.look()
    assert watched.owners == {"m": "a"}


def test_registry_that_fails(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the registry itself fails, one line says so, and each further look tries again."""
    fails = [True]

    def replace_or_fail(registry: Any, entries: Any, sources: Any) -> None:
        if fails:
            raise MemoryError
        replace_file_entries(registry, entries, sources)

    monkeypatch.setattr(watch, "replace_file_entries", replace_or_fail)
    watcher = watched.follow()
    watcher.look()
    assert watched.lines() == [
        "warning: model registry: cannot read the registry files, so the previous entries stay in force: MemoryError()"
    ]
    fails.clear()
    watcher.look()
    assert watched.owners == {"m": "a"}
