"""``import``: registry entries from files of other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import typer

from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.import_catalogs import read_backstage, read_bedrock_models, read_mlflow
from spanforge.model_registry._cli.import_csv import read_csv
from spanforge.model_registry._cli.import_litellm import join_families, read_litellm_config, read_litellm_map
from spanforge.model_registry._cli.import_plan import ImportPlan, Selection, plan_import, take_owners
from spanforge.model_registry._cli.import_rows import ImportRow, ImportSource, read_import_source
from spanforge.model_registry._cli.output_files import NewFile, write_new_files
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry_if_any
from spanforge.model_registry._cli.terminal import count_things, print_json, print_line
from spanforge.model_registry._cli.unfinished_entries import format_unfinished
from spanforge.model_registry._core.storage import is_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ImportFormat = Literal["litellm-config", "litellm-map", "mlflow", "bedrock", "backstage", "csv"]
MAX_SHOWN_ROWS: Final = 20
"""The limit of skipped rows that the report lists as text."""


class ImportReader(NamedTuple):
    """One format.

    Attributes:
        read: The function that yields the rows of a source.
        note: What the source is, for the documentation.
        join: The function that joins rows about one model, after the selection.
        must_select: ``True`` if the source is a catalogue of all models, from which the user selects some.
    """

    read: Callable[[ImportSource], Iterable[ImportRow]]
    note: str
    join: Callable[[Iterable[ImportRow]], Iterable[ImportRow]] = iter
    must_select: bool = False


IMPORT_FORMATS: Final[Mapping[ImportFormat, ImportReader]] = {
    "litellm-config": ImportReader(read_litellm_config, "the `config.yaml` of a LiteLLM proxy"),
    "litellm-map": ImportReader(
        read_litellm_map,
        "LiteLLM's price map, `model_prices_and_context_window.json`",
        join_families,
        must_select=True,
    ),
    "mlflow": ImportReader(
        read_mlflow, "`registered_models` of MLflow's REST API (`registered-models/search`), or an `MLmodel` file"
    ),
    "bedrock": ImportReader(
        read_bedrock_models,
        "the output of `aws bedrock list-foundation-models`, `get-foundation-model` or `list-inference-profiles`",
    ),
    "backstage": ImportReader(read_backstage, "a Backstage `catalog-info.yaml`"),
    "csv": ImportReader(read_csv, "a table whose first line has names of fields"),
}
"""The formats that can be imported."""

FromOption = Annotated[ImportFormat, typer.Option("--from", help="The format of the source.")]
SourceArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="The file to import; - for standard input.")]
OutputOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="The new YAML file. Default: standard output.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="GLOB", help="Only models with such names; repeat it for several."),
]
ProviderOption = Annotated[
    list[str] | None,
    typer.Option("--provider", metavar="PROVIDER", help="Only models of this provider; repeat it for several."),
]
OwnerOption = Annotated[
    str | None,
    typer.Option(
        "--owner-from",
        metavar="KEY",
        help="Where the source has the owner: a tag, label, annotation, column, or key of model_info.",
    ),
]


@examples(
    "import --from litellm-config litellm.yaml",
    "import --from litellm-map prices.json --provider azure",
    "import --from mlflow mlflow.json --owner-from team",
    "import --from bedrock bedrock.json --only '*claude*'",
    "import --from backstage catalog-info.yaml -o imported.yaml",
    "import --from csv models.csv --file models.yaml",
)
def import_entries(  # noqa: PLR0913 - each is an option
    source: SourceArgument,
    form: FromOption,
    output: OutputOption = None,
    files: FilesOption = None,
    only: OnlyOption = None,
    provider: ProviderOption = None,
    owner_from: OwnerOption = None,
    print_as: FormatOption = "text",
) -> None:
    """Write registry entries from a file of another tool.

    A field that the source does not state stays empty, with a comment. The file does not load before a person has
    filled in each empty field: an owner or a risk tier is never guessed.

    Models that the registry has already are left out. The exit code is 1 if a row of the source cannot be used.
    """
    reader = IMPORT_FORMATS[form]
    _check_options(reader, form, output, only, provider)
    registry = load_registry_if_any(files)
    selection = Selection(only or (), provider or ())
    rows = reader.join(selection.choose(reader.read(read_import_source(source))))
    plan = plan_import(take_owners(rows, owner_from) if owner_from else rows, registry)
    plan = plan._replace(not_selected=selection.not_selected)
    text = format_unfinished(plan.entries, [f"Imported from {source} ({form}). Fill in each empty field."])
    if output is not None:
        write_new_files(NewFile(output, text.encode()))
    if print_as == "json":
        print_json(plan.to_dict())
    elif output is None:
        typer.echo(text.encode(), nl=False)  # YAML is UTF-8, whatever the terminal is
    report_import(plan)
    raise typer.Exit(int(any(row.is_fault for row in plan.skipped)))


def _check_options(
    reader: ImportReader, form: str, output: str | None, only: list[str] | None, provider: list[str] | None
) -> None:
    if reader.must_select and not only and not provider:
        msg = f"{form} has thousands of models: select some with --provider or --only, or all with --only '*'"
        raise UsageError(msg)
    if output is not None and not is_yaml(output):
        msg = "--output: the file is YAML, so its name must end in .yaml or .yml"
        raise UsageError(msg)


def report_import(plan: ImportPlan) -> None:
    """Print what an import did to standard error."""
    counts = [
        count_things(len(plan.entries), "entry", "entries"),
        f"{count_things(plan.count_empty_fields(), 'field')} to fill in",
        f"{count_things(len(plan.skipped), 'row')} skipped",
    ]
    if plan.not_selected:
        counts.append(f"{plan.not_selected:,} not selected")
    print_line(", ".join(counts), stderr=True)
    for row in plan.skipped[:MAX_SHOWN_ROWS]:
        print_line(f"  {row.describe()}", "warning" if row.is_fault else "weak", stderr=True)
    if len(plan.skipped) > MAX_SHOWN_ROWS:
        more = len(plan.skipped) - MAX_SHOWN_ROWS
        print_line(f"  and {more:,} more; --format json lists all", "weak", stderr=True)
