"""The end of a model at its provider, as a span shows it: from 90 days before the shutdown on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from spanforge.model_registry._core.conventions import provider_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.conventions import ModelKeys
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import Resolution
    from spanforge.model_registry._core.span_models import ModelMatch


class NearShutdown(NamedTuple):
    """A shutdown that is near or past.

    Attributes:
        date: Its day.
        warning: The warning for spans and the log.
        step: The days before the shutdown at which the current warning began, one of ``WARNING_STEPS``.
    """

    date: str
    warning: str
    step: int


def find_near_shutdown(
    calendar: CalendarDay, match: ModelMatch, attributes: Mapping[str, Any], keys: ModelKeys, mode: MatchMode
) -> NearShutdown | None:
    """Return the shutdown of the model that a span shows; ``None`` if the calendar has none that is near.

    It also finds models that are not registered.

    Args:
        calendar: The calendar in force.
        match: The model of the span.
        attributes: The span's attributes.
        keys: The deciding keys among them.
        mode: Whether forms match.
    """
    found = calendar.find(match.resolution, provider_of(attributes, keys.providers), mode, match.base_model)
    warning = None if found is None else found.warn(calendar.day)
    step = None if found is None else found.find_step(calendar.day)
    if found is None or warning is None or step is None:
        return None
    return NearShutdown(str(found.shutdown_on), warning, step)


def warn_of_shutdown(resolution: Resolution, shutdown: NearShutdown | None) -> Resolution:
    """Return a resolution with the warning about a shutdown after its other warnings."""
    if shutdown is None:
        return resolution
    return resolution._replace(warnings=(*resolution.warnings, shutdown.warning))
