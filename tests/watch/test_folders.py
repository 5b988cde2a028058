"""Folders and globs of registry files, and the setting that names them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.watching import LOADED, cannot_load, content, loaded, put, settle, valid_again

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._core.registry_sources import ENDINGS, find_files, split_sources
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from support.watching import ConfigMap, Watched

SEP = os.pathsep
TEXTS = {
    "a.json": ("a.json",),
    f"a.json{SEP} b.yaml {SEP}{SEP}a.json": ("a.json", "b.yaml"),
    "a.json,b.YML, teams/,*.json,": ("a.json", "b.YML", "teams/", "*.json"),
    f"teams/*.yaml,other{SEP}c.yml": ("teams/*.yaml", "other", "c.yml"),
    "models,prod.json": ("models,prod.json",),
    "teams,other": ("teams,other",),
    f" {SEP}": (),
}
NO_FILE = f"has a name that ends in {', '.join(ENDINGS[:2])} or {ENDINGS[2]}"
UNTIL_FIXED = "its models show as unregistered until the file is fixed"


@pytest.fixture
def teams(tmp_path: Path) -> Path:
    """Return a folder with two registry files of a model each, and other files."""
    folder = tmp_path / "teams"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.json").write_bytes(content("b", "b"))
    (folder / "a.YAML").write_bytes(content("a", "a"))
    for name in (".hidden.json", "notes.txt", "b.json~", "inner/c.json", "registry.schema.json"):
        (folder / name).write_text("{")
    return folder


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_the_setting(text: str) -> None:
    """Sources are separated as in ``PATH``, or by commas after a file's ending or a slash."""
    assert split_sources(text) == TEXTS[text]


def test_files_of_sources(teams: Path) -> None:
    """A folder has its registry files, sorted, without hidden ones; a glob has those that it matches."""
    both = (str(teams / "a.YAML"), str(teams / "b.json"))
    assert find_files([str(teams)]) == find_files([f"{teams}/[ab].*", str(teams)]) == both
    assert find_files([both[1], str(teams)]) == both[::-1]
    assert find_files([f"{teams}/**/*.json"]) == (str(teams / "b.json"), str(teams / "inner" / "c.json"))
    (teams / "x[1].json").write_bytes(content("x", "x"))
    assert find_files([f"{teams}/x[1].json"]) == (f"{teams}/x[1].json",)


def test_sources_without_files(teams: Path) -> None:
    """An empty folder, a glob without a match and a missing path are errors that say what to do."""
    empty = teams / "empty"
    empty.mkdir()
    reasons = {
        str(empty): f"no file in this folder {NO_FILE}",
        f"{teams}/*.toml": f"matches no file whose name ends in {', '.join(ENDINGS[:2])} or {ENDINGS[2]}",
        f"{teams}/none.json": "no such file",
        f"{teams}/none": "no such file or folder",
        f"{teams}/a,b.json": f"no such file; several are separated by {SEP!r}",
    }
    for source, reason in reasons.items():
        with pytest.raises(RegistryFileError) as caught:
            find_files([str(teams), source])
        assert str(caught.value) == f"{source}: {reason}"


def test_files_that_come_and_go(watched: Watched, teams: Path) -> None:
    """Files of a folder that appear and disappear are noticed by two looks; a line names a file that is gone."""
    watcher = watched.follow(teams)
    assert watched.owners == {"a": "a", "b": "b"}
    (teams / "c.yml").write_bytes(content("c", "c"))
    watcher.look()
    assert watched.owners == {"a": "a", "b": "b"}
    watcher.look()
    assert watched.owners == {"a": "a", "b": "b", "c": "c"}
    (teams / "a.YAML").unlink()
    watcher.look()
    assert len(watched.owners) == 3
    assert watched.lines() == []
    settle(watcher)
    assert watched.owners == {"b": "b", "c": "c"}
    gone = f"warning: model registry: registry file {teams}/a.YAML was removed, and its models with it"
    assert watched.lines() == [gone]
    assert [state.path for state in watcher.states()] == [f"{teams}/b.json", f"{teams}/c.yml"]
    put(teams / "b.json", content("d", "b"))
    watcher.look()
    assert watched.owners == {"b": "d", "c": "c"}


def test_file_that_is_removed_and_written_again(watched: Watched, teams: Path) -> None:
    """A file that is missing for a moment keeps its models, and nothing is logged."""
    watcher = watched.follow(teams)
    data = (teams / "b.json").read_bytes()
    for _ in range(3):
        (teams / "b.json").unlink()
        watcher.look()
        (teams / "b.json").write_bytes(data)
        watcher.look()
        assert watched.owners == {"a": "a", "b": "b"}
    assert watched.lines() == []


def test_file_that_is_being_written(watched: Watched, teams: Path) -> None:
    """A file that appears is loaded when two looks in a row find the same content, because it may be incomplete."""
    watcher = watched.follow(teams)
    whole = [b"", content("c", "c")[:-1], content("c", "c"), content("c", "c")]
    for number, data in enumerate(whole):
        (teams / "c.json").write_bytes(data)
        watcher.look()
        assert ("c" in watched.owners) == (number == len(whole) - 1)
    assert watched.lines() == []
    (teams / "d.json").write_bytes(b"[")
    settle(watcher)
    assert len(watched.lines()) == 1
    assert watched.owners == {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("missing", ["empty", "folder"])
def test_folder_without_files(watched: Watched, teams: Path, missing: str) -> None:
    """If a folder loses all its files, or is missing, its entries stay in force, and one line has the reason."""
    watcher = watched.follow(teams, watched.path)
    away = teams.with_name("away")
    teams.rename(away)
    reason = ": no such folder"
    if missing == "empty":
        teams.mkdir()
        reason = f": no file in this folder {NO_FILE}"
    settle(watcher)
    settle(watcher)
    assert watched.owners == {"a": "a", "b": "b", "m": "a"}
    assert watched.lines() == [cannot_load(teams, reason)]
    *files, folder = watcher.states()
    assert [file.error for file in files] == [None] * 3
    assert (folder.path, folder.version, folder.models, folder.failures) == (str(teams), None, 0, 1)
    assert folder.error == f"{teams}{reason}"
    put(watched.path, content("d"))
    watcher.look()
    assert watched.owner == "d"
    if missing == "empty":
        teams.rmdir()
    away.rename(teams)
    settle(watcher)
    assert watched.lines() == [valid_again(teams)]
    assert len(watcher.states()) == 3


def test_empty_folder_at_the_start(watched: Watched, tmp_path: Path) -> None:
    """A folder or glob without files at the start has one line, and is followed."""
    (tmp_path / "new").mkdir()
    watcher = watched.follow(tmp_path / "new", tmp_path / "new/*.json")
    settle(watcher)
    none = f": matches no file whose name ends in {', '.join(ENDINGS[:2])} or {ENDINGS[2]}"
    assert watched.lines() == [
        cannot_load(tmp_path / "new", f": no file in this folder {NO_FILE}", UNTIL_FIXED),
        cannot_load(tmp_path / "new/*.json", none, UNTIL_FIXED),
    ]
    assert watcher.lacks_files
    (tmp_path / "new" / "a.json").write_bytes(content("a"))
    settle(watcher)
    assert watched.owners == {"m": "a"}
    assert not watcher.lacks_files
    assert len(watcher.states()) == 1


def test_invalid_files_in_a_folder(watched: Watched, teams: Path) -> None:
    """A model in two files of a folder is an error that names both; an invalid file leaves the others in force."""
    watcher = watched.follow(teams)
    (teams / "c.json").write_bytes(content("c", "a", "c"))
    settle(watcher)
    assert watched.owners == {"a": "a", "b": "b"}
    (line,) = watched.lines()
    assert f"model 'a' is in both {teams}/a.YAML and {teams}/c.json" in line
    put(teams / "c.json", b"[")
    settle(watcher)
    assert watched.owners == {"a": "a", "b": "b"}
    assert watched.lines()[0].startswith(f"warning: model registry: cannot load registry file {teams}/c.json, line 1")
    put(teams / "c.json", content("c", "c"))
    settle(watcher)
    assert watched.owners == {"a": "a", "b": "b", "c": "c"}


def test_reloads_are_logged(watched: Watched, teams: Path) -> None:
    """After the start, a line has path, version and number of models of each changed file, once it is in force."""

    def reloads() -> list[str]:
        return [line for line in watched.all_lines() if line.startswith(LOADED)]

    new, conflict, resolved = content("x", "m-1", "m-2"), content("y", "m-1"), content("y", "m-3")
    watcher = watched.follow(teams)
    assert reloads() == []
    put(teams / "b.json", new)
    settle(watcher)
    assert reloads() == [loaded((teams / "b.json", new, 2))]
    put(teams / "c.json", conflict)
    settle(watcher)
    assert reloads() == []
    put(teams / "c.json", resolved)
    settle(watcher)
    (line,) = reloads()
    assert loaded((teams / "c.json", resolved, 1)).removeprefix(LOADED) in line
    (teams / "c.json").unlink()
    settle(watcher)
    assert reloads() == []


def test_reload_of_many_files(watched: Watched, tmp_path: Path) -> None:
    """A reload of a whole folder is one line, which names the first files."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        put(folder / f"{number}.json", content("a", f"m-{number}"))
    watcher = watched.follow(folder)
    for number in range(8):
        put(folder / f"{number}.json", content("b", f"m-{number}"))
    settle(watcher)
    (line,) = watched.all_lines()
    assert line.count("models: 1") == 5
    assert line.endswith(", 3 more")


def test_config_map(watched: Watched, two_files: ConfigMap) -> None:
    """The files of a mounted ConfigMap change together."""
    watched.path.unlink()
    watcher = watched.follow(two_files.folder)
    for owner in "bcd":
        two_files.swap_owner(owner)
        watcher.look()
        assert watched.owners == {"first": owner, "second": owner}
    assert watched.lines() == []


def test_thread_follows_a_folder(watched: Watched, teams: Path) -> None:
    """The thread notices a new file within the interval."""
    watched.follow(teams, interval=100)
    (teams / "m.json").write_bytes(content("x", "m"))
    watched.wait_for_owner("x")


def test_evidence_lists_the_files_of_a_folder(teams: Path, tmp_path: Path) -> None:
    """The attestation lists the real files of a folder, with their digests."""
    registry = ModelRegistry(auto_emit=False)
    FileWatcher(registry, str(teams), reload_interval=0).start()
    (tmp_path / "spans.json").write_text("")
    engine = ComplianceMappingEngine(registry)
    package = engine.generate_evidence_package(
        None, "soc2", "2026-01-01", "2026-01-02", telemetry=[str(tmp_path / "spans.json")]
    )
    assert [Path(file.name).name for file in package.attestation.registry.files] == ["a.YAML", "b.json"]
