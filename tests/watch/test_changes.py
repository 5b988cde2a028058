"""Changes of followed files: what is read, and when."""

from __future__ import annotations

import hashlib
import mmap
import os
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
from support.calls import at_calls
from support.watching import ConfigMap, content, put, settle

from spanforge.model_registry._core import watched_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.watching import Watched

SETTLES = 0.02
"""A short time after which a file counts as settled."""


class TestConfigMap:
    """Files whose links lead through a folder that is swapped."""

    def test_swap_is_found_by_the_next_look(self, watched: Watched, tmp_path: Path) -> None:
        """Each look follows the link again."""
        watched.path.unlink()
        volume = ConfigMap(tmp_path, "models.json")
        volume.swap(content("a"))
        watcher = watched.follow()
        for name in "bcdef":
            volume.swap(content(name))
            watcher.look()
            assert watched.owners == {"m": name}

    @pytest.mark.parametrize("number", range(1, 13))
    def test_swap_during_a_look(self, watched: Watched, two_files: ConfigMap, number: int) -> None:
        """If two files are swapped during a look, it takes both old ones or both new ones."""
        two_files.swap(content("a", "first", "moving"), content("a", "second"))
        watcher = watched.follow(*two_files.files)
        two_files.swap(content("b", "first", "moving"), content("b", "second"))
        later = content("c", "first"), content("c", "second", "moving")
        with at_calls(open, at={number: lambda: two_files.swap(*later)}) as calls:
            while len(calls) < number:
                watcher.look()
                assert set(watched.owners) == {"first", "second", "moving"}
                assert len(set(watched.owners.values())) == 1
        settle(watcher)
        assert watched.owners == {"first": "c", "second": "c", "moving": "c"}

    @pytest.mark.parametrize("number", range(1, 5))
    def test_swap_during_the_start(self, watched: Watched, two_files: ConfigMap, number: int) -> None:
        """When ``start`` returns, two files that were swapped meanwhile are of one version."""
        with at_calls(open, at={number: lambda: two_files.swap_owner("b")}):
            watched.follow(*two_files.files)
        assert watched.owners in ({"first": "a", "second": "a"}, {"first": "b", "second": "b"})

    def test_swap_and_removal_during_a_look(self, watched: Watched, two_files: ConfigMap) -> None:
        """Files that were swapped while they were read, and then removed, are not taken."""
        watcher = watched.follow(*two_files.files)
        two_files.swap_owner("b")
        remove = (two_files.folder / "..data").unlink
        with at_calls(open, at={2: lambda: two_files.swap_owner("c"), 3: remove}):
            watcher.look()
        assert watched.owners == {"first": "a", "second": "a"}
        two_files.swap_owner("d")
        settle(watcher)
        assert watched.owners == {"first": "d", "second": "d"}
        assert watched.lines() == []


class TestWriting:
    """Files that are written while looks read them."""

    def test_replaced_file_is_taken_at_once(self, watched: Watched) -> None:
        """A rename is found by the next look, also if size and time are the same."""
        watcher = watched.follow()
        assert watched.owners == {"m": "a"}
        for name in "bcd":
            new = watched.path.with_name(name)
            new.write_bytes(content(name))
            os.utime(new, ns=(0, watched.path.stat().st_mtime_ns))
            new.rename(watched.path)
            watcher.look()
            assert watched.owners == {"m": name}
        assert watched.lines() == []

    def test_two_files_written_in_turn_are_taken_together(self, watched: Watched) -> None:
        """A model may move between two files that are written one after the other."""
        watcher, one, two = watched.follow_two(content("a", "first", "moving"), content("a", "second"))
        two.write_bytes(content("b", "second", "moving"))
        watcher.look()
        one.write_bytes(content("b", "first"))
        watcher.look()
        assert set(watched.owners.values()) == {"a"}
        watcher.look()
        assert watched.owners == {"first": "b", "second": "b", "moving": "b"}
        assert watched.lines() == []

    def test_half_written_file_is_not_taken(self, watched: Watched) -> None:
        """A file that grows between looks is neither taken nor reported until two looks find the same content."""
        watcher = watched.follow()
        whole = content("b", "m", "n")
        for end in (0, 1, 50, len(whole)):
            watched.path.write_bytes(whole[:end])
            watcher.look()
            assert watched.owners == {"m": "a"}
        watcher.look()
        assert watched.owners == {"m": "b", "n": "b"}
        assert watched.lines() == []

    def test_half_written_new_file_is_not_taken(self, watched: Watched) -> None:
        """The same holds for a file that is removed and written again, as git does, also if a look finds no file."""
        path, watcher = watched.path, watched.follow()
        path.rename(path.with_name("old"))
        path.write_bytes(content("b")[:50])
        watcher.look()
        path.write_bytes(content("b"))
        watcher.look()
        watcher.look()
        assert watched.owners == {"m": "b"}
        path.rename(path.with_name("older"))
        watcher.look()
        path.write_bytes(b"")
        watcher.look()
        path.write_bytes(content("c"))
        watcher.look()
        watcher.look()
        assert watched.owners == {"m": "c"}
        assert watched.lines() == []

    def test_valid_part_of_a_file_is_not_taken(self, watched: Watched) -> None:
        """A file that is valid with fewer models while it is being written is not taken until it is whole."""
        watched.path.write_bytes(content("a", "m", "n", "o"))
        watcher = watched.follow()
        for number in range(1, 4):
            watched.path.write_bytes(content("b", *"mno"[:number]))
            watcher.look()
            assert watched.owners == {"m": "a", "n": "a", "o": "a"}
        watcher.look()
        assert watched.owners == {"m": "b", "n": "b", "o": "b"}


class TestTimes:
    """The times of a file, which show whether it may have changed."""

    def test_same_size_and_time(self, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        """A change that keeps the size and sets the old time is found."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", 0)
        watcher = watched.follow()
        settle(watcher)
        times = watched.path.stat()
        watched.path.write_bytes(content("b"))
        os.utime(watched.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        settle(watcher)
        assert watched.owners == {"m": "b"}

    @pytest.mark.parametrize(
        ("names", "settles", "pause"),
        [("bcd", watched_file.MTIME_GRANULARITY, 0), ("b", SETTLES, 4 * SETTLES)],
        ids=["looks soon after", "looks later than files take to settle"],
    )
    def test_change_without_a_new_time(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch, names: str, settles: float, pause: float
    ) -> None:
        """A change so soon after a look that the file's times stay the same is found by the next looks."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", settles)
        with watched.path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[0] = memory[0]  # from now on the page is dirty, and what is stored there moves no times
            where = memory.find(b'"a"') + 1
            watcher = watched.follow()
            before = watched.path.stat()
            for name in names:
                memory[where] = ord(name)
                if watched.path.stat() != before:
                    pytest.skip("here every change shows in the file's times")
                time.sleep(pause)
                settle(watcher)
                assert watched.owners == {"m": name}

    def test_settled_file_is_not_read(self, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look reads only the times of a file that is old enough for its times to show a change."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", SETTLES)
        watcher = watched.follow()
        read = []
        for number in range(4):
            if number == 3:
                watched.path.touch()
            time.sleep(2 * SETTLES)
            with at_calls(hashlib.sha256) as calls:
                watcher.look()
            read.append(len(calls))
        assert read == [1, 0, 0, 1]

    def test_same_content_changes_nothing(self, watched: Watched) -> None:
        """The registry keeps its entries over a new time, another mode and another file with the same bytes."""
        path, watcher = watched.path, watched.follow()
        watched.registry.register("own", "N", "1", "low", "team", "test")
        before = watched.registry.list_all()
        changes: list[Callable[[], None]] = [path.touch, lambda: path.chmod(0o600), lambda: put(path, content("a"))]
        for change in changes:
            change()
            watcher.look()
            watcher.look()
            assert [id(entry) for entry in watched.registry] == [id(entry) for entry in before]
        assert watched.lines() == []

    def test_look_without_the_file_hides_no_change(
        self, watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A look at which a disk does not answer hides no change from later looks, though no time changes again."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", 0)
        full, empty, link = (tmp_path / name for name in ("full", "empty", "link"))
        full.mkdir()
        empty.mkdir()
        (full / "models.json").write_bytes(content("a"))

        def lead_to(folder: Path) -> None:
            new = tmp_path / "new"
            new.symlink_to(folder)
            new.replace(link)

        lead_to(full)
        watcher = watched.follow(link / "models.json")
        (full / "models.json").write_bytes(content("b"))
        watcher.look()
        with at_calls(open, at={1: lambda: lead_to(empty)}):
            watcher.look()
        lead_to(full)
        settle(watcher)
        assert watched.owners == {"m": "b"}


def test_start_imports_the_yaml_parser(tmp_path: Path) -> None:
    """``start`` imports what reads YAML, also if the file does not exist yet, so that the thread imports nothing."""
    script = """
        import sys
        from spanforge.model_registry import ModelRegistry
        from spanforge.model_registry.watch import FileWatcher
        registry = ModelRegistry()
        FileWatcher(registry, [sys.argv[1]], reload_interval=0).start()
        assert any(name.endswith(".yaml_entries") for name in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "models.yaml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
