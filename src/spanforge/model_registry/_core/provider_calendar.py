"""``Calendar``: the days on which providers stop serving models. Names and providers match as in a registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.announcements import Announcement, check_day
from spanforge.model_registry._core.calendar_files import (
    MAX_ANNOUNCEMENTS,
    parse_announcements,
    read_calendar,
    write_calendar,
)
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError
from spanforge.model_registry._core.globs import list_plain_aliases
from spanforge.model_registry._core.names import canonical_provider, entry_key
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.shutdowns import ProviderShutdown, choose_earliest, conclude
from spanforge.model_registry._core.values import check_optional_string, check_string

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.resolution import Resolution
    from spanforge.model_registry._core.storage import SourceFile

_ANY_DAY: Final = "9999-12-31"
"""The day in place of ``checked_on`` when announcements are compared without it."""
_EXPLICIT_RULES: Final = ("id", "alias")
"""The rules by which an entry matches names that it contains. A glob may match names of other models."""
_ID_PREFIX: Final = "\0"
"""The first character of the ids of groups, so that no model has such a name."""

Group = tuple[str, tuple[Announcement, ...]]
"""The announcements about one model of one provider, with the provider's canonical name."""


class Calendar:
    """What providers announced about the shutdown of their models. A calendar is immutable.

    Names and providers match as in a registry: by all forms of a name, and with all spellings of a provider. Days
    differ by provider. If the provider of a call is not known, the earliest day of all providers counts.

    Several announcements may be about one model at one provider. Of each source, the newest announcement counts. If
    sources state different days, the earliest one counts, and ``ProviderShutdown.disagreement`` lists them.

    Args:
        announcements: The announcements, in any order. Equal ones count once.

    Attributes:
        announcements: The announcements, ordered by provider, model and day.

    Raises:
        InvalidValueError: There are too many announcements, or too many spellings of one model, or something that is
            no announcement.
    """

    def __init__(self, announcements: Iterable[Announcement] = ()) -> None:
        self.announcements: tuple[Announcement, ...] = tuple(sorted(set(map(_check, announcements)), key=_order))
        if len(self.announcements) > MAX_ANNOUNCEMENTS:
            problem = f"has {len(self.announcements):,} announcements; the limit is {MAX_ANNOUNCEMENTS:,}"
            raise InvalidValueError("calendar", None, problem)
        groups: dict[tuple[str, str], list[Announcement]] = {}
        for each in self.announcements:
            provider = canonical_provider(each.provider) or each.provider
            groups.setdefault((provider, entry_key(each.model).text), []).append(each)
        self._groups: dict[str, Group] = {
            f"{_ID_PREFIX}{number}": (provider, tuple(rows))
            for number, ((provider, _), rows) in enumerate(groups.items())
        }
        self._index = ModelIndex(_make_entry(*item) for item in self._groups.items())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calendar:
        """Return the calendar in a JSON or YAML file. YAML needs the extra ``yaml``.

        Raises:
            RegistryFileError: The file cannot be read or is not valid. The error names line, column, entry and field.
        """
        return make_calendar(os.fsdecode(path), read_calendar(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calendar to a JSON file, atomically; equal calendars give equal bytes.

        Raises:
            RegistryFileError: The file cannot be written, or would be too large to be read, or its name ends in
                ``.yaml`` or ``.yml``.
        """
        write_calendar(path, self.announcements)

    def find(self, model: str, *, provider: str | None = None, known_on: str | None = None) -> ProviderShutdown | None:
        """Return the shutdown of a model by its provider; ``None`` if the calendar does not have the model.

        Args:
            model: The model's name, in any form.
            provider: The provider that serves it, in any spelling; ``None`` if it is not known.
            known_on: The day in UTC whose knowledge counts, such as ``2027-01-14``; ``None`` for all announcements.

        Raises:
            InvalidValueError: Model or provider is not a string, or ``known_on`` is not a day.
        """
        _check_known_on(known_on)
        names = (check_string(model, "model"),)
        return conclude_earliest(match_names(self, names, check_optional_string(provider, "provider")), known_on)

    def merge(self, *others: Calendar) -> Calendar:
        """Return the calendar with the announcements of all these calendars.

        If several announcements differ only in ``checked_on``, the first and the last check are kept. So the calendar
        shows since when a day was known, and does not grow with each check.
        """
        checks: dict[Announcement, list[str]] = {}
        for each in (row for calendar in (self, *others) for row in calendar.announcements):
            checks.setdefault(msgspec.structs.replace(each, checked_on=_ANY_DAY), []).append(each.checked_on)
        return Calendar(
            msgspec.structs.replace(each, checked_on=day)
            for each, days in checks.items()
            for day in (min(days), max(days))
        )

    def list_shutdowns(self, *, known_on: str | None = None) -> list[ProviderShutdown]:
        """Return the shutdown of each model, the earliest day first; ``known_on`` as for ``find``."""
        _check_known_on(known_on)
        found = (conclude(provider, rows, known_on) for provider, rows in self._groups.values())
        return sorted(filter(None, found), key=lambda each: (each.shutdown_on or each.not_before or "", each[:2]))

    def __len__(self) -> int:
        return len(self.announcements)

    def __iter__(self) -> Iterator[Announcement]:
        return iter(self.announcements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calendar) and self.announcements == other.announcements

    def __hash__(self) -> int:
        return hash(self.announcements)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} announcements>"


class CalendarDay(NamedTuple):
    """A calendar on a day. All that depends on the day is derived from it, so a day begins everywhere at once.

    Attributes:
        calendar: The calendar.
        day: The current day in UTC.
        source: The file from which the calendar was read; ``None`` if it did not come from a file.
    """

    calendar: Calendar
    day: str
    source: SourceFile | None = None

    def find(
        self, resolution: Resolution, provider: str | None, mode: MatchMode = "forms", base_model: str | None = None
    ) -> ProviderShutdown | None:
        """Return the shutdown of a called model, with the arguments of ``match_call``; ``None`` if it has none."""
        return conclude_earliest(match_call(self.calendar, resolution, provider, mode, base_model))


def match_names(
    calendar: Calendar, names: Iterable[str], provider: str | None = None, mode: MatchMode = "forms"
) -> tuple[Group, ...]:
    """Return the announcements about the first name that matches: a group for each provider, or for each of a tie."""
    for name in names:
        if name.startswith(_ID_PREFIX):  # a name from the network, but not the id of a group
            continue
        match = calendar._index.search(name, provider, mode)  # noqa: SLF001 - same module
        entries = match.ambiguous if match.entry is None else (match.entry,)
        if entries:
            return tuple(calendar._groups[entry.model_id] for entry in entries)  # noqa: SLF001 - same module
    return ()


def match_call(
    calendar: Calendar,
    resolution: Resolution,
    provider: str | None,
    mode: MatchMode = "forms",
    base_model: str | None = None,
) -> tuple[Group, ...]:
    """Return the announcements about a model that was called.

    The called name decides. If it is the name of a deployment, which the calendar cannot have, the id of its entry
    does, or else the base model that answered. If it is not known, all base models do, because each may answer.

    Args:
        calendar: The calendar.
        resolution: The resolution of the called name.
        provider: The provider, as the call names it; ``None``: the only provider of the entry, if it has one.
        mode: Whether forms match.
        base_model: The name of the base model that answered; ``None`` if it is not known.
    """
    entry, names = resolution.entry, [resolution.candidate]
    base_models: Iterable[str] = ()
    if entry is not None:
        if resolution.rule in _EXPLICIT_RULES:
            names.append(entry.model_id)
            base_models = entry.base_models if base_model is None else (base_model,)
        if not provider and len(entry.providers) == 1:
            provider = entry.providers[0]
    return match_names(calendar, names, provider, mode) or _match_all(calendar, base_models, provider, mode)


def _match_all(
    calendar: Calendar, names: Iterable[str], provider: str | None, mode: MatchMode = "forms"
) -> tuple[Group, ...]:
    """Return the announcements about each of several names."""
    return tuple(group for name in names for group in match_names(calendar, (name,), provider, mode))


def list_entry_shutdowns(calendar: Calendar, entry: ModelRegistryEntry) -> list[ProviderShutdown]:
    """Return the shutdown of a registered model at each of its providers, or at each provider that announced one."""
    by_provider: dict[str, list[Group]] = {}
    for provider in entry.providers or (None,):
        groups = (
            match_names(calendar, [entry.model_id], provider)
            or _match_all(calendar, entry.base_models, provider)
            or match_names(calendar, list_plain_aliases(entry), provider)
        )
        for group in groups:
            by_provider.setdefault(group[0], []).append(group)
    found = map(conclude_earliest, by_provider.values())
    return [each for each in found if each is not None and each.shutdown_on is not None]


def parse_calendar(name: str, content: bytes) -> Calendar:
    """Return the calendar in a file with this name and content; raise the errors of ``Calendar.load``."""
    return make_calendar(name, parse_announcements(name, content))


def make_calendar(name: str, announcements: Iterable[Announcement]) -> Calendar:
    """Return the calendar with the announcements of a file with this name; raise the errors of ``Calendar.load``."""
    try:
        return Calendar(announcements)
    except InvalidValueError as error:  # for example, there are too many spellings of one model
        raise RegistryFileError(name, f"{error.field} {error.problem}", model_id=error.model_id) from None


def conclude_earliest(groups: Iterable[Group], known_on: str | None = None) -> ProviderShutdown | None:
    """Return the shutdown of a model from groups of announcements: the group with the earliest day."""
    return choose_earliest(filter(None, (conclude(provider, rows, known_on) for provider, rows in groups)))


def _check_known_on(day: str | None) -> None:
    if day is not None:
        check_day(day, "known_on")


def _check(each: Announcement) -> Announcement:
    if not isinstance(each, Announcement):
        raise InvalidValueError.must_be("announcements", each, "a list of Announcement")
    return each


def _order(each: Announcement) -> tuple[str, ...]:
    days = (each.shutdown_on or "", each.not_before or "", each.announced_on or "")
    return each.provider, each.model, each.source, each.checked_on, *days, *each.replacements


def _make_entry(group_id: str, group: Group) -> ModelRegistryEntry:
    """Return an entry for the index of a calendar: its aliases are the names of the model."""
    provider, rows = group
    spellings = list(dict.fromkeys((provider, *(each.provider for each in rows))))
    metadata = {"aliases": list(dict.fromkeys(each.model for each in rows)), "provider": spellings}
    return ModelRegistryEntry(group_id, "calendar", "1", "low", provider, "calendar", metadata=metadata)
