"""Files that commands write: atomic, so that a reader sees the old or the new content."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.atomic_files import (
    explain_not_synced,
    explain_os_error,
    open_folder,
    replace_file,
    sync_folder,
)

ReplacedFileOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, and not to standard output.")
]
"""The option of each command whose result is a file."""


def replace_output(path: str, content: bytes) -> None:
    """Replace a file, or the target of a link, in one step. If the process is killed, the old or the new file remains.

    Raises:
        UsageError: The file cannot be written; an old file is unchanged.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        msg = f"{path}: is not a file; for a pipe or a device, redirect standard output"
        raise UsageError(msg)
    try:
        with open_folder(os.path.dirname(target)) as folder:
            replace_file(target, [content])
            not_synced = sync_folder(folder)
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be written: {explain_os_error(error)}"
        raise UsageError(msg) from None
    if not_synced is not None:
        msg = f"{path}: {explain_not_synced(not_synced)}"
        raise UsageError(msg)
