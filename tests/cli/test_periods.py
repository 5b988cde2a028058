"""Periods and durations of ``evidence``, as people write them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spanforge.model_registry import InvalidValueError
from spanforge.model_registry._cli.periods import choose_period, parse_duration, parse_period_text


@settings(deadline=None)
@given(st.dates(date(1970, 1, 1), date(2260, 12, 31)))
def test_the_month_and_the_quarter_of_a_day(day: date) -> None:
    """A month and a quarter begin at or before each of their days, end after it, and begin where the last one ended."""
    month = choose_period(f"{day:%Y-%m}", None, None, None)
    quarter = choose_period(None, f"{day.year}-Q{(day.month + 2) // 3}", None, None)
    assert quarter.start <= month.start
    assert month.end <= quarter.end
    assert month.start.date() <= day < month.end.date()
    assert (month.start.day, month.end.day, quarter.start.day, quarter.end.day) == (1, 1, 1, 1)
    assert 28 <= (month.end - month.start).days <= 31
    assert 90 <= (quarter.end - quarter.start).days <= 92
    assert parse_period_text(f"{day:%Y-%m}", "") == month
    assert parse_period_text(f"{month.start.isoformat()}..{month.end.isoformat()}", "") == month


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("2026-10", None, None, None), "from 2026-10-01 00:00 until 2026-11-01 00:00 UTC"),
        ((None, "2026-q4", None, None), "from 2026-10-01 00:00 until 2027-01-01 00:00 UTC"),
        (
            (None, None, "2026-10-01T00:00:00+02:00", "2026-10-01T00:00:01.5"),
            "from 2026-09-30 22:00 until 2026-10-01 00:00:01.500000 UTC",
        ),
    ],
)
def test_a_period_is_shown_in_utc(options: tuple[str | None, ...], shown: str) -> None:
    """Periods are in UTC, also if their bounds have another offset."""
    assert str(choose_period(*options)) == shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((None, None, None, None), "the period must be --month, or --quarter, or --from with --to; got none"),
        (("2026-10", None, "2026-10-01", None), "got --month and --from"),
        ((None, None, "2026-10-01", None), "got --from"),
        (("october", None, None, None), "--month must be a month such as 2026-10; got 'october'"),
        ((None, "2026-Q5", None, None), "--quarter must be a quarter such as 2026-Q4; got '2026-Q5'"),
        ((None, None, "yesterday", "2026-10-01"), "--from must be an RFC 3339 date"),
        ((None, None, "2026-10-02", "2026-10-02"), "the period must begin before it ends"),
        ((None, None, "0001-01-01T00:00:00+02:00", "2026-10-02"), "be in the years 1970 to 2261"),
        (("9999-12", None, None, None), "--month must be a year from 1970 to 2261; got 9999"),
        (("0000-01", None, None, None), "--month must be a year from 1970 to 2261; got 0"),
    ],
)
def test_wrong_periods(options: tuple[str | None, ...], message: str) -> None:
    """The error names the option and what is allowed."""
    with pytest.raises(InvalidValueError) as caught:
        choose_period(*options)
    assert message in str(caught.value)


def test_a_text_that_is_no_period() -> None:
    """The error lists the forms of periods."""
    with pytest.raises(InvalidValueError, match=r"^x must be a month \(2026-10\), a quarter \(2026-Q4\), or FROM..TO"):
        parse_period_text("2026", "x")


def test_durations() -> None:
    """A duration is a whole number with a unit, within bounds."""
    units = {"90s": {"seconds": 90}, "5m": {"minutes": 5}, "36h": {"hours": 36}, "2d": {"days": 2}}
    for text, duration in units.items():
        assert parse_duration(text, "--delay", timedelta()) == timedelta(**duration)
    for text in ("", "5", "5x", "-5m", "1.5h", "59s", "36526d", "9999999d"):
        with pytest.raises(InvalidValueError, match=r"^--max-gap must be .* from 60s to 36525d; got"):
            parse_duration(text, "--max-gap", timedelta(minutes=1))
