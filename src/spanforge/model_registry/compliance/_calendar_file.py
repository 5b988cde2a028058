"""The provider calendar of an evidence package: its announcements, and the bytes of its file."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from spanforge.model_registry._core.provider_calendar import Calendar, parse_calendar
from spanforge.model_registry._core.storage import read_registry_file
from spanforge.model_registry.compliance._attestation_request import CalendarFile
from spanforge.model_registry.compliance._registry_files import clean_copy_name
from spanforge.model_registry.compliance._sources.files import shorten_paths


class CalendarCopy(NamedTuple):
    """A copy of a calendar file for an evidence package.

    Attributes:
        calendar: The calendar; ``None`` if there is none.
        attested: The description of the file in the attestation; ``None`` if there is no calendar.
        content: Its bytes; ``None`` if there is no calendar.
    """

    calendar: Calendar | None = None
    attested: CalendarFile | None = None
    content: bytes | None = None


def copy_calendar(path: str | None) -> CalendarCopy:
    """Return a copy of a calendar file; with ``None``, one without a calendar.

    Raises:
        RegistryFileError: The file cannot be read or is not valid.
    """
    if path is None:
        return CalendarCopy()
    content = read_registry_file(path)[1] or b""
    calendar = parse_calendar(path, content)
    attested = CalendarFile(
        name=shorten_paths([path])[0],
        file=f"calendar-{clean_copy_name(os.path.basename(path))}",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        announcements=len(calendar),
    )
    return CalendarCopy(calendar, attested, content)
