"""Tables of the Collector's ClickHouse exporter, as its versions create them.

The names and types of the columns, the partitions and the orders are those of the exporter's templates in
``internal/sqltemplates``, versions 0.150.0 and 0.157.0, Copyright The OpenTelemetry Authors, Apache-2.0:
https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter
Codecs, comments, indices and materialized columns are left out; they change no result.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Layout = Literal["map", "json"]
_WORD: Final = "LowCardinality(String)"
_ATTRIBUTES: Final = {"map": f"Map({_WORD}, String)", "json": "JSON"}


class Table(NamedTuple):
    """A table: its columns with their types, how it is split into partitions, and its order."""

    columns: dict[str, str]
    partition: str
    order: str

    def create(self, name: str) -> str:
        """Return the statement that creates it."""
        columns = ", ".join(f"`{column}` {kind}" for column, kind in self.columns.items())
        return (
            f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree PARTITION BY {self.partition} ORDER BY {self.order} "
            "SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
        )


def make_traces_table(layout: Layout = "map") -> Table:
    """Return the table of spans."""
    attributes = _ATTRIBUTES[layout]
    keys = (
        {}
        if layout == "map"
        else {"ResourceAttributesKeys": f"Array({_WORD})", "SpanAttributesKeys": f"Array({_WORD})"}
    )
    columns = {
        "Timestamp": "DateTime64(9)",
        "TraceId": "String",
        "SpanId": "String",
        "ParentSpanId": "String",
        "TraceState": "String",
        "SpanName": _WORD,
        "SpanKind": _WORD,
        "ServiceName": _WORD,
        "ResourceAttributes": attributes,
        "ScopeName": "String",
        "ScopeVersion": "String",
        "SpanAttributes": attributes,
        **keys,
        "Duration": "UInt64",
        "StatusCode": _WORD,
        "StatusMessage": "String",
        "Events": f"Nested(Timestamp DateTime64(9), Name {_WORD}, Attributes {attributes})",
        "Links": f"Nested(TraceId String, SpanId String, TraceState String, Attributes {attributes})",
    }
    last = ", Timestamp" if layout == "json" else ""
    return Table(columns, "toDate(Timestamp)", f"(ServiceName, SpanName, toDateTime(Timestamp){last})")


def make_logs_table(layout: Layout = "map", *, before_0_151: bool = False) -> Table:
    """Return the table of log records. Until version 0.151, the table with maps had the column ``TimestampTime``."""
    attributes = _ATTRIBUTES[layout]
    is_old = before_0_151 and layout == "map"
    kinds = ("Resource", "Scope", "Log") if layout == "json" else ()
    columns = {
        "Timestamp": "DateTime64(9)",
        **({"TimestampTime": "DateTime DEFAULT toDateTime(Timestamp)"} if is_old else {}),
        "TraceId": "String",
        "SpanId": "String",
        "TraceFlags": "UInt8",
        "SeverityText": _WORD,
        "SeverityNumber": "UInt8",
        "ServiceName": _WORD,
        "Body": "String",
        "ResourceSchemaUrl": _WORD,
        "ResourceAttributes": attributes,
        "ScopeSchemaUrl": _WORD,
        "ScopeName": "String",
        "ScopeVersion": _WORD,
        "ScopeAttributes": attributes,
        "LogAttributes": attributes,
        **{f"{kind}AttributesKeys": f"Array({_WORD})" for kind in kinds},
        "EventName": "String",
    }
    if is_old:
        return Table(columns, "toDate(TimestampTime)", "(ServiceName, TimestampTime, Timestamp)")
    return Table(columns, "toDate(Timestamp)", "(toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)")
