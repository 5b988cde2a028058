"""Files that commands write: complete or not at all, so that no reader sees a part of one."""

from __future__ import annotations

import contextlib
import os
from typing import Annotated, Final, NamedTuple

import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.storage import resolve_target, translate_write_errors, write_target

ReplacedFileOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file, and not to standard output.")
]
"""The option of each command whose result is a file."""
EXISTS: Final = "exists already, and is never overwritten; choose another name"
"""The reason why a new file cannot be written."""


class NewFile(NamedTuple):
    """A file that does not exist yet: its path, its content, and its mode before the umask."""

    path: str
    content: bytes
    mode: int = 0o666


def replace_output(path: str, content: bytes) -> None:
    """Replace a file, or the target of a link, in one step. If the process is killed, the old or the new file remains.

    Raises:
        RegistryFileError: The file cannot be written; an old file is unchanged.
    """
    write_target(path, resolve_target(path), [content])


def write_new_files(*files: NewFile) -> None:
    """Write all of several new files, or none. An existing file is never changed.

    Raises:
        UsageError: A file exists.
        RegistryFileError: A file cannot be written.
    """
    made: list[str] = []
    try:
        for file in files:
            with translate_write_errors(file.path):
                _write_new_file(file, made)
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise


def _write_new_file(file: NewFile, made: list[str]) -> None:
    """Write a file and sync it to disk. As soon as it exists, its path is among those that are made."""
    try:
        with open(file.path, "xb", opener=lambda path, flags: os.open(path, flags, file.mode)) as stream:
            made.append(file.path)
            stream.write(file.content)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        msg = f"{file.path}: {EXISTS}"
        raise UsageError(msg) from None
