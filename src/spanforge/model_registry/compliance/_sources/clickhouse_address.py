"""Addresses of ClickHouse: ``clickhouse://user@host:8443/database``."""

from __future__ import annotations

import os
import urllib.parse
from typing import Final, NamedTuple

from spanforge.model_registry._core.errors import TelemetryError, shorten

PASSWORD_VARIABLE: Final = "CLICKHOUSE_PASSWORD"  # noqa: S105 - the name of the variable
"""The environment variable with the password; ClickHouse's own client reads it too."""
_SCHEMES: Final = {"clickhouse": False, "clickhouses": True}
_SECURE_PORTS: Final = frozenset({443, 8443})
_PORT, _SECURE_PORT = 8123, 8443
_DEFAULT: Final = "default"
"""The name of a user and of a database that every server has."""
_TRACES, _LOGS = "otel_traces", "otel_logs"
_ADDRESS_OPTIONS: Final = ("traces_table", "logs_table", "ca_cert")
_ADDRESS_RULE: Final = "must be like clickhouse://user@host:8443/database"


class ClickHouseAddress(NamedTuple):
    """An address.

    Attributes:
        host: The host.
        port: The port of the HTTP interface.
        is_secure: ``True`` for TLS.
        user: The user.
        database: The database.
        traces_table: The table of spans.
        logs_table: The table of log records.
        ca_cert: The path of a file with the certificate of an authority; ``None`` for those of the system.
    """

    host: str
    port: int
    is_secure: bool
    user: str
    database: str
    traces_table: str = _TRACES
    logs_table: str = _LOGS
    ca_cert: str | None = None

    @property
    def name(self) -> str:
        """The address as evidence shows it, without the user."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "clickhouses" if self.is_secure else "clickhouse"
        return f"{scheme}://{host}:{self.port}/{urllib.parse.quote(self.database, safe='')}"

    def read_password(self) -> str:
        """Return the password, from the environment."""
        return os.environ.get(PASSWORD_VARIABLE, "")


def is_clickhouse(source: object) -> bool:
    """Check whether a source of telemetry is an address of ClickHouse."""
    return isinstance(source, str) and source.partition("://")[0].lower() in _SCHEMES and "://" in source


def parse_clickhouse(url: str) -> ClickHouseAddress:
    """Return an address in parts.

    Raises:
        TelemetryError: It is not valid, or has a password.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port, host = parts.port, parts.hostname
        options = _parse_options(parts.query)
    except ValueError:
        raise TelemetryError(shorten(url.rpartition("@")[2]), _ADDRESS_RULE) from None
    database = urllib.parse.unquote(parts.path)[1:]
    problem = _find_address_problem(parts, database, options)
    if problem or not host or options is None:
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
        raise TelemetryError(urllib.parse.urlunsplit(shown), problem or _ADDRESS_RULE)
    user = urllib.parse.unquote(parts.username or _DEFAULT)
    chosen_port, is_secure = _choose_port(parts.scheme, port)
    tables = options.get("traces_table", _TRACES), options.get("logs_table", _LOGS)
    return ClickHouseAddress(host, chosen_port, is_secure, user, database or _DEFAULT, *tables, options.get("ca_cert"))


def _choose_port(scheme: str, port: int | None) -> tuple[int, bool]:
    """Return the port, and ``True`` for TLS."""
    is_secure = _SCHEMES[scheme] or port in _SECURE_PORTS
    return port or (_SECURE_PORT if is_secure else _PORT), is_secure


def _find_address_problem(parts: urllib.parse.SplitResult, database: str, options: dict[str, str] | None) -> str:
    """Return the reason why an address cannot be used; empty if there is none."""
    if parts.password is not None:
        return f"must have no password, which other users of this machine could see; set {PASSWORD_VARIABLE} instead"
    if options is None:
        return f"the options of the address are {', '.join(_ADDRESS_OPTIONS)}; got {shorten(parts.query)}"
    return _ADDRESS_RULE if parts.port == 0 or "/" in database or parts.fragment else ""


def _parse_options(query: str) -> dict[str, str] | None:
    """Return the options of an address; ``None`` if one is unknown or empty."""
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    is_known = all(name in _ADDRESS_OPTIONS and value for name, value in options.items())
    return options if is_known else None
