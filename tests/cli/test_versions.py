"""Registries in files, folders and revisions of git."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import Printed, run_here
from support.repositories import FIRST_COMMIT, Repository, describe_model

from spanforge.model_registry._cli.git_revisions import find_git_place
from spanforge.model_registry._cli.versions import load_versions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Give a repository that the tests only read: four commits, a folder, a link and a submodule."""
    folder = tmp_path_factory.mktemp("git")
    other = Repository(folder / "other")
    other.commit({"models.json": []})
    repository = Repository(folder / "main [1]")
    repository.commit({"README.md": "models"})
    repository.commit({"models.json": [describe_model()], "team a/b: [c].json": [describe_model("b")]})
    (repository.folder / "link").symlink_to("team a")
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.folder, "vendor")
    others = dict.fromkeys(("team a/notes.md", "team a/.hidden.json", "team a/models.schema.json"), "x")
    repository.commit({"team a/a.json": [describe_model("a")], **others})
    repository.commit({"models.json": [describe_model(), describe_model("new")]})
    repository.git("tag", "-m", "first release", "v1", "HEAD~1")
    repository.git("update-ref", "refs/remotes/origin/main", "HEAD~2")
    return repository


@pytest.fixture(autouse=True)
def _in_repository(shared: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared.folder)
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook of another repository
    monkeypatch.setenv("GIT_PAGER", "false")


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("git:HEAD:models.json", ["acme-chat-1", "new"]),
        ("git:HEAD~1:./models.json", ["acme-chat-1"]),
        ("git:v1:models.json", ["acme-chat-1"]),
        ("git:origin/main:models.json", ["acme-chat-1"]),
        ("git:HEAD:team a/b: [c].json", ["b"]),
        ("git:HEAD:team a", ["a", "b"]),
        ("git:HEAD:team a/", ["a", "b"]),
        ("git:HEAD~2:.", ["acme-chat-1"]),
        ("models.json", ["acme-chat-1", "new"]),
        ("team a", ["a", "b"]),
    ],
)
def test_the_entries_of_a_version(name: str, models: list[str]) -> None:
    """A file or folder has the same entries in git and outside; a folder has those of its registry files."""
    old, new = load_versions(name, name)
    assert [entry.model_id for entry in old.entries] == models
    assert old == new


def test_paths_below_the_root(shared: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path starts at the root of the repository, or with ``./`` in the working folder."""
    monkeypatch.chdir(shared.folder / "team a")
    for name in ("git:HEAD:models.json", "git:HEAD:../models.json", "git:HEAD:./../models.json"):
        assert load_versions(name, name)[0].place == find_git_place(name)
        assert find_git_place(name).path == "models.json"
    assert find_git_place("git:HEAD:./a.json").path == "team a/a.json"
    assert find_git_place("git:HEAD~1:x").committed_at == FIRST_COMMIT + 2 * 86_400


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("git:HEAD~3:models.json", "git:HEAD:models.json", (0, 2)),
        ("git:HEAD~3:models.json", "models.json", (0, 2)),
        ("git:HEAD:models.json", "git:HEAD~3:models.json", (2, 0)),
        (f"git:{'0' * 40}:models.json", "git:HEAD:models.json", (0, 2)),
    ],
)
def test_a_file_that_one_revision_does_not_have(old: str, new: str, counts: tuple[int, int]) -> None:
    """If both arguments name the same path, the missing file counts as empty."""
    versions = load_versions(old, new)
    assert tuple(len(version.entries) for version in versions) == counts


WRONG: list[tuple[list[str], str]] = [
    (["git:HEAD"], "git:HEAD: write git:REV:PATH, for example git:HEAD~1:models.yaml"),
    (["git:--all:models.json"], "git:--all:models.json: write git:REV:PATH, for example git:HEAD~1:models.yaml"),
    (["git:nope:models.json"], "git:nope:models.json: there is no revision nope in the repository"),
    (
        ["git:HEAD:nope.json"],
        "git:HEAD:nope.json: revision HEAD has no nope.json; a path starts at the repository's root, or at ./",
    ),
    (
        ["git:HEAD~3:model.json", "models.json"],
        "git:HEAD~3:model.json: revision HEAD~3 has no model.json; a path starts at the repository's root, or at ./",
    ),
    (
        ["git:HEAD:vendor/models.json"],
        "git:HEAD:vendor/models.json: vendor is a submodule: run the command in the submodule",
    ),
    (["git:HEAD:vendor"], "git:HEAD:vendor: vendor is a submodule: run the command in the submodule"),
    (["git:HEAD:link"], "git:HEAD:link: link is a symbolic link: name the path to which it leads"),
    (["git:HEAD:link/a.json"], "git:HEAD:link/a.json: link is a symbolic link: name the path to which it leads"),
    (["git:HEAD:../x"], "git:HEAD:../x: the path leads out of the repository"),
    (["git:HEAD~3:."], "git:HEAD~3:.: the folder has no file whose name ends in .json, .yaml, .yml"),
    (["git:\x1b[31m:x"], "git:\\x1b[31m:x: there is no revision \\x1b[31m in the repository"),
    (["nope.json"], "nope.json: no such file"),
]


@pytest.mark.parametrize("command", ["diff", "emit"])
@pytest.mark.parametrize(("arguments", "line"), WRONG, ids=range(len(WRONG)))
def test_a_version_that_cannot_be_read(
    command: str, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says which argument is wrong, and why."""
    printed = run_here(capsys, command, arguments[0], arguments[-1])
    assert printed == Printed(2, "", f"spanforge-models: {line}\n")


def test_two_files_with_the_same_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names both files of the folder."""
    repository = Repository(tmp_path)
    repository.commit({"a.json": [describe_model()], "b.json": [describe_model()]})
    printed = run_here(capsys, "diff", tmp_path, tmp_path)
    line = f"spanforge-models: {tmp_path}/b.json: {tmp_path}/a.json has model 'acme-chat-1' too\n"
    assert printed == Printed(2, "", line)


@pytest.mark.parametrize("name", [b"a\n\x1b[31m.json", b'\xff ".json', b":(glob)*.json", b"-x.json"])
def test_hostile_names_of_files(name: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Git gives each name as it is, and an error shows it in one printable line."""
    repository = Repository(tmp_path)
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
        file.write(b"[]")
    repository.commit({})
    monkeypatch.chdir(tmp_path)
    path = f"git:HEAD:{os.fsdecode(name)}"
    assert run_here(capsys, "diff", path, "git:HEAD:.").code == 0
    with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
        file.write(b"x")
    repository.commit({})
    for each in (path, "git:HEAD:."):
        printed = run_here(capsys, "diff", each, each)
        assert printed.code == 2
        [line] = printed.err.split("\n")[:-1]
        assert line.isprintable()
        assert ", line 1, column 1: is not valid JSON: " in line


def test_a_shallow_clone(shared: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A revision that a shallow clone does not have is an error that says how to fetch it."""
    shared.git("clone", "--quiet", "--depth=1", f"file://{shared.folder}", tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    printed = run_here(capsys, "diff", "git:HEAD~1:models.json", "git:HEAD:models.json")
    assert printed.code == 2
    assert "revision HEAD~1 is not in this shallow clone: fetch the whole history" in printed.err


def test_without_a_repository_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside a repository, and without git, one line says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    printed = run_here(capsys, "diff", "git:HEAD:a.json", "git:HEAD:a.json")
    assert printed.code == 2
    assert printed.err.startswith("spanforge-models: git:HEAD:a.json: not a git repository")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("git") is None
    printed = run_here(capsys, "diff", "git:HEAD:a.json", "git:HEAD:a.json")
    assert printed == Printed(2, "", "spanforge-models: git is not installed, or not in PATH\n")
