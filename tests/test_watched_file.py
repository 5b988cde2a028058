"""The states of a watched file: what a look finds, and what it takes and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.watching import content, put

from spanforge.model_registry._core.watched_file import RULES, Rule, Sighting, WatchedFile

if TYPE_CHECKING:
    from pathlib import Path

TAKES, REPORTS = Rule(takes_entries=True, reports_errors=False), Rule(takes_entries=True, reports_errors=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a valid registry file."""
    path = tmp_path / "models.json"
    path.write_bytes(content("a"))
    return path


def owner_of(file: WatchedFile) -> str | None:
    return file.entries[0].owner if file.entries else None


def test_every_sighting_has_a_rule() -> None:
    """A sighting takes entries and reports errors, takes entries only, or does neither."""
    assert set(RULES) == set(Sighting)
    assert {sighting for sighting, rule in RULES.items() if rule == REPORTS} == {Sighting.NEW, Sighting.STEADY}
    assert {sighting for sighting, rule in RULES.items() if rule == TAKES} == {Sighting.REPLACED}


def test_first_look(path: Path) -> None:
    """The first look takes the entries, or the error."""
    file = WatchedFile(str(path)).look()
    assert (owner_of(file), file.error, file.is_settled) == ("a", None, True)
    path.unlink()
    file = WatchedFile(str(path)).look()
    assert (owner_of(file), str(file.error), file.is_settled) == (None, f"{path}: no such file", True)


def test_same_content(path: Path) -> None:
    """The same content in another file keeps entries and version."""
    before = WatchedFile(str(path)).look()
    put(path, content("a"))
    after = before.look()
    assert after.mark != before.mark
    assert after.entries is before.entries
    assert (after.version, after.is_settled) == (before.version, True)


@pytest.mark.parametrize(
    ("data", "owner", "error"), [(content("b"), "b", False), (b"", "a", True), (b"null", "a", True)]
)
def test_changed_content_needs_two_looks(path: Path, data: bytes, owner: str, *, error: bool) -> None:
    """Other content in the same file is taken or reported when a second look finds it."""
    before = WatchedFile(str(path)).look()
    path.write_bytes(data)
    unstable = before.look()
    assert (unstable.entries, unstable.error, unstable.is_settled) == (before.entries, None, False)
    steady = unstable.look()
    assert (owner_of(steady), steady.error is not None, steady.is_settled) == (owner, error, True)


def test_replaced_file(path: Path) -> None:
    """Another file of the same name is taken at once if it is valid; its error waits for a second look."""
    before = WatchedFile(str(path)).look()
    put(path, content("b"))
    replaced = before.look()
    assert (owner_of(replaced), replaced.is_settled) == ("b", True)
    put(path, b"null")
    bad = replaced.look()
    assert (owner_of(bad), bad.error, bad.is_settled) == ("b", None, False)
    assert bad.look().error is not None


def test_file_without_a_change(path: Path) -> None:
    """A file is unchanged if it has the same mark, or still cannot be opened."""
    file = WatchedFile(str(path)).look()
    assert file.is_unchanged()
    put(path, content("a"))
    assert not file.is_unchanged()
    path.unlink()
    assert not file.is_unchanged()
    assert file.look().is_unchanged()
