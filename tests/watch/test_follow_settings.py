"""``follow_settings``: the process-wide registry follows the files of the settings."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from support.threads import run_in_threads
from support.watching import Watched, content, owners, put, settle, threads, wait_until

from spanforge.model_registry import get_default_registry
from spanforge.model_registry._core.settings import FILE, RELOAD_INTERVAL
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def path(watched: Watched) -> Path:
    """Return a file of the model ``m`` with the owner ``a``."""
    return watched.path


@pytest.fixture
def other(path: Path) -> Path:
    """Return another file: the model ``n`` with the owner ``other``."""
    other = path.with_name("other.json")
    other.write_bytes(content("other", "n"))
    return other


def follow(file: object = None, reload_interval: object = None) -> FileWatcher:
    """Follow the files of the settings; there are some."""
    watcher = follow_settings(file, reload_interval)
    assert watcher is not None
    return watcher


def default_owners() -> dict[str, str]:
    return owners(get_default_registry())


def test_no_file() -> None:
    """Without a file there is no watcher."""
    assert follow_settings() is None
    assert follow_settings(reload_interval=100) is None
    assert follow_settings(file="", reload_interval="100") is None
    assert threads() == []


@pytest.mark.parametrize("text", ["{folder}", "{folder}/m*.json,{folder}/other.json", "{folder}/,nothing.json"])
def test_folders_and_globs(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The variable and the option take folders and globs, separated by commas or as in ``PATH``."""
    monkeypatch.setenv(FILE.variable, text.format(folder=path.parent))
    watcher = follow(reload_interval=0)
    assert default_owners() == {"m": "a", "n": "other"}
    other.write_bytes(content("more", "n"))
    settle(follow(file=[str(path.parent)], reload_interval=0))
    assert default_owners() == {"m": "a", "n": "more"}
    assert {state.path for state in watcher.states()} >= {str(path), str(other)}


def test_environment(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the files and the interval, and a second call returns the same watcher."""
    monkeypatch.setenv(FILE.variable, f"{path}{os.pathsep}{other}")
    monkeypatch.setenv(RELOAD_INTERVAL.variable, "200")
    watcher = follow()
    assert (watcher.files, watcher.reload_interval) == ((str(path), str(other)), 200)
    assert default_owners() == {"m": "a", "n": "other"}
    assert follow() is watcher
    put(other, content("b", "n"))
    wait_until(lambda: default_owners()["n"] == "b")


def test_first_call_decides(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later call without a setting returns the first watcher, whatever the environment says by then."""
    watcher = follow(str(path), 0)
    monkeypatch.setenv(FILE.variable, str(other))
    assert follow() is watcher
    assert default_owners() == {"m": "a"}


def test_options_override_the_environment(path: Path, other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option counts before the environment, and the option of a later call before that of the first one."""
    monkeypatch.setenv(FILE.variable, str(path))
    monkeypatch.setenv(RELOAD_INTERVAL.variable, "0")
    first = follow()
    second = follow(file=[str(other)])
    assert second is not first
    assert (second.files, second.reload_interval) == ((str(other),), 0)
    assert default_owners() == {"n": "other"}
    assert follow(file=str(other)) is second
    third = follow(reload_interval=500)
    assert (third.files, third.reload_interval) == ((str(path),), 500)
    assert default_owners() == {"m": "a"}


def test_after_a_stop(path: Path) -> None:
    """After a stop a call without a file follows nothing, and a call with a file reads it again."""
    watcher = follow(str(path), 0)
    watcher.stop()
    put(path, content("b"))
    assert follow_settings() is None
    assert default_owners() == {"m": "a"}
    assert follow(str(path), 0) is not watcher
    assert default_owners() == {"m": "b"}


def test_calls_of_several_threads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls in several threads return one watcher, which has already read the files."""
    monkeypatch.setenv(FILE.variable, str(path))
    start, found = threading.Barrier(8), []

    def call() -> None:
        start.wait()
        found.append((follow(), default_owners()["m"]))

    run_in_threads(*[call] * 8)
    assert len(set(found)) == 1
    assert found[0][1] == "a"
    assert len(threads()) == 1
