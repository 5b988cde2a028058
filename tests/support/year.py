"""A simulated year with a provider calendar: what spans, log lines and the gauge show each day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.calendars import set_day
from support.log_lines import library_records
from support.meters import Meters
from support.spans import PROVIDER, REQUEST

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.provider_calendar import CalendarDay
from spanforge.model_registry._core.state import put_calendar
from spanforge.model_registry.calendar import WARNING_STEPS, Calendar, ProviderShutdown
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    import pytest

FIRST_DAY = date(2026, 11, 29)
DAYS = 365
DAY_SECONDS = 86_400


class Seen(NamedTuple):
    """What was seen of one model on one day.

    Attributes:
        day: The day, from 0.
        step: The step that the gauge's value has reached, as the thresholds of alerts decide it.
        sunset: The day on the span; ``None`` if the span has none.
        lines: The log lines about the model.
    """

    day: int
    step: int | None
    sunset: str | None
    lines: int


def choose_families(calendar: Calendar, count: int) -> list[ProviderShutdown]:
    """Return models of a calendar with different names, whose days are spread over the calendar."""
    found = {each.model: each for each in calendar.list_shutdowns() if each.shutdown_on is not None}
    models = [*found.values()]
    return [models[number * len(models) // count] for number in range(count)]


def simulate_year(
    calendar: Calendar,
    families: list[ProviderShutdown],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> dict[str, list[Seen]]:
    """Return the observations of each model on each day, from one call a day and one collection of metrics at noon."""
    registry, meters, exporter = ModelRegistry(auto_emit=False), Meters(), InMemorySpanExporter()
    for family in families:
        registry.register(family.model, "N", "1", "high", "team", "a test", provider=family.provider)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    seen: dict[str, list[Seen]] = {family.model: [] for family in families}
    for number in range(DAYS):
        day = (FIRST_DAY + timedelta(days=number)).isoformat()
        set_day(monkeypatch, day)
        put_calendar(registry, CalendarDay(calendar, day))
        gauge = {point.attributes["model_id"]: point.value for point in meters.points("provider_sunset")}
        caplog.clear()
        for family in families:
            tracer.start_span("call", attributes={REQUEST: family.model, PROVIDER: family.provider}).end()
        messages = [record.getMessage() for record in library_records(caplog)]
        for family, span in zip(families, exporter.get_finished_spans(), strict=True):
            attributes: dict[str, Any] = dict(span.attributes or {})
            sunset = attributes.get("model_registry.provider_sunset_date")
            lines = sum(f" model {family.model!r} on " in message for message in messages)
            seen[family.model].append(Seen(number, find_threshold(gauge[family.model]), sunset, lines))
        exporter.clear()
    meters.provider.shutdown()
    return seen


def find_threshold(seconds: float) -> int | None:
    """Return the last threshold that the gauge has reached, as PromQL of an alert compares it with days."""
    return min((step for step in WARNING_STEPS if seconds <= step * DAY_SECONDS), default=None)


def check_year(seen: dict[str, list[Seen]], families: list[ProviderShutdown]) -> dict[int, int]:
    """Check that each model warns once at each step and that nothing flaps; return the number of warnings by step."""
    counts = dict.fromkeys(WARNING_STEPS, 0)
    for family in families:
        days_left = (date.fromisoformat(str(family.shutdown_on)) - FIRST_DAY).days
        before: int | None = None
        for today in seen[family.model]:
            left = days_left - today.day
            step = min((each for each in WARNING_STEPS if left <= each), default=None)
            assert today.sunset == (None if step is None else family.shutdown_on), (family.model, today)
            assert today.lines == (step is not None and (today.day == 0 or step != before)), (family.model, today)
            assert today.step == step, (family.model, today)
            if step is not None:
                counts[step] += today.lines
            before = step
        assert len(seen[family.model]) == DAYS
    return counts
