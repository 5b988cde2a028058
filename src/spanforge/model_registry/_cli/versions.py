"""Two versions of a registry: files, folders, or files in a revision of git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from spanforge.model_registry._cli.git_revisions import (
    GIT_PREFIX,
    GitPlace,
    find_git_place,
    find_path_in_repository,
    read_git_files,
)
from spanforge.model_registry._cli.registries import UsageError, read_registry_source
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.registry_addresses import hide_credentials
from spanforge.model_registry._core.registry_sources import ENDINGS, find_files, is_registry_name
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry import ModelRegistryEntry

_HELP: Final = "Registry file, folder of such files, or git:REV:PATH."
OldArgument = Annotated[str, typer.Argument(metavar="OLD", help=f"Registry before the change. {_HELP}")]
NewArgument = Annotated[str, typer.Argument(metavar="NEW", help=f"Registry after the change. {_HELP}")]


class RegistryVersion(NamedTuple):
    """A registry at one time.

    Attributes:
        name: The argument that names it.
        entries: Its entries, in the order of the file.
        place: Its place in git; ``None`` if it is a file or a folder.
        is_missing: ``True`` if the revision does not have the path, so that there are no entries.
    """

    name: str
    entries: list[ModelRegistryEntry]
    place: GitPlace | None = None
    is_missing: bool = False


def load_versions(old: str, new: str) -> tuple[RegistryVersion, RegistryVersion]:
    """Return the registries before and after a change.

    A path that one revision does not have counts as an empty registry, if both arguments name the same path. The change
    then adds or removes the file. Otherwise the path may be misspelt.

    Raises:
        ModelRegistryError: A registry cannot be read or is not valid, or a revision does not have the path.
    """
    versions = _load_version(old), _load_version(new)
    missing = [version for version in versions if version.is_missing]
    paths = {_find_path(version) for version in versions} if missing else set()
    if len(missing) == len(versions) or len(paths) > 1:
        raise UsageError(_explain_missing_path(missing[0]))
    return versions


def _find_path(version: RegistryVersion) -> str:
    return find_path_in_repository(version.name) if version.place is None else version.place.path


def _explain_missing_path(version: RegistryVersion) -> str:
    place = version.place
    assert place is not None  # noqa: S101 - only git has revisions
    name, path, revision = map(escape_controls, (version.name, place.path, place.revision))
    return f"{name}: revision {revision} has no {path}; a path starts at the repository's root, or at ./"


def _load_version(name: str) -> RegistryVersion:
    if not name.startswith(GIT_PREFIX):
        paths = find_files([name])
        return RegistryVersion(
            hide_credentials(name),
            _join_files((hide_credentials(path), read_registry_source(path)[0]) for path in paths),
        )
    place = find_git_place(name)
    files = read_git_files(place, lambda path: is_registry_name(path.rpartition("/")[2]))
    if files is None:
        return RegistryVersion(name, [], place, is_missing=True)
    named = [(escape_controls(f"{GIT_PREFIX}{place.revision}:{file.path}"), file.content) for file in files]
    if not named:
        msg = f"{escape_controls(name)}: the folder has no file whose name ends in {', '.join(ENDINGS)}"
        raise UsageError(msg)
    return RegistryVersion(name, _join_files((each, parse_entries(each, content)) for each, content in named), place)


def _join_files(files: Iterable[tuple[str, list[ModelRegistryEntry]]]) -> list[ModelRegistryEntry]:
    """Return the entries of several files.

    Raises:
        UsageError: Two files have the same model.
    """
    places: dict[str, str] = {}
    joined: list[ModelRegistryEntry] = []
    for name, entries in files:
        for entry in entries:
            first = places.setdefault(entry.model_id, name)
            if first != name:
                msg = f"{escape_controls(name)}: {escape_controls(first)} has model {entry.model_id!r} too"
                raise UsageError(msg)
        joined += entries
    return joined
