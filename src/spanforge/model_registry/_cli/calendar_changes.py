"""Differences between two calendars: what is new, moved, withdrawn or replaced, by provider and model."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._cli.calendars import find_affected_entries, find_shutdown_key
from spanforge.model_registry._cli.entry_fields import end_to_dict
from spanforge.model_registry._cli.terminal import count_things

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
    from spanforge.model_registry.calendar import Calendar, ProviderShutdown

ChangeKind = Literal["new", "removed", "firm", "open", "earlier", "later", "replacement"]
"""The kinds of changes: ``firm`` if a ``not_before`` day became a shutdown day, and ``open`` for the reverse."""


_KIND_WORDS: Final = {"firm": "now a firm day", "open": "no firm day any more", "replacement": "other replacement"}


class CalendarChange(NamedTuple):
    """What changed about the shutdown of one model by its provider.

    Attributes:
        kind: The kind of change; a change of the day goes before one of the replacements.
        before: The shutdown in the old calendar; ``None`` if it had none.
        after: The shutdown in the new calendar; ``None`` if it has none.
        entries: The registered models that it affects.
    """

    kind: ChangeKind
    before: ProviderShutdown | None
    after: ProviderShutdown | None
    entries: tuple[ModelRegistryEntry, ...] = ()

    @property
    def shown(self) -> ProviderShutdown:
        """The shutdown to show: the new one, or else the old one."""
        shown = self.after or self.before
        assert shown is not None  # noqa: S101 - a change has one of them
        return shown

    @property
    def days(self) -> int | None:
        """The days by which the end moved, negative for earlier; ``None`` if it is new, removed or did not move."""
        if self.kind not in ("earlier", "later") or self.before is None or self.after is None:
            return None
        return (date.fromisoformat(_find_end_day(self.after)) - date.fromisoformat(_find_end_day(self.before))).days

    def describe_kind(self) -> str:
        """Return the change in a few words."""
        if self.days is not None:
            return f"{count_things(abs(self.days), 'day')} {self.kind}"
        return _KIND_WORDS.get(self.kind, self.kind)

    def describe_days(self) -> str:
        """Return the day of the end and the replacements, and what they were before."""
        if self.before is None or self.after is None:
            return describe_end(self.shown)
        return f"{describe_end(self.after)} (was {describe_end(self.before)})"

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {
            "kind": self.kind,
            "provider": self.shown.provider,
            "model": self.shown.model,
            "days": self.days,
            "before": None if self.before is None else end_to_dict(self.before),
            "after": None if self.after is None else end_to_dict(self.after),
            "affects": [{"model_id": entry.model_id, "owner": entry.owner} for entry in self.entries],
        }


def compare_calendars(old: Calendar, new: Calendar, registry: ModelRegistry | None = None) -> list[CalendarChange]:
    """Return the changes between two calendars, the earliest day first."""
    before = {find_shutdown_key(each): each for each in old.list_shutdowns()}
    after = {find_shutdown_key(each): each for each in new.list_shutdowns()}
    affected = find_affected_entries(registry, (old, new))
    changes = []
    for key in dict.fromkeys((*after, *before)):
        kind = _find_kind(before.get(key), after.get(key))
        if kind is not None:
            changes.append(CalendarChange(kind, before.get(key), after.get(key), tuple(affected.get(key, ()))))
    return sorted(changes, key=lambda each: (_find_end_day(each.shown), each.shown.provider, each.shown.model))


def _find_kind(before: ProviderShutdown | None, after: ProviderShutdown | None) -> ChangeKind | None:
    if before is None or after is None:
        return "removed" if after is None else "new"
    if (before.shutdown_on is None) != (after.shutdown_on is None):
        return "open" if after.shutdown_on is None else "firm"
    if _find_end_day(before) != _find_end_day(after):
        return "earlier" if _find_end_day(after) < _find_end_day(before) else "later"
    return "replacement" if before.replacements != after.replacements else None


def _find_end_day(end: ProviderShutdown) -> str:
    return end.shutdown_on or end.not_before or ""


def describe_end(end: ProviderShutdown) -> str:
    """Return the day on which a model ends, with its replacements."""
    day = end.shutdown_on or f"not before {end.not_before}"
    return f"{day}, use {' or '.join(end.replacements)}" if end.replacements else day
