"""The provider calendar that a command reads: from ``--calendar``, or else from the file of the setting."""

from __future__ import annotations

from typing import Annotated

import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.provider_calendar import Calendar, CalendarDay
from spanforge.model_registry._core.settings import CALENDAR
from spanforge.model_registry._core.shutdowns import read_today

CalendarOption = Annotated[
    str | None,
    typer.Option(
        "--calendar",
        "-c",
        metavar="FILE",
        help=f"Provider calendar in JSON or YAML. Default: the setting {CALENDAR.variable}.",
    ),
]
"""The option of each command that reads when providers stop serving models."""


def find_calendar_file(path: str | None, option: str = "--calendar") -> str:
    """Return the file of an option, or else of the setting.

    Raises:
        UsageError: There is none.
    """
    chosen = path or CALENDAR.read()
    if chosen is None:
        msg = f"no calendar file: pass {option} FILE, or set {CALENDAR.variable}"
        raise UsageError(msg)
    return chosen


def load_calendar_if_any(path: str | None) -> Calendar | None:
    """Return the calendar in a file, or else in that of the setting; ``None`` if there is none.

    Raises:
        RegistryFileError: The file cannot be read or is not valid.
    """
    chosen = path or CALENDAR.read()
    return None if chosen is None else Calendar.load(chosen)


def load_calendar_day(path: str | None) -> CalendarDay | None:
    """Return the calendar as ``load_calendar_if_any`` does, on the current day."""
    calendar = load_calendar_if_any(path)
    return None if calendar is None else CalendarDay(calendar, read_today())
