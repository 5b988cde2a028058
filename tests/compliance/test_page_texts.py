"""Periods, moments and durations in the words of the report page."""

from __future__ import annotations

import pytest

from spanforge.model_registry.compliance._page.texts import show_bounds, show_moment, show_period, show_seconds

DAY = "2026-10-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("2026-11-01T00:00:00.000000Z", "1 October 2026 to 31 October 2026"),
        ("2026-10-02T00:00:00.000000Z", "1 October 2026"),
        ("2026-10-02T00:00:00.000001Z", "2026-10-01 00:00:00 to 2026-10-02 00:00:00"),
    ],
)
def test_period(end: str, text: str) -> None:
    """A period of whole days has its first and its last day, and any other period its bounds."""
    assert show_period(DAY, end) == text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (None, None, ""),
        (DAY, None, ""),
        (DAY, "2026-10-01T00:00:59Z", "2026-10-01 00:00"),
        (DAY, "2026-10-01T08:05:00Z", "2026-10-01 00:00 to 08:05"),
        (DAY, "2026-10-02T08:05:00Z", "2026-10-01 00:00 to 2026-10-02 08:05"),
    ],
)
def test_bounds(first: str | None, last: str | None, text: str) -> None:
    """The bounds of a finding have the date once if it is the same, and one text within a minute."""
    assert show_bounds(first, last) == text


def test_moments() -> None:
    """A moment is in UTC, and a date stays as it is."""
    assert [show_moment(each) for each in ("2026-10-01", "2026-10-01T01:30:00+02:00")] == [
        "2026-10-01",
        "2026-09-30 23:30",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 min"), (3_599, "59 min"), (3_600, "1 h"), (86_400, "1 d"), (90_061, "1 d 1 h")]
)
def test_durations(seconds: int, text: str) -> None:
    """A duration below an hour is in minutes, and any other in days and hours."""
    assert show_seconds(seconds) == text
