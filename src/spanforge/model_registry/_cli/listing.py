"""``list``: the models of a registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.entry_columns import (
    COLUMN_NAMES,
    USUAL_COLUMNS,
    EntryFilter,
    get_column_value,
    parse_columns,
    read_column,
    sort_entries,
)
from spanforge.model_registry._cli.entry_fields import style_model_status
from spanforge.model_registry._cli.format_options import TableFormatOption
from spanforge.model_registry._cli.registries import FilesOption, load_registry
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.terminal import Styled, print_json, print_line
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES

StatusFilter = Annotated[
    list[str] | None, typer.Option("--status", metavar="STATUS", help=f"{', '.join(STATUSES)}; repeat it for several.")
]
OwnerFilter = Annotated[
    list[str] | None,
    typer.Option("--owner", metavar="OWNER", help="An owner, or a glob that matches owners; repeat it for several."),
]
TierFilter = Annotated[
    list[str] | None, typer.Option("--tier", metavar="TIER", help=f"{', '.join(RISK_TIERS)}; repeat it for several.")
]
ProviderFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--provider", metavar="PROVIDER", help="Only models that are limited to this provider; repeat it for several."
    ),
]
SortOption = Annotated[
    str | None, typer.Option("--sort", metavar="COLUMN", help="Order by this column; by -COLUMN in reverse.")
]
ColumnsOption = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAMES", help=f"Columns, separated by commas: {', '.join(COLUMN_NAMES)}."),
]


@examples(
    "list -f models.yaml",
    "list -f models.yaml --columns model_id,successor",
    "list -f models.yaml --owner 'chat-*' --sort -risk_tier",
    "list -f models.yaml --columns model_id,owner --format csv",
)
def list_entries(  # noqa: PLR0913 - each is an option
    files: FilesOption = None,
    status: StatusFilter = None,
    owner: OwnerFilter = None,
    tier: TierFilter = None,
    provider: ProviderFilter = None,
    sort: SortOption = None,
    columns: ColumnsOption = None,
    output: TableFormatOption = "text",
) -> None:
    """List the models of a registry.

    If several filters are passed, all must fit. JSON always has the complete entries.
    """
    chosen = EntryFilter(*(tuple(values or ()) for values in (status, owner, tier, provider)))
    chosen.check()
    names = parse_columns(columns, COLUMN_NAMES if output == "csv" else USUAL_COLUMNS)
    all_entries = load_registry(files).list_all()
    entries = sort_entries(chosen.select(all_entries), sort)
    if output == "json":
        print_json([entry.to_dict() for entry in entries])
    elif output == "csv":
        _print_entries_csv(names, entries)
    else:
        print_table(names, [[_style_column(entry, name) for name in names] for entry in entries])
        print_line(_write_number_line(entries, len(all_entries)), "weak")


def _style_column(entry: ModelRegistryEntry, name: str) -> Styled:
    styles = {"model_id": "name", "status": style_model_status(entry.status)}
    return Styled(read_column(entry, name), styles.get(name, ""))


def _write_number_line(entries: Sequence[ModelRegistryEntry], total: int) -> str:
    """Return the number line of a list."""
    counts = Counter(entry.status for entry in entries)
    by_status = ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])
    of_all = "" if len(entries) == total else f" of {total:,}"
    return f"{len(entries):,}{of_all} model{'' if total == 1 else 's'}{': ' if by_status else ''}{by_status}"


def _print_entries_csv(names: Sequence[str], entries: Sequence[ModelRegistryEntry]) -> None:
    from spanforge.model_registry._cli.csv_output import format_csv, print_csv  # noqa: PLC0415 - it imports evidence

    print_csv(format_csv(names, ([get_column_value(entry, name) for name in names] for entry in entries)))
