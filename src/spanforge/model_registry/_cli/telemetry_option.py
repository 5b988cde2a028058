"""The option ``--telemetry``: the telemetry that a command reads."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

TelemetryOption = Annotated[
    list[str],
    typer.Option(
        "--telemetry",
        "-t",
        metavar="SOURCE",
        help="File, folder or glob of OTLP, or address of Jaeger or ClickHouse; repeat it for several.",
    ),
]


def list_telemetry(sources: Iterable[str]) -> list[str]:
    """Return sources of telemetry; a folder becomes the glob of all files in it."""
    return [os.path.join(glob.escape(each), "**") if os.path.isdir(each) else each for each in sources]
