"""Calendars for calendar programs: iCalendar (RFC 5545), with an all-day event for each end of a model."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

MAX_OCTETS: Final = 75
"""The limit of octets of a line, without its end; a longer one continues after a blank (RFC 5545, section 3.1)."""
ALARM_DAYS: Final = (30, 7)
"""The days before an event on which calendar programs remind of it."""
_PRODUCT: Final = "-//spanforge//model registry//EN"
_NAMESPACE: Final = uuid.UUID("6f2f6f0e-5f0e-5a57-9f4c-6d1b6c1b7a10")
"""The namespace of the events' ids. It must never change, because programs find events by their ids."""
_ESCAPES_OF_TEXT: Final = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\t": "\t"})


class CalendarEvent(NamedTuple):
    """An all-day event.

    Attributes:
        key: The texts that identify it; with the same ones, a program replaces the event instead of adding another.
        day: The day in UTC, such as ``2027-01-14``.
        summary: The title.
        description: The lines below the title.
        changed_at: The moment of the last change of what it states.
    """

    key: tuple[str, ...]
    day: str
    summary: str
    description: tuple[str, ...]
    changed_at: datetime


def format_events(events: Iterable[CalendarEvent], name: str) -> bytes:
    """Return a calendar with this name in iCalendar; equal events give equal bytes."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{_PRODUCT}",
        "CALSCALE:GREGORIAN",
        f"NAME:{escape_text(name)}",
        f"X-WR-CALNAME:{escape_text(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:P1D",
    ]
    for event in sorted(events, key=lambda each: (each.day, each.key)):
        lines += _list_event_lines(event)
    lines.append("END:VCALENDAR")
    return b"".join(fold_line(line) for line in lines)


def _list_event_lines(event: CalendarEvent) -> Iterator[str]:
    properties: Mapping[str, str] = {
        "BEGIN": "VEVENT",
        "UID": str(uuid.uuid5(_NAMESPACE, "\n".join(event.key))),
        "DTSTAMP": f"{event.changed_at:%Y%m%dT%H%M%SZ}".rjust(len("20270114T000000Z"), "0"),
        "DTSTART;VALUE=DATE": event.day.replace("-", ""),
        "SUMMARY": escape_text(event.summary),
        "DESCRIPTION": escape_text("\n".join(event.description)),
        "TRANSP": "TRANSPARENT",
    }
    yield from (f"{name}:{value}" for name, value in properties.items())
    for days in ALARM_DAYS:
        yield "BEGIN:VALARM"
        yield "ACTION:DISPLAY"
        yield f"DESCRIPTION:{escape_text(event.summary)}"
        yield f"TRIGGER:-P{days}D"
        yield "END:VALARM"
    yield "END:VEVENT"


def escape_text(text: str) -> str:
    """Return a text as a value of iCalendar, without control characters (RFC 5545, section 3.3.11)."""
    lines = "\n".join(text.splitlines())
    shown = "".join(each for each in lines if each in "\n\t" or each.isprintable())
    return shown.translate(_ESCAPES_OF_TEXT)


def fold_line(line: str) -> bytes:
    """Return a content line with its end, folded between characters so that no part has more than 75 octets."""
    parts, size = [b""], 0
    for character in line:
        octets = character.encode()
        if size + len(octets) > MAX_OCTETS:
            parts.append(b" ")
            size = 1
        parts[-1] += octets
        size += len(octets)
    return b"\r\n".join(parts) + b"\r\n"
