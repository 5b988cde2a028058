"""The reader of the tables of the Collector's ClickHouse exporter."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import TelemetryError, shorten
from spanforge.model_registry.compliance._sources.clickhouse_address import parse_clickhouse
from spanforge.model_registry.compliance._sources.clickhouse_client import ClickHouseClient
from spanforge.model_registry.compliance._sources.clickhouse_columns import TableLayout
from spanforge.model_registry.compliance._sources.clickhouse_sql import TableQueries
from spanforge.model_registry.compliance._sources.tables import (
    CombinationStretches,
    RepeatedRows,
    ReportedCall,
    RowTotals,
    SpanGroup,
    Stretch,
    TableEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._sources.tables import RowKind, TableRequest, Unit

_COLUMNS_QUERY: Final = (
    "SELECT table, name, type FROM system.columns "
    "WHERE database = {database:String} AND table IN {tables:Array(String)}"
)
_SHARED: Final = ("Timestamp", "TraceId", "SpanId", "ServiceName", "ScopeName")
_READ_COLUMNS: Final[Mapping[RowKind, tuple[str, ...]]] = {
    "spans": (*_SHARED, "SpanAttributes", "Duration", "Events.Timestamp", "Events.Name", "Events.Attributes"),
    "logs": (*_SHARED, "LogAttributes"),
}
"""The columns that are read."""
_TIME_TYPE: Final = "DateTime64(9"
_MAP_TYPE, _JSON_TYPE = "Map(", "JSON"
_EXPORTER: Final = "the tables of the Collector's ClickHouse exporter"

_TableRow = TypeVar("_TableRow")


class _Column(msgspec.Struct, array_like=True):
    table: str
    name: str
    type: str


class ClickHouseReader:
    """Reads the tables of the Collector's ClickHouse exporter: ``otel_traces`` and ``otel_logs``.

    ClickHouse groups the spans of the period and finds copies. The reader receives groups, and the ids of some spans.

    Args:
        url: The address: ``clickhouse://user@host:8443/database``. The password is in the environment variable
            ``CLICKHOUSE_PASSWORD``.

    Attributes:
        name: The address without user, with the tables that were read.
        kind: The telemetry format.
        size: The number of bytes received.
        sha256: The SHA-256 of the queries and their parameters, in hexadecimal. The rows may change later.
        limits: The parts that could not be read completely, a sentence each.

    Raises:
        TelemetryError: The address is invalid.
    """

    kind = "clickhouse"

    def __init__(self, url: str) -> None:
        self._address = parse_clickhouse(url)
        self.name: str = self._address.name
        self.sha256: str = ""
        self.limits: list[str] = []
        self._client: ClickHouseClient | None = None
        self._queries: dict[RowKind, TableQueries] = {}
        self._digest = hashlib.sha256()

    @property
    def size(self) -> int:
        """The number of bytes received so far."""
        return 0 if self._client is None else self._client.size

    def open(self, request: TableRequest) -> tuple[RowKind, ...]:
        """Connect, and return the signals that have a table; raise the errors of ``TelemetryTables.open``."""
        self.limits, self._digest = [], hashlib.sha256()
        self._client = ClickHouseClient(self._address)
        layouts = self._find_layouts()
        self._queries = {layout.signal: TableQueries(layout, request) for layout in layouts}
        self.name = f"{self._address.name} ({', '.join(layout.table for layout in layouts)})"
        return tuple(self._queries)

    def close(self) -> None:
        """Close the connections, and settle the digest."""
        if self._client is not None:
            self._client.close()
        self.sha256 = self._digest.hexdigest()

    def count_rows(self, signal: RowKind) -> RowTotals:
        """Return the totals of the rows of the period."""
        (totals,) = self._list_rows(signal, self._queries[signal].totals(), RowTotals)
        return totals

    def list_groups(self, signal: RowKind) -> Iterator[SpanGroup]:
        """Yield the spans of the period, or the calls among its log records, in groups."""
        return self._list_rows(signal, self._queries[signal].groups(), SpanGroup)

    def list_copies(self, signal: RowKind) -> Iterator[RepeatedRows]:
        """Yield the rows that have the ids of another row."""
        return self._list_rows(signal, self._queries[signal].copies(), RepeatedRows)

    def list_reported(self) -> Iterator[ReportedCall]:
        """Yield the calls in log records that were written in a span of the tables."""
        logs, spans = self._queries["logs"], self._queries["spans"]
        return self._send(logs.reported(spans.columns), {**logs.parameters, **spans.parameters}, ReportedCall)

    def list_ids(self) -> Iterator[RepeatedRows]:
        """Yield all spans, so that they can be compared with other inputs."""
        return self._list_rows("spans", self._queries["spans"].ids(), RepeatedRows)

    def list_calls(self) -> Iterator[ReportedCall]:
        """Yield all calls in log records, for the same purpose."""
        return self._list_rows("logs", self._queries["logs"].calls(), ReportedCall)

    def list_stretches(self, *, by_sender: bool) -> Iterator[Stretch]:
        """Yield the stretches of the period with spans."""
        return self._list_rows("spans", self._queries["spans"].stretches(by_sender=by_sender), Stretch)

    def list_call_stretches(self, unit: Unit) -> Iterator[CombinationStretches]:
        """Yield the stretches or days of the period with calls in log records."""
        return self._list_rows("logs", self._queries["logs"].call_stretches(unit), CombinationStretches)

    def list_days(self, signal: RowKind) -> Iterator[Stretch]:
        """Yield the days with spans, or those outside the period with calls in log records."""
        queries = self._queries[signal]
        by_sender = self._has_marks(signal, in_period=False)
        return self._list_rows(signal, queries.days(by_sender=by_sender), Stretch)

    def list_events(self, signal: RowKind) -> Iterator[TableEvent]:
        """Yield the lifecycle events."""
        for event in self._list_rows(signal, self._queries[signal].events(), TableEvent):
            yield _unnest(event) if event.keys == [""] else event

    def has_marks(self) -> bool:
        """Check whether a log record of the period has the mark of a sender."""
        return "logs" in self._queries and self._has_marks("logs", in_period=True)

    def _has_marks(self, signal: RowKind, *, in_period: bool) -> bool:
        return bool(list(self._list_rows(signal, self._queries[signal].has_marks(in_period=in_period), list[int])))

    def _list_rows(self, signal: RowKind, query: str, row_type: type[_TableRow]) -> Iterator[_TableRow]:
        return self._send(query, self._queries[signal].parameters, row_type)

    def _send(self, query: str, parameters: Mapping[str, object], row_type: type[_TableRow]) -> Iterator[_TableRow]:
        assert self._client is not None  # noqa: S101 - open() comes first
        self._digest.update(msgspec.json.encode([query, parameters], order="sorted"))
        return self._client.list_rows(query, parameters, row_type)

    def _find_layouts(self) -> list[TableLayout]:
        address = self._address
        tables: dict[str, dict[str, str]] = {}
        parameters: dict[str, object] = {
            "database": address.database,
            "tables": [address.traces_table, address.logs_table],
        }
        for column in self._send(_COLUMNS_QUERY, parameters, _Column):
            tables.setdefault(column.table, {})[column.name] = column.type
        names: dict[RowKind, str] = {"spans": address.traces_table, "logs": address.logs_table}
        layouts = [self._recognise(signal, table, tables[table]) for signal, table in names.items() if table in tables]
        if not layouts:
            raise TelemetryError(
                address.name,
                f"has no table {address.traces_table} and no table {address.logs_table} that user "
                f"{shorten(address.user)} may read; name the database in the address, and grant SELECT on the tables",
            )
        return layouts

    def _recognise(self, signal: RowKind, table: str, columns: Mapping[str, str]) -> TableLayout:
        """Return the layout of a table, by its columns."""
        missing = [name for name in _READ_COLUMNS[signal] if name not in columns]
        layout = TableLayout(signal, self._address.database, table)
        kind = columns.get(layout.attributes, "")
        problem = ""
        if missing:
            problem = f"lacks {', '.join(missing)}"
        elif not columns["Timestamp"].startswith(_TIME_TYPE):
            problem = f"has the type {columns['Timestamp']} for Timestamp"
        elif not kind.startswith((_MAP_TYPE, _JSON_TYPE)):
            problem = f"has the type {kind} for {layout.attributes}"
        if problem:
            reason = f"table {table} {problem}, so it is not one of {_EXPORTER} (0.110 or newer)"
            raise TelemetryError(self._address.name, reason)
        return layout._replace(
            is_json=kind.startswith(_JSON_TYPE),
            has_keys=f"{layout.attributes}Keys" in columns,
            has_event_name="EventName" in columns,
        )


def _unnest(event: TableEvent) -> TableEvent:
    """Return an event of a JSON column with its keys, as they were before ClickHouse nested them."""
    texts = dict(_list_nested_texts("", msgspec.json.decode(event.values[0].encode("utf-8", "replace"))))
    return TableEvent(event.sender, event.name, event.at, [*texts], [*texts.values()])


def _list_nested_texts(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _list_nested_texts(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, str):
        yield prefix, value
