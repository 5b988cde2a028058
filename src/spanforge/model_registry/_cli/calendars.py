"""What the commands of the group ``calendar`` share: calendars in git, and the entries that a shutdown affects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._cli.git_revisions import GIT_PREFIX, find_git_place, read_git_files
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.names import entry_key
from spanforge.model_registry._core.provider_calendar import Calendar, list_entry_shutdowns, parse_calendar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
    from spanforge.model_registry.calendar import Announcement, ProviderShutdown

ShutdownKey = tuple[str, str]
"""The provider's canonical name and the key of the model's name."""


def load_calendar_version(name: str) -> Calendar:
    """Return the calendar in a file, or in a file of a revision of git: ``git:REV:PATH``.

    Raises:
        ModelRegistryError: The calendar cannot be read or is not valid, or the revision does not have the file.
    """
    if not name.startswith(GIT_PREFIX):
        return Calendar.load(name)
    place = find_git_place(name)
    files = read_git_files(place, lambda _: False)  # of a folder, no file
    if files is None or [file.path for file in files] != [place.path]:
        msg = f"{escape_controls(name)}: revision {escape_controls(place.revision)} has no such file"
        raise UsageError(msg)
    return parse_calendar(f"{GIT_PREFIX}{place.revision}:{place.path}", files[0].content)


def find_shutdown_key(each: ProviderShutdown) -> ShutdownKey:
    """Return the key by which two calendars have the same model."""
    return each.provider, entry_key(each.model).text


def find_affected_entries(
    registry: ModelRegistry | None, calendars: Iterable[Calendar]
) -> dict[ShutdownKey, list[ModelRegistryEntry]]:
    """Return the registered models that each shutdown affects, except retired ones."""
    if registry is None:
        return {}
    affected: dict[ShutdownKey, dict[str, ModelRegistryEntry]] = {}
    for calendar in calendars:
        for entry, each in _list_pairs(registry, calendar):
            if entry.status != "retired":
                affected.setdefault(find_shutdown_key(each), {})[entry.model_id] = entry
    return {key: list(by_id.values()) for key, by_id in affected.items()}


def _list_pairs(registry: ModelRegistry, calendar: Calendar) -> Iterator[tuple[ModelRegistryEntry, ProviderShutdown]]:
    """Yield each registered model with its end: found by the names of the entry, or by the name in the calendar."""
    for entry in registry.list_all():
        yield from ((entry, each) for each in list_entry_shutdowns(calendar, entry))
    for each in calendar.list_shutdowns():
        found = registry.resolve(each.model, provider=each.provider).entry
        if found is not None:
            yield found, each


def select_registered(calendar: Calendar, registry: ModelRegistry) -> Calendar:
    """Return the announcements about models of a registry."""
    affected = find_affected_entries(registry, [calendar])
    ends = [each for each in calendar.list_shutdowns() if find_shutdown_key(each) in affected]
    kept: set[Announcement] = {announcement for each in ends for announcement in each.announcements}
    return Calendar(each for each in calendar if each in kept)


def describe_entries(entries: Iterable[ModelRegistryEntry]) -> str:
    """Return the ids of entries with their owners."""
    return ", ".join(f"{entry.model_id} ({entry.owner})" for entry in entries)
