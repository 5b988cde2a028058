"""The provider calendar that a command reads: from ``--calendar``, or else from the file of the setting."""

from __future__ import annotations

from typing import Annotated

import typer

from spanforge.model_registry._core.provider_calendar import Calendar, CalendarDay
from spanforge.model_registry._core.settings import CALENDAR
from spanforge.model_registry._core.shutdowns import read_today

CalendarDayOption = Annotated[
    str | None,
    typer.Option("--calendar", metavar="FILE", help=f"Provider calendar. Default: the setting {CALENDAR.variable}."),
]
"""The option of each command that shows when providers stop serving models."""


def load_calendar_day(path: str | None) -> CalendarDay | None:
    """Return the calendar in a file, or else in that of the setting, on the current day; ``None`` if there is none.

    Raises:
        RegistryFileError: The file cannot be read or is not valid.
    """
    chosen = path or CALENDAR.read()
    return None if chosen is None else CalendarDay(Calendar.load(chosen), read_today())
