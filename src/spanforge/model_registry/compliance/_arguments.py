"""Arguments that several functions take: moments, periods, and attribute keys."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.timestamps import in_utc, to_nanos
from spanforge.model_registry._core.values import check_text, parse_date
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable


def parse_moment(given: str | date, field: str) -> datetime:
    """Return a moment in UTC; a date means its first instant."""
    if isinstance(given, datetime):
        return in_utc(given)
    return parse_date(given.isoformat() if isinstance(given, date) else given, field)


def parse_period(
    from_date: str | date, to_date: str | date, fields: tuple[str, str] = ("from_date", "to_date")
) -> tuple[int, int]:
    """Return the start and the end of a period, in nanoseconds since the epoch; errors name these fields."""
    start, end = _parse_bound(from_date, fields[0]), _parse_bound(to_date, fields[1])
    if start >= end:
        raise InvalidValueError.must_be(fields[1], to_date, f"later than {fields[0]}, {from_date}")
    return start, end


def _parse_bound(given: str | date, field: str) -> int:
    bound = to_nanos(parse_moment(given, field))
    if not 0 <= bound <= MAX_TIME:
        raise InvalidValueError.must_be(field, given, "in the years 1970 to 2261")
    return bound


def check_keys(model_attributes: str | Iterable[str]) -> tuple[str, ...]:
    """Return additional attribute keys that contain a model name, after a check of each."""
    keys = [model_attributes] if isinstance(model_attributes, str) else model_attributes
    return tuple(check_text(key, "model_attributes") for key in keys)


def check_revision(source_revision: str | None) -> str | None:
    """Return the revision of the registry's source after a check; ``None`` stays ``None``."""
    return None if source_revision is None else check_text(source_revision, "source_revision")
