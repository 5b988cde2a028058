"""The framework that a command takes: the id of one that the library contains, or a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry.compliance import load_framework
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped

if TYPE_CHECKING:
    from spanforge.model_registry.compliance import Framework

_SUFFIXES: Final = (".json", ".yaml", ".yml")

_ALLOWED: Final = f"{', '.join(SHIPPED_IDS)}, or a .json or .yaml file"

FrameworkOption = Annotated[
    list[str] | None, typer.Option("--framework", metavar="NAME", help=f"Required: {_ALLOWED}.", show_default=False)
]
"""The option of the command that makes evidence. It is a list only to refuse a second one, which would be lost."""


def read_only_framework(given: list[str] | None) -> Framework:
    """Return the framework of the option, which must be given exactly once; raise the errors of ``read_framework``.

    Raises:
        UsageError: It is missing, or given several times.
    """
    if not given:
        msg = f"--framework is missing; pass {_ALLOWED}"
        raise UsageError(msg)
    if len(given) > 1:
        msg = f"--framework is given {len(given)} times; a package has one framework, so make a package for each"
        raise UsageError(msg)
    return read_framework(given[0])


def read_framework(given: str) -> Framework:
    """Return the framework with an id, or the one in a file.

    Raises:
        UsageError: It is neither an id of the library nor the name of a file.
        RegistryFileError: The file cannot be read, or has faults.
    """
    shipped = list_shipped()
    if given in shipped:
        return shipped[given]
    if given.lower().endswith(_SUFFIXES) or os.path.exists(given):
        return load_framework(given)
    msg = f"there is no framework {escape_controls(given)}; pass {_ALLOWED}"
    raise UsageError(msg)
