"""The settings: their environment variables, parsers, defaults and meanings.

An option has priority over the environment variable. Options are keyword arguments, and options of a declarative
configuration file. A value that is not allowed never stops an application: it is logged, and the default is used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.registry_addresses import hide_credentials
from spanforge.model_registry._core.setting_parsers import (
    USER_CACHE,
    Unregistered,
    hide_headers,
    parse_boolean,
    parse_cache,
    parse_event_signals,
    parse_file_size,
    parse_headers,
    parse_match,
    parse_milliseconds,
    parse_model_attributes,
    parse_path,
    parse_sources,
    parse_span_attributes,
    parse_trusted_keys,
    parse_unregistered,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry._core.attributes import EventSignal
    from spanforge.model_registry._core.names import MatchMode

VARIABLES: Final = "OTEL_PYTHON_MODEL_REGISTRY_"
"""The prefix of all environment variables."""
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
        hide: The function that removes secrets from a text of the setting.
        has_secrets: ``True`` if each value has secrets.
    """

    name: str
    default: _T_co
    shown: str
    parse: Callable[[Any, str], _T_co]
    note: str
    hide: Callable[[str], str] = str
    has_secrets: bool = False

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


ENABLED: Final = Setting(
    "enabled",
    True,
    "true",
    parse_boolean,
    "with `false`, `opentelemetry-instrument` and `instrument()` do not activate the plugin",
)
FILE: Final[Setting[tuple[str, ...]]] = Setting(
    "file",
    (),
    "",
    parse_sources,
    "the registry file, or a folder or glob of such files, or the [address](registry-server.md) of one; separate "
    "several with `:` (`;` on Windows), or with a comma after a file's ending or a `/`",
    hide_credentials,
)
RELOAD_INTERVAL: Final = Setting(
    "reload_interval",
    10_000,
    "10000",
    parse_milliseconds,
    "a changed file takes effect within this number of milliseconds; with `0`, files are read only at the start",
)
CALENDAR: Final[Setting[str | None]] = Setting(
    "calendar",
    None,
    "",
    parse_path,
    "the [calendar](calendar.md) of the days on which providers stop serving models, JSON or YAML; it is followed like "
    "the registry file",
)
SPAN_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "span_attributes",
    ON_SPANS,
    ",".join(ON_SPANS),
    parse_span_attributes,
    "the attributes that LLM spans get: a complete list of short names, or changes to the default such as "
    "`+purpose,-version`",
)
MODEL_ATTRIBUTES: Final[Setting[tuple[str, ...]]] = Setting(
    "model_attributes",
    (),
    "",
    parse_model_attributes,
    "additional attribute keys that contain a model name, tried after the known keys",
)
UNREGISTERED_POLICY: Final[Setting[Unregistered]] = Setting(
    "unregistered",
    "warn",
    "warn",
    parse_unregistered,
    "spans whose model is not registered: `warn` marks the span as unregistered and logs a warning; `ignore` adds "
    "nothing to the span",
)
MATCH: Final[Setting[MatchMode]] = Setting(
    "match",
    "forms",
    "forms",
    parse_match,
    "how model names match: `forms` also finds other ways to write a name; `exact` tries only ids, aliases and globs",
)
EVENTS: Final[Setting[tuple[EventSignal, ...]]] = Setting(
    "events",
    ("span",),
    "span",
    parse_event_signals,
    "the signals of lifecycle events: `span` events, `log` records, `span,log` for both, or `none`",
)
MAX_FILE_SIZE: Final = Setting(
    "max_file_size",
    64 * 1024 * 1024,
    str(64 * 1024 * 1024),
    parse_file_size,
    "the size limit of a registry file in bytes, also for `load` and commands; a larger file is not read",
)
HEADERS: Final[Setting[tuple[tuple[str, str], ...]]] = Setting(
    "headers",
    (),
    "",
    parse_headers,
    "the headers of requests for [addresses](registry-server.md) of registry files, as in "
    "`OTEL_EXPORTER_OTLP_HEADERS`: `name=value`, separated by commas",
    hide_headers,
    has_secrets=True,
)
CERTIFICATE: Final[Setting[str | None]] = Setting(
    "certificate",
    None,
    "",
    parse_path,
    "the PEM file of the trusted certificate authorities, for `https://` addresses; by default, those of the system or "
    "of `SSL_CERT_FILE`",
)
TRUSTED_KEYS: Final[Setting[tuple[str, ...]]] = Setting(
    "trusted_keys",
    (),
    "",
    parse_trusted_keys,
    "the files of the trusted public keys, in PEM; each registry file at an address must have a "
    "[signature](registry-server.md#signature) by one of these keys; separate several with `:` (`;` on Windows)",
)
CACHE: Final = Setting(
    "cache",
    USER_CACHE,
    USER_CACHE,
    parse_cache,
    "the folder of the [last valid copies](registry-server.md#last-valid-copy) of registry files at addresses; `auto` "
    "is a folder in the user's cache folder, and with `none` there are no copies",
)
HAS_METRICS: Final = Setting(
    "metrics",
    True,
    "true",
    parse_boolean,
    "with `false`, the plugin has no [metrics](metrics.md), so a pipeline without other metrics exports nothing",
)
SAMPLE_FLAGGED: Final = Setting(
    "sample_flagged",
    False,
    "false",
    parse_boolean,
    "with `true` and `OTEL_TRACES_SAMPLER=model_registry`, calls of flagged models are kept even if their trace is not",
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
    HEADERS,
    CERTIFICATE,
    TRUSTED_KEYS,
    CACHE,
    HAS_METRICS,
    SAMPLE_FLAGGED,
)
"""All settings, in the order of the documentation."""
_VARIABLES_ONLY: Final = frozenset({SAMPLE_FLAGGED, MAX_FILE_SIZE, HEADERS, CERTIFICATE, TRUSTED_KEYS, CACHE})
OPTIONS: Final = tuple(setting for setting in SETTINGS if setting not in _VARIABLES_ONLY)
"""The settings that are options of the instrumentor. It is not there for the sampler, for ``load`` and for commands."""
