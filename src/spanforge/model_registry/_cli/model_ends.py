"""``calendar list`` and ``calendar ics``: when models end, by the provider or by the organisation's decision."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spanforge.model_registry._cli.calendar_option import CalendarOption, find_calendar_file
from spanforge.model_registry._cli.calendars import (
    find_affected_entries,
    find_shutdown_key,
)
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.entry_columns import fits_owner
from spanforge.model_registry._cli.entry_fields import end_to_dict
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.icalendar import CalendarEvent, format_events
from spanforge.model_registry._cli.listing import OwnerFilter
from spanforge.model_registry._cli.output_files import ReplacedFileOption, replace_output
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry, load_registry_if_any
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.terminal import count_things, print_json, print_line
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.provider_calendar import Calendar, list_entry_shutdowns
from spanforge.model_registry._core.shutdowns import begin_of_day, read_today, to_day
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry import ModelRegistryEntry
    from spanforge.model_registry.calendar import ProviderShutdown

_CALENDAR_NAME: Final = "Ends of AI models"
_MAX_SHOWN_OWNERS: Final = 20
"""The limit of owners that an error lists, so that it fits on a screen."""
_END_COLUMNS: Final = ("days", "day", "provider", "model", "use instead", "owner")
_FIXED_COLUMNS: Final = 4
"""The columns that are shown even if they are empty."""
_FIRST_DAY: Final = "1970-01-01"


@examples(
    "calendar list --calendar calendar.yaml --file models.yaml",
    "calendar list -c calendar.yaml --within 90 --format json",
)
def list_ends(
    calendar: CalendarOption = None,
    files: FilesOption = None,
    within: Annotated[
        int | None, typer.Option(help="Only models that end within this number of days, or have ended.")
    ] = None,
    print_as: FormatOption = "text",
) -> None:
    """List the days on which providers stop serving models."""
    source = Calendar.load(find_calendar_file(calendar))
    today = read_today()
    affected = find_affected_entries(load_registry_if_any(files), [source])
    ends = [each for each in source.list_shutdowns() if within is None or _count_days(each, today) <= within]
    if print_as == "json":
        print_json([_to_dict(each, today, affected.get(find_shutdown_key(each), ())) for each in ends])
        return
    _print_ends([_list_cells(each, today, affected.get(find_shutdown_key(each), ())) for each in ends])


def _print_ends(rows: Sequence[Sequence[object]]) -> None:
    """Print a table without the columns of which no row has a value."""
    numbers = range(len(_END_COLUMNS))
    shown = [number for number in numbers if number < _FIXED_COLUMNS or any(row[number] for row in rows)]
    columns = [_END_COLUMNS[number] for number in shown]
    print_table(columns, [[row[number] for number in shown] for row in rows], ("", "", "", "name"))


def _list_cells(end: ProviderShutdown, today: str, entries: Iterable[ModelRegistryEntry]) -> tuple[object, ...]:
    left = end.count_days_left(today)
    day = end.shutdown_on or f"{end.not_before} or later"
    owners = dict.fromkeys(entry.owner for entry in entries)
    return "" if left is None else left, day, end.provider, end.model, ", ".join(end.replacements), ", ".join(owners)


def _count_days(end: ProviderShutdown, today: str) -> int:
    day = end.shutdown_on or end.not_before or today
    return (date.fromisoformat(day) - date.fromisoformat(today)).days


def _to_dict(end: ProviderShutdown, today: str, entries: Iterable[ModelRegistryEntry]) -> dict[str, object]:
    return {
        "provider": end.provider,
        "model": end.model,
        "days_left": end.count_days_left(today),
        **end_to_dict(end),
        "affects": [{"model_id": entry.model_id, "owner": entry.owner} for entry in entries],
    }


@examples("calendar ics -c calendar.yaml -f models.yaml -o models.ics")
def write_ics(
    calendar: CalendarOption = None,
    files: FilesOption = None,
    owner: OwnerFilter = None,
    output: ReplacedFileOption = None,
) -> None:
    """Write the days on which registered models end, for calendar programs.

    The result is an iCalendar file with an all-day event for each provider's shutdown of a registered model that is
    not retired, and for each sunset date of a deprecated model. Reminders are 30 and 7 days before. Events keep their
    ids, so a program that subscribes to the file updates them.
    """
    registry = load_registry(files)
    _check_owners(owner or (), registry.list_all())
    entries = [entry for entry in registry.list_all() if not owner or fits_owner(entry.owner, owner)]
    events = list(list_events(entries, Calendar.load(find_calendar_file(calendar))))
    content = format_events(events, f"{_CALENDAR_NAME}: {', '.join(owner)}" if owner else _CALENDAR_NAME)
    if output is None:
        typer.echo(content, nl=False)
    else:
        replace_output(output, content)
    models = count_things(len(entries), "registered model")
    print_line(f"{count_things(len(events), 'event')} of {models}", stderr=True)


def _check_owners(owners: Iterable[str], entries: Iterable[ModelRegistryEntry]) -> None:
    known = dict.fromkeys(entry.owner for entry in entries)
    for owner in owners:
        if not any(fits_owner(each, (owner,)) for each in known):
            names = ", ".join(map(shorten, [*known][:_MAX_SHOWN_OWNERS]))
            msg = f"--owner: no registered model has the owner {shorten(owner)}; owners are {names or 'missing'}"
            raise UsageError(msg)


def list_events(entries: Iterable[ModelRegistryEntry], calendar: Calendar) -> Iterator[CalendarEvent]:
    """Yield an event for each provider's shutdown and each sunset date of these models, except retired ones."""
    for entry in entries:
        if entry.status == "retired":
            continue
        yield from (_make_shutdown_event(entry, each) for each in list_entry_shutdowns(calendar, entry))
        if entry.status == "deprecated" and entry.metadata.get("sunset_date") is not None:
            yield _make_sunset_event(entry, entry.metadata["sunset_date"])


def _make_shutdown_event(entry: ModelRegistryEntry, end: ProviderShutdown) -> CalendarEvent:
    description = [f"Registered as {entry.model_id}.", *_describe_contact(entry)]
    if end.replacements:
        description.append(f"Replacement: {' or '.join(end.replacements)}")
    if end.disagreement:
        description.append(f"Sources state different days: {', '.join(end.disagreement)}")
    description += dict.fromkeys(f"Source: {each.source}, checked on {each.checked_on}" for each in end.announcements)
    return CalendarEvent(
        ("shutdown", end.provider, entry.model_id),
        str(end.shutdown_on),
        f"{end.provider} stops serving {end.model}",
        tuple(description),
        from_nanos(begin_of_day(max(each.checked_on for each in end.announcements))),
    )


def _make_sunset_event(entry: ModelRegistryEntry, sunset_date: str) -> CalendarEvent:
    description = [*_describe_contact(entry)]
    if entry.metadata.get("deprecation_reason"):
        description.append(f"Reason: {entry.metadata['deprecation_reason']}")
    if entry.metadata.get("successor"):
        description.append(f"Successor: {entry.metadata['successor']}")
    history = entry.metadata.get("history") or ()
    changed_at = history[-1]["at"] if history else entry.metadata.get("deprecation_date") or _FIRST_DAY
    return CalendarEvent(
        ("sunset", entry.model_id),
        to_day(to_nanos(sunset_date)),
        f"Sunset of {entry.model_id}",
        tuple(description),
        from_nanos(to_nanos(changed_at)),
    )


def _describe_contact(entry: ModelRegistryEntry) -> Iterator[str]:
    yield f"Owner: {entry.owner}"
    if entry.metadata.get("contact"):
        yield f"Contact: {entry.metadata['contact']}"
