"""SQL queries of the tables of the Collector's ClickHouse exporter.

The text of a query is made of constants alone. All else, such as keys and the names of tables, is a parameter that the
server binds: ``{name:Type}``. No name or value from the telemetry is ever sent: the server returns them.
"""
# ruff: noqa: S608 - a property test checks that no value is in the text of a query

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import PREFIX, SENDER_KEY
from spanforge.model_registry._core.conventions import MAX_JSON
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.timestamps import DAY_NANOS
from spanforge.model_registry._core.values import MAX_TEXT
from spanforge.model_registry.compliance._sources.clickhouse_columns import (
    HAS_SPAN,
    IN_PERIOD,
    MOMENTS,
    SPAN_ID,
    TIME,
    WARNINGS_KEY,
    TableColumns,
    TableLayout,
)
from spanforge.model_registry.compliance._sources.log_calls import AGENT_EVENT, CALL_EVENTS, NAME_KEY
from spanforge.model_registry.compliance._sources.tables import LOG_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry.compliance._sources.tables import TableRequest, Unit

SAMPLES: Final = 10
"""The number of samples of each group: as many as a check lists."""
COPIES: Final = 4
"""The number of rows of a span that cost no other sample its place."""
_TIME_NUMBERS: Final[Mapping[Unit, str]] = {
    "stretch": "intDiv({} - {{start:Int64}}, {{max_gap:Int64}})",
    "day": f"intDiv({{}}, {DAY_NANOS})",
}
"""The number of the stretch or of the day of a time."""
_DECIDES: Final = "service, scope, pairs, present, event"


class TableQueries:
    """The queries of one table, for the methods of ``TelemetryTables``.

    Args:
        layout: The table.
        request: The request of the scan.

    Attributes:
        parameters: The parameters of all of these queries.
        columns: The expressions over the columns of the table.
    """

    def __init__(self, layout: TableLayout, request: TableRequest) -> None:
        self._signal = layout.signal
        keys = [*sorted({*request.keys, *(LOG_KEYS if layout.signal == "logs" else ())} - {WARNINGS_KEY}), WARNINGS_KEY]
        self.columns = TableColumns(layout, len(keys))
        self._table = self.columns.table
        self.parameters = {**_make_shared_parameters(request), **_make_parameters(layout, keys, request.present_keys)}

    def groups(self) -> str:
        """Return the query of ``list_groups``."""
        samples = f"groupArraySortedIf({SAMPLES * COPIES})(sample, sample != '')"
        counted = (
            f"SELECT {_DECIDES}, early, here, late, count() AS number, min(at) AS first, max(at) AS last, "
            f"hex(arrayStringConcat(arraySlice(arrayDistinct({samples}), 1, {SAMPLES}))) AS samples "
            f"FROM ({self.columns.rows()}) GROUP BY {_DECIDES}, early, here, late"
        )
        return (
            f"SELECT {self.columns.combination()}, groupArray(({MOMENTS}, toUInt64(number), first, last, samples)) "
            f"FROM ({counted}) GROUP BY {_DECIDES}"
        )

    def copies(self) -> str:
        """Return the query of ``list_copies``."""
        columns, row_id = self.columns, self.columns.row_id()
        repeated = f"SELECT {row_id} AS id FROM {self._table} WHERE {columns.filter()} GROUP BY id HAVING count() > 1"
        rows = columns.rows(f"{row_id} GLOBAL IN ({repeated})")
        counted = f"SELECT id, {columns.placed()} AS placed, count() AS number FROM ({rows}) GROUP BY id, placed"
        spans = f"SELECT id, placed, number, count() OVER (PARTITION BY id) = 1 AS is_same FROM ({counted})"
        return (
            "SELECT if(is_same, '', hex(id)) AS ids, placed, sum(toInt64(number) - is_same) "
            f"FROM ({spans}) GROUP BY ids, placed"
        )

    def reported(self, spans: TableColumns) -> str:
        """Return the query of ``list_reported``; it has the parameters of both tables."""
        logs = self.columns
        written_in = f"SELECT {SPAN_ID} FROM {logs.table} WHERE {logs.filter()} AND {HAS_SPAN}"
        calls = f"SELECT DISTINCT span, own, {logs.placed()} AS log_call FROM ({logs.rows(HAS_SPAN)})"
        wanted = spans.rows(f"{spans.row_id()} GLOBAL IN ({written_in})")
        rows = f"SELECT id, groupUniqArray(2)({spans.placed()}) AS span_rows FROM ({wanted}) GROUP BY id"
        return (
            "SELECT hex(calls.span), hex(own), log_call, span_rows, "
            f"row_number() OVER (PARTITION BY calls.span ORDER BY own) = 1 FROM ({calls}) AS calls "
            f"GLOBAL INNER JOIN ({rows}) AS spans ON calls.span = spans.id"
        )

    def ids(self) -> str:
        """Return the query of ``list_ids``."""
        return f"SELECT hex(id), {self.columns.placed()}, 1 FROM ({self.columns.rows()})"

    def calls(self) -> str:
        """Return the query of ``list_calls``."""
        return f"SELECT hex(span), hex(own), {self.columns.placed()} FROM ({self.columns.rows()})"

    def stretches(self, *, by_sender: bool) -> str:
        """Return the query of ``list_stretches``."""
        return self._number_times("stretch", self.columns.filter(), by_sender=by_sender)

    def days(self, *, by_sender: bool) -> str:
        """Return the query of ``list_days``. Records of the first day of 1970 have no time."""
        where = f"{TIME} >= {DAY_NANOS} AND {self.columns.is_counted()}"
        if self._signal == "logs":  # list_call_stretches has those of the period
            where += f" AND NOT ({IN_PERIOD})"
        return self._number_times("day", where, by_sender=by_sender)

    def call_stretches(self, unit: Unit) -> str:
        """Return the query of ``list_call_stretches``."""
        counted = (
            f"SELECT {_DECIDES}, {_TIME_NUMBERS[unit].format('at')} AS stretch, min(at) AS first, max(at) AS last "
            f"FROM ({self.columns.rows()}) GROUP BY {_DECIDES}, stretch"
        )
        return (
            f"SELECT {self.columns.combination()}, groupArray((toInt64(stretch), first, last)) "
            f"FROM ({counted}) GROUP BY {_DECIDES}"
        )

    def has_marks(self, *, in_period: bool) -> str:
        """Return the query of a row if a record has the mark of a sender."""
        where = f"{IN_PERIOD} AND " if in_period else ""
        return f"SELECT 1 FROM {self._table} WHERE {where}{self.columns.is_marked()} LIMIT 1"

    def totals(self) -> str:
        """Return the query of ``count_rows``."""
        is_counted = self.columns.is_counted()
        return (
            f"SELECT count(), countIf({is_counted}), minIf({TIME}, {is_counted}), maxIf({TIME}, {is_counted}) "
            f"FROM {self._table} WHERE {IN_PERIOD}"
        )

    def events(self) -> str:
        """Return the query of ``list_events``."""
        sender = self.columns.sender()
        window = (
            "Timestamp >= fromUnixTimestamp64Nano({events_start:Int64}) AND "
            "Timestamp < fromUnixTimestamp64Nano({events_end:Int64})"
        )
        if self._signal == "logs":
            attributes, name = self.columns.event_attributes("LogAttributes"), self.columns.event_name()
            return (
                f"SELECT {sender}, {name}, {TIME}, {attributes} FROM {self._table} "
                f"WHERE {window} AND {name} IN {{events:Array(String)}}"
            )
        attributes = self.columns.event_attributes("event_attributes")
        return (
            f"SELECT {sender}, toString(event_name), toUnixTimestamp64Nano(event_at), {attributes} "
            f"FROM {self._table} ARRAY JOIN Events.Name AS event_name, Events.Timestamp AS event_at, "
            f"Events.Attributes AS event_attributes WHERE {window} AND "
            "hasAny(Events.Name, {events:Array(String)}) AND event_name IN {events:Array(String)}"
        )

    def _number_times(self, unit: Unit, where: str, *, by_sender: bool) -> str:
        """Return the query of the first and the last time of each numbered stretch or day."""
        sender = self.columns.sender() if by_sender else "''"
        return (
            f"SELECT {sender} AS mark, {_TIME_NUMBERS[unit].format(TIME)} AS number, min({TIME}), max({TIME}) "
            f"FROM {self._table} WHERE {where} GROUP BY mark, number"
        )


def _make_shared_parameters(request: TableRequest) -> dict[str, object]:
    """Return the parameters that all tables share."""
    return {
        "start": request.start,
        "end": request.end,
        "events_start": request.events_start,
        "events_end": request.events_end,
        "delay": request.delay,
        "max_gap": request.max_gap,
        "moments": list(request.moments),
        "scopes": list(request.scopes),
        "sender": SENDER_KEY,
        "events": [kind.event for kind in OPERATIONS.values()],
        "prefix": PREFIX,
        "text_limit": MAX_JSON + 1,
        "event_text_limit": MAX_TEXT + 1,
        "call_events": list(CALL_EVENTS),
        "call_ending": f".{AGENT_EVENT}",
        "name_key": NAME_KEY,
    }


def _make_parameters(layout: TableLayout, keys: list[str], present_keys: tuple[str, ...]) -> dict[str, object]:
    """Return the parameters of one table."""
    signal = layout.signal
    parameters: dict[str, object] = {
        "database": layout.database,
        f"{signal}_table": layout.table,
        f"{signal}_keys": keys,
        f"{signal}_present": sorted({*present_keys, *(keys if layout.is_json else ())}),
    }
    if layout.is_json:
        parameters |= {f"{signal}_key_{number}": key for number, key in enumerate(keys)}
    return parameters
