"""``Announcement``: what a provider announced about the shutdown of one model, and where and when it was read."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from spanforge.model_registry._core.errors import InvalidValueError, describe_type, shorten
from spanforge.model_registry._core.validation import MAX_STARS
from spanforge.model_registry._core.values import MAX_NAME, NO_SPACE_RULE, check_encodable, check_text

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_REPLACEMENTS: Final = 100
"""The limit of replacements of one model. Public catalogues have at most ten."""
DAY_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
"""The pattern of a day in UTC."""
_DAY: Final = re.compile(DAY_PATTERN[1:-1])
_DAY_FORM: Final = "a day such as 2027-01-14"
_MODEL_RULE: Final = f"text of 1 to {MAX_NAME} characters that is not blank"


class CalendarField(NamedTuple):
    """One field of an announcement.

    Attributes:
        kind: The type of the value: a model's name, text, a day, or a list of names.
        required: ``True`` if every announcement has the field.
        note: The meaning, for the documentation and the JSON Schema.
    """

    kind: Literal["name", "text", "day", "names"]
    required: bool
    note: str


CALENDAR_FIELDS: Final[Mapping[str, CalendarField]] = {
    "provider": CalendarField("text", True, "who serves the model, in any spelling that spans have, such as `azure`"),
    "model": CalendarField("name", True, "the model's name, in any form that spans have; a glob matches several"),
    "announced_on": CalendarField("day", False, "the day of the announcement; without it, `checked_on` counts"),
    "shutdown_on": CalendarField("day", False, "the day on which the provider stops serving the model"),
    "not_before": CalendarField(
        "day", False, "instead of `shutdown_on`: the provider serves the model at least until this day"
    ),
    "replacements": CalendarField("names", False, "the models to use instead, the best one first"),
    "source": CalendarField("text", True, "where the date was read: an address, or the name of a document"),
    "checked_on": CalendarField("day", True, "the day on which the date was read there"),
}
"""The fields of an announcement, in the order of a file. Each has a shutdown day or a ``not_before`` day, not both."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a provider announced about the shutdown of one model. Days are in UTC and begin at 00:00.

    Attributes:
        provider: The provider that serves the model.
        model: The model's name, or a glob for several.
        announced_on: The day of the announcement; ``None`` if it is not known.
        shutdown_on: The day on which the provider stops serving the model.
        not_before: The day until which the provider serves the model at least, instead of ``shutdown_on``.
        replacements: The models to use instead, the best one first.
        source: Where the date was read.
        checked_on: The day on which it was read there.

    Raises:
        InvalidValueError: A value is not allowed; the error names the field and the rule.
    """

    provider: str
    model: str
    announced_on: str | None = None
    shutdown_on: str | None = None
    not_before: str | None = None
    replacements: tuple[str, ...] = ()
    source: str
    checked_on: str

    def __post_init__(self) -> None:
        """Validate every field."""
        for field, row in CALENDAR_FIELDS.items():
            value = getattr(self, field)
            if row.required or value is not None:
                msgspec.structs.force_setattr(self, field, _CHECK_OF_KIND[row.kind](value, field, self._name))
        self._check_days()

    @property
    def _name(self) -> str | None:
        return self.model if isinstance(self.model, str) else None

    def _check_days(self) -> None:
        if (self.shutdown_on is None) == (self.not_before is None):
            problem = "is missing; an announcement has shutdown_on or not_before"
            if self.shutdown_on is not None:
                problem = "must be left out beside not_before; shutdown_on is a firm day, and not_before is none"
            raise InvalidValueError("shutdown_on", self.shutdown_on, problem, self.model)
        if self.announced_on is not None and self.announced_on > self.checked_on:
            rule = f"no earlier than announced_on, {self.announced_on}"
            raise InvalidValueError.must_be("checked_on", self.checked_on, rule, self.model)

    @property
    def known_since(self) -> str:
        """The first day on which the announcement was known."""
        return self.checked_on if self.announced_on is None else self.announced_on

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that have a value, as a file has them."""
        fields = ((field, getattr(self, field)) for field in CALENDAR_FIELDS)
        return {field: list(value) if isinstance(value, tuple) else value for field, value in fields if value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Announcement:
        """Return the announcement with these fields; optional fields may be ``None``.

        Raises:
            InvalidValueError: A field is unknown, missing or has a value that is not allowed.
        """
        if not isinstance(data, dict):
            raise InvalidValueError("announcement", data, f"must be a mapping; got {describe_type(data)}")
        fields = {field: value for field, value in data.items() if value is not None}
        model = fields.get("model") if isinstance(fields.get("model"), str) else None
        _check_field_names(data, model)
        for field, row in CALENDAR_FIELDS.items():
            if row.required and field not in fields:
                raise InvalidValueError(field, None, "is missing", model)
        return cls(**fields)


def _check_field_names(data: Mapping[str, Any], model: str | None) -> None:
    for field in data:
        if field not in CALENDAR_FIELDS:
            problem = f"is unknown; an announcement has the fields {', '.join(CALENDAR_FIELDS)}"
            raise InvalidValueError(field if isinstance(field, str) else shorten(field), None, problem, model)


def check_day(value: Any, field: str, model: str | None = None) -> str:
    """Return a day after a check, such as ``2027-01-14``."""
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise InvalidValueError.must_be(field, value, _DAY_FORM, model)


def _check_model(value: Any, field: str, model: str | None = None) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or value != value.strip():
        raise InvalidValueError.must_be(field, value, f"{_MODEL_RULE}, {NO_SPACE_RULE}", model)
    if value.count("*") > MAX_STARS:
        raise InvalidValueError(field, value, f"has more than {MAX_STARS} stars", model)
    return check_encodable(value, field, model)


def _check_replacements(value: Any, field: str, model: str | None = None) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_REPLACEMENTS:
        raise InvalidValueError.must_be(field, value, f"a list of at most {MAX_REPLACEMENTS} names", model)
    return tuple(_check_model(item, f"{field}[{i}]", model) for i, item in enumerate(value))


_CHECK_OF_KIND: Final = {"name": _check_model, "text": check_text, "day": check_day, "names": _check_replacements}
