"""The shutdown of a model by its provider: the day on which sources agree or not, the days left, and the warnings."""

from __future__ import annotations

import time
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.names import entry_key
from spanforge.model_registry._core.timestamps import DAY_NANOS, EPOCH, to_nanos
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanforge.model_registry._core.announcements import Announcement

WARNING_STEPS: Final = (90, 30, 7, 0)
"""The days before a shutdown at which warnings and alerts begin or become more urgent."""
MAX_SHOWN_REPLACEMENTS: Final = 3
"""The limit of replacements that a warning names. Few providers recommend more."""
MAX_SHOWN_DAYS: Final = 5
"""The limit of days of disagreeing sources that a warning shows, so that it stays readable."""
_LAST_DAY: Final = "9999-12-31"
_ONE_DAY: Final = timedelta(days=1)


class ProviderShutdown(NamedTuple):
    """The shutdown of a model by its provider, from all sources that were known on a day.

    If sources state different days, the earliest one counts. A firm day of one source goes before a ``not_before`` day
    of another one.

    Attributes:
        provider: The provider's canonical name.
        model: The model, as the calendar writes it.
        shutdown_on: The day on which the provider stops serving the model, in UTC; ``None`` if no source states one.
        not_before: If there is no such day, the day until which the provider serves the model at least.
        replacements: The models to use instead.
        announcements: The newest announcement of each source.
    """

    provider: str
    model: str
    shutdown_on: str | None
    not_before: str | None
    replacements: tuple[str, ...]
    announcements: tuple[Announcement, ...]

    @property
    def disagreement(self) -> tuple[str, ...]:
        """The shutdown days that the sources state, earliest first, if there are several; else empty."""
        days = sorted({each.shutdown_on for each in self.announcements if each.shutdown_on is not None})
        return tuple(days) if len(days) > 1 else ()

    def count_days_left(self, day: str) -> int | None:
        """Return the days from a UTC day to the shutdown day, negative after it; ``None`` if it is unknown."""
        if self.shutdown_on is None:
            return None
        return (date.fromisoformat(self.shutdown_on) - date.fromisoformat(day)).days

    def find_step(self, day: str) -> int | None:
        """Return the last of ``WARNING_STEPS`` that a day has reached; ``None`` if it has reached none."""
        days_left = self.count_days_left(day)
        if days_left is None:
            return None
        return min((step for step in WARNING_STEPS if days_left <= step), default=None)

    def warn(self, day: str) -> str | None:
        """Return the warning for a call on a day; ``None`` until 90 days before the shutdown."""
        step = self.find_step(day)
        if step is None:
            return None
        verb = "stopped" if step == 0 else "stops"
        return f"provider {quote(self.provider)} {verb} serving model {quote(self.model)} on {self._describe_day()}"

    def explain(self, day: str) -> str | None:
        """Return the warning for developers: that of ``warn``, or one about a ``not_before`` day at most 90 days ahead.

        Spans do not get the second one, because providers state such days for healthy models too.
        """
        if self.not_before is None:
            return self.warn(day)
        days_left = (date.fromisoformat(self.not_before) - date.fromisoformat(day)).days
        if days_left > WARNING_STEPS[0]:
            return None
        model, provider = quote(self.model), quote(self.provider)
        return f"provider {provider} may stop serving model {model}, but not before {self.not_before}"

    def _describe_day(self) -> str:
        text = str(self.shutdown_on)
        if self.disagreement:
            text = f"{text} (sources disagree: {_list_days(self.disagreement)})"
        if self.replacements:
            text = f"{text}; use {' or '.join(map(quote, self.replacements[:MAX_SHOWN_REPLACEMENTS]))} instead"
        return text


def _list_days(days: Sequence[str]) -> str:
    more = [f"{len(days) - MAX_SHOWN_DAYS:,} more"] if len(days) > MAX_SHOWN_DAYS else []
    return ", ".join([*days[:MAX_SHOWN_DAYS], *more])


def conclude(
    provider: str, announcements: Iterable[Announcement], known_on: str | None = None
) -> ProviderShutdown | None:
    """Return the shutdown of a model from its announcements; ``None`` if none was known on the day.

    Args:
        provider: The provider's canonical name.
        announcements: The announcements of the model, at this provider.
        known_on: The day in UTC; ``None`` for all that is known now.
    """
    by_source: dict[str, list[Announcement]] = {}
    for each in announcements:
        by_source.setdefault(each.source, []).append(each)
    in_force = [each for rows in by_source.values() for each in _select_newest(rows, known_on)]
    if not in_force:
        return None
    in_force.sort(key=_order_by_day)
    first = in_force[0]
    decisive = [each for each in in_force if _order_by_day(each)[:2] == _order_by_day(first)[:2]]
    model = min((each.model for each in decisive), key=len)
    replacements = _drop_forms(name for each in decisive for name in each.replacements)
    return ProviderShutdown(provider, model, first.shutdown_on, first.not_before, replacements, tuple(in_force))


def _drop_forms(names: Iterable[str]) -> tuple[str, ...]:
    """Return names without those that are longer forms of another one."""
    shortest: dict[str, str] = {}
    for name in names:
        key = entry_key(name).text
        shortest[key] = min(name, shortest.get(key, name), key=len)
    return tuple(shortest.values())


def choose_earliest(shutdowns: Iterable[ProviderShutdown]) -> ProviderShutdown | None:
    """Return the shutdown with the earliest day; firm days go first. ``None`` if there is none."""
    return min(shutdowns, key=_order_by_day, default=None)


def _order_by_day(stated: Announcement | ProviderShutdown) -> tuple[bool, str, str]:
    return stated.shutdown_on is None, stated.shutdown_on or stated.not_before or "", stated.model


def _select_newest(rows: Sequence[Announcement], known_on: str | None) -> list[Announcement]:
    """Return the newest announcements of one source that were known on a day.

    If the source was checked only later, its first check shows what it had announced before.
    """
    day = _LAST_DAY if known_on is None else known_on
    checked = [each for each in rows if each.checked_on <= day]
    if checked:
        return _select_check(checked, max)
    return _select_check([each for each in rows if each.known_since <= day], min)


def _select_check(rows: list[Announcement], choose: Callable[[Iterable[str]], str]) -> list[Announcement]:
    """Return the announcements of the chosen check, which is the first or the last one."""
    day = choose(each.checked_on for each in rows) if rows else None
    return [each for each in rows if each.checked_on == day]


def read_today() -> str:
    """Return the current day in UTC, as a text such as ``2027-01-14``."""
    return to_day(time.time_ns())


def to_day(nanos: int) -> str:
    """Return the day in UTC of nanoseconds since the epoch. This decides where each day begins."""
    return (EPOCH + _ONE_DAY * (nanos // (DAY_NANOS))).date().isoformat()


def begin_of_day(day: str) -> int:
    """Return the first instant of a day, in nanoseconds since the epoch."""
    return to_nanos(day)
