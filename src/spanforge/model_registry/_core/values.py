"""Values of an entry: checks of texts and dates, and immutable containers for checked metadata."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.shown_values import make_printable
from spanforge.model_registry._core.timestamps import parse_rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import Self

MAX_TEXT: Final = 4_096
"""The limit of characters of a name, an owner, a reason, and all other texts that the library itself reads:
a page of text. Spans and messages carry most of them."""
MAX_NAME: Final = 256
"""The limit of characters of an alias, and of a name that a message shows. The longest real names, ARNs, have 200."""
INT64: Final = range(-(2**63), 2**63)
"""The integers that OTLP can represent."""

NO_SPACE_RULE: Final = "without white space around it"
"""The end of a rule for ids and other names. Such white space would never match, and nobody would see it."""
_DATE_RULE: Final = "an RFC 3339 date or date-time such as 2026-05-13 or 2026-05-13T08:00:00Z"
_TEXT_RULE: Final = f"text that is not blank, of at most {MAX_TEXT:,} characters"


class _Frozen:
    """Base of frozen containers. A copy is the same object."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self


class FrozenDict(_Frozen, dict[str, Any]):
    """A dict that refuses changes. It equals, prints and encodes like a plain dict with the same items."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class FrozenList(_Frozen, list[Any]):
    """A list that refuses changes. It equals, prints and encodes like a plain list with the same items."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


class Metadata(FrozenDict):
    """The checked metadata of an entry."""

    __slots__ = ()


class Record(FrozenDict):
    """A checked record of ``metadata["history"]``."""

    __slots__ = ()


def _refuse(_self: object, *_args: object, **_kwargs: object) -> NoReturn:
    msg = "the metadata of a registry entry is immutable; to_dict() returns a copy that can be changed"
    raise TypeError(msg)


_CHANGES = ("__setitem__", "__delitem__", "clear", "pop")
_DICT_CHANGES = (*_CHANGES, "__ior__", "popitem", "setdefault", "update")
_LIST_CHANGES = (*_CHANGES, "__iadd__", "__imul__", "append", "extend", "insert", "remove", "reverse", "sort")

for _container, _names in ((FrozenDict, _DICT_CHANGES), (FrozenList, _LIST_CHANGES)):
    for _name in _names:
        setattr(_container, _name, _refuse)

EMPTY: Final = Metadata()


def make_json_key(value: Any) -> str:
    """Return a text that is the same for values that are the same in JSON, where 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def quote(name: str) -> str:
    """Return a model's name in single quotes, cut off after ``MAX_NAME``, with control characters and quotes escaped.

    Without the escapes, a name from the network could end its quotes and forge a sentence.
    """
    shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
    shown = shown.replace("\\", r"\\").replace("'", r"\'")
    return f"'{make_printable(shown)}'"


def read_quoted(text: str) -> str:
    """Return the name that ``quote`` has put in quotes. Control characters stay escaped, and a cut stays."""
    return re.sub(r"\\(['\\])", r"\1", text)


def escape(text: str) -> str:
    """Return a text without quotes, with control characters escaped, and cut off after ``MAX_NAME``."""
    return make_printable(text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}…")


def thaw(value: Any) -> Any:
    """Return a deep copy of plain dicts and lists."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


def check_text(value: Any, field: str, model_id: str | None = None) -> str:
    """Return a text as a plain ``str``, if it is not blank, not too long, and can be encoded."""
    if not isinstance(value, str) or value.isspace() or not 0 < len(value) <= MAX_TEXT:
        raise InvalidValueError.must_be(field, value, _TEXT_RULE, model_id if model_id is not value else None)
    return check_encodable(value, field, model_id)


def check_id(value: Any, field: str, model_id: str | None = None) -> str:
    """Return the id of a model: a text without white space around it."""
    text = check_text(value, field, model_id)
    if text != text.strip():
        raise InvalidValueError.must_be(field, text, f"{_TEXT_RULE}, {NO_SPACE_RULE}")
    return text


def check_string(value: Any, field: str) -> str:
    """Return a string as a plain ``str``. A subclass, such as an enumeration, may have its own text and hash."""
    if not isinstance(value, str):
        raise InvalidValueError.must_be(field, value, "a string")
    return str.__str__(value)


def check_optional_string(value: Any, field: str) -> str | None:
    """Return a string as a plain ``str``, or ``None``."""
    return None if value is None else check_string(value, field)


def check_encodable(value: str, field: str, model_id: str | None = None) -> str:
    """Return a text as a plain ``str`` that UTF-8 can encode. OTLP exporters lose a whole batch to a lone surrogate."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValueError.must_be(field, value, "Unicode text without lone surrogates", model_id) from None
    return value if type(value) is str else str.__str__(value)


def check_one_of(value: Any, allowed: tuple[Any, ...], field: str, model_id: str | None = None) -> Any:
    """Return the member of an enumeration that the value equals, as a plain ``str``."""
    try:
        return allowed[allowed.index(value)]
    except ValueError:
        raise InvalidValueError.must_be(field, value, f"one of {', '.join(allowed)}", model_id) from None


def check_date(value: Any, field: str, model_id: str | None = None) -> str | None:
    """Return an RFC 3339 date or date-time as it was given; ``None`` stays ``None``."""
    if value is None:
        return None
    if isinstance(value, str):
        value = str.__str__(value)
    parse_date(value, field, model_id)
    return cast("str", value)


def parse_date(value: Any, field: str, model_id: str | None = None) -> datetime:
    """Return the moment of an RFC 3339 date or date-time."""
    try:
        if isinstance(value, str):
            return parse_rfc3339(value)
    except ValueError:
        pass
    raise InvalidValueError.must_be(field, value, _DATE_RULE, model_id)
