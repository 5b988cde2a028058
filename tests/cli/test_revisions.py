"""The revision of registry files that ``evidence make`` states."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry._cli.revisions import CI_VARIABLES, find_revision
from spanforge.model_registry._core.storage import read_source

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = {"GITHUB_SHA": "4f2a9c1"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    settings = ("-c", "user.name=ci", "-c", "user.email=ci@acme.example", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def commit_registry(folder: Path) -> Path:
    """Return a registry file in a new repository, in a subfolder, as it is in the only commit."""
    path = folder / "team" / "models.json"
    path.parent.mkdir(parents=True)
    path.write_text("[]")
    git(folder, "init", "--quiet")
    git(folder, "add", "team")
    git(folder, "commit", "--quiet", "--message", "first")
    return path


def test_the_commit_of_an_unchanged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as it is in the last commit has this commit, also through a link, and in a hook of another repository.

    The commit of a CI job does not count.
    """
    path = commit_registry(tmp_path / "repository")
    (tmp_path / "link.json").symlink_to(path)
    head = git(tmp_path / "repository", "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))
    for name in (path, tmp_path / "link.json"):
        assert find_revision([read_source(str(name))[1]], CLEAN) == (head, "from git")


@pytest.mark.parametrize("change", ["edit", "add"])
def test_a_file_that_is_not_as_committed(change: str, tmp_path: Path) -> None:
    """A file that differs from the last commit, or is not in it, has no commit, not even that of a CI job."""
    path = commit_registry(tmp_path)
    path = path if change == "edit" else path.with_name("new.json")
    path.write_text("[ ]")
    expected = (None, f"{path} is not as in the last commit")
    assert find_revision([read_source(str(path))[1]], CLEAN) == expected


def test_files_of_two_repositories(tmp_path: Path) -> None:
    """Files of different commits have no common one."""
    sources = [read_source(str(commit_registry(tmp_path / name)))[1] for name in ("a", "b")]
    git(tmp_path / "b", "commit", "--quiet", "--allow-empty", "--message", "second")
    assert find_revision(sources, CLEAN) == (None, "the registry files are in several git repositories")


def test_the_commit_of_a_ci_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git, or outside of a repository, a CI job's variable counts; without that, the commit is unknown."""
    path = tmp_path / "models.json"
    path.write_text("[]")
    source = read_source(str(path))[1]
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for variable, system in CI_VARIABLES.items():
        assert find_revision([source], {variable: " 4f2a9c1 "}) == ("4f2a9c1", f"from {variable} of {system}")
    assert find_revision([source], {"GITHUB_SHA": ""}) == (None, "git knows no commit of the registry files")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_revision([source], CLEAN) == ("4f2a9c1", "from GITHUB_SHA of GitHub Actions")
