"""The reach of an archive: how far back its records go, compared with a required number of days."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.timestamps import format_nanos, to_nanos
from spanforge.model_registry.compliance._analysis.senders import COUNTED, add_stretch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput

NANOS_PER_DAY: Final = 86_400 * 10**9
"""The nanoseconds of a day in UTC."""


def add_days(days: dict[int, tuple[int, int]], starts: Sequence[int]) -> None:
    """Add the days of records. Those of the first day of 1970 have no time, or a wrong one."""
    first, last = min(starts), max(starts)
    if first >= NANOS_PER_DAY and first // NANOS_PER_DAY == last // NANOS_PER_DAY:  # most documents are of one day
        add_stretch(days, first // NANOS_PER_DAY, first, last)
        return
    for start in starts:
        if start >= NANOS_PER_DAY:
            add_stretch(days, start // NANOS_PER_DAY, start, start)


class ArchiveDays(NamedTuple):
    """The days with records, in the period and outside it, of trusted and unknown senders.

    Attributes:
        days: The time of the first and the last record of each day, by the number of the day since the epoch.
        generated_at: The time of generation, in nanoseconds since the epoch. Later records do not count.
    """

    days: Mapping[int, tuple[int, int]]
    generated_at: int


class Retention(NamedTuple):
    """The reach of an archive, compared with a required number of days.

    Attributes:
        required: The required days. They end before the day of the newest record. 0 without any record.
        missing: The required days before the earliest record.
        empty: The required days after the day of the earliest record that have no record.
        earliest: The time of the earliest record, in nanoseconds since the epoch; ``None`` if there is no record.
        newest: The time of the newest record, likewise.
    """

    required: int
    missing: int = 0
    empty: int = 0
    earliest: int | None = None
    newest: int | None = None


def find_archive_days(inputs: Iterable[ScannedInput], generated_at: int) -> ArchiveDays:
    """Return the days with records of trusted and unknown senders."""
    days: dict[int, tuple[int, int]] = {}
    for scanned in inputs:
        for sender in COUNTED:
            for number, stretch in scanned.result.days.get(sender, {}).items():
                add_stretch(days, number, *stretch)
    return ArchiveDays(days, generated_at)


def measure_retention(archive: ArchiveDays, required: int) -> Retention:
    """Return the reach of an archive.

    The days are counted back from the day of the newest record, so that evidence of an old period is not supported by
    its age alone.
    """
    until = archive.generated_at
    days = {number: stretch for number, stretch in archive.days.items() if stretch[0] <= until}
    if not days:
        return Retention(0)
    first_day, last_day = min(days), max(days)
    missing = max(required - (last_day - first_day), 0)
    required_days = range(last_day - required, last_day)
    empty = sum(day > first_day and day not in days for day in required_days)
    return Retention(required, missing, empty, days[first_day][0], min(days[last_day][1], until))


def list_missing_days(retention: Retention) -> tuple[date, date] | None:
    """Return the first and the last of the required days before the earliest record; ``None`` if there is none."""
    if not retention.missing or retention.newest is None:
        return None
    first = date(1970, 1, 1) + timedelta(days=retention.newest // NANOS_PER_DAY - retention.required)
    return first, first + timedelta(days=retention.missing - 1)


def list_retention_notes(retention: Retention, entries: Iterable[ModelRegistryEntry]) -> Iterator[str]:
    """Yield the facts of an archive's reach, a text each."""
    if retention.earliest is None or retention.newest is None:
        return
    yield f"earliest record: {format_nanos(retention.earliest)}"
    yield f"newest record until generation: {format_nanos(retention.newest)}"
    yield f"required days before the day of the newest record: {retention.required}"
    yield f"required days after the day of the earliest record and without any record: {retention.empty}"
    deployed = [entry.deployment_date for entry in entries if entry.deployment_date is not None]
    if retention.missing and deployed:
        yield f"earliest deployment date in the registry: {min(deployed, key=to_nanos)}"
