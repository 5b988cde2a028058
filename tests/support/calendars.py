"""Announcements and calendar files for tests."""

from __future__ import annotations

from typing import Any

from spanforge.model_registry.calendar import Announcement

TODAY = "2026-11-29"


def announce(model: str = "gpt-4o", **fields: Any) -> Announcement:
    """Return an announcement: by default ``openai`` stops serving ``gpt-4o`` on 2027-01-14."""
    if "not_before" not in fields:
        fields = {"shutdown_on": "2027-01-14", **fields}
    defaults = {"provider": "openai", "source": "page", "checked_on": "2026-11-01"}
    return Announcement(model=model, **{**defaults, **fields})
