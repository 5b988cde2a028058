"""Values: what an entry's texts, dates and metadata may be, and the containers that keep metadata as it was checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.timestamps import parse_rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import Self

MAX_DEPTH: Final = 16
"""Levels of lists and objects that a value in ``metadata`` may have."""
MAX_SIZE: Final = 65_536
"""Characters of keys and strings plus number of values that the user's part of ``metadata`` may have."""
MAX_TEXT: Final = 4_096
"""Characters of a name, an owner, a reason and every other text that the library itself reads."""
MAX_NAME: Final = 256
"""Characters of a name that a message shows."""

_INT64: Final = range(-(2**63), 2**63)
_DATE_RULE: Final = "an RFC 3339 date or date-time such as 2026-05-13 or 2026-05-13T08:00:00Z"
_TEXT_RULE: Final = f"text that is not blank, of at most {MAX_TEXT} characters"


class _Frozen:
    """What frozen containers have in common: a copy of one is itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self


class FrozenDict(_Frozen, dict[str, Any]):
    """A dict that refuses every change: equal to, printed and encoded as the plain dict it was made from."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class FrozenList(_Frozen, list[Any]):
    """A list that refuses every change: equal to, printed and encoded as the plain list it was made from."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


class Metadata(FrozenDict):
    """The metadata of an entry, checked as a whole."""

    __slots__ = ()


class Record(FrozenDict):
    """A record of ``metadata["history"]``, checked as such."""

    __slots__ = ()


def _refuse(_self: object, *_args: object, **_kwargs: object) -> NoReturn:
    msg = "the metadata of a registry entry is immutable; to_dict() gives a copy to change"
    raise TypeError(msg)


_CHANGES = ("__setitem__", "__delitem__", "clear", "pop")
_DICT_CHANGES = (*_CHANGES, "__ior__", "popitem", "setdefault", "update")
_LIST_CHANGES = (*_CHANGES, "__iadd__", "__imul__", "append", "extend", "insert", "remove", "reverse", "sort")

for _container, _names in ((FrozenDict, _DICT_CHANGES), (FrozenList, _LIST_CHANGES)):
    for _name in _names:
        setattr(_container, _name, _refuse)

EMPTY: Final = Metadata()


def quote(name: str) -> str:
    """Return a model's name in single quotes, on one line: control characters escaped, at most ``MAX_NAME`` long."""
    shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
    return f"'{shown}'"


def text(value: Any, field: str, model_id: str | None = None) -> str:
    """Return a text as a plain ``str``; it must have content and be encodable."""
    if not isinstance(value, str) or value.isspace() or not 0 < len(value) <= MAX_TEXT:
        raise InvalidValueError.must_be(field, value, _TEXT_RULE, model_id if model_id is not value else None)
    return encodable(value if type(value) is str else str.__str__(value), field, model_id)


def are_usual(*values: Any) -> bool:
    """Tell whether values are texts that ``text`` would return as they are, and short and plain enough to see at once.

    ASCII that begins with a visible character is neither blank nor a surrogate. ``False`` means a closer look.
    """
    for value in values:
        if type(value) is not str or value < "!":
            return False
    together = "".join(values)
    return len(together) <= MAX_TEXT and together.isascii()


def one_of(value: Any, allowed: tuple[Any, ...], field: str, model_id: str | None = None) -> Any:
    """Return the member of an enumeration that the value equals, as a plain ``str``."""
    try:
        return allowed[allowed.index(value)]
    except ValueError:
        raise InvalidValueError.must_be(field, value, f"one of {', '.join(allowed)}", model_id) from None


def date(value: Any, field: str, model_id: str | None = None) -> str | None:
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


def thaw(value: Any) -> Any:
    """Return plain dicts and lists, all the way down."""
    if isinstance(value, dict):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, list):
        return [thaw(item) for item in value]
    return value


class Freezer:
    """Checks and freezes the JSON values of one entry, within one budget of size."""

    def __init__(self, model_id: str | None) -> None:
        self.model_id = model_id
        self.room: int = MAX_SIZE

    def value(self, value: Any, path: str, depth: int = MAX_DEPTH) -> Any:
        """Return an immutable equal of a JSON value."""
        self._take(1)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            self._take(len(value))
            return encodable(str.__str__(value), path, self.model_id)
        if isinstance(value, (int, float)):
            return self._number(value, path)
        if not isinstance(value, (Mapping, list, tuple)):
            rule = "a JSON value: null, boolean, number, string, list or object"
            raise InvalidValueError.must_be(path, value, rule, self.model_id)
        if depth == 0:
            raise InvalidValueError.must_be(path, "deeper", f"nested at most {MAX_DEPTH} levels deep", self.model_id)
        if isinstance(value, Mapping):
            items = value.items()
            return FrozenDict({self.key(k, path): self.value(v, f"{path}.{k}", depth - 1) for k, v in items})
        return FrozenList([self.value(v, f"{path}[{i}]", depth - 1) for i, v in enumerate(value)])

    def key(self, key: Any, path: str) -> str:
        """Return the key of an object as a plain ``str``."""
        if not isinstance(key, str) or not key:
            raise InvalidValueError.must_be(f"{path} key", key, "a string that is not empty", self.model_id)
        self._take(len(key))
        return encodable(str.__str__(key), f"{path} key", self.model_id)

    def _number(self, value: float, path: str) -> float:
        if isinstance(value, int):
            if int(value) not in _INT64:
                raise InvalidValueError.must_be(path, value, "an integer of 64 bits", self.model_id)
            return int(value)
        if not math.isfinite(value):
            raise InvalidValueError.must_be(path, value, "a finite number", self.model_id)
        return float(value)

    def _take(self, size: int) -> None:
        self.room -= size
        if self.room < 0:
            allowed = f"of at most {MAX_SIZE} characters and values in all"
            raise InvalidValueError.must_be("metadata", "more", allowed, self.model_id)


def encodable(value: str, field: str, model_id: str | None = None) -> str:
    """Return the text if it can be written as UTF-8: OTLP exporters lose a whole batch to a lone surrogate."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValueError.must_be(field, value, "Unicode text without lone surrogates", model_id) from None
    return value
