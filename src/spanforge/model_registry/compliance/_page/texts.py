"""The texts of the report page: names that anyone may have chosen, times, numbers and the words for results."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.shown_values import make_printable
from spanforge.model_registry._core.timestamps import format_nanos, from_nanos, to_nanos

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_PAGE_TEXT: Final = 300
"""The limit of characters of a name, an owner or a reason. The files of the package have the whole text."""
_MIDNIGHT: Final = "T00:00:00.000000Z"


class PageWord(NamedTuple):
    """The way in which the page shows a result or a status.

    Attributes:
        text: The words.
        mark: A sign beside them, so that the meaning does not depend on the colour.
        tone: The name of the colour in the style sheet.
    """

    text: str
    mark: str
    tone: str


RESULTS: Final[Mapping[str, PageWord]] = {
    "findings": PageWord("Findings", "!", "bad"),
    "no_evidence": PageWord("No evidence", "?", "warn"),
    "incomplete": PageWord("Incomplete", "◐", "warn"),
    "supported": PageWord("Supported", "✓", "good"),
    "not_applicable": PageWord("Not applicable", "○", "none"),
}
"""The results of clauses and checks."""

VERDICTS: Final[Mapping[str, str]] = {
    "findings": "There are findings: at least one rule below is broken.",
    "no_evidence": "There is no evidence for at least one clause. That is not a pass.",
    "incomplete": "The telemetry does not cover the whole period. No check has findings in the part that it covers.",
    "supported": "The evidence supports every clause that has a check. No check has findings.",
}
"""The sentence about each overall result."""

_TONES: Final = {"green": "good", "orange": "warn", "red": "bad"}
STATUS_LABELS: Final[Mapping[str, PageWord]] = {
    **{status: PageWord(status.capitalize(), "", _TONES[row.colour]) for status, row in LIFECYCLE.items()},
    "unregistered": PageWord("Not registered", "", "odd"),
    "not_deployed": PageWord("Not deployed yet", "", "none"),
}
"""The statuses of models."""

SENDERS_SHOWN: Final[Mapping[str, str]] = {
    "trusted": "trusted sender",
    "unknown": "unknown sender",
    "untrusted": "untrusted sender",
}
"""The words for senders."""


READ_IN: Final[Mapping[str, str]] = {
    "official": "read in the publisher's own text",
    "secondary": "read in a text by others, not in the publisher's own text",
}
"""The words for the kinds of sources."""


def show_text(text: str) -> str:
    """Return a text as the page shows it: invisible characters are escaped, and a long text is cut off."""
    shown = text if len(text) <= MAX_PAGE_TEXT else f"{text[:MAX_PAGE_TEXT]}… ({len(text):,} characters)"
    escaped: str = escape_invisible(shown)
    return escaped


def escape_invisible(value: Any) -> Any:
    """Return a text with invisible characters escaped; other values and text that is HTML already as they are."""
    return make_printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def show_number(number: int) -> str:
    """Return a number with commas between thousands."""
    return f"{number:,}"


def show_share(share: float | None) -> str:
    """Return a share in percent, which never rounds up to 100 %."""
    return "" if share is None else f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"


def show_moment(moment: str) -> str:
    """Return a moment of an attestation in UTC, without seconds; a date as it is."""
    if len(moment) == len("2026-10-01"):
        return moment
    in_utc = format_nanos(to_nanos(moment))
    return f"{in_utc[:10]} {in_utc[11:16]}"


def show_exactly(moment: str) -> str:
    """Return a moment of an attestation in UTC, without fractions of seconds."""
    return format_nanos(to_nanos(moment))[:19].replace("T", " ")


def show_bounds(first: str | None, last: str | None) -> str:
    """Return the first and the last moment of a finding; one text if they are of one minute."""
    if first is None or last is None:
        return ""
    start, end = show_moment(first), show_moment(last)
    if start == end:
        return start
    return f"{start} to {end[11:] if start[:10] == end[:10] else end}"


def show_period(from_date: str, to_date: str) -> str:
    """Return a period in words: the first and the last day, if it has whole days."""
    if not (from_date.endswith(_MIDNIGHT) and to_date.endswith(_MIDNIGHT)):
        return f"{show_exactly(from_date)} to {show_exactly(to_date)}"
    first, last = from_nanos(to_nanos(from_date)), from_nanos(to_nanos(to_date)) - timedelta(days=1)
    return _show_day(first) if first == last else f"{_show_day(first)} to {_show_day(last)}"


def _show_day(day: datetime) -> str:
    return f"{day.day} {_MONTH_NAMES[day.month - 1]} {day.year}"


_MONTH_NAMES: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
"""The names of the months in English, whatever the locale is."""


_HOUR: Final = 3_600


def show_seconds(seconds: int) -> str:
    """Return a duration in days and hours, or in minutes if it is shorter."""
    if seconds < _HOUR:
        return f"{seconds // 60} min"
    days, rest = divmod(seconds, 24 * _HOUR)
    hours = rest // _HOUR
    return " ".join([f"{days:,} d"] * bool(days) + [f"{hours} h"] * bool(hours or not days))


def join_services(names: tuple[str, ...], number: int) -> str:
    """Return names in one text, with the number of those that are left out."""
    listed = ", ".join(map(show_text, names))
    left = number - len(names)
    return f"{listed}{', ' if listed else ''}and {left:,} more" if left else listed
