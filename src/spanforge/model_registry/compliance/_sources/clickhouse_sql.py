"""SQL for the tables of the Collector's ClickHouse exporter.

The text of a query is made of constants alone. All else, such as keys and the names of tables, is a parameter that the
server binds: ``{name:Type}``. No name or value from the telemetry is ever sent: the server returns them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX, SENDER_KEY
from spanforge.model_registry._core.conventions import MAX_JSON
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.values import MAX_TEXT
from spanforge.model_registry.compliance._sources.log_calls import AGENT_EVENT, CALL_EVENTS, NAME_KEY
from spanforge.model_registry.compliance._sources.tables import LOG_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry.compliance._sources.tables import Signal, TableRequest, Unit

SAMPLES: Final = 10
"""The number of samples of each group: as many as a check lists."""
COPIES: Final = 4
"""The number of copies of a span, itself included, that cost no other sample its place."""
_NANOS_PER_DAY: Final = 86_400 * 10**9
_UNITS: Final[Mapping[Unit, str]] = {
    "stretch": "intDiv({} - {{start:Int64}}, {{max_gap:Int64}})",
    "day": f"intDiv({{}}, {_NANOS_PER_DAY})",
}
"""The number of the stretch or of the day of a time."""
_LAST: Final = 2**63 - 1
_TIME: Final = "toUnixTimestamp64Nano(Timestamp)"
_IN_PERIOD: Final = (
    "Timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND Timestamp < fromUnixTimestamp64Nano({end:Int64})"
)
_HAS_IDS: Final = "length(TraceId) = 32 AND length(SpanId) = 16"

Parameters = dict[str, object]


class TableLayout(NamedTuple):
    """A table as ``system.columns`` describes it.

    Attributes:
        signal: The kind of its rows.
        database: The database.
        table: The table.
        is_json: ``True`` if attributes are in JSON columns, ``False`` if they are in maps.
        has_keys: ``True`` if a further column has the keys of a JSON column.
        has_event_name: ``True`` if log records have the column ``EventName``.
    """

    signal: Signal
    database: str
    table: str
    is_json: bool = False
    has_keys: bool = False
    has_event_name: bool = True

    @property
    def attributes(self) -> str:
        """The column of the attributes of spans or log records."""
        return "SpanAttributes" if self.signal == "spans" else "LogAttributes"


class TableQueries:
    """The queries of one table.

    Args:
        layout: The table.
        request: The request of the scan.

    Attributes:
        parameters: The parameters of all of these queries.
    """

    def __init__(self, layout: TableLayout, request: TableRequest) -> None:
        self._layout = layout
        self._attributes = layout.attributes
        signal = self._signal = layout.signal
        self._table = f"{{database:Identifier}}.{{{signal}_table:Identifier}}"
        self._keys = f"{{{signal}_keys:Array(String)}}"
        keys = sorted({*request.keys, *(LOG_KEYS if layout.signal == "logs" else ())})
        present = sorted({*request.present_keys, *(keys if layout.is_json else ())})
        self._key_count = len(keys)
        self._warnings_at = keys.index(WARNINGS_KEY)
        self.parameters: Parameters = {
            "database": layout.database,
            f"{signal}_table": layout.table,
            "start": request.start,
            "end": request.end,
            "events_start": request.events_start,
            "events_end": request.events_end,
            "delay": request.delay,
            "max_gap": request.max_gap,
            "moments": list(request.moments),
            f"{signal}_keys": keys,
            f"{signal}_present": present,
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
        if layout.is_json:
            self.parameters |= {f"{signal}_key_{number}": key for number, key in enumerate(keys)}

    def groups(self) -> str:
        """Return the query of ``list_groups``."""
        decides = "service, scope, pairs, present, event"
        counted = (
            f"SELECT {decides}, early, here, late, count() AS number, min(at) AS first, max(at) AS last, "
            f"hex(arrayStringConcat(arraySlice(arrayDistinct(groupArraySortedIf({SAMPLES * COPIES})"
            f"(sample, sample != '')), 1, {SAMPLES}))) AS samples "
            f"FROM ({self._rows()}) GROUP BY {decides}, early, here, late"
        )
        return (
            f"SELECT {self._combination()}, groupArray(({_MOMENTS}, toUInt64(number), first, last, samples)) "
            f"FROM ({counted}) GROUP BY {decides}"
        )

    def copies(self) -> str:
        """Return the query of ``list_copies``."""
        repeated = f"SELECT {self._id()} AS id FROM {self._table} WHERE {self._filter()} GROUP BY id HAVING count() > 1"
        rows = f"SELECT id, {self._placed()} AS placed FROM ({self._rows(f'{self._id()} GLOBAL IN ({repeated})')})"
        spans = (
            "SELECT id, groupArray(placed) AS placed_rows, uniqExact(placed) = 1 AS is_same, count() AS number "
            f"FROM ({rows}) GROUP BY id"
        )
        return (
            "SELECT if(is_same, '', hex(id)) AS ids, if(is_same, [placed_rows[1]], placed_rows) AS some_rows, "
            f"sum(number - 1) FROM ({spans}) GROUP BY ids, some_rows"
        )

    def ids(self) -> str:
        """Return the query of ``list_ids``."""
        return f"SELECT hex(id), [{self._placed()}], 0 FROM ({self._rows()})"

    def calls(self) -> str:
        """Return the query of ``list_calls``."""
        return f"SELECT hex(span), hex(own), {self._placed()} FROM ({self._rows()})"

    def call_stretches(self, unit: Unit) -> str:
        """Return the query of ``list_call_stretches``."""
        decides = "service, scope, pairs, present, event"
        counted = (
            f"SELECT {decides}, {_UNITS[unit].format('at')} AS stretch, min(at) AS first, "
            f"max(at) AS last FROM ({self._rows()}) GROUP BY {decides}, stretch"
        )
        return f"SELECT {self._combination()}, groupArray((toInt64(stretch), first, last)) FROM ({counted}) GROUP BY {decides}"

    def reported(self, spans: TableQueries) -> str:
        """Return the query of ``list_reported``; it has the parameters of both tables."""
        logs = f"SELECT {_SPAN_ID} AS span, {self._own_id()} AS own FROM {self._table} WHERE {self._filter()} AND {_HAS_SPAN}"
        calls = f"SELECT span, own, min({self._placed()}) AS log_call FROM ({self._rows(_HAS_SPAN)}) GROUP BY span, own"
        wanted = f"{spans._id()} GLOBAL IN (SELECT span FROM ({logs}))"
        rows = f"SELECT id, groupUniqArray({spans._placed()}) AS span_rows FROM ({spans._rows(wanted)}) GROUP BY id"
        return (
            "SELECT hex(calls.span), hex(own), log_call, span_rows, "
            f"row_number() OVER (PARTITION BY calls.span ORDER BY own) = 1 FROM ({calls}) AS calls "
            f"GLOBAL INNER JOIN ({rows}) AS spans ON calls.span = spans.id"
        )

    def stretches(self, *, by_sender: bool) -> str:
        """Return the query of ``list_stretches``."""
        sender = self._sender() if by_sender else "''"
        return (
            f"SELECT {sender} AS mark, {_UNITS['stretch'].format(_TIME)} AS stretch, "
            f"min({_TIME}), max({_TIME}) FROM {self._table} WHERE {self._filter()} GROUP BY mark, stretch"
        )

    def days(self, *, by_sender: bool) -> str:
        """Return the query of ``list_days``. Records of the first day of 1970 have no time."""
        sender = self._sender() if by_sender else "''"
        where = f"{_TIME} >= {_NANOS_PER_DAY} AND {self._is_counted()}"
        if self._layout.signal == "logs":  # list_call_stretches has those of the period
            where += f" AND NOT ({_IN_PERIOD})"
        return (
            f"SELECT {sender} AS mark, {_UNITS['day'].format(_TIME)} AS day, min({_TIME}), max({_TIME}) "
            f"FROM {self._table} WHERE {where} GROUP BY mark, day"
        )

    def has_marks(self, *, in_period: bool) -> str:
        """Return the query of a row if a record has the mark of a sender."""
        where = f"{_IN_PERIOD} AND " if in_period else ""
        return f"SELECT 1 FROM {self._table} WHERE {where}{self._is_marked()} LIMIT 1"

    def totals(self) -> str:
        """Return the query of ``count_rows``."""
        is_counted = self._is_counted()
        return (
            f"SELECT count(), countIf({is_counted}), minIf({_TIME}, {is_counted}), maxIf({_TIME}, {is_counted}) "
            f"FROM {self._table} WHERE {_IN_PERIOD}"
        )

    def events(self) -> str:
        """Return the query of ``list_events``."""
        window = (
            "Timestamp >= fromUnixTimestamp64Nano({events_start:Int64}) AND "
            "Timestamp < fromUnixTimestamp64Nano({events_end:Int64})"
        )
        if self._layout.signal == "logs":
            keys, values = self._event_attributes(self._attributes)
            return (
                f"SELECT {self._sender()}, EventName, {_TIME}, {keys}, {values} FROM {self._table} "
                f"WHERE {window} AND EventName IN {{events:Array(String)}}"
            )
        keys, values = self._event_attributes("event_attributes")
        return (
            f"SELECT {self._sender()}, toString(event_name), toUnixTimestamp64Nano(event_at), {keys}, {values} "
            f"FROM {self._table} ARRAY JOIN Events.Name AS event_name, Events.Timestamp AS event_at, "
            f"Events.Attributes AS event_attributes WHERE {window} AND "
            "hasAny(Events.Name, {events:Array(String)}) AND event_name IN {events:Array(String)}"
        )

    def _event_attributes(self, column: str) -> tuple[str, str]:
        """Return the keys and the texts of an event; an empty key and one JSON text for a JSON column."""
        if self._layout.is_json:
            return "['']", f"[toJSONString({column})]"
        pairs = f"mapFilter((key, value) -> startsWith(key, {{prefix:String}}), {column})"
        return f"mapKeys({pairs})", _shorten(f"mapValues({pairs})", "event_text_limit")

    def _rows(self, further: str = "1") -> str:
        """Return the query of all rows that count, with all that decides, and their id."""
        layout = self._layout
        is_span = layout.signal == "spans"
        end = "at" if not is_span else _END
        event = "''" if is_span else self._event_name()
        return (
            "SELECT toString(ServiceName) AS service, "
            "if(ScopeName IN {scopes:Array(String)}, toString(ScopeName), '') AS scope, "
            f"{self._pairs()} AS pairs, {self._present()} AS present, {event} AS event, {self._id()} AS id, "
            f"{_SPAN_ID} AS span, {'id' if is_span else self._own_id()} AS own, "
            f"{_TIME} AS at, {end} AS until, {self._sample()} AS sample, "
            "roundDown(least(at, until - {delay:Int64}), {moments:Array(Int64)}) AS early, "
            "roundDown(at, {moments:Array(Int64)}) AS here, roundDown(until, {moments:Array(Int64)}) AS late "
            f"FROM {self._table} WHERE {self._filter()} AND {further}"
        )

    def _filter(self) -> str:
        return f"{_IN_PERIOD} AND {self._is_counted()}"

    def _is_counted(self) -> str:
        """Return the condition of rows that may count: spans with ids, and log records that report calls."""
        if self._layout.signal == "spans":
            return _HAS_IDS
        name = self._event_name()
        return f"({name} IN {{call_events:Array(String)}} OR endsWith({name}, {{call_ending:String}}))"

    def _event_name(self) -> str:
        """Return the name of a log record's event: its own field or, from older SDKs, an attribute."""
        if self._layout.is_json:
            attribute = f"ifNull({_read_text(_path(self._attributes, 'name_key'))}, '')"
        else:
            attribute = f"{self._attributes}[{{name_key:String}}]"
        return f"if(EventName != '', EventName, {attribute})" if self._layout.has_event_name else attribute

    def _id(self) -> str:
        """Return the bytes of a row's ids: those of the span, or the trace id and a hash of the log record."""
        if self._layout.signal == "spans":
            return "concat(unhex(TraceId), unhex(SpanId))"
        return f"concat({_TRACE}, {self._own_id()})"

    def _own_id(self) -> str:
        column = self._attributes
        texts = f"toJSONString({column})"
        if not self._layout.is_json:
            texts = f"arraySort(arrayZip(mapKeys({column}), mapValues({column})))"
        return f"reinterpretAsFixedString(sipHash64(lower(TraceId), lower(SpanId), {_TIME}, {texts}))"

    def _sample(self) -> str:
        """Return the bytes of a sample: start, trace id and span id; nothing for a log record without a span."""
        time = f"reverse(reinterpretAsFixedString({_TIME}))"
        if self._layout.signal == "spans":
            return f"concat({time}, unhex(TraceId), unhex(SpanId))"
        return f"if({_HAS_SPAN}, concat({time}, {_TRACE}, unhex(SpanId)), '')"

    def _pairs(self) -> str:
        """Return the attributes whose values decide."""
        if not self._layout.is_json:
            return f"mapFilter((key, value) -> key IN {self._keys}, {self._attributes})"
        items = []
        for number in range(self._key_count):
            path = _path(self._attributes, f"{self._signal}_key_{number}")
            text = _read_texts(path) if number == self._warnings_at else _read_text(path)
            items.append(f"({{{self._signal}_key_{number}:String}}, {text})")
        return f"arrayFilter(pair -> isNotNull(pair.2), [{', '.join(items)}])"

    def _present(self) -> str:
        keys = f"mapKeys({self._attributes})"
        if self._layout.is_json:
            keys = f"{self._attributes}Keys" if self._layout.has_keys else f"JSONAllPaths({self._attributes})"
        return f"arraySort(arrayFilter(key -> key IN {{{self._signal}_present:Array(String)}}, {keys}))"

    def _combination(self) -> str:
        """Return all that decides, in the order of ``Combination``."""
        is_json = self._layout.is_json
        keys = "arrayMap(pair -> pair.1, pairs)" if is_json else "mapKeys(pairs)"
        values = "arrayMap(pair -> assumeNotNull(pair.2), pairs)" if is_json else "mapValues(pairs)"
        return f"(toString(service), scope, {keys}, {_shorten(values, 'text_limit')}, present, event)"

    def _placed(self) -> str:
        return f"({self._combination()}, {_MOMENTS})"

    def _sender(self) -> str:
        if self._layout.is_json:
            path = _path(self._attributes, "sender")
            text = f"ifNull({_read_text(path)}, '')"
        else:
            text = f"{self._attributes}[{{sender:String}}]"
        return f"multiIf(NOT {self._is_marked()}, '', {text} = 'trusted', 'trusted', 'untrusted')"

    def _is_marked(self) -> str:
        if self._layout.is_json:
            return f"(dynamicType({_path(self._attributes, 'sender')}) != 'None')"
        return f"mapContains({self._attributes}, {{sender:String}})"


WARNINGS_KEY: Final = f"{PREFIX}warnings"
_MOMENTS: Final = "(toInt64(early), toInt64(here), toInt64(late))"
_END: Final = f"greatest(toInt64(least(toUInt64(at) + toUInt64(Duration), {_LAST})), at)"
"""The end of a span. The exporter's duration of a span without an end wraps around, and so does this sum."""
_TRACE: Final = "unhex(if(length(TraceId) = 32, TraceId, repeat('0', 32)))"
_SPAN_ID: Final = f"concat({_TRACE}, unhex(SpanId))"
_HAS_SPAN: Final = "(length(SpanId) = 16 AND SpanId != '0000000000000000')"


def _path(column: str, parameter: str) -> str:
    return f"getSubcolumn({column}, {{{parameter}:String}})"


def _read_text(path: str) -> str:
    """Return the value at a path of a JSON column as text, as maps have it; ``NULL`` if there is none."""
    return f"CAST({path} AS Nullable(String))"


def _read_texts(path: str) -> str:
    """Return an array at a path of a JSON column as JSON; ``NULL`` for any other type."""
    return f"if(startsWith(dynamicType({path}), 'Array'), toJSONString({path}), NULL)"


def _shorten(texts: str, limit: str) -> str:
    """Return texts without what is beyond a limit. Longer ones name no model and no registry's attribute."""
    bound = f"{{{limit}:UInt64}}"
    return f"arrayMap(text -> if(length(text) > {bound}, substringUTF8(text, 1, {bound}), text), {texts})"
