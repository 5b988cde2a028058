"""All facts about an entry: its names, dates and history, the models that follow it, and its provider's calendar."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.entry_fields import list_shutdown_fields, list_warning_fields
from spanforge.model_registry._cli.field_lists import Field
from spanforge.model_registry._core.entry import list_status_dates
from spanforge.model_registry._core.globs import Glob, list_plain_aliases
from spanforge.model_registry._core.provider_calendar import list_entry_shutdowns
from spanforge.model_registry._core.timestamps import parse_rfc3339
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.shutdowns import ProviderShutdown

MAX_SUCCESSORS: Final = 20
"""The limit of models in a chain of successors. Providers replace a model every few months."""
HISTORY_COLUMNS: Final = ("at", "status", "owner", "risk_tier", "reason", "actor")
"""The columns of the history."""
_SECONDS: Final = len("2026-10-31T08:00:00")


class Successor(NamedTuple):
    """A model to use instead of the one before it.

    Attributes:
        name: The name, as the entry before it has it.
        model_id: The id of the entry that the name matches; ``None`` if none does.
        status: Its status.
    """

    name: str
    model_id: str | None
    status: str


class EntryFacts(NamedTuple):
    """An entry, and what follows from other entries and the calendar.

    Attributes:
        entry: The entry.
        successors: The models to use instead: its successor, the successor of that one, and so on.
        shutdowns: The end of the model at its providers.
        day: The provider calendar; ``None`` if there is none.
    """

    entry: ModelRegistryEntry
    successors: tuple[Successor, ...]
    shutdowns: tuple[ProviderShutdown, ...]
    day: CalendarDay | None


def gather_facts(index: ModelIndex, entry: ModelRegistryEntry, day: CalendarDay | None) -> EntryFacts:
    """Return the facts about an entry."""
    shutdowns = () if day is None else tuple(list_entry_shutdowns(day.calendar, entry))
    return EntryFacts(entry, tuple(_follow_successors(index, entry)), shutdowns, day)


def _follow_successors(index: ModelIndex, entry: ModelRegistryEntry) -> Iterator[Successor]:
    """Yield the chain of successors, up to a model that is in it already."""
    seen = {entry.model_id}
    name = entry.metadata.get("successor")
    while name and len(seen) <= MAX_SUCCESSORS:
        resolution = index.resolve((name,))
        found = resolution.entry
        yield Successor(name, None if found is None else found.model_id, resolution.status)
        if found is None or found.model_id in seen:
            return
        seen.add(found.model_id)
        name = found.metadata.get("successor")


def list_description(entry: ModelRegistryEntry) -> Iterator[Field]:
    """Yield what the model is, and who owns it."""
    yield Field("name", entry.name)
    yield Field("version", entry.version)
    yield Field("purpose", entry.purpose)
    yield Field("owner", entry.owner)
    yield Field("risk tier", entry.risk_tier)
    contact = entry.metadata.get("contact")
    if contact:
        yield Field("contact", contact)


def list_name_fields(entry: ModelRegistryEntry) -> Iterator[Field]:
    """Yield the names that match the entry."""
    globs = [glob.text for glob in Glob.of(entry)]
    lists = {
        "aliases": list_plain_aliases(entry),
        "globs": globs,
        "only at": entry.providers,
        "base models": entry.base_models,
    }
    for label, names in lists.items():
        for number, name in enumerate(names):
            yield Field("" if number else label, name)


def list_date_fields(entry: ModelRegistryEntry) -> Iterator[Field]:
    """Yield the dates of the entry's statuses, and its reason for the deprecation."""
    for status, date in list_status_dates(entry):
        yield Field(f"{status} from", f"{date}{_describe_distance(date)}")
    sunset = entry.metadata.get("sunset_date")
    if sunset:
        yield Field("sunset", f"{sunset}{_describe_distance(sunset)}")
    reason = entry.metadata.get("deprecation_reason")
    if reason:
        yield Field("reason", reason)


def _describe_distance(date: str) -> str:
    """Return how far away a future date is; empty for a past one."""
    days = (parse_rfc3339(date) - datetime.now(timezone.utc)).days
    return f", in {days:,} days" if days > 0 else ""


def list_fact_fields(facts: EntryFacts) -> Iterator[Field]:
    """Yield the warnings, the successors, and the provider's calendar."""
    yield from list_warning_fields(facts.entry.warnings)
    for number, successor in enumerate(facts.successors):
        entry = "" if successor.name == successor.model_id else f"{successor.model_id or 'no entry'}, "
        yield Field("then" if number else "use instead", f"{successor.name} ({entry}{successor.status})")
    yield from list_shutdown_fields(facts.shutdowns, facts.day)


def list_own_metadata(entry: ModelRegistryEntry) -> Iterator[Field]:
    """Yield the user's metadata; values that are no texts are JSON."""
    for key, value in entry.metadata.items():
        if key not in RESERVED:
            yield Field(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def list_history(entry: ModelRegistryEntry) -> list[list[str]]:
    """Return the rows of the history, oldest first, with times to the second."""
    records: list[dict[str, Any]] = entry.metadata.get("history") or []
    rows = [[str(record.get(name) or "") for name in HISTORY_COLUMNS] for record in records]
    return [[at[:_SECONDS], *values] for at, *values in rows]
