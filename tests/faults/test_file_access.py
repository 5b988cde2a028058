"""Files that other users can change or read: one warning for each, and no moment in which others read more."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
from support.log_lines import library_records

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.atomic_files import replace_file
from spanforge.model_registry._core.calendar_watch import CalendarWatcher
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._packages.keys import make_key_pair
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no owners and modes")

OTHER = 12_345
"""A user and a group of nobody."""
IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in library_records(caplog)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a registry file in a folder of its own."""
    (tmp_path / "registry").mkdir(mode=0o755)
    path = tmp_path / "registry" / "models.json"
    ModelRegistry(auto_emit=False).save(path)
    path.chmod(0o644)
    return path


def give(path: Path, *, mode: int, user: int = -1, group: int = -1) -> None:
    """Set mode, owner and group of a file or a folder."""
    if (user, group) != (-1, -1) and not IS_ROOT:
        pytest.skip("only root may give files away")
    os.chown(path, user, group)
    path.chmod(mode)


CHANGED = {
    "mode": ({"mode": 0o646}, "every user"),
    "mode of all": ({"mode": 0o777}, "every user"),
    "owner": ({"mode": 0o600, "user": OTHER}, f"user {OTHER}"),
    "group": ({"mode": 0o664, "group": OTHER}, f"group {OTHER}"),
}
SAFE = {
    "private": {"mode": 0o600},
    "public": {"mode": 0o644},
    "own group": {"mode": 0o664},
    "group that reads": {"mode": 0o640, "group": OTHER},
}


@pytest.mark.parametrize("what", ["file", "folder"])
@pytest.mark.parametrize("case", CHANGED)
def test_file_that_others_can_change(path: Path, caplog: pytest.LogCaptureFixture, case: str, what: str) -> None:
    """``load`` and a watcher work, and together log one line that names who can change the file."""
    access, who = CHANGED[case]
    if what == "file":
        give(path, **access)
    else:
        give(path.parent, **access | {"mode": access["mode"] | 0o111})
    registry = ModelRegistry(auto_emit=False)
    for _ in range(3):
        registry.load(path)
        watcher = FileWatcher(registry, [str(path)], reload_interval=0)
        watcher.start()
        watcher.stop()
    place = str(path) if what == "file" else f"{path}, because it can change the folder {path.parent}"
    assert lines(caplog) == [
        f"model registry: {who} can change {place}; let only root and the user of this process write it"
    ]


@pytest.mark.parametrize("case", SAFE)
def test_file_that_only_its_group_or_nobody_can_change(path: Path, caplog: pytest.LogCaptureFixture, case: str) -> None:
    """A file that others can only read is no reason for a line; neither is one of the process's own group."""
    give(path, **SAFE[case])
    path.parent.chmod(0o1777)  # in a folder with the sticky bit, only the owner replaces a file
    ModelRegistry(auto_emit=False).load(path)
    assert lines(caplog) == []


def test_link_in_a_folder_that_others_can_change(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A link that others can replace counts as well as the file."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links").chmod(0o777)
    link = tmp_path / "links" / "models.json"
    link.symlink_to(path)
    ModelRegistry(auto_emit=False).load(link)
    (line,) = lines(caplog)
    assert f"every user can change {link}, because it can change the folder {link.parent};" in line


def test_calendar_that_others_can_change(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A calendar that is followed has a line too."""
    path.chmod(0o666)
    registry = ModelRegistry(auto_emit=False)
    watcher = CalendarWatcher(registry, str(path), None, 0)
    watcher.start()
    watcher.stop()
    (line,) = lines(caplog)
    assert line.startswith(f"model registry: every user can change {path};")


@pytest.mark.parametrize(
    ("access", "verb"),
    [
        ({"mode": 0o640}, "read"),
        ({"mode": 0o604}, "read"),
        ({"mode": 0o620}, "change"),
        ({"mode": 0o602}, "change"),
        ({"mode": 0o600, "user": OTHER}, "change"),
        ({"mode": 0o600}, None),
    ],
)
def test_private_key_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, access: dict[str, int], verb: str | None
) -> None:
    """A package is signed with a key that others can read or change, and one line reports it."""
    private = tmp_path / "signer.pem"
    private.write_bytes(make_key_pair().private)
    give(private, **access)
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    package = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=[])
    for number in range(3):
        package.write(tmp_path / f"{number}", private)
    text = f"model registry: other users can {verb} the private key {private}: run chmod 600"
    assert lines(caplog) == [text] * (verb is not None)


def test_packages_have_the_mode_of_the_umask(tmp_path: Path) -> None:
    """A package that is written under a private umask cannot be read by others; neither can its files."""
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    package = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=[])
    before = os.umask(0o077)
    try:
        package.write(tmp_path / "folder")
        package.to_zip(tmp_path / "package.zip")
    finally:
        os.umask(before)
    for path in (tmp_path / "folder", tmp_path / "package.zip", *(tmp_path / "folder").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_moment_in_which_others_read_more(tmp_path: Path) -> None:
    """While files are replaced again and again, a second thread never finds one that others may read."""
    target, found, done = tmp_path / "models.json", set[int](), threading.Event()
    target.write_bytes(b"[]")
    target.chmod(0o600)

    def look() -> None:
        while not done.is_set():
            with os.scandir(tmp_path) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        found.add(entry.stat().st_mode & 0o777)

    thread = threading.Thread(target=look)
    thread.start()
    before = os.umask(0)
    try:
        for _ in range(60):
            replace_file(str(target), [b"[", b"]"])
    finally:
        os.umask(before)
        done.set()
        thread.join()
    assert found == {0o600}
