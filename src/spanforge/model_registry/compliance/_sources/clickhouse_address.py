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
_OPTIONS: Final = ("traces_table", "logs_table", "ca_cert")
_RULE: Final = "must be like clickhouse://user@host:8443/database"


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
    traces_table: str = "otel_traces"
    logs_table: str = "otel_logs"
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
        options = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise TelemetryError(shorten(url), _RULE) from None
    shown = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
    if parts.password is not None:
        reason = f"must have no password, which other users of this machine could see; set {PASSWORD_VARIABLE} instead"
        raise TelemetryError(shown, reason)
    path = urllib.parse.unquote(parts.path)[1:]
    if not host or port == 0 or "/" in path or parts.fragment:
        raise TelemetryError(shown, _RULE)
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown or not all(options.values()):
        raise TelemetryError(shown, f"the options of the address are {', '.join(_OPTIONS)}; got {shorten(parts.query)}")
    is_secure = _SCHEMES[parts.scheme] or port in _SECURE_PORTS
    return ClickHouseAddress(
        host,
        port or (_SECURE_PORT if is_secure else _PORT),
        is_secure,
        urllib.parse.unquote(parts.username or "default"),
        path or "default",
        **options,
    )
