"""Live updates: how a registry follows its files, whatever is done to them."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import logging
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tracemalloc
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import ModelRegistry, RegistryFileError, get_default_registry, watch
from spanforge.model_registry._core import storage, watched_file
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Follow = Callable[..., FileWatcher]
    Lines = Callable[[], list[str]]

LONG = 5.0
"""Seconds that a test waits for what is to come at any moment."""
SLACK = 0.4
"""Seconds that a busy machine may be late."""
SETTLES = 0.02
"""A file is taken for settled sooner than in earnest, where a test waits for that."""


def content(owner: str, *model_ids: str) -> bytes:
    """Return a file of models of one owner; as long for each owner whose name is as long."""
    fields = {"name": "N", "version": "1", "risk_tier": "low", "owner": owner, "purpose": "test"}
    return json.dumps([{"model_id": model_id, **fields} for model_id in model_ids or ("m",)]).encode()


def put(path: Path, data: bytes) -> None:
    """Have a file hold something all at once: by another file that takes its place."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def owners(registry: ModelRegistry) -> dict[str, str]:
    return {entry.model_id: entry.owner for entry in registry}


def owner(registry: ModelRegistry) -> str | None:
    """Return the owner of the model that most tests are about."""
    entry = registry.get("m")
    return None if entry is None else entry.owner


def wait_until(condition: Callable[[], Any], seconds: float = LONG) -> None:
    """Wait for something to become true, and fail if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def settle(watcher: FileWatcher) -> None:
    """Look so often that whatever a file holds is taken, or complained of."""
    for _ in range(3):
        watcher.look()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "model-registry-files"]


@contextlib.contextmanager
def at_calls(
    function: Callable[..., Any], actions: dict[int, Callable[[], None]] | None = None
) -> Iterator[list[None]]:
    """Do something just before the first, second, … call of a function that is written in C; count the calls."""
    calls: list[None] = []

    def observe(_frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and called is function:
            calls.append(None)
            if actions and len(calls) in actions:
                sys.setprofile(None)
                actions[len(calls)]()
                sys.setprofile(observe)

    before = sys.getprofile()
    sys.setprofile(observe)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@contextlib.contextmanager
def handled(handle: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Have every log record of the library given to a function."""
    handler = logging.Handler()
    handler.emit = handle  # type: ignore[assignment, method-assign]
    logger = logging.getLogger("spanforge.model_registry")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Volume:
    """A folder as Kubernetes mounts a ConfigMap: each file leads through ``..data``, which is swapped all at once."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.number = folder, 0
        self.files = tuple(folder / name for name in names)
        for file in self.files:
            file.symlink_to(f"..data/{file.name}")

    def swap(self, *contents: bytes) -> None:
        """Have each file hold something else, all at the same instant."""
        self.number += 1
        fresh, new = self.folder / f"..{self.number}", self.folder / "..data_tmp"
        fresh.mkdir()
        for file, data in zip(self.files, contents, strict=True):
            (fresh / file.name).write_bytes(data)
        new.symlink_to(fresh.name)
        new.replace(self.folder / "..data")
        shutil.rmtree(self.folder / f"..{self.number - 1}", ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_other_threads() -> None:
    """Wait for what earlier tests left behind."""
    wait_until(lambda: not threads())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file of one model, whose owner is ``a``."""
    path = tmp_path / "models.json"
    path.write_bytes(content("a"))
    return path


@pytest.fixture
def registry() -> ModelRegistry:
    """Give an empty registry."""
    return ModelRegistry(auto_emit=False)


@pytest.fixture
def follow(registry: ModelRegistry) -> Follow:
    """Give what starts to follow files; without an interval they are only looked at when a test says so."""

    def start(*paths: Path, interval: int = 0, registry: ModelRegistry = registry) -> FileWatcher:
        watcher = FileWatcher(registry, map(str, paths), reload_interval=interval)
        watcher.start()
        return watcher

    return start


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give a function that returns what the library has logged since it was last asked, but for details."""
    caplog.set_level(logging.INFO, "spanforge.model_registry")

    def logged() -> list[str]:
        records = [record for record in caplog.records if record.name == "spanforge.model_registry"]
        caplog.clear()
        return [f"{record.levelname.lower()}: {record.getMessage()}" for record in records]

    return logged


class TestChanges:
    """What is taken of a file that changes, and when."""

    def test_it_is_read_at_once(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """When ``start`` returns, the registry knows what the file holds."""
        follow(path)
        assert owners(registry) == {"m": "a"}

    def test_another_file_takes_its_place(
        self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines
    ) -> None:
        """After a rename the next look finds the new content, also of the same size and with the same time."""
        watcher = follow(path)
        for name in "bcd":
            new = path.with_name(name)
            new.write_bytes(content(name))
            os.utime(new, ns=(0, path.stat().st_mtime_ns))
            new.rename(path)
            watcher.look()
            assert owners(registry) == {"m": name}
        assert lines() == []

    def test_a_config_map(self, registry: ModelRegistry, tmp_path: Path, follow: Follow) -> None:
        """A link is followed anew each time: the swap of a folder that it leads through is found by the next look."""
        volume = Volume(tmp_path, "models.json")
        volume.swap(content("a"))
        watcher = follow(*volume.files)
        for name in "bcdef":
            volume.swap(content(name))
            watcher.look()
            assert owners(registry) == {"m": name}

    @pytest.mark.parametrize("number", range(1, 13))
    def test_a_config_map_swapped_while_it_is_read(
        self, registry: ModelRegistry, tmp_path: Path, follow: Follow, number: int
    ) -> None:
        """Whenever two files are swapped during a look, it takes both as they were, or both as they are."""
        volume = Volume(tmp_path, "one.json", "two.json")
        volume.swap(content("a", "first", "moving"), content("a", "second"))
        watcher = follow(*volume.files)
        volume.swap(content("b", "first", "moving"), content("b", "second"))
        later = content("c", "first"), content("c", "second", "moving")
        with at_calls(open, {number: lambda: volume.swap(*later)}) as calls:
            while len(calls) < number:
                watcher.look()
                assert set(owners(registry)) == {"first", "second", "moving"}
                assert len(set(owners(registry).values())) == 1
        settle(watcher)
        assert owners(registry) == {"first": "c", "second": "c", "moving": "c"}

    @pytest.mark.parametrize("number", range(1, 5))
    def test_a_config_map_swapped_at_the_start(
        self, registry: ModelRegistry, tmp_path: Path, follow: Follow, number: int
    ) -> None:
        """Files that are swapped while they are first read are all the same in force when ``start`` returns."""
        volume = Volume(tmp_path, "one.json", "two.json")
        volume.swap(content("a", "first"), content("a", "second"))
        with at_calls(open, {number: lambda: volume.swap(content("b", "first"), content("b", "second"))}):
            follow(*volume.files)
        assert set(owners(registry)) == {"first", "second"}
        assert len(set(owners(registry).values())) == 1

    def test_a_config_map_swapped_and_gone(
        self, registry: ModelRegistry, tmp_path: Path, follow: Follow, lines: Lines
    ) -> None:
        """Two files that are swapped while they are read, and then gone, are not taken as they were read."""
        volume = Volume(tmp_path, "one.json", "two.json")
        volume.swap(content("a", "first"), content("a", "second"))
        watcher = follow(*volume.files)
        volume.swap(content("b", "first"), content("b", "second"))
        swap = {
            2: lambda: volume.swap(content("c", "first"), content("c", "second")),
            3: (tmp_path / "..data").unlink,
        }
        with at_calls(open, swap):
            watcher.look()
        assert owners(registry) == {"first": "a", "second": "a"}
        volume.swap(content("d", "first"), content("d", "second"))
        settle(watcher)
        assert owners(registry) == {"first": "d", "second": "d"}
        assert lines() == []

    def test_a_config_map_swapped_all_the_time(
        self,
        registry: ModelRegistry,
        tmp_path: Path,
        follow: Follow,
        lines: Lines,
    ) -> None:
        """Under hundreds of swaps the two files are of one version after each look, and nothing is complained of."""
        volume = Volume(tmp_path, "one.json", "two.json")
        volume.swap(content("0", "first"), content("0", "second"))
        watcher = follow(*volume.files)
        seen: set[str] = set()

        def swap() -> None:
            for number in range(1, 301):
                volume.swap(content(f"{number}", "first"), content(f"{number}", "second"))

        thread = threading.Thread(target=swap)
        thread.start()
        while thread.is_alive():
            watcher.look()
            found = owners(registry)
            assert set(found) == {"first", "second"}
            assert len(set(found.values())) == 1
            seen.add(found["first"])
        settle(watcher)
        assert owners(registry) == {"first": "300", "second": "300"}
        assert len(seen) > 5
        assert lines() == []

    def test_two_files_written_in_their_places(
        self,
        registry: ModelRegistry,
        tmp_path: Path,
        follow: Follow,
        lines: Lines,
    ) -> None:
        """When files are written one soon after the other, what is taken is both: a model may move between them."""
        one, two = tmp_path / "one.json", tmp_path / "two.json"
        one.write_bytes(content("a", "first", "moving"))
        two.write_bytes(content("a", "second"))
        watcher = follow(one, two)
        two.write_bytes(content("b", "second", "moving"))
        watcher.look()
        one.write_bytes(content("b", "first"))
        watcher.look()
        assert set(owners(registry).values()) == {"a"}
        watcher.look()
        assert owners(registry) == {"first": "b", "second": "b", "moving": "b"}
        assert lines() == []

    def test_half_of_a_file(self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines) -> None:
        """What is half written is neither taken nor complained of if it is whole at the next look but one."""
        watcher = follow(path)
        whole = content("b", "m", "n")
        for end in (0, 1, 50, len(whole)):
            path.write_bytes(whole[:end])
            watcher.look()
            assert owners(registry) == {"m": "a"}
        watcher.look()
        assert owners(registry) == {"m": "b", "n": "b"}
        assert lines() == []

    def test_half_of_a_new_file(self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines) -> None:
        """It is the same when the file is removed and written anew, as git does it, or is gone for a moment."""
        watcher = follow(path)
        whole = content("b")
        path.rename(path.with_name("old"))
        path.write_bytes(whole[:50])
        watcher.look()
        path.write_bytes(whole)
        watcher.look()
        watcher.look()
        assert owners(registry) == {"m": "b"}
        path.rename(path.with_name("older"))
        watcher.look()
        path.write_bytes(b"")
        watcher.look()
        path.write_bytes(content("c"))
        watcher.look()
        watcher.look()
        assert owners(registry) == {"m": "c"}
        assert lines() == []

    def test_a_valid_file_that_is_still_written_to(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """A file that holds fewer models for as long as it is being written is not taken until it is whole."""
        path.write_bytes(content("a", "m", "n", "o"))
        watcher = follow(path)
        for number in range(1, 4):
            path.write_bytes(content("b", *"mno"[:number]))
            watcher.look()
            assert owners(registry) == {"m": "a", "n": "a", "o": "a"}
        watcher.look()
        assert owners(registry) == {"m": "b", "n": "b", "o": "b"}

    def test_writing_takes_long(self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines) -> None:
        """The thread takes a file that is written to for longer than the interval when it is whole, and only then."""
        follow(path, interval=200)
        seen: list[dict[str, str]] = []
        whole = content("b", *(f"model {number}" for number in range(40)))
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(whole), 200):
                file.write(whole[start : start + 200])
                seen.append(owners(registry))
                time.sleep(0.02)
        wait_until(lambda: owners(registry) != {"m": "a"}, 0.2 + SLACK)
        assert len(owners(registry)) == 40
        assert seen == [{"m": "a"}] * len(seen)
        assert lines() == []

    def test_same_size_and_same_time(
        self, registry: ModelRegistry, path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file written in its place with as many bytes, and given its old time, is found all the same."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", 0)
        watcher = follow(path)
        settle(watcher)
        times = path.stat()
        path.write_bytes(content("b"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        settle(watcher)
        assert owners(registry) == {"m": "b"}

    @pytest.mark.parametrize(
        ("names", "settles", "pause"),
        [("bcd", watched_file.MTIME_GRANULARITY, 0), ("b", SETTLES, 4 * SETTLES)],
        ids=["looks soon after", "looks later than files take to settle"],
    )
    def test_no_sign_of_a_change(  # noqa: PLR0913 - fixtures
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        monkeypatch: pytest.MonkeyPatch,
        names: str,
        settles: float,
        pause: float,
    ) -> None:
        """Changes so soon after a look that the file's times are the same are found by the next ones."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", settles)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            memory[0] = memory[0]  # from now on the page is dirty, and what is stored there moves no times
            where = memory.find(b'"a"') + 1
            watcher = follow(path)
            before = path.stat()
            for name in names:
                memory[where] = ord(name)
                if path.stat() != before:
                    pytest.skip("here every change shows in the file's times")
                time.sleep(pause)
                settle(watcher)
                assert owners(registry) == {"m": name}

    def test_a_file_that_stays_is_not_read(self, path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
        """Once so much time has passed that a change would show, a look at a file asks for its times only."""
        monkeypatch.setattr(watched_file, "MTIME_GRANULARITY", SETTLES)
        watcher = follow(path)
        read = []
        for number in range(4):
            if number == 3:
                path.touch()
            time.sleep(2 * SETTLES)
            with at_calls(hashlib.sha256) as calls:
                watcher.look()
            read.append(len(calls))
        assert read == [1, 0, 0, 1]

    def test_nothing_has_changed(self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines) -> None:
        """A new time, another mode, another file with the same bytes: the registry is left alone."""
        watcher = follow(path)
        state = registry._state
        changes: list[Callable[[], None]] = [path.touch, lambda: path.chmod(0o600), lambda: put(path, content("a"))]
        for change in changes:
            change()
            watcher.look()
            watcher.look()
            assert registry._state is state
        assert lines() == []

    def test_a_moment_without_the_file(
        self,
        registry: ModelRegistry,
        tmp_path: Path,
        follow: Follow,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A disk that does not answer at one look hides no change from those after it, though no time moves again."""
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
        watcher = follow(link / "models.json")
        (full / "models.json").write_bytes(content("b"))
        watcher.look()
        with at_calls(open, {1: lambda: lead_to(empty)}):
            watcher.look()
        lead_to(full)
        for _ in range(3):
            watcher.look()
        assert owners(registry) == {"m": "b"}


class TestBadFiles:
    """What stays in force, and what is logged, when a file is bad."""

    @staticmethod
    def missing(path: Path) -> None:
        path.unlink()

    @staticmethod
    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    @staticmethod
    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    @staticmethod
    def link_to_itself(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.name)

    @staticmethod
    def broken_disk(path: Path) -> None:
        if not Path("/proc/self/mem").exists():
            pytest.skip("no file here can be opened and not be read")
        path.unlink()
        path.symlink_to("/proc/self/mem")

    @staticmethod
    def no_device(path: Path) -> None:
        path.unlink()
        path.symlink_to("/dev/null")

    @staticmethod
    def too_large(path: Path) -> None:
        path.write_bytes(b" " * (storage.MAX_FILE_SIZE + 1))

    @staticmethod
    def empty(path: Path) -> None:
        path.write_bytes(b"")

    @staticmethod
    def binary(path: Path) -> None:
        path.write_bytes(bytes(range(256)))

    @staticmethod
    def half(path: Path) -> None:
        path.write_bytes(content("b")[:50])

    @staticmethod
    def owner_left_out(path: Path) -> None:
        path.write_bytes(content(""))

    @staticmethod
    def twice(path: Path) -> None:
        put(path, content("b", "m", "m"))

    BAD = (
        (missing, "no such file"),
        (folder, "cannot be read: it is not a regular file"),
        (pipe, "cannot be read: it is not a regular file"),
        (no_device, "cannot be read: it is not a regular file"),
        (link_to_itself, "cannot be read: Too many levels of symbolic links"),
        (broken_disk, "cannot be read: Input/output error"),
        (too_large, "is larger than 1,000 bytes"),
        (empty, ""),
        (binary, ""),
        (half, ""),
        (owner_left_out, ""),
        (twice, ""),
    )

    @pytest.mark.parametrize(("spoil", "reason"), BAD, ids=lambda value: getattr(value, "__name__", ""))
    def test_the_last_good_state_stays(  # noqa: PLR0913 - fixtures
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        lines: Lines,
        monkeypatch: pytest.MonkeyPatch,
        spoil: Callable[[Path], None],
        reason: str,
    ) -> None:
        """A file that becomes bad is logged once, however often it does; each time it is good again is told."""
        monkeypatch.setattr(storage, "MAX_FILE_SIZE", 1_000)
        watcher = follow(path)
        said = []
        for name in "bcd":
            spoil(path)
            watcher.look()
            assert lines() == []
            watcher.look()
            watcher.look()
            assert owners(registry).keys() == {"m"}
            said.append(lines())
            if not reason:
                with pytest.raises(RegistryFileError) as caught:
                    storage.read_entries(path)
                reason = str(caught.value).removeprefix(str(path)).removeprefix(": ")
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            put(path, content(name))
            settle(watcher)
            assert owners(registry) == {"m": name}
            assert lines() == [f"info: model registry: registry file {path} is valid again"]
        assert said[1:] == [[], []]
        (line,) = said[0]
        assert line.startswith(f"warning: model registry: cannot load registry file {path}")
        assert line.endswith(f"{reason}; its previous entries stay in force")

    @pytest.mark.parametrize(("spoil", "reason"), BAD, ids=lambda value: getattr(value, "__name__", ""))
    def test_bad_from_the_start(  # noqa: PLR0913 - fixtures
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        lines: Lines,
        monkeypatch: pytest.MonkeyPatch,
        spoil: Callable[[Path], None],
        reason: str,
    ) -> None:
        """A file that is bad at the start is logged at once, and followed all the same."""
        monkeypatch.setattr(storage, "MAX_FILE_SIZE", 1_000)
        spoil(path)
        watcher = follow(path)
        (line,) = lines()
        assert line.endswith(f"{reason}; its models show as unregistered until the file is fixed")
        assert len(registry) == 0
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        put(path, content("b"))
        settle(watcher)
        assert owners(registry) == {"m": "b"}
        assert lines() == [f"info: model registry: registry file {path} is valid again"]

    def test_nobody_waits_for_a_named_pipe(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """A named pipe that nobody writes to keeps neither a look nor whoever stops, and is not left open."""
        watcher = follow(path, interval=100)
        self.pipe(path)
        before = len(os.listdir("/dev/fd"))
        for action in (*[watcher.look] * 10, watcher.stop):
            thread = threading.Thread(target=action, daemon=True)
            thread.start()
            thread.join(LONG)
            assert not thread.is_alive()
        assert len(os.listdir("/dev/fd")) == before
        assert owners(registry) == {"m": "a"}

    def test_a_file_that_is_too_large_is_not_read(self, path: Path, follow: Follow, lines: Lines) -> None:
        """Memory is no more taken by a file that is too large than time."""
        watcher = follow(path)
        os.truncate(path, 2 * storage.MAX_FILE_SIZE)
        tracemalloc.start()
        settle(watcher)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 1_000_000
        assert len(lines()) == 1

    def test_a_file_that_may_not_be_read(self, registry: ModelRegistry, follow: Follow, lines: Lines) -> None:
        """A file without permission is as bad as any other, and is read when the permission is there."""
        with tempfile.TemporaryDirectory() as name:
            os.chmod(name, 0o755)  # a folder that any user can reach
            path = Path(name, "models.json")
            path.write_bytes(content("a"))
            watcher = follow(path)
            path.chmod(0)
            user = os.geteuid()
            if user == 0:
                os.seteuid(65534)  # permissions do not count for root
            try:
                watcher.look()
                watcher.look()
            finally:
                os.seteuid(user)
            said = f"warning: model registry: cannot load registry file {path}: cannot be read: Permission denied"
            assert lines() == [f"{said}; its previous entries stay in force"]
            path.chmod(0o644)
            settle(watcher)
            assert lines() == [f"info: model registry: registry file {path} is valid again"]
            assert owners(registry) == {"m": "a"}

    def test_a_name_that_no_file_can_have(
        self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines
    ) -> None:
        """A path that the system refuses is an error like others, and keeps no other file out."""
        follow(Path("with\0null"), path)
        said = "warning: model registry: cannot load registry file with\0null: cannot be read: embedded null byte"
        assert lines() == [f"{said}; its models show as unregistered until the file is fixed"]
        assert owners(registry) == {"m": "a"}

    def test_one_line_for_each_error(self, path: Path, follow: Follow, lines: Lines) -> None:
        """Errors that differ have a line each; the same one in other words of the file has none."""
        watcher = follow(path)
        for text in (b"", b"null", b"5", b"null ", b" ", b"6", b""):
            path.write_bytes(text)
            settle(watcher)
        whole, kept = f"warning: model registry: cannot load registry file {path}", "its previous entries stay in force"
        assert lines() == [
            f"{whole}, line 1, column 1: is not valid JSON: Expecting value; {kept}",
            f"{whole}: must be a JSON array of entries; got null; {kept}",
            f"{whole}: must be a JSON array of entries; got a number; {kept}",
            f"{whole}, line 1, column 2: is not valid JSON: Expecting value; {kept}",
        ]

    def test_one_bad_file_of_two(
        self,
        registry: ModelRegistry,
        tmp_path: Path,
        follow: Follow,
        lines: Lines,
    ) -> None:
        """A bad file keeps what it held, and keeps no change of another file out."""
        one, two = tmp_path / "one.json", tmp_path / "two.json"
        one.write_bytes(content("a", "first"))
        two.write_bytes(content("a", "second"))
        watcher = follow(one, two)
        put(one, b"null")
        settle(watcher)
        put(two, content("b", "second"))
        watcher.look()
        assert owners(registry) == {"first": "a", "second": "b"}
        one.unlink()
        two.write_bytes(content("c", "second"))
        settle(watcher)
        assert owners(registry) == {"first": "a", "second": "c"}
        put(one, content("d", "first"))
        settle(watcher)
        assert owners(registry) == {"first": "d", "second": "c"}
        whole, kept = f"warning: model registry: cannot load registry file {one}", "its previous entries stay in force"
        assert lines() == [
            f"{whole}: must be a JSON array of entries; got null; {kept}",
            f"{whole}: no such file; {kept}",
            f"info: model registry: registry file {one} is valid again",
        ]

    def test_one_id_in_two_files(
        self,
        registry: ModelRegistry,
        tmp_path: Path,
        follow: Follow,
        lines: Lines,
    ) -> None:
        """An id in two files is an error that names both: what they held before stays until it is mended."""
        one, two = tmp_path / "one.json", tmp_path / "two.json"
        one.write_bytes(content("a", "first"))
        two.write_bytes(content("a", "second"))
        watcher = follow(one, two)
        for name in "bc":
            put(two, content(name, "second", "first"))
            watcher.look()
            watcher.look()
            assert owners(registry) == {"first": "a", "second": "a"}
        text = f"model 'first' is in both {one} and {two}; the previous entries of all files stay in force"
        assert lines() == [f"warning: model registry: {text}"]
        put(one, content("d", "third"))
        watcher.look()
        assert owners(registry) == {"third": "d", "second": "c", "first": "c"}
        assert lines() == []

    def test_one_id_in_two_files_from_the_start(
        self, registry: ModelRegistry, path: Path, follow: Follow, lines: Lines
    ) -> None:
        """While two files disagree from the start, their models are unregistered."""
        other = path.with_name("other.json")
        other.write_bytes(path.read_bytes())
        watcher = follow(path, other)
        assert len(lines()) == 1
        assert len(registry) == 0
        put(other, b"[]")
        watcher.look()
        assert owners(registry) == {"m": "a"}

    def test_what_a_file_holds_cannot_be_taken(self, path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
        """Should the registry itself fail, one line says so, and each further look tries again."""
        fails = [True]

        def replace_or_fail(registry: ModelRegistry, entries: Any) -> None:
            if fails:
                raise MemoryError
            replace_file_entries(registry, entries)

        monkeypatch.setattr(watch, "replace_file_entries", replace_or_fail)
        registry = ModelRegistry(auto_emit=False)
        watcher = FileWatcher(registry, [str(path)], reload_interval=0)
        watcher.start()
        watcher.look()
        text = "model registry: cannot read the registry files, so the previous entries stay in force: MemoryError()"
        assert lines() == [f"warning: {text}"]
        fails.clear()
        watcher.look()
        assert owners(registry) == {"m": "a"}


class TestThread:
    """The thread that looks, and who has one."""

    @pytest.mark.parametrize("change", [put, Path.write_bytes], ids=["another file", "in its place"])
    def test_within_the_interval(
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        change: Callable[[Path, bytes], None],
    ) -> None:
        """A change is in force within the interval, at whatever moment it comes."""
        follow(path, interval=300)
        for name in "bcdef":
            change(path, content(name))
            wait_until(lambda name=name: owner(registry) == name, 0.3 + SLACK)  # type: ignore[misc]
            time.sleep(ord(name) % 3 * 0.04)

    def test_it_looks_no_more_often_than_it_must(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """Between two looks nothing of the library runs: a change right after one waits for a third of the interval."""
        follow(path, interval=1_000)
        put(path, content("b"))
        time.sleep(0.25)
        assert owner(registry) == "a"
        wait_until(lambda: owner(registry) == "b", 0.75 + SLACK)

    def test_without_an_interval(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """With an interval of 0 there is no thread, and only ``start`` reads the files, also those half changed."""
        watcher = follow(path, interval=0)
        assert threads() == []
        path.write_bytes(content("b"))
        time.sleep(0.05)
        assert owners(registry) == {"m": "a"}
        watcher.start()
        assert owners(registry) == {"m": "b"}
        assert threads() == []

    def test_without_an_interval_in_a_child(self, path: Path, follow: Follow) -> None:
        """Nor has a forked child a thread, where its parent has none."""
        follow(path, interval=0)
        child = os.fork()
        if child == 0:
            os._exit(len(threads()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_stop_and_start(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """After ``stop`` nothing changes any more, until ``start`` reads the files anew."""
        watcher = follow(path, interval=100)
        watcher.stop()
        wait_until(lambda: not threads())
        put(path, content("b"))
        watcher.look()
        assert owners(registry) == {"m": "a"}
        watcher.start()
        assert owners(registry) == {"m": "b"}
        put(path, content("c"))
        wait_until(lambda: owner(registry) == "c")
        watcher.start()
        wait_until(lambda: len(threads()) == 1)
        watcher.stop()
        watcher.stop()
        wait_until(lambda: not threads())

    def test_the_last_one_counts(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """A registry has one watcher: another one takes over, and the first may do so again."""
        other = path.with_name("other.json")
        other.write_bytes(content("other"))
        first = follow(path, interval=100)
        second = follow(other, interval=100)
        assert owners(registry) == {"m": "other"}
        wait_until(lambda: len(threads()) == 1)
        put(path, content("b"))
        time.sleep(0.2)
        assert owners(registry) == {"m": "other"}
        put(other, content("newer"))
        wait_until(lambda: owner(registry) == "newer")
        first.start()
        assert owners(registry) == {"m": "b"}
        second.stop()
        put(path, content("c"))
        wait_until(lambda: owner(registry) == "c")

    def test_two_registries(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """Registries follow files of their own, or the same ones, and each stops for itself."""
        default, other = get_default_registry(), path.with_name("other.json")
        other.write_bytes(content("x"))
        first, _ = (
            follow(path, interval=100),
            follow(path, other.with_name("none.json"), interval=100, registry=default),
        )
        third = ModelRegistry(auto_emit=False)
        follow(other, interval=100, registry=third)
        assert (owner(registry), owner(default), owner(third)) == ("a", "a", "x")
        put(path, content("b"))
        put(other, content("y"))
        wait_until(lambda: (owner(registry), owner(default), owner(third)) == ("b", "b", "y"))
        first.stop()
        put(path, content("c"))
        wait_until(lambda: owner(default) == "c")
        time.sleep(0.1)
        assert (owner(registry), owner(third)) == ("b", "y")

    def test_a_registry_made_by_hand(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """A registry made by hand is replaced by its files, as by ``load``; a bad file replaces nothing."""
        registry.register("own", "N", "1", "low", "team", "test")
        path.write_bytes(b"null")
        watcher = follow(path)
        assert owners(registry) == {"own": "team"}
        put(path, content("b"))
        watcher.look()
        assert owners(registry) == {"m": "b"}
        with pytest.raises(ValueError, match="already registered"):
            registry.register("m", "N", "1", "low", "team", "test")
        registry.register("own", "N", "1", "low", "team", "test")
        watcher.look()
        assert owners(registry) == {"m": "b", "own": "team"}
        put(path, content("c"))
        watcher.look()
        assert owners(registry) == {"m": "c"}

    def test_the_process_wide_registry(self, path: Path, follow: Follow) -> None:
        """What the application registered stays beneath what the files hold, whatever becomes of them."""
        registry = get_default_registry()
        registry.register("own", "N", "1", "low", "team", "test")
        watcher = follow(path, registry=registry)
        assert owners(registry) == {"m": "a", "own": "team"}
        put(path, content("b", "n"))
        watcher.look()
        assert owners(registry) == {"n": "b", "own": "team"}

    def test_nobody_uses_the_registry_any_more(self, path: Path) -> None:
        """A registry that is dropped is freed though it is followed, and its thread ends."""
        registry = ModelRegistry(auto_emit=False)
        watcher = FileWatcher(registry, [str(path)], reload_interval=100)
        watcher.start()
        (thread,) = threads()
        freed = weakref.ref(registry)
        del registry
        gc.collect()
        wait_until(lambda: freed() is None)
        thread.join(LONG)
        assert not thread.is_alive()
        watcher.start()
        watcher.look()
        watcher.stop()
        assert threads() == []

    def test_no_thread_can_be_started(
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        lines: Lines,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Where there can be no further thread the files are read, and one line says that they are not followed."""

        def fail(_thread: threading.Thread) -> None:
            message = "can't start new thread"
            raise RuntimeError(message)

        monkeypatch.setattr(threading.Thread, "start", fail)
        follow(path, interval=100)
        follow(path, interval=100)
        assert owners(registry) == {"m": "a"}
        text = "changes of registry files are not loaded, because no thread could be started: can't start new thread"
        assert lines() == [f"warning: model registry: {text}"]

    def test_a_log_handler_that_fails(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """What a log handler raises stops nothing."""
        seen: list[str] = []

        def handle(record: logging.LogRecord) -> None:
            seen.append(record.levelname)
            raise ZeroDivisionError

        with handled(handle):
            follow(path, interval=100)
            put(path, b"null")
            wait_until(lambda: "WARNING" in seen)
            put(path, content("b"))
            wait_until(lambda: owner(registry) == "b")

    @pytest.mark.parametrize("action", [FileWatcher.look, FileWatcher.stop, FileWatcher.start])
    def test_a_log_handler_that_takes_part(
        self,
        registry: ModelRegistry,
        path: Path,
        follow: Follow,
        action: Callable[[FileWatcher], Any],
    ) -> None:
        """A log handler may look itself, or stop, or start again, in the thread and where the files are first read."""
        watcher = follow(path)
        done = []

        def handle(record: logging.LogRecord) -> None:
            if record.levelno == logging.WARNING:
                action(watcher)
                done.append(threading.current_thread().name)

        path.write_bytes(b"null")
        with handled(handle):
            watcher.reload_interval = 100
            watcher.start()
            assert done == ["MainThread"]
            watcher.start()
            path.write_bytes(b"5")
            wait_until(lambda: "model-registry-files" in done)
            path.write_bytes(content("c"))
            if action is FileWatcher.stop:
                wait_until(lambda: not threads())
                assert owners(registry) == {"m": "a"}
            else:
                wait_until(lambda: owner(registry) == "c")

    def test_stop_waits_for_no_disk(self, path: Path, follow: Follow) -> None:
        """Who stops waits a second at most for a look that does not end."""
        watcher = follow(path)
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with watcher._looking:
                held.set()
                done.wait(LONG)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(LONG)
        before = time.monotonic()
        watcher.stop()
        assert watch.STOP_TIMEOUT <= time.monotonic() - before < watch.STOP_TIMEOUT + SLACK
        done.set()
        thread.join()

    def test_a_look_that_ends_after_the_stop(self, registry: ModelRegistry, path: Path, follow: Follow) -> None:
        """What a look finds that ends only after ``stop`` is not taken: another watcher may be in force by then."""
        watcher = follow(path)
        put(path, content("b"))
        with at_calls(open, {1: watcher.stop}):
            watcher.look()
        assert owners(registry) == {"m": "a"}


class TestSettings:
    """The process-wide registry follows the files that are given by setting."""

    @pytest.fixture(autouse=True)
    def _plain_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            monkeypatch.delenv(name)

    @pytest.fixture
    def other(self, path: Path) -> Path:
        """Give another file, whose model's owner is ``other``."""
        other = path.with_name("other.json")
        other.write_bytes(content("other", "n"))
        return other

    def test_without_a_file(self) -> None:
        """Where no file is given, nobody follows any."""
        assert follow_settings() is None
        assert follow_settings(reload_interval=100) is None
        assert follow_settings(file="", reload_interval="100") is None
        assert threads() == []

    def test_the_environment(self, path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment gives the files and the interval; who asks again gets the same watcher."""
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", f"{path}{os.pathsep}{other}")
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL", "200")
        watcher = follow_settings()
        assert watcher is not None
        assert (watcher.files, watcher.reload_interval) == ((str(path), str(other)), 200)
        assert owners(get_default_registry()) == {"m": "a", "n": "other"}
        assert follow_settings() is watcher
        put(other, content("b", "n"))
        wait_until(lambda: owners(get_default_registry())["n"] == "b")

    def test_the_defaults(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A change is in force within ten seconds, unless it is said otherwise."""
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", str(path))
        watcher = follow_settings()
        assert watcher is not None
        assert watcher.reload_interval == 10_000

    def test_the_first_caller_decides(self, path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A later caller who gives nothing gets what the first one chose, whatever the environment says by then."""
        watcher = follow_settings(str(path), 0)
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", str(other))
        assert follow_settings() is watcher
        assert owners(get_default_registry()) == {"m": "a"}

    def test_options_override(self, path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An option counts before the environment, and a later caller's before the first one's."""
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", str(path))
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL", "0")
        first = follow_settings()
        assert first is not None
        second = follow_settings(file=[str(other)])
        assert second is not None
        assert second is not first
        assert (second.files, second.reload_interval) == ((str(other),), 0)
        assert owners(get_default_registry()) == {"n": "other"}
        assert follow_settings(file=str(other)) is second
        third = follow_settings(reload_interval=500)
        assert third is not None
        assert (third.files, third.reload_interval) == ((str(path),), 500)
        assert owners(get_default_registry()) == {"m": "a"}

    def test_after_a_stop(self, path: Path) -> None:
        """Who follows the files again after a stop has them read anew."""
        watcher = follow_settings(str(path), 0)
        assert watcher is not None
        watcher.stop()
        put(path, content("b"))
        assert follow_settings() is None
        assert owners(get_default_registry()) == {"m": "a"}
        assert follow_settings(str(path), 0) is not watcher
        assert owners(get_default_registry()) == {"m": "b"}

    def test_a_setting_that_is_not_allowed(self, path: Path, lines: Lines) -> None:
        """A bad interval is logged, and the default used."""
        watcher = follow_settings(str(path), "soon")
        assert watcher is not None
        assert watcher.reload_interval == 10_000
        assert len(lines()) == 1

    def test_many_callers_at_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Callers in several threads get one watcher, which has read the files when they get it."""
        monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", str(path))
        start, found = threading.Barrier(8), []

        def call() -> None:
            start.wait()
            found.append((follow_settings(), owner(get_default_registry())))

        callers = [threading.Thread(target=call) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert len(set(found)) == 1
        assert found[0][1] == "a"
        assert len(threads()) == 1


def test_a_thread_imports_nothing(tmp_path: Path) -> None:
    """What reading YAML takes is imported at the start, also where the file is not there yet."""
    script = """
        import sys
        from spanforge.model_registry import ModelRegistry
        from spanforge.model_registry.watch import FileWatcher
        registry = ModelRegistry()
        FileWatcher(registry, [sys.argv[1]], reload_interval=0).start()
        assert "spanforge.model_registry._core.yaml_entries" in sys.modules
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "models.yaml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
