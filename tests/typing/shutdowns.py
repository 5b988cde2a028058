"""A job that reads the provider calendar and warns before shutdowns."""

from __future__ import annotations

from typing_extensions import assert_type

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.calendar import (
    WARNING_STEPS,
    Announcement,
    Calendar,
    FeedFormat,
    ProviderShutdown,
    get_calendar,
    read_feed,
    use_calendar,
)

FEEDS: dict[str, FeedFormat] = {"prices.json": "litellm", "list.json": "deprecations.info"}

calendar = Calendar([Announcement(provider="openai", model="m", source="a page", checked_on="2026-11-29")])
for path, form in FEEDS.items():
    calendar = calendar.merge(read_feed(path, form, checked_on="2026-11-29"))
use_calendar(calendar, ModelRegistry())
assert_type(get_calendar(), Calendar | None)
assert_type(calendar.find("m", provider="openai"), ProviderShutdown | None)
steps: tuple[int, ...] = WARNING_STEPS
for shutdown in calendar.list_shutdowns():
    assert_type(shutdown.count_days_left("2026-11-29"), int | None)
    assert_type(shutdown.announcements, tuple[Announcement, ...])

read_feed("prices.json", "csv")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Announcement("openai", "m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
use_calendar("calendar.json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
