"""Rows of the Collector's ClickHouse exporter, from OTLP JSON, as ``JSONEachRow`` text.

The exporter writes attribute values as text into maps (``pcommon.Value.AsString``), with repeated keys, and as JSON
into JSON columns, where the last value of a repeated key counts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from support.clickhouse_tables import Layout

    Row = dict[str, str]
    """The JSON text of each column."""

_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUSES: Final = ("Unset", "Ok", "Error")
_NO_ID: Final = frozenset("0")
_HTML: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""The characters that Go's JSON writes as escapes."""
_U64: Final = 2**64


def list_span_rows(request: Mapping[str, Any], layout: Layout = "map") -> Iterator[str]:
    """Yield a row for each span of an export request."""
    for resource_spans in request.get("resourceSpans", ()):
        shared = _make_resource_row(resource_spans, layout)
        for scope_spans in resource_spans.get("scopeSpans", ()):
            scope = {**shared, **_make_scope_row(scope_spans)}
            for span in scope_spans.get("spans", ()):
                yield _join({**scope, **_make_span_row(span, layout)})


def list_log_rows(request: Mapping[str, Any], layout: Layout = "map") -> Iterator[str]:
    """Yield a row for each log record of an export request."""
    for resource_logs in request.get("resourceLogs", ()):
        shared = _make_resource_row(resource_logs, layout)
        for scope_logs in resource_logs.get("scopeLogs", ()):
            scope = scope_logs.get("scope") or {}
            row = {
                **shared,
                **_make_scope_row(scope_logs),
                **_make_attributes("ScopeAttributes", scope.get("attributes"), layout),
            }
            for record in scope_logs.get("logRecords", ()):
                yield _join({**row, **_make_log_row(record, layout)})


def _make_resource_row(part: Mapping[str, Any], layout: Layout) -> Row:
    attributes = (part.get("resource") or {}).get("attributes")
    names = (_to_text(each.get("value")) for each in attributes or () if each["key"] == "service.name")
    return {
        "ServiceName": _quote(next(names, "")),
        **_make_attributes("ResourceAttributes", attributes, layout),
    }


def _make_scope_row(part: Mapping[str, Any]) -> Row:
    scope = part.get("scope") or {}
    return {"ScopeName": _quote(scope.get("name", "")), "ScopeVersion": _quote(scope.get("version", ""))}


def _make_span_row(span: Mapping[str, Any], layout: Layout) -> Row:
    start, end = int(span["startTimeUnixNano"]), int(span.get("endTimeUnixNano", 0))
    events, links = span.get("events", ()), span.get("links", ())
    return {
        "Timestamp": _format_time(start),
        "TraceId": _quote(_read_id(span["traceId"])),
        "SpanId": _quote(_read_id(span["spanId"])),
        "ParentSpanId": _quote(_read_id(span.get("parentSpanId", ""))),
        "TraceState": _quote(span.get("traceState", "")),
        "SpanName": _quote(span.get("name", "")),
        "SpanKind": _quote(_KINDS[span.get("kind", 0)]),
        **_make_attributes("SpanAttributes", span.get("attributes"), layout),
        "Duration": str((end - start) % _U64),
        "StatusCode": _quote(_STATUSES[span.get("status", {}).get("code", 0)]),
        "StatusMessage": _quote(span.get("status", {}).get("message", "")),
        "Events.Timestamp": _list(_format_time(int(each.get("timeUnixNano", 0))) for each in events),
        "Events.Name": _list(_quote(each.get("name", "")) for each in events),
        "Events.Attributes": _list(_format_attributes(each.get("attributes"), layout) for each in events),
        "Links.TraceId": _list(_quote(each["traceId"]) for each in links),
        "Links.SpanId": _list(_quote(each["spanId"]) for each in links),
        "Links.TraceState": _list(_quote(each.get("traceState", "")) for each in links),
        "Links.Attributes": _list(_format_attributes(each.get("attributes"), layout) for each in links),
    }


def _make_log_row(record: Mapping[str, Any], layout: Layout) -> Row:
    at = int(record.get("timeUnixNano", 0)) or int(record.get("observedTimeUnixNano", 0))
    return {
        "Timestamp": _format_time(at),
        "TraceId": _quote(_read_id(record.get("traceId", ""))),
        "SpanId": _quote(_read_id(record.get("spanId", ""))),
        "SeverityText": _quote(record.get("severityText", "")),
        "SeverityNumber": str(record.get("severityNumber", 0)),
        "Body": _quote(_to_text(record.get("body"))),
        **_make_attributes("LogAttributes", record.get("attributes"), layout),
        "EventName": _quote(record.get("eventName", "")),
    }


def _make_attributes(column: str, attributes: Sequence[Mapping[str, Any]] | None, layout: Layout) -> Row:
    row = {column: _format_attributes(attributes, layout)}
    if layout == "json" and column != "Events.Attributes":
        paths = sorted(set(_list_paths("", attributes or ())))
        row[f"{column}Keys"] = _list(map(_quote, paths))
    return row


def _list_paths(prefix: str, attributes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for each in attributes:
        path = f"{prefix}.{each['key']}" if prefix else each["key"]
        nested = (each.get("value") or {}).get("kvlistValue")
        if nested is None:
            yield path
        else:
            yield from _list_paths(path, nested.get("values", ()))


def _format_attributes(attributes: Sequence[Mapping[str, Any]] | None, layout: Layout) -> str:
    """Return attributes as the JSON of a map, whose keys may be repeated, or of a JSON column."""
    if layout == "json":
        return json.dumps(_to_mapping(attributes or ()), ensure_ascii=False)
    pairs = (f"{_quote(each['key'])}:{_quote(_to_text(each.get('value')))}" for each in attributes or ())
    return "{" + ",".join(pairs) + "}"


def _to_mapping(attributes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {each["key"]: _to_raw(each.get("value")) for each in attributes}


def _to_raw(value: Mapping[str, Any] | None) -> Any:
    """Return a value as ``pcommon.Value.AsRaw`` does."""
    for kind, given in (value or {}).items():
        if kind == "intValue":
            return int(given)
        if kind == "arrayValue":
            return [_to_raw(each) for each in given.get("values", ())]
        if kind == "kvlistValue":
            return _to_mapping(given.get("values", ()))
        return given
    return None


def _to_text(value: Mapping[str, Any] | None) -> str:
    """Return a value as ``pcommon.Value.AsString`` does."""
    raw = _to_raw(value)
    if raw is None or isinstance(raw, str):
        return raw or ""
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if isinstance(raw, (list, dict)):
        for character, escape in _HTML.items():
            text = text.replace(character, escape)
    return text


def _read_id(text: str) -> str:
    return "" if set(text) <= _NO_ID else text.lower()


def _format_time(nanos: int) -> str:
    seconds, rest = divmod(nanos, 10**9)
    return f'"{seconds}.{rest:09}"'


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _list(items: Iterable[str]) -> str:
    return "[" + ",".join(items) + "]"


def _join(row: Row) -> str:
    return "{" + ",".join(f'"{column}":{text}' for column, text in row.items()) + "}"
