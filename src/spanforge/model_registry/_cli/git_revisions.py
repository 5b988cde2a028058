"""Files of a git repository as they were in a revision."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.git_process import call_git
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.settings import MAX_FILE_SIZE
from spanforge.model_registry._core.storage import explain_size

if TYPE_CHECKING:
    from collections.abc import Callable

GIT_PREFIX: Final = "git:"
"""The start of an argument that names a file in a revision: ``git:REV:PATH``."""
_ID_LENGTH: Final = 40
"""The digits of an id, of which the id of no commit has as many zeros; newer repositories have longer ones."""
_LINKS: Final = {"120000": "a symbolic link", "160000": "a submodule"}
"""What a path of a tree is if it is neither a file nor a folder, by git's mode."""


class GitFile(NamedTuple):
    """A file of a commit.

    Attributes:
        path: Its path from the root of the repository.
        content: Its bytes.
    """

    path: str
    content: bytes


class GitPlace(NamedTuple):
    """A path in a revision.

    Attributes:
        text: The argument that names it: ``git:HEAD~1:models.yaml``.
        revision: The revision as it was written.
        path: The path from the root of the repository; empty for the root itself.
        commit: The id of the commit; ``None`` if the revision is git's name for no commit, which consists of zeros.
        committed_at: The time of the commit, in seconds since the epoch; 0 without a commit.
    """

    text: str
    revision: str
    path: str
    commit: str | None
    committed_at: int = 0


class _TreeItem(NamedTuple):
    mode: str
    kind: str
    oid: str
    size: str
    path: str


_ROOT: Final = _TreeItem("", "tree", "", "-", "")


def find_git_place(text: str) -> GitPlace:
    """Return the place that ``git:REV:PATH`` names. The path starts at the repository's root, or at ``./``.

    Raises:
        UsageError: The text has another form, git or the repository is missing, or the revision is unknown.
    """
    revision, colon, path = text.removeprefix(GIT_PREFIX).partition(":")
    if not (revision and colon and path) or revision.startswith("-"):
        msg = f"{escape_controls(text)}: write git:REV:PATH, for example git:HEAD~1:models.yaml"
        raise UsageError(msg)
    folder = _run_git(text, "rev-parse", "--show-prefix").decode().removesuffix("\n")
    joined = posixpath.normpath(posixpath.join(folder if path.startswith(("./", "../")) else "", path)).lstrip("/")
    if joined.split("/", 1)[0] == "..":
        msg = f"{escape_controls(text)}: the path leads out of the repository"
        raise UsageError(msg)
    joined = "" if joined == "." else joined
    if not revision.strip("0") and len(revision) >= _ID_LENGTH:
        return GitPlace(text, revision, joined, None)
    commit = _find_commit(text, revision)
    committed_at = _run_git(text, "rev-list", "--max-count=1", "--timestamp", commit).split()[0]
    return GitPlace(text, revision, joined, commit, int(committed_at))


def _find_commit(text: str, revision: str) -> str:
    found = call_git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    shallow = _run_git(text, "rev-parse", "--is-shallow-repository").strip() == b"true"
    reason = f"there is no revision {escape_controls(revision)} in the repository"
    if shallow:
        reason = (
            f"revision {escape_controls(revision)} is not in this shallow clone: fetch the whole history "
            "(GitHub's actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0)"
        )
    msg = f"{escape_controls(text)}: {reason}"
    raise UsageError(msg)


def find_path_in_repository(path: str) -> str:
    """Return the path, from the repository's root, of a file of the working folder's repository."""
    root = os.path.realpath(os.fsdecode(_run_git(path, "rev-parse", "--show-toplevel")).removesuffix("\n"))
    return posixpath.normpath(os.path.relpath(os.path.realpath(path), root).replace(os.sep, "/"))


def find_known_place(revision: str) -> GitPlace | None:
    """Return the root of the repository in a revision; ``None`` if the working folder has no such revision."""
    try:
        return find_git_place(f"{GIT_PREFIX}{revision}:.")
    except UsageError:
        return None


def read_git_files(place: GitPlace, select: Callable[[str], bool]) -> list[GitFile] | None:
    """Return the file at a place, or the files in the folder there; ``None`` if the commit does not have the path.

    Args:
        place: The place.
        select: Returns ``True`` for the path of each file of a folder that is wanted.

    Raises:
        UsageError: The path is neither a file nor a folder, or git fails.
    """
    item = _find_tree_item(place)
    if item is None:
        return None
    if item.kind != "tree":
        return [_read_blob(place, item)]
    items = _list_tree(place, f"{place.path}/" if place.path else ".")
    return [_read_blob(place, each) for each in items if each.kind == "blob" and select(each.path)]


def _find_tree_item(place: GitPlace) -> _TreeItem | None:
    """Return the item at a place; ``None`` if the commit has none."""
    if place.commit is None or not place.path:
        return _ROOT if place.commit else None
    items = _list_tree(place, place.path)
    if not items:
        _refuse_link_above(place)
    return items[0] if items else None


def _refuse_link_above(place: GitPlace) -> None:
    """Raise an error if a folder of the path is a submodule or a symbolic link, which git does not follow."""
    parts = place.path.split("/")
    for end in range(1, len(parts)):
        for item in _list_tree(place, "/".join(parts[:end])):
            _refuse_link(place, item)


def _refuse_link(place: GitPlace, item: _TreeItem) -> None:
    kind = _LINKS.get(item.mode)
    if kind is None:
        return
    remedy = "run the command in the submodule" if item.kind == "commit" else "name the path to which it leads"
    msg = f"{escape_controls(place.text)}: {escape_controls(item.path)} is {kind}: {remedy}"
    raise UsageError(msg)


def _list_tree(place: GitPlace, path: str) -> list[_TreeItem]:
    """Return the item at a path of the commit; for a path that ends in ``/``, the items in that folder."""
    output = _run_git(place.text, "ls-tree", "-z", "-l", "--full-tree", place.commit or "", "--", path)
    return [_parse_item(row) for row in output.split(b"\0") if row]


def _parse_item(row: bytes) -> _TreeItem:
    facts, _, path = row.partition(b"\t")
    mode, kind, oid, size = facts.decode().split()
    return _TreeItem(mode, kind, oid, size, os.fsdecode(path))


def _read_blob(place: GitPlace, item: _TreeItem) -> GitFile:
    _refuse_link(place, item)
    limit = MAX_FILE_SIZE.read()
    if int(item.size) > limit:
        msg = f"{escape_controls(place.text)}: {escape_controls(item.path)} {explain_size(limit)}"
        raise UsageError(msg)
    return GitFile(item.path, _run_git(place.text, "cat-file", "blob", item.oid))


def _run_git(text: str, *arguments: str) -> bytes:
    """Return the output of git; its error becomes an error about the argument ``text``."""
    done = call_git(*arguments)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"git {arguments[0]} failed"]
        msg = f"{escape_controls(text)}: {escape_controls(lines[0].removeprefix('fatal: '))}"
        raise UsageError(msg)
    return done.stdout
