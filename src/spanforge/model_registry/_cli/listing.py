"""``list``: the models of a registry."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.registries import FilesOption, load_registry
from spanforge.model_registry._cli.terminal import print_json, print_table

FormatOption = Annotated[Literal["text", "json"], typer.Option("--format", help="How to print the result.")]


@examples("list --file models.yaml", "list --file models.yaml --format json")
def list_entries(files: FilesOption = None, output: FormatOption = "text") -> None:
    """List the models of a registry."""
    entries = load_registry(files).list_all()
    if output == "json":
        print_json([entry.to_dict() for entry in entries])
        return
    rows = [(entry.model_id, entry.status, entry.risk_tier, entry.owner) for entry in entries]
    print_table(("model", "status", "tier", "owner"), rows, ("name",))
