"""The provider calendar: the days on which providers stop serving models, apart from the organisation's decisions."""

from __future__ import annotations

from spanforge.model_registry._core.announcements import Announcement
from spanforge.model_registry._core.calendar_feeds import FeedFormat, read_feed
from spanforge.model_registry._core.provider_calendar import Calendar
from spanforge.model_registry._core.shutdowns import WARNING_STEPS, ProviderShutdown

__all__ = [
    "WARNING_STEPS",
    "Announcement",
    "Calendar",
    "FeedFormat",
    "ProviderShutdown",
    "read_feed",
]
