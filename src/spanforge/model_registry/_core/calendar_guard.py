"""The part of ``check`` and ``require`` that asks the provider calendar. It does not import the calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.errors import InvalidValueError, ProviderShutdownError
from spanforge.model_registry._core.settings import CALENDAR, MATCH
from spanforge.model_registry._core.values import check_optional_string

if TYPE_CHECKING:
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import Resolution
    from spanforge.model_registry._core.shutdowns import ProviderShutdown

_RULE: Final = f"a whole number of days, with a provider calendar in force; the setting {CALENDAR.variable} names one"


def _find(
    calendar: CalendarDay | None, resolution: Resolution, provider: str | None, match: object
) -> ProviderShutdown | None:
    if calendar is None:
        return None
    return calendar.find(resolution, check_optional_string(provider, "provider"), MATCH.choose(match))


def list_call_warnings(
    calendar: CalendarDay | None, resolution: Resolution, provider: str | None, match: object
) -> tuple[str, ...]:
    """Return the warnings of a resolution, and the one about the provider's shutdown if it is near."""
    found = _find(calendar, resolution, provider, match)
    warning = None if calendar is None or found is None else found.explain(calendar.day)
    return resolution.warnings if warning is None else (*resolution.warnings, warning)


def require_days_left(
    calendar: CalendarDay | None, resolution: Resolution, provider: str | None, match: object, days: Any
) -> None:
    """Raise ``ProviderShutdownError`` if the provider stops serving the model in fewer than ``days`` days."""
    if calendar is None or type(days) is not int:
        raise InvalidValueError.must_be("min_days_left", days, _RULE)
    found = _find(calendar, resolution, provider, match)
    days_left = None if found is None else found.count_days_left(calendar.day)
    if found is not None and days_left is not None and days_left < days:
        raise ProviderShutdownError(resolution.candidate, found.provider, str(found.shutdown_on), days_left)
