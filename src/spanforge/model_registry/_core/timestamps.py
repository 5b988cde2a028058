"""Timestamps: RFC 3339 texts, date-times, and integers since the epoch.

The registry uses microseconds, because its texts have six decimals. Telemetry uses nanoseconds, as OTLP does.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_EPOCH_WITHOUT_ZONE: Final = EPOCH.replace(tzinfo=None)
DAY_NANOS: Final = 86_400 * 10**9

_MICROSECOND: Final = timedelta(microseconds=1)
_LAST_MICROS: Final = (datetime.max.replace(tzinfo=timezone.utc) - EPOCH) // _MICROSECOND
RFC3339_PATTERN: Final = (
    "([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))"
    "(?:[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:[.]([0-9]{1,9}))?"
    "(?:([Zz])|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?)?"
)
"""The pattern of a date or date-time. It does not know the lengths of months, and that there is no year 0."""
_RFC3339: Final = re.compile(RFC3339_PATTERN)
_CANONICAL: Final = re.compile(
    r"[12][0-9]{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
)


def parse_rfc3339(value: str) -> datetime:
    """Return the moment of an RFC 3339 date or date-time. A date means its first instant. Without an offset it is UTC.

    Decimals beyond microseconds are cut off. Unlike that of ``fromisoformat``, the grammar is the same in every Python.

    Raises:
        ValueError: The text is not such a date.
    """
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise ValueError(value)
    day, clock, fraction, _, sign, hours, minutes = match.groups()
    moment = datetime.fromisoformat(f"{day} {clock or '00:00:00'}")
    offset = timedelta(hours=int(hours), minutes=int(minutes)) if sign else timedelta()
    zone = timezone(-offset if sign == "-" else offset)
    return moment.replace(microsecond=int((fraction or "0")[:6].ljust(6, "0")), tzinfo=zone)


def is_canonical(value: Any) -> bool:
    """Check whether a value has the form that ``format_micros`` writes. Any other value may still be a valid date."""
    return type(value) is str and _CANONICAL.fullmatch(value) is not None


def in_utc(moment: datetime) -> datetime:
    """Return the moment with its offset; without an offset it is UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def to_micros(moment: str | datetime) -> int:
    """Return a moment, or RFC 3339 text, as microseconds since the epoch."""
    when = parse_rfc3339(moment) if isinstance(moment, str) else moment
    return (when - EPOCH) // _MICROSECOND


def to_nanos(moment: str | datetime) -> int:
    """Return a moment, or RFC 3339 text, as nanoseconds since the epoch."""
    return to_micros(moment) * 1_000


def from_nanos(nanos: int) -> datetime:
    """Return nanoseconds since the epoch as a date-time in UTC; decimals beyond microseconds are cut off."""
    return EPOCH + timedelta(microseconds=nanos // 1_000)


def format_micros(micros: int) -> str:
    """Return microseconds since the epoch as RFC 3339 text. A time after the year 9999 becomes its last instant."""
    moment = _EPOCH_WITHOUT_ZONE + timedelta(microseconds=min(micros, _LAST_MICROS))
    return f"{moment.isoformat(timespec='microseconds')}Z"


def format_nanos(nanos: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 text; decimals beyond microseconds are cut off."""
    return format_micros(nanos // 1_000)
