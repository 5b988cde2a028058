"""The dates of metrics: the organisation's sunset dates, and the days on which providers stop serving models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.packed_metadata import read_reserved
from spanforge.model_registry._core.provider_calendar import list_entry_shutdowns
from spanforge.model_registry._core.timestamps import to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

from spanforge.model_registry._core.provider_calendar import CalendarDay

MAX_SUNSETS: Final = 1_000
"""The limit of series of each kind of date; the earliest dates are kept."""

Sunset = tuple[int, ModelRegistryEntry]
"""A date in microseconds since the epoch, and the model."""
Shutdown = tuple[int, ModelRegistryEntry, str]
"""A date in microseconds since the epoch, the model, and the provider's canonical name."""
_Dated = TypeVar("_Dated", bound="tuple[Any, ...]")


def find_sunsets(entries: Iterable[ModelRegistryEntry]) -> Iterable[Sunset]:
    """Yield the sunset dates of deprecated models."""
    for entry in entries:
        date = read_reserved(entry).get("sunset_date")
        if entry.status == "deprecated" and date is not None:
            yield to_micros(date), entry


def find_shutdowns(entries: Iterable[ModelRegistryEntry], calendar: CalendarDay) -> Iterable[Shutdown]:
    """Yield the days on which providers stop serving models that are not retired."""
    for entry in entries:
        if entry.status != "retired":
            for found in list_entry_shutdowns(calendar.calendar, entry):
                yield to_micros(str(found.shutdown_on)), entry, found.provider


def select_earliest(dated: Iterable[_Dated]) -> list[_Dated]:
    """Return the rows with the earliest dates, in order, up to the limit."""
    return sorted(dated, key=lambda row: row[0])[:MAX_SUNSETS]
