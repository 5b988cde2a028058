"""Every setting: its environment variable, its parser, its default, and what it does.

A setting may be given as an option (a keyword argument, or an option of a declarative configuration file), else by its
environment variable. A value that is not allowed is logged, and the default used: it never stops an application.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, get_args

from spanforge.model_registry._core.attributes import ON_SPANS, PREFIX, SIGNALS, SPAN_ATTRIBUTE_NAMES, EventSignal
from spanforge.model_registry._core.errors import InvalidValueError, shorten
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.values import one_of

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLES: Final = "OTEL_PYTHON_MODEL_REGISTRY_"
"""What the name of every environment variable begins with."""
MAX_KEYS: Final = 32
"""Further attribute keys that may hold a model's name, each of at most ``MAX_KEY`` characters."""
MAX_KEY: Final = 256
MIN_INTERVAL: Final = 100
MAX_INTERVAL: Final = 86_400_000
"""Milliseconds between which an interval may be: often enough to follow a test, seldom enough for a day."""

Unregistered = Literal["warn", "ignore"]
"""What spans get whose model nobody registered."""

_T_co = TypeVar("_T_co", covariant=True)
_lines: Final = WarnOnce(100)


@dataclass(frozen=True)
class Setting(Generic[_T_co]):
    """One setting.

    Attributes:
        name: Its name as an option; its environment variable is this in capitals, after ``VARIABLES``.
        default: Its value where it is not given.
        shown: The default as people write it.
        parse: Returns the value that a text, or an option's value, stands for; takes the name to complain under.
        note: What it does, for the documentation.
    """

    name: str
    default: _T_co
    shown: str
    parse: Callable[[Any, str], _T_co]
    note: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLES + self.name.upper()

    def read(self, given: object = None) -> _T_co:
        """Return its value: the option's, where it is given, else the environment's, else the default.

        Nothing is raised: a value that is not allowed is logged, once, and the default used.
        """
        name, value = self.name, given
        if _is_empty(value):
            name, value = self.variable, os.environ.get(self.variable)
        if _is_empty(value):
            return self.default
        try:
            return self.parse(value, name)
        except InvalidValueError as error:
            _lines.warn(str(error), "model registry: %s; using the default, %s", error, self.shown or "none")
            return self.default


def _is_empty(value: object) -> bool:
    """Tell whether a value says nothing; an empty list does."""
    return value is None or (isinstance(value, str) and not value.strip())


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    return bool(one_of(_lowered(value), ("true", "false"), name) == "true")


def _milliseconds(value: Any, name: str) -> int:
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    text = value.strip() if isinstance(value, str) else ""
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INTERVAL)):
        number = int(text)
    if number != 0 and (number is None or not MIN_INTERVAL <= number <= MAX_INTERVAL):
        raise InvalidValueError.must_be(name, value, f"0, or milliseconds from {MIN_INTERVAL} to {MAX_INTERVAL}")
    return number


def _items(value: Any, name: str, separator: str, rule: str) -> tuple[str, ...]:
    """Return the items of a list, or of a text: without the blanks around them, and without empty ones. Each once."""
    if isinstance(value, str):
        items: list[Any] = [item.strip() for item in value.split(separator) if item.strip()]
    else:
        several = isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))
        items = [os.fspath(item) if isinstance(item, os.PathLike) else item for item in (value if several else [value])]
    if not all(isinstance(item, str) and item for item in items):
        raise InvalidValueError.must_be(name, value, rule)
    return tuple(dict.fromkeys(items))


def _paths(value: Any, name: str) -> tuple[str, ...]:
    rule = f"a path, or several separated by {os.pathsep!r}"
    try:
        return tuple(dict.fromkeys(map(os.path.abspath, _items(value, name, os.pathsep, rule))))
    except OSError:  # a relative path, and the working folder is gone
        raise InvalidValueError.must_be(name, value, "an absolute path: the working folder is gone") from None


def _span_attributes(value: Any, name: str) -> tuple[str, ...]:
    rule = f"names of {', '.join(SPAN_ATTRIBUTE_NAMES)}, or changes to the default such as +purpose and -version"
    items = _items(value, name, ",", rule)
    changes = [item for item in items if item[0] in "+-"]
    for item in items:
        if (item[1:] if item in changes else item) not in SPAN_ATTRIBUTE_NAMES:
            raise InvalidValueError.must_be(name, item, rule)
    if not changes:
        return items
    if len(changes) != len(items):
        raise InvalidValueError.must_be(name, value, rule)
    added, removed = ({item[1:] for item in changes if item[0] == sign} for sign in "+-")
    return tuple(row for row in SPAN_ATTRIBUTE_NAMES if row in {*ON_SPANS, *added} - removed)


def _keys(value: Any, name: str) -> tuple[str, ...]:
    rule = f"at most {MAX_KEYS} attribute keys of at most {MAX_KEY} characters, none of them {PREFIX}*"
    items = _items(value, name, ",", rule)
    if len(items) > MAX_KEYS or any(len(item) > MAX_KEY or item.startswith(PREFIX) for item in items):
        raise InvalidValueError.must_be(name, value, rule)
    return items


def _unregistered(value: Any, name: str) -> Unregistered:
    allowed: tuple[Unregistered, ...] = get_args(Unregistered)
    found: Unregistered = one_of(_lowered(value), allowed, name)
    return found


def _event_signals(value: Any, name: str) -> tuple[EventSignal, ...]:
    rule = "span, log, both with a comma between them, or none"
    signals = set(map(_lowered, _items(value, name, ",", rule)))
    known: tuple[EventSignal, ...] = tuple(signal for signal in SIGNALS if signal in signals)
    if signals != {"none"} and (not signals or len(known) != len(signals)):
        raise InvalidValueError.must_be(name, value, rule)
    return known


def _lowered(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


ENABLED: Final = Setting(
    "enabled", True, "true", _boolean, "`false` keeps the plugin out of applications that it would be installed into"
)
FILE: Final[Setting[tuple[str, ...]]] = Setting(
    "file", (), "", _paths, "the registry's file, JSON or YAML; or several, separated as in `PATH`"
)
RELOAD_INTERVAL: Final = Setting(
    "reload_interval",
    10_000,
    "10000",
    _milliseconds,
    "milliseconds within which a changed file is in force; `0`: files are read once",
)
SPAN_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "span_attributes",
    ON_SPANS,
    ",".join(ON_SPANS),
    _span_attributes,
    "what LLM spans get: a whole list of short names, or changes to the default such as `+purpose,-version`",
)
MODEL_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "model_attributes", (), "", _keys, "further attribute keys that hold a model's name, tried after those known"
)
UNREGISTERED: Final[Setting[Unregistered]] = Setting(
    "unregistered",
    "warn",
    "warn",
    _unregistered,
    "spans whose model nobody registered: `warn` says so on the span and in the log; `ignore` leaves them alone",
)
EVENTS: Final[Setting[tuple[EventSignal, ...]]] = Setting(
    "events",
    ("span",),
    "span",
    _event_signals,
    "the signals of lifecycle events: `span` events, `log` records, `span,log` for both, or `none`",
)
SAMPLE_GOVERNED: Final = Setting(
    "sample_governed",
    False,
    "false",
    _boolean,
    "`true`: the sampler `model_registry` keeps calls of governed models even where their trace is not kept",
)

SETTINGS: Final[tuple[Setting[Any], ...]] = (
    ENABLED,
    FILE,
    RELOAD_INTERVAL,
    SPAN_ATTRIBUTES,
    MODEL_ATTRIBUTES,
    UNREGISTERED,
    EVENTS,
    SAMPLE_GOVERNED,
)
"""Every setting, in the order of the documentation."""
OPTIONS: Final = tuple(setting for setting in SETTINGS if setting is not SAMPLE_GOVERNED)
"""Those that are options of the instrumentor: when it is called, there is a sampler already."""


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of these options that the instrumentor has; the others are logged, once each."""
    names = [setting.name for setting in OPTIONS]
    for name in options:
        if name not in names:
            text = f"there is no option {shorten(name)} (there are {', '.join(names)})"
            _lines.warn(text, "model registry: %s; it is left out", text)
    return {name: value for name, value in options.items() if name in names}
