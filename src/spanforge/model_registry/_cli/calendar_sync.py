"""``calendar sync`` and ``calendar diff``: a calendar from public sources, and what changed in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spanforge.model_registry._cli.calendar_changes import CalendarChange, compare_calendars
from spanforge.model_registry._cli.calendar_edits import add_to_calendar, load_if_any
from spanforge.model_registry._cli.calendar_option import find_calendar_file
from spanforge.model_registry._cli.calendars import (
    describe_entries,
    load_calendar_version,
    select_registered,
)
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.registries import FilesOption, load_registry, load_registry_if_any
from spanforge.model_registry._cli.terminal import count_things, print_json, print_line
from spanforge.model_registry._core.calendar_feeds import FeedFormat, read_feed
from spanforge.model_registry._core.provider_calendar import Calendar
from spanforge.model_registry._core.settings import CALENDAR

if TYPE_CHECKING:
    from collections.abc import Sequence

DayOption = Annotated[
    str | None,
    typer.Option(
        "--checked-on",
        metavar="DAY",
        help="The day on which the source was fetched, for litellm and bedrock. Default: today.",
    ),
]


@examples(
    "calendar sync --from litellm prices.json -o calendar.yaml",
    "calendar sync --from bedrock bedrock.json -o calendar.yaml",
)
def sync_calendar(  # noqa: PLR0913 - each is an option
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Files of the source; - for standard input.")],
    *,
    form: Annotated[FeedFormat, typer.Option("--from", help="The format of the sources.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help=f"The calendar file. Default: the setting {CALENDAR.variable}."
        ),
    ] = None,
    files: FilesOption = None,
    checked_on: DayOption = None,
    only_registered: Annotated[bool, typer.Option("--only-registered", help="Only models of the registry.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes, and write nothing.")] = False,
    print_as: FormatOption = "text",
) -> None:
    """Add the shutdown days of public sources to a calendar file.

    If a source states another day than before, both announcements stay, and the one with the newer checked_on counts.
    Of announcements that differ only in checked_on, the oldest and the newest stay. A YAML file keeps its comments. The
    command does not use the network: fetch a source with curl, and check its licence.
    """
    path = find_calendar_file(output, "--output")
    found = Calendar().merge(*(read_feed(source, form, checked_on=checked_on) for source in sources))
    if only_registered:
        found = select_registered(found, load_registry(files))
    if dry_run:
        before = load_if_any(path)
        after = before.merge(found)
    else:
        before, after = add_to_calendar(path, found)
    changes = compare_calendars(before, after, load_registry_if_any(files))
    print_changes(changes, print_as)
    counts = f"{count_things(len(changes), 'change')}, {count_things(len(after), 'announcement')}"
    print_line(f"{path}: {counts}{', not written' if dry_run else ''}", stderr=True)


@examples(
    "calendar diff calendar-old.yaml calendar.yaml",
    "calendar diff calendar-old.yaml calendar.yaml --fail-on changes  # ends with 1",
)
def diff_calendars(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The calendar before: a file, or git:REV:PATH.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The calendar after: a file, or git:REV:PATH.")],
    files: FilesOption = None,
    fail_on: Annotated[
        Literal["changes", "registered", "never"],
        typer.Option(help="End with 1 if there are changes. With registered: only if they affect registered models."),
    ] = "never",
    print_as: FormatOption = "text",
) -> None:
    """Show what changed between two calendars, and whom it affects."""
    changes = compare_calendars(load_calendar_version(old), load_calendar_version(new), load_registry_if_any(files))
    print_changes(changes, print_as)
    failures = {"changes": changes, "registered": [each for each in changes if each.entries], "never": []}
    raise typer.Exit(int(bool(failures[fail_on])))


def print_changes(changes: Sequence[CalendarChange], print_as: str) -> None:
    """Print changes as text, with the registered models that they affect, or as JSON."""
    if print_as == "json":
        print_json([each.to_dict() for each in changes])
        return
    for each in changes:
        print_line(f"{each.shown.provider} {each.shown.model}: {each.describe_kind()}", "warning")
        print_line(f"  {each.describe_days()}")
        if each.entries:
            print_line(f"  registered: {describe_entries(each.entries)}", "name")
