"""SQL expressions over the columns of the Collector's ClickHouse exporter, for maps and for JSON columns.

The texts are made of constants alone. All else is a parameter that the server binds: ``{name:Type}``.
"""
# ruff: noqa: S608 - a property test checks that no value is in the text of a query

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._sources.tables import RowKind

TIME: Final = "toUnixTimestamp64Nano(Timestamp)"
IN_PERIOD: Final = (
    "Timestamp >= fromUnixTimestamp64Nano({start:Int64}) AND Timestamp < fromUnixTimestamp64Nano({end:Int64})"
)
MOMENTS: Final = "(toInt64(early), toInt64(here), toInt64(late))"
"""The columns of ``Moments``. A function keeps older servers from giving the parts of a tuple names."""
WARNINGS_KEY: Final = f"{PREFIX}warnings"
_LAST_TIME: Final = 2**63 - 1
_HAS_IDS: Final = "length(TraceId) = 32 AND length(SpanId) = 16"
_SPAN_END: Final = f"greatest(toInt64(least(toUInt64(at) + toUInt64(Duration), {_LAST_TIME})), at)"
"""The end of a span. The exporter's duration of a span without an end wraps around, and so does this sum."""
_TRACE: Final = "unhex(if(length(TraceId) = 32, TraceId, repeat('0', 32)))"
SPAN_ID: Final = f"concat({_TRACE}, unhex(SpanId))"
"""The bytes of the ids of a span, or of the span in which a log record was written."""
HAS_SPAN: Final = "(length(SpanId) = 16 AND SpanId != '0000000000000000')"
"""The condition of log records that were written in a span."""


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

    signal: RowKind
    database: str
    table: str
    is_json: bool = False
    has_keys: bool = False
    has_event_name: bool = True

    @property
    def attributes(self) -> str:
        """The column of the attributes of spans or log records."""
        return "SpanAttributes" if self.signal == "spans" else "LogAttributes"


class TableColumns:
    """The expressions over the columns of one table.

    Args:
        layout: The table.
        key_count: The number of the keys whose values decide; the last one is ``WARNINGS_KEY``.
    """

    def __init__(self, layout: TableLayout, key_count: int) -> None:
        self._layout = layout
        self._attributes = layout.attributes
        self._is_span = layout.signal == "spans"
        self._key_count = key_count
        self.table = f"{{database:Identifier}}.{{{layout.signal}_table:Identifier}}"
        """The name of the table."""

    def rows(self, further: str = "1") -> str:
        """Return the query of all rows that count, with all that decides, and their ids."""
        return (
            "SELECT toString(ServiceName) AS service, "
            "if(ScopeName IN {scopes:Array(String)}, toString(ScopeName), '') AS scope, "
            f"{self._pairs()} AS pairs, {self._present()} AS present, "
            f"{self._read_event() if not self._is_span else _NO_EVENT} AS event, {self.row_id()} AS id, "
            f"{SPAN_ID} AS span, {'id' if self._is_span else self.own_id()} AS own, "
            f"{TIME} AS at, {_SPAN_END if self._is_span else 'at'} AS until, {self._sample()} AS sample, "
            "roundDown(least(at, until - {delay:Int64}), {moments:Array(Int64)}) AS early, "
            "roundDown(at, {moments:Array(Int64)}) AS here, roundDown(until, {moments:Array(Int64)}) AS late "
            f"FROM {self.table} WHERE {self.filter()} AND {further}"
        )

    def combination(self) -> str:
        """Return all that decides, in the order of ``Combination``."""
        is_json = self._layout.is_json
        keys = "arrayMap(pair -> pair.1, pairs)" if is_json else "mapKeys(pairs)"
        values = "arrayMap(pair -> assumeNotNull(pair.2), pairs)" if is_json else "mapValues(pairs)"
        return f"(toString(service), scope, {keys}, {_cut_texts(values, 'text_limit')}, present, event)"

    def placed(self) -> str:
        """Return all that decides and the moments, in the order of ``PlacedSpan``."""
        return f"({self.combination()}, {MOMENTS})"

    def filter(self) -> str:
        """Return the condition of the rows of the period that may count."""
        return f"{IN_PERIOD} AND {self.is_counted()}"

    def is_counted(self) -> str:
        """Return the condition of rows that may count: spans with ids, and log records that report calls."""
        if self._is_span:
            return _HAS_IDS
        name = self._read_event()
        return f"({name} IN {{call_events:Array(String)}} OR endsWith({name}, {{call_ending:String}}))"

    def row_id(self) -> str:
        """Return the bytes of a row's ids: those of the span, or the trace id and a hash of the log record."""
        return "concat(unhex(TraceId), unhex(SpanId))" if self._is_span else f"concat({_TRACE}, {self.own_id()})"

    def own_id(self) -> str:
        """Return the bytes of a log record's own id; copies have the same one."""
        column = self._attributes
        texts = f"toJSONString({column})"
        if not self._layout.is_json:
            texts = f"arraySort(arrayZip(mapKeys({column}), mapValues({column})))"
        return f"reinterpretAsFixedString(sipHash64(lower(TraceId), lower(SpanId), {TIME}, {texts}))"

    def sender(self) -> str:
        """Return the mark of the sender; empty without one."""
        text = self._read_text("sender")
        return f"multiIf(NOT {self.is_marked()}, '', {text} = 'trusted', 'trusted', 'untrusted')"

    def is_marked(self) -> str:
        """Return the condition of rows with the mark of a sender."""
        if self._layout.is_json:
            return f"(dynamicType({_path(self._attributes, 'sender')}) != 'None')"
        return f"mapContains({self._attributes}, {{sender:String}})"

    def event_attributes(self, column: str) -> str:
        """Return the keys and the texts of an event; an empty key and one JSON text for a JSON column."""
        if self._layout.is_json:
            return f"[''], [toJSONString({column})]"
        pairs = f"mapFilter((key, value) -> startsWith(key, {{prefix:String}}), {column})"
        return f"mapKeys({pairs}), {_cut_texts(f'mapValues({pairs})', 'event_text_limit')}"

    def event_name(self) -> str:
        """Return the name of a log record's event; empty in the tables of older exporters, which did not keep it."""
        return "EventName" if self._layout.has_event_name else "''"

    def _read_event(self) -> str:
        """Return the name of a log record's event: its own field or, from older SDKs, an attribute."""
        name = self.event_name()
        return f"if({name} != '', {name}, {self._read_text('name_key')})"

    def _read_text(self, parameter: str) -> str:
        """Return the text of the attribute whose key is a parameter; empty if there is none."""
        if self._layout.is_json:
            return f"ifNull({_cast_text(_path(self._attributes, parameter))}, '')"
        return f"{self._attributes}[{{{parameter}:String}}]"

    def _sample(self) -> str:
        """Return the bytes of a sample: start, trace id and span id; nothing for a log record without a span."""
        sample = f"concat(reverse(reinterpretAsFixedString({TIME})), {SPAN_ID})"
        return sample if self._is_span else f"if({HAS_SPAN}, {sample}, '')"

    def _pairs(self) -> str:
        """Return the attributes whose values decide."""
        signal = self._layout.signal
        if not self._layout.is_json:
            return f"mapFilter((key, value) -> key IN {{{signal}_keys:Array(String)}}, {self._attributes})"
        items = []
        for number in range(self._key_count):
            path = _path(self._attributes, f"{signal}_key_{number}")
            is_last = number == self._key_count - 1
            text = _cast_texts(path) if is_last else _cast_text(path)  # the warnings are an array, and the last key
            items.append(f"({{{signal}_key_{number}:String}}, {text})")
        return f"arrayFilter(pair -> isNotNull(pair.2), [{', '.join(items)}])"

    def _present(self) -> str:
        keys = f"mapKeys({self._attributes})"
        if self._layout.is_json:
            keys = f"{self._attributes}Keys" if self._layout.has_keys else f"JSONAllPaths({self._attributes})"
        wanted = f"{{{self._layout.signal}_present:Array(String)}}"
        return f"arraySort(arrayFilter(key -> key IN {wanted}, {keys}))"


_NO_EVENT: Final = "''"


def _path(column: str, parameter: str) -> str:
    return f"getSubcolumn({column}, {{{parameter}:String}})"


def _cast_text(path: str) -> str:
    """Return the value at a path of a JSON column as text, as maps have it; ``NULL`` if there is none."""
    return f"CAST({path} AS Nullable(String))"


def _cast_texts(path: str) -> str:
    """Return an array at a path of a JSON column as JSON; ``NULL`` for any other type."""
    return f"if(startsWith(dynamicType({path}), 'Array'), toJSONString({path}), NULL)"


def _cut_texts(texts: str, limit: str) -> str:
    """Return texts without what is beyond a limit. Longer ones name no model and no registry's attribute."""
    bound = f"{{{limit}:UInt64}}"
    return f"arrayMap(text -> if(length(text) > {bound}, substringUTF8(text, 1, {bound}), text), {texts})"
