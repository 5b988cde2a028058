"""``reconcile``: telemetry compared with the registry and the provider calendar."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry._cli.calendar_option import CalendarOption
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.csv_output import print_csv
from spanforge.model_registry._cli.fail_on import NO_KIND, parse_kinds
from spanforge.model_registry._cli.finding_kinds import FAIL_ON, FINDING_KINDS
from spanforge.model_registry._cli.findings import find_all
from spanforge.model_registry._cli.format_options import TableFormatOption
from spanforge.model_registry._cli.output_files import NewFile, write_new_files
from spanforge.model_registry._cli.progress import show_reading
from spanforge.model_registry._cli.reconcile_output import (
    MAX_TABLE_ROWS,
    make_document,
    print_findings,
    render_findings_csv,
)
from spanforge.model_registry._cli.registries import FilesOption, load_registry
from spanforge.model_registry._cli.scanning import (
    choose_scan_period,
    find_size,
    make_scan_request,
    open_telemetry,
    scan_telemetry,
)
from spanforge.model_registry._cli.suggestions import check_suggestion_path, suggest_entries
from spanforge.model_registry._cli.telemetry_option import TelemetryOption
from spanforge.model_registry._cli.terminal import print_json, print_line

if TYPE_CHECKING:
    from spanforge.model_registry._cli.findings import Findings
    from spanforge.model_registry._cli.scanning import Observed

_STANDARD_OUTPUT = "-"


@examples(
    "reconcile --telemetry telemetry.jsonl --file models.yaml --file media.yaml  # ends with 1: there are findings",
    "reconcile --telemetry telemetry.jsonl --file models.yaml --fail-on retired --suggest missing.yaml",
    "reconcile --telemetry telemetry.jsonl --file models.yaml --from 2026-11-01 --fail-on never",
)
def reconcile_telemetry(  # noqa: PLR0913 - options
    *,
    telemetry: TelemetryOption,
    files: FilesOption = None,
    calendar: CalendarOption = None,
    from_date: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="First moment of the period. Default: all telemetry.")
    ] = None,
    to_date: Annotated[str | None, typer.Option("--to", metavar="TIME", help="First moment after the period.")] = None,
    output: TableFormatOption = "text",
    show_all: Annotated[
        bool, typer.Option("--all", help=f"Show all rows of tables, not only {MAX_TABLE_ROWS}.")
    ] = False,
    suggest: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write entries to fill in for models that are not registered; - prints only these."
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KINDS",
            help="Kinds of finding that end with exit code 1, separated by commas: "
            f"{', '.join(FINDING_KINDS)} or {NO_KIND}. Default: {','.join(FAIL_ON)}.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Compare telemetry with the registry and the calendar.

    It reports called models that are unregistered, retired, or past their sunset or shutdown day, and the services that
    called them. It also reports models that nobody called. Calls are counted as in evidence: each span once, with the
    status at its time.
    """
    failing = parse_kinds(fail_on or FAIL_ON, FINDING_KINDS)
    if suggest is not None and suggest != _STANDARD_OUTPUT:
        check_suggestion_path(suggest)
    period = choose_scan_period(telemetry, from_date, to_date)
    request = make_scan_request(period, load_registry(files).list_all(), calendar)
    readers = open_telemetry(telemetry, request)
    with show_reading(find_size(readers), is_shown=not quiet) as report:
        observed = scan_telemetry(readers, request, report)
    findings = find_all(observed, time.time_ns())
    if suggest is not None:  # before the report, whose reader may close the pipe
        _write_suggestions(observed, findings, suggest)
    if suggest != _STANDARD_OUTPUT:
        _print_result(observed, findings, output, None if show_all else MAX_TABLE_ROWS)
    if failing & findings.count_kinds().keys():
        raise typer.Exit(1)


def _print_result(observed: Observed, findings: Findings, output: str, limit: int | None) -> None:
    if output == "json":
        print_json(make_document(observed, findings))
    elif output == "csv":
        print_csv(render_findings_csv(findings))
    else:
        print_findings(observed, findings, limit)


def _write_suggestions(observed: Observed, findings: Findings, path: str) -> None:
    request = observed.request
    suggestions = suggest_entries(findings.rows, request.entries, request.match)
    if path == _STANDARD_OUTPUT:
        sys.stdout.write(suggestions.format())
    elif not suggestions.entries:
        print_line("no entry to suggest, so no file is written", "weak", stderr=True)
    else:
        write_new_files(NewFile(path, suggestions.format().encode()))
        print_line(f"{path}: entries to fill in: {len(suggestions.entries):,}", "good", stderr=True)
