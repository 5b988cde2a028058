"""The fields of an entry and of its end as commands show them, and the styles of statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.field_lists import Field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.shutdowns import ProviderShutdown

MODEL_STATUS_STYLES: Final = {"active": "good", "deprecated": "warning"}
"""The styles of statuses; any other one has the style of an error."""


def style_model_status(status: str) -> str:
    """Return the style of a status."""
    return MODEL_STATUS_STYLES.get(status, "error")


def list_ownership(entry: ModelRegistryEntry) -> Iterator[Field]:
    """Yield the fields that show who owns a model, and what to use instead of it."""
    yield Field("owner", entry.owner)
    yield Field("risk tier", entry.risk_tier)
    for label, key in (("contact", "contact"), ("successor", "successor"), ("sunset date", "sunset_date")):
        value = entry.metadata.get(key)
        if value:
            yield Field(label, value)


def list_warning_fields(warnings: Sequence[str]) -> Iterator[Field]:
    """Yield warnings, one for each line."""
    for number, warning in enumerate(warnings):
        yield Field("" if number else "warnings", warning, "warning")


def list_shutdown_fields(shutdowns: Sequence[ProviderShutdown], day: CalendarDay | None) -> Iterator[Field]:
    """Yield the shutdown of a model at its providers, and the days that are left."""
    for number, shutdown in enumerate(shutdowns):
        yield Field("" if number else "calendar", *_word_shutdown(shutdown, day))


def _word_shutdown(shutdown: ProviderShutdown, day: CalendarDay | None) -> tuple[str, str]:
    days_left = None if day is None else shutdown.count_days_left(day.day)
    if days_left is None:
        return f"{shutdown.provider} serves it until {shutdown.not_before} at least", ""
    if days_left < 0:
        return f"{shutdown.provider} stopped serving it on {shutdown.shutdown_on}", "error"
    style = "" if day is None or shutdown.find_step(day.day) is None else "warning"
    return f"{shutdown.provider} stops serving it on {shutdown.shutdown_on}, in {days_left:,} days", style


def end_to_dict(shutdown: ProviderShutdown) -> dict[str, Any]:
    """Return the day and the sources of the end of a model, as JSON values."""
    return {
        "shutdown_on": shutdown.shutdown_on,
        "not_before": shutdown.not_before,
        "replacements": list(shutdown.replacements),
        "sources": sorted({each.source for each in shutdown.announcements}),
        "disagreement": list(shutdown.disagreement),
    }
