"""Salvage: the readable parts of JSON that is not an ordinary request, and the reasons for the others.

- Envelopes: the responses of Jaeger's and Tempo's APIs, and resources without a request around them.
- Other spellings of protobuf's JSON mapping: ids in base64, names with underscores, null for missing fields.
- Malformed spans and log records: the others of the same request stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.attributes import SENDER_KEY
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry.compliance._sources import otlp_json as otlp
from spanforge.model_registry.compliance._sources.faults import explain_decode_error
from spanforge.model_registry.compliance._sources.json_texts import split_documents
from spanforge.model_registry.compliance._sources.spellings import (
    DECODE_ERRORS,
    clean_document,
    clean_json,
    decode_cleaned,
    read_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from spanforge.model_registry.compliance._sources.faults import FaultLog

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_MAX_ENVELOPES: Final = 3
"""The limit of envelopes around a request: one of the API, a resource, and one more."""
_NULL_BYTES: Final = b"null"
_NO_VALUE: Final = msgspec.Raw(_NULL_BYTES)

_ENVELOPES: Final[Mapping[str, bytes]] = {
    "result": b"%b",  # Jaeger's API v3
    "trace": b"%b",  # Tempo's API v2
    "batches": b'{"resourceSpans":%b}',  # Tempo's API v1
}
"""The members that contain requests, with the form of the request."""
_BARE: Final[Mapping[str, bytes]] = {
    "scopeSpans": b'{"resourceSpans":[%b]}',
    "scopeLogs": b'{"resourceLogs":[%b]}',
}
"""The members of a resource without a request around it, with the form of the request."""
_MAX_SALVAGED: Final = 1_000
"""The limit of documents without a request of which the parts are examined."""
_NO_REQUEST: Final = "has no OTLP request"
_REQUEST_MEMBERS: Final = frozenset({"resourceSpans", "resourceLogs", "resourceMetrics"})


class _LooseSpan(msgspec.Struct, rename="camel", gc=False):
    """A span of which each field may be missing or out of range."""

    trace_id: str = ""
    span_id: str = ""
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: list[otlp.KeyValue] = []
    events: list[otlp.Event] = []


class _Signal(NamedTuple):
    """The names of a signal's lists, and the functions that read its items and build its parts."""

    outer: str
    inner: str
    items: str
    read_item: Callable[[msgspec.Raw, SalvageContext, tuple[str, int]], Any]
    build_scope: Callable[[list[Any], msgspec.Raw], Any]
    build_resource: Callable[[list[Any], msgspec.Raw], Any]


class SalvageContext(NamedTuple):
    """The context in which a document is salvaged.

    Attributes:
        log: The log of faults.
        period: The times, in nanoseconds since the epoch, in which the evidence needs spans and log records.
        path: The path of the part that is read.
    """

    log: FaultLog
    period: range
    path: tuple[str | int, ...] = ()

    def enter(self, *path: str | int) -> SalvageContext:
        """Return the context of a part of this part."""
        return self._replace(path=(*self.path, *path))

    def add(self, describe: Callable[[], str]) -> None:
        """Note that the part cannot be read."""
        self.log.documents += not self.path
        self.log.add(describe, self.path)

    def add_item(
        self, path: tuple[str | int, ...], describe: Callable[[], str], at: int = 0, sender: str | None = None
    ) -> None:
        """Note that a span or a log record at a path below cannot be read.

        It is harmless if it has no time in the period, or if it is of an untrusted sender. Otherwise anyone who may
        send telemetry could make every period incomplete.
        """
        self.log.add(describe, (*self.path, *path), is_harmless=at not in self.period or sender == "untrusted")


_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_loose: Final = msgspec.json.Decoder(_LooseSpan, strict=False).decode


def salvage(document: bytes, context: SalvageContext) -> Iterator[otlp.ExportRequest]:
    """Yield the readable parts of a document that is not an ordinary request, or is several, and note the others."""
    if context.log.documents >= _MAX_SALVAGED:
        context.add(lambda: _NO_REQUEST)
        return
    for part in list(split_documents(document)) or [document]:
        request = _salvage_part(part, context)
        if request is not None:
            yield request


def _salvage_part(document: bytes, context: SalvageContext) -> otlp.ExportRequest | None:
    """Return the readable parts of one JSON document; ``None`` if it is not a request."""
    try:
        members = _find_request(document)
    except DECODE_ERRORS as error:
        is_object = document.lstrip().startswith(b"{")
        context.log.ends_early = ends_early = is_object and "truncated" in str(error)
        reason = f"is not JSON: {explain_decode_error(error)}" if is_object else "is not JSON"
        context.add(lambda: "the JSON ends early" if ends_early else reason)
        return None
    if not members:
        context.add(lambda: _NO_REQUEST)
        return None
    return _read_request(members, context)


def _find_request(document: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of the request in a document, perhaps in envelopes; empty if there is none.

    Raises:
        msgspec.DecodeError: The document is not JSON.
        RecursionError: It is nested too deeply.
    """
    for _ in range(_MAX_ENVELOPES):
        members = _read_members(document)
        if members.keys() & _REQUEST_MEMBERS:
            return members
        inner = _open_envelope(members, document)
        if inner is None:
            break
        document = inner
    return {}


def _read_members(document: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of an object; empty for another value.

    Raises:
        msgspec.DecodeError: The document is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        members = _decode_members(document)
    except msgspec.ValidationError:
        return {}
    except DECODE_ERRORS:
        cleaned = clean_document(document)
        if cleaned is None:
            raise
        members = _decode_members(cleaned)
    if any(name.startswith(("resource_", "scope_")) for name in members):
        members = _decode_members(clean_json(document))
    return members


def _open_envelope(members: Mapping[str, msgspec.Raw], document: bytes) -> bytes | None:
    """Return the document in an envelope, or the request around a resource; ``None`` if there is neither."""
    for name, form in _ENVELOPES.items():
        if name in members:
            return form % bytes(members[name])
    for name, form in _BARE.items():
        if name in members:
            return form % document
    return None


def _read_request(members: Mapping[str, msgspec.Raw], context: SalvageContext) -> otlp.ExportRequest:
    request = otlp.ExportRequest(resource_spans=[], resource_logs=[])
    for signal, parts in zip(_SIGNAL_ROWS, (request.resource_spans, request.resource_logs), strict=True):
        for name, raw in _list_parts(members, signal.outer, context):
            resource = _read_resource(raw, signal, context.enter(*name))
            if resource is not None:
                parts.append(resource)  # type: ignore[union-attr]
    return request


def _read_resource(raw: msgspec.Raw, signal: _Signal, context: SalvageContext) -> Any:
    """Return a resource with its scopes; ``None`` if it cannot be read."""
    members = _read_object(raw, signal.inner, context)
    if members is None:
        return None
    scopes = []
    for name, raw_scope in _list_parts(members, signal.inner, context):
        inner = context.enter(*name)
        scope = _read_object(raw_scope, signal.items, inner)
        if scope is not None:
            items = [
                item
                for place, raw_item in _list_parts(scope, signal.items, inner)
                if (item := signal.read_item(raw_item, inner, place)) is not None
            ]
            scopes.append(signal.build_scope(items, scope.get("scope", _NO_VALUE)))
    return signal.build_resource(scopes, members.get("resource", _NO_VALUE))


def _list_parts(
    members: Mapping[str, msgspec.Raw], name: str, context: SalvageContext
) -> Iterator[tuple[tuple[str, int], msgspec.Raw]]:
    """Yield the items of a list, each with its name and number; none if the list is missing or null."""
    raw = members.get(name, _NO_VALUE)
    if _starts_with(raw, _NULL_BYTES):
        return
    try:
        parts = _decode_list(raw)
    except DECODE_ERRORS as error:
        reason = explain_decode_error(error)
        context.enter(name).add(lambda: reason)
        return
    for number, part in enumerate(parts):
        yield (name, number), part


def _read_object(raw: msgspec.Raw, required: str, context: SalvageContext) -> dict[str, msgspec.Raw] | None:
    """Return the members of an object; ``None`` if it has other lists than the required one, as in OTLP before 1.0."""
    try:
        members = _decode_members(raw)
    except DECODE_ERRORS as error:
        reason = explain_decode_error(error)
        context.add(lambda: reason)
        return None
    others = [] if required in members else [name for name, value in members.items() if _starts_with(value, b"[")]
    if others:
        context.add(lambda: f"{required} is missing; it has {shorten(others[0])} instead")
        return None
    return members


def _starts_with(raw: msgspec.Raw, start: bytes) -> bool:
    """Check the first bytes of a part without a copy of the others."""
    return bytes(memoryview(raw)[: len(start)]) == start


def _read_span(raw: msgspec.Raw, context: SalvageContext, place: tuple[str, int]) -> otlp.Span | None:
    try:
        return otlp.decode_span(raw)
    except DECODE_ERRORS as error:
        fault = error
    span = decode_cleaned(_decode_loose, raw)
    if span is None:
        context.add_item(place, lambda: explain_decode_error(fault))
        return None
    trace_id, span_id = read_id(span.trace_id, _TRACE_BYTES), read_id(span.span_id, _SPAN_BYTES)
    at = span.start_time_unix_nano
    if trace_id is None or span_id is None or not 1 <= at <= otlp.MAX_TIME:
        senders = [otlp.get_text(each.value) for each in span.attributes if each.key == SENDER_KEY]
        context.add_item(place, lambda: _explain_span(span), at, senders[0] if senders else None)
        return None
    return otlp.Span(trace_id, span_id, at, span.end_time_unix_nano, span.attributes, span.events)


def _explain_span(span: _LooseSpan) -> str:
    """Return the first fault of a span's ids and start."""
    for name, text, size in (("traceId", span.trace_id, _TRACE_BYTES), ("spanId", span.span_id, _SPAN_BYTES)):
        if not text:
            return f"{name} is missing"
        if read_id(text, size) is None:
            return f"{name} must be {2 * size} hexadecimal digits; got {shorten(text)}"
    if span.start_time_unix_nano == 0:
        return "startTimeUnixNano is missing"
    return f"startTimeUnixNano must be from 1 to {otlp.MAX_TIME}; got {shorten(span.start_time_unix_nano)}"


def _read_log_record(raw: msgspec.Raw, context: SalvageContext, place: tuple[str, int]) -> otlp.LogRecord | None:
    try:
        return otlp.decode_log_record(raw)
    except DECODE_ERRORS as error:
        fault = error
    record: otlp.LogRecord | None = decode_cleaned(otlp.decode_log_record, raw)
    if record is None:
        context.add_item(place, lambda: explain_decode_error(fault))
    return record


_SIGNAL_ROWS: Final = (
    _Signal("resourceSpans", "scopeSpans", "spans", _read_span, otlp.ScopeSpans, otlp.ResourceSpans),
    _Signal("resourceLogs", "scopeLogs", "logRecords", _read_log_record, otlp.ScopeLogs, otlp.ResourceLogs),
)
