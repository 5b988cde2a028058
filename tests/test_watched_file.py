"""The states of a watched file: what a look finds, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry._core.watched_file import RULES, Rule, Sighting, WatchedFile

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = '[{"model_id": "m", "name": "N", "version": "1", "risk_tier": "low", "owner": "%s", "purpose": "test"}]'
TAKES, REPORTS = Rule(takes_entries=True, reports_errors=False), Rule(takes_entries=True, reports_errors=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a valid registry file."""
    path = tmp_path / "models.json"
    path.write_text(ENTRY % "a")
    return path


def put(path: Path, text: str) -> None:
    """Put another file in the place of a file."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def owner_of(file: WatchedFile) -> str | None:
    return file.entries[0].owner if file.entries else None


def test_every_sighting_has_a_rule() -> None:
    """An error is reported only if entries would be taken, and nothing follows from what is the same or unstable."""
    assert set(RULES) == set(Sighting)
    assert {sighting for sighting, rule in RULES.items() if rule == REPORTS} == {Sighting.NEW, Sighting.STEADY}
    assert {sighting for sighting, rule in RULES.items() if rule == TAKES} == {Sighting.REPLACED}


def test_new(path: Path) -> None:
    """The first look takes the entries, or the error."""
    file = WatchedFile(str(path)).look()
    assert (owner_of(file), file.error, file.is_settled) == ("a", None, True)
    path.unlink()
    file = WatchedFile(str(path)).look()
    assert (owner_of(file), str(file.error), file.is_settled) == (None, f"{path}: no such file", True)


def test_same(path: Path) -> None:
    """The same content leaves entries and version as they are, whatever its mark."""
    before = WatchedFile(str(path)).look()
    put(path, ENTRY % "a")
    after = before.look()
    assert after.mark != before.mark
    assert after.entries is before.entries
    assert (after.version, after.is_settled) == (before.version, True)


@pytest.mark.parametrize(("text", "owner", "error"), [(ENTRY % "b", "b", False), ("", "a", True), ("null", "a", True)])
def test_unstable_then_steady(path: Path, text: str, owner: str, *, error: bool) -> None:
    """Another content in the same file is neither taken nor reported before a second look finds it."""
    before = WatchedFile(str(path)).look()
    path.write_text(text)
    unstable = before.look()
    assert (unstable.entries, unstable.error, unstable.is_settled) == (before.entries, None, False)
    steady = unstable.look()
    assert (owner_of(steady), steady.error is not None, steady.is_settled) == (owner, error, True)


def test_replaced(path: Path) -> None:
    """Another file of the same name is taken at once if it is valid; its error waits for a second look."""
    before = WatchedFile(str(path)).look()
    put(path, ENTRY % "b")
    replaced = before.look()
    assert (owner_of(replaced), replaced.is_settled) == ("b", True)
    put(path, "null")
    bad = replaced.look()
    assert (owner_of(bad), bad.error, bad.is_settled) == ("b", None, False)
    assert bad.look().error is not None


def test_is_unchanged(path: Path) -> None:
    """A file is unchanged as long as it has its mark, or cannot be opened."""
    file = WatchedFile(str(path)).look()
    assert file.is_unchanged()
    put(path, ENTRY % "a")
    assert not file.is_unchanged()
    path.unlink()
    assert not file.is_unchanged()
    assert file.look().is_unchanged()
