"""The provider calendar: the days on which providers stop serving models, apart from the organisation's decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core import calendar_watch
from spanforge.model_registry._core.announcements import Announcement
from spanforge.model_registry._core.calendar_feeds import FeedFormat, read_feed
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.provider_calendar import Calendar
from spanforge.model_registry._core.shutdowns import WARNING_STEPS, ProviderShutdown

if TYPE_CHECKING:
    from spanforge.model_registry._core.registry import ModelRegistry

__all__ = [
    "WARNING_STEPS",
    "Announcement",
    "Calendar",
    "FeedFormat",
    "ProviderShutdown",
    "get_calendar",
    "read_feed",
    "use_calendar",
]


def use_calendar(calendar: Calendar | None, registry: ModelRegistry | None = None) -> None:
    """Put a calendar in force in this process, in place of the file of the setting ``calendar``.

    Args:
        calendar: The calendar; ``None`` for none.
        registry: The registry whose models it is for; ``None`` for the process-wide registry.

    Raises:
        InvalidValueError: The calendar is something else, such as the path of a file (also a ``ValueError``).
    """
    if calendar is not None and not isinstance(calendar, Calendar):
        raise InvalidValueError.must_be("calendar", calendar, "a Calendar, as Calendar.load(path) returns it, or None")
    calendar_watch.put_in_force(calendar, get_default_registry() if registry is None else registry)


def get_calendar(registry: ModelRegistry | None = None) -> Calendar | None:
    """Return the calendar in force; ``None`` if there is none.

    Args:
        registry: The registry whose models it is for; ``None`` for the process-wide registry.
    """
    state = (get_default_registry() if registry is None else registry)._state  # noqa: SLF001 - same package
    return None if state.calendar is None else state.calendar.calendar
