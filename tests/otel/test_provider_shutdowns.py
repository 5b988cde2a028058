"""The provider calendar on spans, in log lines and in the gauge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.calendars import announce, set_day
from support.spans import PROVIDER, REQUEST, RESPONSE
from support.watching import wait_until
from support.year import FIRST_DAY, check_year, choose_families, simulate_year

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry.calendar import WARNING_STEPS, Announcement, Calendar, use_calendar
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._log_lines import MAX_NAME_LINES
from spanforge.model_registry.watch import follow_settings

FAMILIES = 8
OPENAI, AZURE = "2027-01-14", "2027-02-01"
CALENDAR = Calendar([announce(replacements=["gpt-5"]), announce(provider="azure", shutdown_on=AZURE)])
STOPS = "provider 'openai' stops serving model 'gpt-4o' on 2027-01-14; use 'gpt-5' instead"
STOPPED = STOPS.replace("stops", "stopped")
AZURE_STOPS = "provider 'azure.ai.openai' stops serving model 'gpt-4o' on 2027-02-01"


@pytest.fixture
def put_day(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts the calendar in force on a day."""

    def put(day: str, calendar: Calendar | None = CALENDAR) -> None:
        set_day(monkeypatch, day)
        use_calendar(calendar, registry)

    return put


def shown(span: Any) -> tuple[str | None, tuple[str, ...]]:
    return span.ours.get("provider_sunset_date"), tuple(span.ours.get("warnings", ()))


def test_spans_near_and_past_the_shutdown(pipeline: Any, put_day: Any, registry: ModelRegistry) -> None:
    """The day and the warning appear 90 days before and stay; the status is the organisation's own."""
    pipes = pipeline()
    call = {REQUEST: "gpt-4o-2024-08-06", PROVIDER: "openai"}
    put_day("2026-10-15")
    assert shown(pipes.run(call)) == (None, ())
    for day, warning in (
        ("2026-10-16", STOPS),
        ("2027-01-13", STOPS),
        ("2027-01-14", STOPPED),
        ("2028-01-01", STOPPED),
    ):
        put_day(day)
        span = pipes.run(call)
        assert shown(span) == (OPENAI, (warning,))
        assert span.ours["status"] == "active"
    registry.deprecate("gpt-4o")
    assert shown(pipes.run(call)) == (OPENAI, ("model 'gpt-4o' is deprecated", STOPPED))
    put_day("2027-01-14", Calendar([announce(shutdown_on="2027-06-01", source="page")]))
    assert shown(pipes.run(call)) == (None, ("model 'gpt-4o' is deprecated",))
    put_day("2027-01-14", None)
    assert shown(pipes.run(call)) == (None, ("model 'gpt-4o' is deprecated",))


def test_the_provider_of_the_call_decides(pipeline: Any, put_day: Any) -> None:
    """Days differ by provider: that of the route, of the span, or the earliest one; the response model counts."""
    put_day("2026-12-15")
    pipes = pipeline()
    assert shown(pipes.run({REQUEST: "gpt-4o", PROVIDER: "azure"})) == (AZURE, (AZURE_STOPS,))
    assert shown(pipes.run({REQUEST: "azure/gpt-4o", PROVIDER: "openai"})) == (AZURE, (AZURE_STOPS,))
    assert shown(pipes.run({REQUEST: "gpt-4o"})) == (OPENAI, (STOPS,))
    assert shown(pipes.run({REQUEST: "gpt-4o", PROVIDER: "groq"})) == (None, ())
    assert shown(pipes.run({REQUEST: "gpt-4o", RESPONSE: "gpt-4o-2024-08-06"})) == (OPENAI, (STOPS,))


def test_the_base_model_that_answered_decides(
    pipeline: Any, put_day: Any, registry: ModelRegistry, fields: dict[str, Any]
) -> None:
    """If several base models may answer, the day of the one that did counts, or else the earliest one."""
    registry.register(**fields | {"model_id": "deployment"}, metadata={"base_model": ["gpt-4.1", "gpt-4o"]})
    put_day("2026-12-15", Calendar([announce(), announce("gpt-4.1", shutdown_on=AZURE)]))
    pipes = pipeline()
    assert shown(pipes.run({REQUEST: "deployment"}))[0] == OPENAI
    assert shown(pipes.run({REQUEST: "deployment", RESPONSE: "gpt-4o-2024-08-06"}))[0] == OPENAI
    assert shown(pipes.run({REQUEST: "deployment", RESPONSE: "gpt-4.1-2025-04-14"}))[0] == AZURE


def test_unregistered_models(pipeline: Any, put_day: Any, registry: ModelRegistry, lines: Any) -> None:
    """A model that is not registered gets them too, unless the setting ignores such models."""
    put_day("2026-12-15", Calendar([announce("gpt-3.5-turbo")]))
    warnings = ("model 'gpt-3.5-turbo' is not registered", STOPS.partition(";")[0].replace("gpt-4o", "gpt-3.5-turbo"))
    assert shown(pipeline().run({REQUEST: "gpt-3.5-turbo"})) == (OPENAI, warnings)
    assert [line.partition("; register it")[0] for line in lines()] == [f"model registry: {w}" for w in warnings]
    ignoring = ModelRegistrySpanProcessor(registry, unregistered="ignore")
    assert pipeline(ignoring).run({REQUEST: "gpt-3.5-turbo"}).ours == {}


def test_chosen_attributes(pipeline: Any, put_day: Any, registry: ModelRegistry) -> None:
    """The attribute can be switched off like any other."""
    put_day("2026-12-15")
    plain = ModelRegistrySpanProcessor(registry, span_attributes="-provider_sunset_date")
    span = pipeline(plain).run({REQUEST: "gpt-4o"})
    assert shown(span) == (None, (STOPS,))


def test_one_line_at_each_step(pipeline: Any, put_day: Any, lines: Any) -> None:
    """The log has one line at each step, with the owner, however many calls there are."""
    pipes = pipeline()
    for day in ("2026-10-16", "2026-10-17", "2026-12-15", "2027-01-07", "2027-01-08", "2027-01-14", "2027-02-01"):
        put_day(day)
        for name in ("gpt-4o", "openai/gpt-4o", "gpt-4o"):
            pipes.run({REQUEST: name})
    assert lines() == [
        f"model registry: {text} (owner: ml-platform, contact: some contact)" for text in (STOPS, STOPS, STOPS, STOPPED)
    ]


def test_each_entry_has_its_line_after_a_flood(
    pipeline: Any, put_day: Any, registry: ModelRegistry, fields: dict[str, Any], lines: Any
) -> None:
    """Models without an entry do not use up the lines; each owner of a deployment of the model has a line."""
    flood = [f"flood-{number}" for number in range(MAX_NAME_LINES * len(WARNING_STEPS) + 1)]
    put_day("2026-12-15", Calendar([announce(), *map(announce, flood)]))
    pipes = pipeline()
    for name in flood:
        pipes.run({REQUEST: name})
    before = len(lines())
    for owner in ("first", "second"):
        registry.register(
            **fields | {"model_id": f"deployment-{owner}", "owner": owner}, metadata={"base_model": "gpt-4o"}
        )
        pipes.run({REQUEST: f"deployment-{owner}"})
    plain = STOPS.partition(";")[0]
    assert lines()[before:] == [f"model registry: {plain} (owner: {owner})" for owner in ("first", "second")]


@pytest.mark.usefixtures("no_settings", "gpt")
def test_a_new_day_and_a_new_file_are_in_force(pipeline: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cached decisions end when a day begins, and when the calendar's file changes."""
    path = tmp_path / "calendar.json"
    CALENDAR.save(path)
    set_day(monkeypatch, "2026-10-15", 86_399.9)
    follow_settings(calendar=str(path), reload_interval=100)
    pipes = pipeline(ModelRegistrySpanProcessor(get_default_registry()))
    assert shown(pipes.run({REQUEST: "gpt-4o"})) == (None, ())
    set_day(monkeypatch, "2026-10-16", 0)
    wait_until(lambda: shown(pipes.run({REQUEST: "gpt-4o"})) == (OPENAI, (STOPS,)))
    Calendar([announce(shutdown_on="2027-01-15")]).save(path)
    wait_until(lambda: shown(pipes.run({REQUEST: "gpt-4o"})) == (None, ()))


@pytest.mark.usefixtures("counting")
def test_gauge(meters: Any, registry: ModelRegistry, fields: dict[str, Any], put_day: Any) -> None:
    """The gauge has the seconds until the shutdown of each registered model at each of its providers."""
    put_day("2027-01-13")
    registry.register(
        **fields | {"model_id": "by-azure", "owner": "a"}, provider="azure", metadata={"base_model": "gpt-4o"}
    )
    registry.register(**fields | {"model_id": "other"})
    registry.register(**fields | {"model_id": "old"}, aliases=["openai/gpt-4o"])
    registry.retire("old")
    points = {
        (point.attributes["model_id"], point.attributes[PROVIDER], point.attributes["owner"]): point.value
        for point in meters.points("provider_sunset")
    }
    noon = timedelta(hours=12).total_seconds()
    to_azure = timedelta(days=18, hours=12).total_seconds()
    assert points == {
        ("gpt-4o", "openai", "ml-platform"): noon,
        ("gpt-4o", "azure.ai.openai", "ml-platform"): to_azure,
        ("by-azure", "azure.ai.openai", "a"): to_azure,
    }
    put_day("2027-01-14")
    assert -noon in {point.value for point in meters.points("provider_sunset")}
    put_day("2027-01-14", None)
    assert meters.points("provider_sunset") == []


@pytest.mark.slow
def test_a_year(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """In a year, each model warns once at each step and nothing flaps. The matrix tests it with real dates."""
    calendar = Calendar(make_announcement(number) for number in range(FAMILIES))
    families = choose_families(calendar, FAMILIES)
    counts = check_year(simulate_year(calendar, families, monkeypatch, caplog), families)
    assert counts == {90: 6, 30: 7, 7: 6, 0: 7}


def make_announcement(number: int) -> Announcement:
    day = FIRST_DAY + timedelta(days=60 * number - 30)
    return announce(f"family-{number}-chat", provider="openai" if number % 2 else "azure", shutdown_on=day.isoformat())
