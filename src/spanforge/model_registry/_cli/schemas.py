"""``schema``: the JSON Schemas of the files that people write."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from spanforge.model_registry import __file__ as _package_file
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.output_files import ReplacedFileOption, replace_output
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.similar_names import write_names

_SCHEMA_FOLDER: Final = os.path.dirname(_package_file)
_SUFFIX: Final = ".schema.json"


@examples("schema registry --output registry.schema.json", "schema framework --output framework.schema.json")
def print_schema(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="registry, calendar or framework.")],
    output: ReplacedFileOption = None,
) -> None:
    """Print the JSON Schema of a kind of file.

    Editors use it to complete and check such files. Many editors read the name of the schema from a
    comment in the first line of a YAML file:

    # yaml-language-server: $schema=calendar.schema.json
    """
    kinds = list_schemas()
    if kind not in kinds:
        msg = f"there is no schema {escape_controls(kind)}; {write_names('schema', kinds)}"
        raise UsageError(msg)
    with open(os.path.join(_SCHEMA_FOLDER, f"{kind}{_SUFFIX}"), "rb") as file:
        content = file.read()
    if output is None:
        sys.stdout.write(content.decode())
        return
    replace_output(output, content)


def list_schemas() -> list[str]:
    """Return the kinds of files whose schemas are installed."""
    return sorted(name.removesuffix(_SUFFIX) for name in os.listdir(_SCHEMA_FOLDER) if name.endswith(_SUFFIX))
