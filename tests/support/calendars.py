"""Announcements and calendar files for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core.shutdowns import begin_of_day
from spanforge.model_registry.calendar import Announcement

if TYPE_CHECKING:
    import pytest

TODAY = "2026-11-29"


def announce(model: str = "gpt-4o", **fields: Any) -> Announcement:
    """Return an announcement: by default ``openai`` stops serving ``gpt-4o`` on 2027-01-14."""
    if "not_before" not in fields:
        fields = {"shutdown_on": "2027-01-14", **fields}
    defaults = {"provider": "openai", "source": "page", "checked_on": "2026-11-01"}
    return Announcement(model=model, **{**defaults, **fields})


def set_day(monkeypatch: pytest.MonkeyPatch, day: str, seconds: float = 43_200) -> None:
    """Let the clock show a time of a day in UTC, by default noon."""
    now = begin_of_day(day) + int(seconds * 10**9)
    monkeypatch.setattr("time.time_ns", lambda: now)
