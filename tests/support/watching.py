"""Registry files that change, and a registry that follows them."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

from support import waiting
from support.log_lines import library_records

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

LONG = 5.0
"""Seconds after which a wait fails."""
PREVIOUS = "its previous entries stay in force"
LOADED = "info: model registry: loaded "
"""The start of a line about new content."""
UNREGISTERED = "its models show as unregistered until the file is fixed"


def content(owner: str, *model_ids: str) -> bytes:
    """Return a file of models of one owner. Owners with names of one length give files of one length."""
    fields = {"name": "N", "version": "1", "risk_tier": "low", "owner": owner, "purpose": "test"}
    return json.dumps([{"model_id": model_id, **fields} for model_id in model_ids or ("m",)]).encode()


def put(path: Path, data: bytes) -> None:
    """Replace a file by another file."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(data)
    new.replace(path)


def owners(registry: ModelRegistry) -> dict[str, str]:
    """Return the owner of each model."""
    return {entry.model_id: entry.owner for entry in registry}


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds, and fail if it does not."""
    waiting.wait_until(condition, seconds=LONG, interval=0.002)


def settle(watcher: FileWatcher) -> None:
    """Look often enough to take what the files hold, or to report it."""
    for _ in range(3):
        watcher.look()


def threads() -> list[threading.Thread]:
    """Return the threads that follow files."""
    return [thread for thread in threading.enumerate() if thread.name == "model-registry-files"]


def cannot_load(path: object, reason: str, effect: str = PREVIOUS) -> str:
    """Return the line about an invalid file; a reason starts with its place."""
    advice = "; spanforge-models check lists all faults" if reason.startswith(", line") else ""
    return f"warning: model registry: cannot load registry file {path}{reason}; {effect}{advice}"


def valid_again(path: object) -> str:
    """Return the line about a file that is valid again."""
    return f"info: model registry: registry file {path} is valid again"


def loaded(*files: tuple[object, bytes, int]) -> str:
    """Return the line about new content that is in force: of each file, the path, the content and its models."""
    parts = [
        f"{path} (version {hashlib.sha256(data).hexdigest()[:12]}, models: {models})" for path, data, models in files
    ]
    return f"{LOADED}{', '.join(parts)}"


class Watched:
    """An empty registry, a file of the model ``m`` with the owner ``a``, and the lines that the library logs."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.registry = ModelRegistry(auto_emit=False)
        self.path = path
        self.path.write_bytes(content("a"))
        self.caplog = caplog

    def follow(self, *paths: Path, interval: int = 0, registry: ModelRegistry | None = None) -> FileWatcher:
        """Follow files, by default ``path``. Without an interval only calls of ``look`` read them again."""
        files = map(str, paths or (self.path,))
        watcher = FileWatcher(self.registry if registry is None else registry, files, reload_interval=interval)
        watcher.start()
        return watcher

    def follow_two(self, first: bytes, second: bytes) -> tuple[FileWatcher, Path, Path]:
        """Follow two files with these contents."""
        one, two = self.path.with_name("one.json"), self.path.with_name("two.json")
        one.write_bytes(first)
        two.write_bytes(second)
        return self.follow(one, two), one, two

    @property
    def owners(self) -> dict[str, str]:
        return owners(self.registry)

    @property
    def owner(self) -> str | None:
        """The owner of the model ``m``."""
        return self.owners.get("m")

    def wait_for_owner(self, owner: str) -> None:
        """Wait until the model ``m`` has this owner."""
        wait_until(lambda: self.owner == owner)

    def lines(self) -> list[str]:
        """Return the lines since the last call, without those for debugging and those about new content."""
        return [line for line in self.all_lines() if not line.startswith(LOADED)]

    def all_lines(self) -> list[str]:
        """Return the lines since the last call, without those for debugging."""
        records = library_records(self.caplog)
        self.caplog.clear()
        return [f"{record.levelname.lower()}: {record.getMessage()}" for record in records]


class ConfigMap:
    """A folder as Kubernetes mounts a ConfigMap: each file leads through ``..data``, a link that a swap replaces."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.number = folder, 0
        self.files = tuple(folder / name for name in names)
        for file in self.files:
            file.symlink_to(f"..data/{file.name}")

    def swap(self, *contents: bytes) -> None:
        """Replace the contents of all files at the same instant."""
        self.number += 1
        fresh, new = self.folder / f"..{self.number}", self.folder / "..data_tmp"
        fresh.mkdir()
        for file, data in zip(self.files, contents, strict=True):
            (fresh / file.name).write_bytes(data)
        new.symlink_to(fresh.name)
        new.replace(self.folder / "..data")
        shutil.rmtree(self.folder / f"..{self.number - 1}", ignore_errors=True)

    def swap_owner(self, owner: str) -> None:
        """Replace both of two files: one model each, ``first`` and ``second``."""
        self.swap(content(owner, "first"), content(owner, "second"))
