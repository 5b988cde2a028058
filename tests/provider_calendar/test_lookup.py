"""Lookup in a calendar: names and providers, sources that disagree, days that move, and what was known on a day."""

from __future__ import annotations

from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calendars import announce

from spanforge.model_registry import InvalidValueError, ModelRegistry
from spanforge.model_registry.calendar import WARNING_STEPS, Announcement, Calendar, ProviderShutdown, use_calendar

OPENAI, AZURE = "2027-01-14", "2027-04-14"
CALENDAR = Calendar(
    [
        announce(),
        announce(provider="azure", shutdown_on=AZURE),
        announce("claude-3-7-sonnet-20250219", provider="aws.bedrock", shutdown_on="2026-04-28"),
        announce("meta-llama/Llama-3.3-70B-Instruct", provider="together_ai", shutdown_on="2026-12-01"),
        announce("grok-2*", provider="xai", shutdown_on="2026-05-15"),
    ]
)


@pytest.mark.parametrize(
    ("name", "provider", "day"),
    [
        ("gpt-4o", "openai", OPENAI),
        ("gpt-4o", "azure", AZURE),
        ("gpt-4o", "az.ai.openai", AZURE),
        ("gpt-4o-2024-08-06", "azure.ai.openai", AZURE),
        ("azure/gpt-4o", "openai", AZURE),
        ("openrouter/openai/gpt-4o", None, None),
        ("GPT-4o", None, OPENAI),
        ("gpt-4o", None, OPENAI),
        ("gpt-4o", "langchain", OPENAI),
        ("gpt-4o", "groq", None),
        ("gpt-4o-mini", "openai", None),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "aws.bedrock", "2026-04-28"),
        ("bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0", None, "2026-04-28"),
        ("claude-3-7-sonnet-20250219", "anthropic", None),
        ("llama-3.3-70b-instruct", "together_ai", "2026-12-01"),
        ("grok-2-vision-1212", "xai", "2026-05-15"),
        ("\0000", None, None),
    ],
)
def test_names_and_providers_match_as_in_the_registry(name: str, provider: str | None, day: str | None) -> None:
    """A name matches by all of its forms, a provider by all of its spellings; days differ by provider."""
    found = CALENDAR.find(name, provider=provider)
    assert (found.shutdown_on if found else None) == day


def shutdown(calendar: Calendar, known_on: str | None = None) -> ProviderShutdown:
    found = calendar.find("gpt-4o", provider="openai", known_on=known_on)
    assert found
    return found


def test_sources_that_disagree() -> None:
    """If sources state different days, the earliest one counts, with its replacements, and the days are listed."""
    late = announce("openai/gpt-4o", shutdown_on="2027-02-01", source="blog", replacements=["gpt-6"])
    early = announce(replacements=["gpt-5", "openai/gpt-5"])
    promise = announce(source="table", not_before="2026-06-01")
    found = shutdown(Calendar([late, early, promise]))
    assert (found.shutdown_on, found.not_before) == (OPENAI, None)
    assert found.disagreement == (OPENAI, "2027-02-01")
    assert found.replacements == ("gpt-5",)
    assert set(found.announcements) == {late, early, promise}
    assert found.warn("2026-12-01") == (
        "provider 'openai' stops serving model 'gpt-4o' on 2027-01-14 (sources disagree: 2027-01-14, 2027-02-01); "
        "use 'gpt-5' instead"
    )
    assert not shutdown(Calendar([early, promise])).disagreement
    many = Calendar(announce(source=str(month), shutdown_on=f"2026-{month:02}-01") for month in range(1, 13))
    assert "(sources disagree: 2026-01-01, 2026-02-01, 2026-03-01, 2026-04-01, 2026-05-01, 7 more)" in str(
        shutdown(many).warn("2027-01-14")
    )


@pytest.mark.parametrize("day", ["2026-12-01", "2027-06-01"])
def test_a_newer_check_moves_a_day_in_both_directions(day: str) -> None:
    """The newest check of a source counts, whether it names an earlier or a later day; no sources disagree."""
    newer = Calendar([announce(shutdown_on=day, checked_on="2026-11-20")])
    found = shutdown(Calendar([announce()]).merge(newer))
    assert (found.shutdown_on, found.disagreement) == (day, ())
    assert found == shutdown(newer)


def test_what_was_known_on_a_day() -> None:
    """Only announcements count that were known then: announced, or else read; of each source the newest check."""
    moved = announce(announced_on="2026-06-01", checked_on="2026-07-01", shutdown_on="2026-12-31")
    calendar = Calendar([moved, announce(announced_on="2026-06-01", checked_on="2026-10-01")])
    assert calendar.find("gpt-4o", known_on="2026-05-31") is None
    days = {
        day: shutdown(calendar, day).shutdown_on for day in ("2026-06-01", "2026-07-01", "2026-09-30", "2026-10-01")
    }
    assert list(days.values()) == ["2026-12-31"] * 3 + [OPENAI]
    assert Calendar([announce()]).find("gpt-4o", known_on="2026-10-31") is None
    assert Calendar([announce()]).list_shutdowns(known_on="2026-10-31") == []
    with pytest.raises(InvalidValueError, match="known_on must be a day such as 2027-01-14; got 'now'"):
        calendar.find("gpt-4o", known_on="now")


def test_warnings_begin_ninety_days_before() -> None:
    """The warning begins 90 days before the shutdown and changes on its day; each step begins on its day."""
    found = shutdown(CALENDAR)
    assert WARNING_STEPS == (90, 30, 7, 0)
    steps = {"2026-10-15": None, "2026-10-16": 90, "2026-12-14": 90, "2026-12-15": 30, "2027-01-06": 30}
    steps |= {"2027-01-07": 7, "2027-01-13": 7, "2027-01-14": 0, "2030-01-01": 0}
    assert {day: found.find_step(day) for day in steps} == steps
    assert found.warn("2026-10-15") is found.explain("2026-10-15") is None
    text = "provider 'openai' {} serving model 'gpt-4o' on 2027-01-14"
    assert found.warn("2026-10-16") == found.warn("2027-01-13") == found.explain("2027-01-13") == text.format("stops")
    assert found.warn("2027-01-14") == found.warn("2030-01-01") == text.format("stopped")
    assert [found.count_days_left(day) for day in ("2027-01-13", "2027-01-14", "2027-01-15")] == [1, 0, -1]


def test_not_before_is_no_shutdown() -> None:
    """A ``not_before`` day is a promise: no step and no warning on spans, only a sentence for developers."""
    found = Calendar([announce(not_before="2026-12-01")]).find("gpt-4o")
    assert found
    assert found.find_step("2030-01-01") is found.warn("2030-01-01") is found.count_days_left("2030-01-01") is None
    assert found.explain("2026-09-01") is None
    assert found.explain("2026-09-02") == (
        "provider 'openai' may stop serving model 'gpt-4o', but not before 2026-12-01"
    )


class Names(str, Enum):
    """Strings with a text and a hash of their own."""

    MODEL = "openai/gpt-4o"
    PROVIDER = "openai"


def test_names_and_providers_are_strings() -> None:
    """An enumeration of strings counts as its values; anything else is an error."""
    calendar = Calendar([announce()])
    registry = ModelRegistry(auto_emit=False)
    use_calendar(calendar, registry)
    assert calendar.find(Names.MODEL, provider=Names.PROVIDER) == calendar.find("gpt-4o", provider="openai")
    assert registry.check(Names.MODEL, provider=Names.PROVIDER) == registry.check("openai/gpt-4o", provider="openai")
    with pytest.raises(InvalidValueError, match="model must be a string; got 5"):
        calendar.find(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="provider must be a string; got 5"):
        calendar.find("gpt-4o", provider=5)  # type: ignore[arg-type]


def test_lists_and_escapes() -> None:
    """Shutdowns are listed with the earliest day first, and names are escaped in warnings."""
    days = [each.shutdown_on for each in CALENDAR.list_shutdowns()]
    assert days == ["2026-04-28", "2026-05-15", "2026-12-01", OPENAI, AZURE]
    assert repr(CALENDAR) == "<Calendar of 5 announcements>"
    hostile = Calendar([announce("m\nx", provider="p\x1b", replacements=["r\rs"])]).list_shutdowns()[0]
    warning = hostile.warn("2027-01-14") or ""
    assert warning.isprintable()


DAYS = st.sampled_from(["2026-06-01", "2026-07-01", "2026-08-01", "2026-09-01"])
ROWS = st.lists(
    st.builds(
        announce, source=st.sampled_from("ab"), checked_on=DAYS, shutdown_on=DAYS, model=st.sampled_from(["m", "M"])
    )
)


@given(ROWS, DAYS)
def test_the_earliest_day_of_the_newest_checks(rows: list[Announcement], known_on: str) -> None:
    """The order of announcements never matters; the earliest day of the newest known check of each source counts."""
    known = [row for row in rows if row.checked_on <= known_on]
    newest = {row.source: row.checked_on for row in sorted(known, key=lambda row: row.checked_on)}
    days = [row.shutdown_on or "" for row in known if row.checked_on == newest[row.source]]
    for order in (rows, rows[::-1]):
        found = Calendar(order).find("m", known_on=known_on)
        assert (found.shutdown_on if found else None) == min(days, default=None)
