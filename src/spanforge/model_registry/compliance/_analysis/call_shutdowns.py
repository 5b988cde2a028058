"""The end of models at their providers in evidence: what happened on each day, and what was known then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from spanforge.model_registry._core.provider_calendar import conclude_earliest
from spanforge.model_registry._core.shutdowns import begin_of_day, to_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.announcements import Announcement
    from spanforge.model_registry._core.provider_calendar import Group

ShutdownState = Literal["not listed", "open", "past", "past, not known"]
"""The state of a call: the calendar has no shutdown day of the model, or the day had not come, or it had come.

If it had come, the day was known when the call started, or it was announced or read only later.
"""


class CallShutdown(NamedTuple):
    """The shutdown of the model of a call.

    Attributes:
        state: The state when the call started.
        sunset: The day on which the provider stops serving the model, by all announcements; empty if there is none.
    """

    state: ShutdownState = "not listed"
    sunset: str = ""


NOT_LISTED: Final = CallShutdown()


def list_announced_moments(announcements: Iterable[Announcement]) -> Iterator[int]:
    """Yield the first instants of the days that announcements have, in nanoseconds since the epoch."""
    for each in announcements:
        for day in (each.announced_on, each.checked_on, each.shutdown_on):
            if day is not None:
                yield begin_of_day(day)


class ShutdownTimes:
    """The announcements about the model of a call, over time.

    Args:
        groups: The announcements; empty if there is no calendar, or if it does not have the model.

    Attributes:
        groups: The announcements.
    """

    def __init__(self, groups: tuple[Group, ...] = ()) -> None:
        self.groups = groups
        self._final = conclude_earliest(groups)

    def list_moments(self) -> Iterator[int]:
        """Yield the moments at which the state may change, in nanoseconds since the epoch."""
        for _, announcements in self.groups:
            yield from list_announced_moments(announcements)

    def at(self, nanos: int) -> CallShutdown:
        """Return the shutdown for a call that starts at a moment, in nanoseconds since the epoch."""
        final, day = self._final, to_day(nanos)
        if final is None or final.shutdown_on is None:
            return NOT_LISTED
        known = conclude_earliest(self.groups, day)
        if known is not None and known.shutdown_on is not None and known.shutdown_on <= day:
            return CallShutdown("past", final.shutdown_on)
        return CallShutdown("past, not known" if final.shutdown_on <= day else "open", final.shutdown_on)


NO_SHUTDOWNS: Final = ShutdownTimes()
