"""The registry that a command reads: from ``--file``, or else from the files of the setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry import ModelRegistry, ModelRegistryError
from spanforge.model_registry._core.address_answers import read_address
from spanforge.model_registry._core.registry_addresses import is_registry_address
from spanforge.model_registry._core.registry_sources import find_files
from spanforge.model_registry._core.settings import FILE
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import find_shared_id, read_source
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.storage import SourceFile

FilesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help=f"Registry file, folder, glob or https:// address; repeat it for several. Default: the setting "
        f"{FILE.variable}.",
    ),
]
"""The option of each command that reads a registry."""


class UsageError(ModelRegistryError):
    """A command cannot do what its options say. ``str()`` is one sentence with the remedy."""


def find_registry_files(files: list[str] | None) -> list[str]:
    """Return the files, folders and globs of ``--file``, or else of the setting.

    Raises:
        UsageError: There are none, or a name is empty.
    """
    chosen = list(files or FILE.read())
    if not chosen:
        msg = f"no registry file: pass --file FILE, or set {FILE.variable}"
        raise UsageError(msg)
    if "" in chosen:
        msg = "the name of a registry file is empty: pass a path"
        raise UsageError(msg)
    return chosen


def load_registry(files: list[str] | None) -> ModelRegistry:
    """Return a registry that emits no events, with the entries of these files and folders, or else of the setting's.

    Raises:
        RegistryFileError: A file cannot be read or is not valid.
        UsageError: There are no files, or two files have the same model.
    """
    registry = ModelRegistry(auto_emit=False)
    read = [read_registry_source(path) for path in find_files(find_registry_files(files))]
    shared = find_shared_id((source.path, entries) for entries, source in read)
    if shared is not None:
        msg = f"model {quote(shared[0])} is in both {shared[1]} and {shared[2]}; keep it in one of them"
        raise UsageError(msg)
    replace_file_entries(registry, [entry for entries, _ in read for entry in entries], [source for _, source in read])
    return registry


def read_registry_source(path: str) -> tuple[list[ModelRegistryEntry], SourceFile]:
    """Return the entries of a registry file, and its path and digest. The file at an address is requested once.

    Raises:
        RegistryFileError: The file cannot be read or is not valid.
    """
    return read_address(path) if is_registry_address(path) else read_source(path)


def load_registry_if_any(files: list[str] | None) -> ModelRegistry | None:
    """Return the registry as ``load_registry`` does; ``None`` if neither ``--file`` nor the setting names files."""
    return load_registry(files) if files or FILE.read() else None
