"""``diff``: the differences between two versions of a registry, for people who review a change and for gates."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.text import Text

from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.difference_texts import (
    describe_differences,
    explain_difference,
    write_markdown,
    write_text,
)
from spanforge.model_registry._cli.differences import DIFFERENCE_KINDS, compare_registries
from spanforge.model_registry._cli.fail_on import NO_KIND, parse_kinds
from spanforge.model_registry._cli.format_options import PageFormatOption
from spanforge.model_registry._cli.terminal import open_console, print_json, print_line
from spanforge.model_registry._cli.versions import NewArgument, OldArgument, RegistryVersion, load_versions

FailOnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        metavar="KINDS",
        help="Kinds of difference that end with exit code 1, separated by commas: "
        f"{', '.join(DIFFERENCE_KINDS)} or {NO_KIND}.",
    ),
]
ExitCodeOption = Annotated[bool, typer.Option("--exit-code", help="End with exit code 1 if anything differs.")]
_WRITERS: Final = {"text": write_text, "markdown": write_markdown}


@examples(
    "diff old.yaml models.yaml",
    "diff old.yaml models.yaml --fail-on owner  # ends with 1",
    "diff old.yaml models.yaml --format markdown",
)
def diff_registries(
    old: OldArgument,
    new: NewArgument,
    output: PageFormatOption = "text",
    fail_on: FailOnOption = None,
    *,
    exit_code: ExitCodeOption = False,
) -> None:
    """Explain what changed between two registries.

    OLD and NEW are files or folders, on disk or in a revision of git, such as git:HEAD~1:models.yaml. A status that the
    lifecycle does not allow, such as active after retired, always ends with exit code 1.
    """
    kinds = sorted(parse_kinds(fail_on or [], DIFFERENCE_KINDS))
    versions = load_versions(old, new)
    report_missing(versions)
    old, new = (version.name for version in versions)  # addresses without credentials
    difference = compare_registries(versions[0].entries, versions[1].entries)
    findings = difference.list_findings(kinds)
    if output == "json":
        print_json(describe_differences(difference, old, new, findings))
    else:
        console = open_console()
        for line in explain_difference(difference, old, new, findings):
            written = _WRITERS[output](line)
            if output == "text":
                console.print(Text(written, line.style), soft_wrap=False)
            else:
                typer.echo(written)
    if findings or (exit_code and difference.models):
        raise typer.Exit(1)


def report_missing(versions: tuple[RegistryVersion, ...]) -> None:
    """Print which registry counts as empty because its revision does not have the path."""
    for version in versions:
        if version.is_missing:
            print_line(f"{version.name}: no such file in this revision, so it counts as empty", stderr=True)
