"""The settings: their environment variables, parsers, defaults and meanings.

An option has priority over the environment variable. Options are keyword arguments, and options of a declarative
configuration file. A value that is not allowed never stops an application: it is logged, and the default is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, get_args

from spanforge.model_registry._core.attributes import ON_SPANS, PREFIX, SIGNALS, SPAN_ATTRIBUTE_NAMES, EventSignal
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.names import MatchMode
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.registry_sources import split_sources
from spanforge.model_registry._core.values import check_one_of

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLES: Final = "OTEL_PYTHON_MODEL_REGISTRY_"
"""The prefix of all environment variables."""
MAX_MODEL_KEYS: Final = 32
"""The limit of additional attribute keys that contain model names, because each span with one is searched for all."""
MAX_KEY_LENGTH: Final = 256
"""The limit of characters in each of these keys. OpenTelemetry's longest keys have about 60."""
MIN_INTERVAL: Final = 100
MAX_INTERVAL: Final = 86_400_000
"""The limits of an interval, in milliseconds: from short enough for a test to one day."""
FILE_SIZES: Final = range(1_024, 1024**3 + 1)
"""The limits of the limit of a file's bytes. Reading a gigabyte takes several times as much memory."""

Unregistered = Literal["warn", "ignore"]
"""The treatment of spans whose model is not registered."""

_T_co = TypeVar("_T_co", covariant=True)
_warnings: Final = WarnOnce(100)


@dataclass(frozen=True)
class Setting(Generic[_T_co]):
    """One setting.

    Attributes:
        name: The name of the option. The environment variable is this name in capitals, after ``VARIABLES``.
        default: The value if the setting is not set.
        shown: The default as text for the environment variable.
        parse: The function that returns the value of a text or an option. Its second argument is the name for errors.
        note: The meaning, for the documentation.
    """

    name: str
    default: _T_co
    shown: str
    parse: Callable[[Any, str], _T_co]
    note: str

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return VARIABLES + self.name.upper()

    def read(self, option: object = None) -> _T_co:
        """Return the value of the option if there is one, else of the environment variable, else the default.

        No error is raised. A value that is not allowed is logged once, and the default is used.
        """
        name, value = self.name, option
        if _is_empty(value):
            name, value = self.variable, os.environ.get(self.variable)
        if _is_empty(value):
            return self.default
        try:
            return self.parse(value, name)
        except InvalidValueError as error:
            _warnings.warn(str(error), "model registry: %s; using the default, %s", error, self.shown or "none")
            return self.default

    def choose(self, argument: object) -> _T_co:
        """Return the argument, parsed strictly, or the value of ``read`` if the argument is ``None``.

        Raises:
            InvalidValueError: The argument is not allowed.
        """
        return self.read() if argument is None else self.parse(argument, self.name)


def _is_empty(value: object) -> bool:
    """Check whether a value is missing: ``None`` or a blank text. An empty list is a value."""
    return value is None or (isinstance(value, str) and not value.strip())


def _parse_boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    return bool(check_one_of(_lower(value), ("true", "false"), name) == "true")


def _parse_milliseconds(value: Any, name: str) -> int:
    number = _parse_whole_number(value)
    if number is None or (number != 0 and not MIN_INTERVAL <= number <= MAX_INTERVAL):
        raise InvalidValueError.must_be(name, value, f"0, or milliseconds from {MIN_INTERVAL} to {MAX_INTERVAL}")
    return number


def _parse_file_size(value: Any, name: str) -> int:
    number = _parse_whole_number(value) or 0
    if number in FILE_SIZES:
        return number
    raise InvalidValueError.must_be(name, value, f"bytes from {FILE_SIZES[0]} to {FILE_SIZES[-1]}")


def _parse_whole_number(value: Any) -> int | None:
    """Return a whole number, also from a short text of digits; ``None`` for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(FILE_SIZES[-1]))
    return int(text) if is_number else None


def _parse_items(value: Any, name: str, separator: str, rule: str) -> tuple[str, ...]:
    """Return the distinct items of a list, or of a text with separators, without blanks around them."""
    items = _split_items(value, separator) if isinstance(value, str) else _list_items(value)
    if not all(isinstance(item, str) and item for item in items):
        raise InvalidValueError.must_be(name, value, rule)
    return tuple(dict.fromkeys(items))


def _split_items(text: str, separator: str) -> list[str]:
    return [item.strip() for item in text.split(separator) if item.strip()]


def _list_items(value: Any) -> list[Any]:
    """Return the items of a list, or a list with a single value. Paths become texts."""
    is_list = isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))
    return [os.fspath(item) if isinstance(item, os.PathLike) else item for item in (value if is_list else [value])]


def _parse_sources(value: Any, name: str) -> tuple[str, ...]:
    rule = f"a file, folder or glob, or several separated by {os.pathsep!r}"
    sources = split_sources(value) if isinstance(value, str) else _parse_items(value, name, os.pathsep, rule)
    if isinstance(value, str) and (not sources or "://" in value):
        raise InvalidValueError.must_be(name, value, rule)
    return _make_absolute(sources, value, name)


def _make_absolute(paths: Iterable[str], value: Any, name: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(os.path.abspath, paths)))
    except OSError:  # the path is relative, and the working folder was removed
        rule = "an absolute path, because the working folder does not exist"
        raise InvalidValueError.must_be(name, value, rule) from None


def _parse_path(value: Any, name: str) -> str:
    rule = f"a path, or several separated by {os.pathsep!r}"
    paths = _make_absolute(_parse_items(value, name, os.pathsep, rule), value, name)
    if len(paths) != 1:
        raise InvalidValueError.must_be(name, value, "one path")
    return paths[0]


def _parse_span_attributes(value: Any, name: str) -> tuple[str, ...]:
    rule = f"names of {', '.join(SPAN_ATTRIBUTE_NAMES)}, or changes to the default such as +purpose and -version"
    items = _parse_items(value, name, ",", rule)
    for item in items:
        if _remove_sign(item) not in SPAN_ATTRIBUTE_NAMES:
            raise InvalidValueError.must_be(name, item, rule)
    changes = [item for item in items if item[0] in "+-"]
    if not changes:
        return items
    if len(changes) != len(items):
        raise InvalidValueError.must_be(name, value, rule)
    return _change_default(changes)


def _remove_sign(item: str) -> str:
    """Return the short name of an attribute, without the sign of a change."""
    return item[1:] if item[0] in "+-" else item


def _change_default(changes: Iterable[str]) -> tuple[str, ...]:
    """Return the default attributes of spans with changes such as ``+purpose`` and ``-version``."""
    added = {item[1:] for item in changes if item[0] == "+"}
    removed = {item[1:] for item in changes if item[0] == "-"}
    chosen = {*ON_SPANS, *added} - removed
    return tuple(name for name in SPAN_ATTRIBUTE_NAMES if name in chosen)


def _parse_model_attributes(value: Any, name: str) -> tuple[str, ...]:
    rule = f"at most {MAX_MODEL_KEYS} attribute keys of at most {MAX_KEY_LENGTH} characters, none of them {PREFIX}*"
    items = _parse_items(value, name, ",", rule)
    has_bad_key = any(len(item) > MAX_KEY_LENGTH or item.startswith(PREFIX) for item in items)
    if len(items) > MAX_MODEL_KEYS or has_bad_key:
        raise InvalidValueError.must_be(name, value, rule)
    return items


def _parse_unregistered(value: Any, name: str) -> Unregistered:
    policy: Unregistered = check_one_of(_lower(value), get_args(Unregistered), name)
    return policy


def _parse_match(value: Any, name: str) -> MatchMode:
    mode: MatchMode = check_one_of(_lower(value), get_args(MatchMode), name)
    return mode


def _parse_event_signals(value: Any, name: str) -> tuple[EventSignal, ...]:
    rule = "span, log, both with a comma between them, or none"
    signals = set(map(_lower, _parse_items(value, name, ",", rule)))
    chosen: tuple[EventSignal, ...] = tuple(signal for signal in SIGNALS if signal in signals)
    if signals != {"none"} and (not signals or len(chosen) != len(signals)):
        raise InvalidValueError.must_be(name, value, rule)
    return chosen


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


ENABLED: Final = Setting(
    "enabled",
    True,
    "true",
    _parse_boolean,
    "with `false`, `opentelemetry-instrument` and `instrument()` do not activate the plugin",
)
FILE: Final[Setting[tuple[str, ...]]] = Setting(
    "file",
    (),
    "",
    _parse_sources,
    "the registry file, or a folder or glob of such files; several are separated by a comma or `:`, on Windows `;`",
)
RELOAD_INTERVAL: Final = Setting(
    "reload_interval",
    10_000,
    "10000",
    _parse_milliseconds,
    "a changed file takes effect within this number of milliseconds; with `0`, files are read only at the start",
)
CALENDAR: Final[Setting[str | None]] = Setting(
    "calendar",
    None,
    "",
    _parse_path,
    "the [calendar](calendar.md) of the days on which providers stop serving models, JSON or YAML; it is followed like "
    "the registry file",
)
SPAN_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "span_attributes",
    ON_SPANS,
    ",".join(ON_SPANS),
    _parse_span_attributes,
    "the attributes that LLM spans get: a complete list of short names, or changes to the default such as "
    "`+purpose,-version`",
)
MODEL_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "model_attributes",
    (),
    "",
    _parse_model_attributes,
    "additional attribute keys that contain a model name, tried after the known keys",
)
UNREGISTERED_POLICY: Final[Setting[Unregistered]] = Setting(
    "unregistered",
    "warn",
    "warn",
    _parse_unregistered,
    "spans whose model is not registered: `warn` marks the span as unregistered and logs a warning; `ignore` adds "
    "nothing to the span",
)
MATCH: Final[Setting[MatchMode]] = Setting(
    "match",
    "forms",
    "forms",
    _parse_match,
    "how model names match: `forms` also finds other ways to write a name; `exact` tries only ids, aliases and globs",
)
EVENTS: Final[Setting[tuple[EventSignal, ...]]] = Setting(
    "events",
    ("span",),
    "span",
    _parse_event_signals,
    "the signals of lifecycle events: `span` events, `log` records, `span,log` for both, or `none`",
)
MAX_FILE_SIZE: Final = Setting(
    "max_file_size",
    64 * 1024 * 1024,
    str(64 * 1024 * 1024),
    _parse_file_size,
    "the limit of bytes of a registry file, also for `load` and commands; a larger file is not read",
)
HAS_METRICS: Final = Setting(
    "metrics",
    True,
    "true",
    _parse_boolean,
    "with `false`, the plugin has no [metrics](metrics.md), so a pipeline without other metrics exports nothing",
)
SAMPLE_FLAGGED: Final = Setting(
    "sample_flagged",
    False,
    "false",
    _parse_boolean,
    "with `true` and `OTEL_TRACES_SAMPLER=model_registry`, calls to flagged models are kept even if their trace is not",
)

SETTINGS: Final[tuple[Setting[Any], ...]] = (
    ENABLED,
    FILE,
    RELOAD_INTERVAL,
    CALENDAR,
    SPAN_ATTRIBUTES,
    MODEL_ATTRIBUTES,
    UNREGISTERED_POLICY,
    MATCH,
    EVENTS,
    MAX_FILE_SIZE,
    HAS_METRICS,
    SAMPLE_FLAGGED,
)
"""All settings, in the order of the documentation."""
OPTIONS: Final = tuple(setting for setting in SETTINGS if setting not in (SAMPLE_FLAGGED, MAX_FILE_SIZE))
"""The settings that are options of the instrumentor. It is not there for the sampler and for ``load``."""
