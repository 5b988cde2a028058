"""The option ``--format``: how a command prints its result."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

FormatOption = Annotated[Literal["text", "json"], typer.Option("--format", help="How to print the result.")]
TableFormatOption = Annotated[Literal["text", "json", "csv"], typer.Option("--format", help="How to print the result.")]
PageFormatOption = Annotated[
    Literal["text", "json", "markdown"],
    typer.Option("--format", help="How to print the result; markdown is for tickets and pull requests."),
]
