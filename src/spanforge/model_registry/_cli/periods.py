"""Periods and durations as people write them: ``2026-10``, ``2026-Q4``, ``2026-10-01..2026-11-01``, ``36h``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

from spanforge.model_registry import InvalidValueError
from spanforge.model_registry.compliance._arguments import parse_moment, parse_period
from spanforge.model_registry.compliance._engine import MAX_DURATION

_MONTHS_OF_QUARTER: Final = 3
_MONTHS_OF_YEAR: Final = 12
_MONTH_NAME: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_QUARTER_NAME: Final = re.compile(r"([0-9]{4})-[Qq]([1-4])")
_DURATION_TEXT: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class EvidencePeriod(NamedTuple):
    """The first instant of a period, and the first instant after it, in UTC."""

    start: datetime
    end: datetime

    def __str__(self) -> str:
        return f"from {_show_minutes(self.start)} until {_show_minutes(self.end)} UTC"


def choose_period(month: str | None, quarter: str | None, first: str | None, after: str | None) -> EvidencePeriod:
    """Return the period of the options of ``evidence make``, of which exactly one kind must be given.

    Args:
        month: ``--month``.
        quarter: ``--quarter``.
        first: ``--from``.
        after: ``--to``.

    Raises:
        InvalidValueError: An option is wrong, or is missing, or there are several.
    """
    options = {"--month": month, "--quarter": quarter, "--from": first, "--to": after}
    given = {option: value for option, value in options.items() if value is not None}
    match given:
        case {"--month": text, **others} if not others:
            return _parse_named(_MONTH_NAME, text, "--month", "a month such as 2026-10")
        case {"--quarter": text, **others} if not others:
            return _parse_named(_QUARTER_NAME, text, "--quarter", "a quarter such as 2026-Q4")
        case {"--from": start, "--to": end, **others} if not others:
            return _make_period(parse_moment(start, "--from"), parse_moment(end, "--to"), "the period")
    got = " and ".join(given) or "none"
    raise InvalidValueError("the period", None, f"must be --month, or --quarter, or --from with --to; got {got}")


def parse_period_text(text: str, field: str) -> EvidencePeriod:
    """Return the period of a text such as ``2026-10``, ``2026-Q4`` and ``2026-10-01..2026-11-01``.

    Raises:
        InvalidValueError: The text is not a period.
    """
    for pattern in (_MONTH_NAME, _QUARTER_NAME):
        if pattern.fullmatch(text):
            return _parse_named(pattern, text, field, "")
    first, dots, after = text.partition("..")
    if not dots:
        raise InvalidValueError.must_be(field, text, "a month (2026-10), a quarter (2026-Q4), or FROM..TO")
    return _make_period(parse_moment(first, field), parse_moment(after, field), field)


def parse_duration(text: str, option: str, least: timedelta) -> timedelta:
    """Return a duration such as ``90s``, ``5m``, ``36h`` and ``2d``.

    Raises:
        InvalidValueError: The text is not a duration, or the duration is shorter than ``least`` or longer than a
            century.
    """
    match = _DURATION_TEXT.fullmatch(text)
    number, unit = match.groups() if match else ("0", "s")
    duration = timedelta(**{_UNITS[unit]: int(number)})
    if match is None or not least <= duration <= MAX_DURATION:
        rule = f"a whole number with s, m, h or d, such as 36h, from {least.seconds}s to {MAX_DURATION.days}d"
        raise InvalidValueError.must_be(option, text, rule)
    return duration


def _parse_named(pattern: re.Pattern[str], text: str, field: str, rule: str) -> EvidencePeriod:
    """Return a month or a quarter: the pattern's two groups are its year and its number in the year."""
    match = pattern.fullmatch(text)
    if match is None:
        raise InvalidValueError.must_be(field, text, rule)
    length = 1 if pattern is _MONTH_NAME else _MONTHS_OF_QUARTER
    year, number = map(int, match.groups())
    month = (number - 1) * length
    start = _find_first_day(year, month, field)
    return _make_period(start, _find_first_day(year, month + length, field), field)


def _find_first_day(year: int, month: int, field: str) -> datetime:
    """Return the first instant of a month, counted from 0; the twelfth is January of the next year."""
    years, month = divmod(month, _MONTHS_OF_YEAR)
    try:
        return datetime(year + years, month + 1, 1, tzinfo=timezone.utc)
    except ValueError:
        raise InvalidValueError.must_be(field, year, "a year from 1970 to 2261") from None


def _make_period(start: datetime, end: datetime, field: str) -> EvidencePeriod:
    try:
        parse_period(start, end)
    except InvalidValueError:
        problem = f"must begin before it ends, and be in the years 1970 to 2261; it is from {start} until {end}"
        raise InvalidValueError(field, None, problem) from None
    return EvidencePeriod(start.astimezone(timezone.utc), end.astimezone(timezone.utc))


def _show_minutes(moment: datetime) -> str:
    """Return a moment, without its seconds if they are zero."""
    return moment.replace(tzinfo=None).isoformat(" ").removesuffix(":00")
