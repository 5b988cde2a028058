"""The connection to ClickHouse: queries with parameters, rows one by one, and errors in plain words."""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError, shorten
from spanforge.model_registry.compliance._sources.clickhouse_address import PASSWORD_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._sources.clickhouse_address import ClickHouseAddress

CONNECT_TIMEOUT: Final = 10
"""The seconds in which the server must accept a connection."""
READ_TIMEOUT: Final = 3_600
"""The seconds in which the server must send something. It sends nothing while it counts the spans of the period."""
_STREAM_BYTES: Final = 1 << 16
"""The number of bytes that are read at once. A row may be longer."""
_ROW_FORMAT: Final = "JSONCompactEachRow"
_EXCEPTION: Final = re.compile(rb"Code: (\d+)\. DB::Exception: ([^\r\n]*)")
_CODE: Final = re.compile(r"Code: (\d+)\.? *(?:DB::Exception: )?([^\n]*)", re.DOTALL)
_NO_LOGIN: Final = f"refuses the user or the password; set the password in the variable {PASSWORD_VARIABLE}"
_TOO_OLD: Final = "the server is too old or lacks a function; ClickHouse 24.8 or newer is required"
_CODE_ADVICE: Final[Mapping[int, str]] = {
    192: _NO_LOGIN,
    193: _NO_LOGIN,
    194: _NO_LOGIN,
    516: _NO_LOGIN,
    60: "a table was removed while it was read; run the command again",
    81: "the database does not exist; name it after the host: clickhouse://user@host:8443/database",
    497: "the user must not read the tables; run on the server: GRANT SELECT ON DATABASE.* TO USER",
    159: "the server's limit max_execution_time ended a query; choose a shorter period, or raise the limit of the user",
    160: "the server's limit max_execution_time would end a query; choose a shorter period, or raise the limit",
    241: (
        "the server's limit of memory ended a query; choose a shorter period, or raise max_memory_usage or lower "
        "max_bytes_before_external_group_by for the user"
    ),
    394: "a query was ended by KILL QUERY or because the server stops; run the command again",
    164: "the user must not run a query with these settings; give the user readonly = 1 or 2 and no other constraint",
    46: _TOO_OLD,
    47: _TOO_OLD,
    62: _TOO_OLD,
}
"""What to do about the errors of ClickHouse, by code: https://github.com/ClickHouse/ClickHouse ErrorCodes.cpp."""

_Decoded = TypeVar("_Decoded")


class ClickHouseClient:
    """Sends queries to ClickHouse.

    Args:
        address: The address.

    Attributes:
        size: The number of bytes received.

    Raises:
        TelemetryError: The server cannot be reached, or refuses.
        MissingExtraError: The extra ``clickhouse`` is not installed.
    """

    def __init__(self, address: ClickHouseAddress) -> None:
        self.size = 0
        self._address = address
        get_client = _import_driver().get_client
        logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # errors are reported once, below
        try:
            self._client: Any = get_client(
                interface="https" if address.is_secure else "http",
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.read_password(),
                ca_cert=address.ca_cert,
                compress=False,
                query_limit=0,
                connect_timeout=CONNECT_TIMEOUT,
                send_receive_timeout=READ_TIMEOUT,
                autogenerate_session_id=False,
                client_name="spanforge-model-registry",
                dedicated_pool=True,
            )
        except Exception as error:
            raise self._explain(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def list_rows(self, query: str, parameters: Mapping[str, object], row_type: type[_Decoded]) -> Iterator[_Decoded]:
        """Yield the rows of a query, decoded one by one.

        Raises:
            TelemetryError: The query fails, perhaps after some rows.
        """
        decoder = msgspec.json.Decoder(row_type, strict=False)  # older servers write 64-bit integers as texts
        for line in self._list_lines(query, parameters):
            yield self._decode(decoder, line)

    def _decode(self, decoder: Any, line: bytes) -> Any:
        """Return a row; raise the server's error if the line has one, or if it is no row."""
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            return decoder.decode(line)
        try:
            return decoder.decode(line.decode("utf-8", "replace"))  # names from the network may not be Unicode
        except msgspec.MsgspecError as error:
            found = _EXCEPTION.search(line)
            if found is not None:
                raise self._make_error(int(found[1]), found[2].decode("utf-8", "replace")) from None
            reason = f"the response has another form than required: {shorten(str(error))}"
            raise TelemetryError(self._address.name, reason) from None

    def _list_lines(self, query: str, parameters: Mapping[str, object]) -> Iterator[bytes]:
        used = {name: value for name, value in parameters.items() if f"{{{name}:" in query}
        try:
            stream = self._client.raw_stream(query, parameters=used, fmt=_ROW_FORMAT, use_database=False)
            rest = b""
            while chunk := stream.read(_STREAM_BYTES):
                self.size += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if rest:
                yield rest
        except TelemetryError:
            raise
        except Exception as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        """Return an error in plain words; the error itself if it is not one of the connection or the server."""
        if isinstance(error, (TelemetryError, ImportError)):
            return error
        text = str(error)
        found = _CODE.search(text)
        code = getattr(error, "code", None) or (int(found[1]) if found is not None else 0)
        if code:
            return self._make_error(code, text if found is None else found[2])
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = getattr(cause, "reason", cause)
        if "timed out" in str(reason).lower():
            return TelemetryError(self._address.name, "did not respond in time; choose a shorter period")
        return TelemetryError(
            self._address.name,
            f"cannot be reached: {shorten(str(reason))}; the port must be that of the HTTP interface "
            "(8123, or 8443 with TLS)",
        )

    def _make_error(self, code: int, text: str) -> TelemetryError:
        known = _CODE_ADVICE.get(code)
        said = f"ClickHouse reports code {code}: {shorten(text.strip())}"
        return TelemetryError(self._address.name, said if known is None else f"{known} ({said})")


def _import_driver() -> Any:
    try:
        return importlib.import_module("clickhouse_connect")
    except ImportError:
        raise MissingExtraError("telemetry tables in ClickHouse", "clickhouse") from None
