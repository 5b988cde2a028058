"""The revision of registry files: the git commit that has exactly these bytes, or the commit that a CI job states."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.git_process import call_git
from spanforge.model_registry._cli.registries import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.storage import SourceFile

CI_VARIABLES: Final = {
    "GITHUB_SHA": "GitHub Actions",
    "CI_COMMIT_SHA": "GitLab CI",
    "BUILD_SOURCEVERSION": "Azure Pipelines",
    "BITBUCKET_COMMIT": "Bitbucket Pipelines",
    "CIRCLE_SHA1": "CircleCI",
    "BUILDKITE_COMMIT": "Buildkite",
    "GIT_COMMIT": "Jenkins",
}
"""The environment variables in which CI systems state the commit, with the name of the system."""


class RegistryRevision(NamedTuple):
    """The revision of the registry.

    Attributes:
        commit: The commit; ``None`` if it is not known.
        origin: The source of the commit, or the reason why there is none: a part of a sentence.
    """

    commit: str | None
    origin: str


def find_revision(sources: Iterable[SourceFile], environment: Mapping[str, str] = os.environ) -> RegistryRevision:
    """Return the commit that is checked out and has exactly the bytes of these files.

    Files that are in no git repository have the commit that a CI job states, if there is one.

    Args:
        sources: The registry files, as they were read.
        environment: The environment variables.
    """
    commits = set[str]()
    for source in sources:
        folder, name = os.path.split(os.path.realpath(source.path))
        commit = _ask_git(folder, "rev-parse", "HEAD")
        if commit is None:
            return _read_ci_variables(environment)
        content = _ask_git(folder, "cat-file", "blob", f"HEAD:./{name}")
        if content is None or hashlib.sha256(content).hexdigest() != source.sha256:
            return RegistryRevision(None, f"{source.path} is not as in the last commit")
        commits.add(commit.decode("ascii", "replace").strip())
    if len(commits) > 1:
        return RegistryRevision(None, "the registry files are in several git repositories")
    return RegistryRevision(commits.pop(), "from git") if commits else _read_ci_variables(environment)


def _ask_git(folder: str, *arguments: str) -> bytes | None:
    """Return the output of a git command that runs in a folder; ``None`` if it fails or there is no git."""
    with suppress(UsageError):
        done = call_git(*arguments, folder=folder)
        return done.stdout if done.returncode == 0 else None
    return None


def _read_ci_variables(environment: Mapping[str, str]) -> RegistryRevision:
    for name, system in CI_VARIABLES.items():
        commit = environment.get(name, "").strip()
        if commit:
            return RegistryRevision(commit, f"from {name} of {system}")
    return RegistryRevision(None, "git knows no commit of the registry files")
