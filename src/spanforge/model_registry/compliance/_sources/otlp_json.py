"""OTLP JSON: export requests, decoded only as far as the evidence needs their fields.

OpenTelemetry defines the encoding: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_TIME: Final = 2**63 - 1
"""The latest start of a span, in nanoseconds since the epoch: the year 2262."""

_Time = Annotated[int, msgspec.Meta(ge=1, le=MAX_TIME)]
_NULL: Final = msgspec.Raw(b"null")
_REQUEST_STARTS: Final = (b'{"resourceSpans"', b'{"resourceLogs"', b'{"resourceMetrics"')
"""The beginnings of requests. They do not occur inside a JSON string, in which the quotes follow backslashes."""


class _OtlpPart(msgspec.Struct, rename="camel", gc=False):
    """Base of all parts of a request."""


class KeyValue(_OtlpPart):
    """An attribute. Its value stays encoded, because most values are never used."""

    key: str = ""
    value: msgspec.Raw = _NULL


class Event(_OtlpPart):
    """An event on a span."""

    name: str = ""
    time_unix_nano: int = 0
    attributes: list[KeyValue] = []


class Span(_OtlpPart):
    """A span. Its ids are hexadecimal digits, and it has a start time."""

    trace_id: Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
    span_id: Annotated[str, msgspec.Meta(min_length=16, max_length=16)]
    start_time_unix_nano: _Time
    end_time_unix_nano: int = 0
    attributes: list[KeyValue] = []
    events: list[Event] = []


class ScopeSpans(_OtlpPart):
    """Spans of one instrumentation scope."""

    spans: list[Span]
    scope: msgspec.Raw = _NULL


class ResourceSpans(_OtlpPart):
    """Spans of one resource."""

    scope_spans: list[ScopeSpans]  # required, because OTLP before 1.0 and other forms of names do not have it
    resource: msgspec.Raw = _NULL


class LogRecord(_OtlpPart):
    """A log record; it is an event if it has a name."""

    event_name: str = ""
    time_unix_nano: int = 0
    observed_time_unix_nano: int = 0
    attributes: list[KeyValue] = []


class ScopeLogs(_OtlpPart):
    """Log records of one instrumentation scope."""

    log_records: list[LogRecord]


class ResourceLogs(_OtlpPart):
    """Log records of one resource."""

    scope_logs: list[ScopeLogs]


class ExportRequest(_OtlpPart):
    """An export request of any signal; metrics are skipped."""

    resource_spans: list[ResourceSpans] | msgspec.UnsetType = msgspec.UNSET
    resource_logs: list[ResourceLogs] | msgspec.UnsetType = msgspec.UNSET
    resource_metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_request(self) -> bool:
        """``True`` if it is a request; any JSON object decodes, but most have no field of a request."""
        return self.__class__() != self


class _Value(_OtlpPart):
    string_value: str | None = None
    array_value: Any = None


class _Resource(_OtlpPart):
    attributes: list[KeyValue] = []


class _Scope(_OtlpPart):
    name: str = ""


decode_request: Final[Callable[[bytes], ExportRequest]] = msgspec.json.Decoder(ExportRequest, strict=False).decode
"""The decoder of one request. It is not strict, because 64-bit integers are strings in OTLP JSON."""
_decode_value = msgspec.json.Decoder(_Value).decode
_decode_resource = msgspec.json.Decoder(_Resource).decode
_decode_scope = msgspec.json.Decoder(_Scope).decode


def get_text(value: msgspec.Raw) -> str | None:
    """Return the text of an attribute's value; ``None`` if it is not text."""
    decoded = _decode_or_none(_decode_value, value)
    return None if decoded is None else decoded.string_value


def get_texts(value: msgspec.Raw) -> list[str]:
    """Return the texts of an attribute's value that is an array; empty for any other value."""
    decoded = _decode_or_none(_decode_value, value)
    array = None if decoded is None else decoded.array_value
    items = array.get("values") if isinstance(array, dict) else None
    texts = (item.get("stringValue") for item in items or () if isinstance(item, dict))
    return [text for text in texts if isinstance(text, str)]


def get_text_attributes(attributes: Sequence[KeyValue]) -> dict[str, str]:
    """Return the attributes whose values are texts. If a key is repeated, its first value counts."""
    first = {attribute.key: attribute.value for attribute in reversed(attributes)}
    values = ((key, get_text(value)) for key, value in first.items())
    return {key: text for key, text in values if text is not None}


def get_resource_attributes(resource: msgspec.Raw) -> list[KeyValue]:
    """Return the attributes of a resource."""
    decoded = _decode_or_none(_decode_resource, resource)
    return [] if decoded is None else decoded.attributes


def get_scope_name(scope: msgspec.Raw) -> str:
    """Return the name of an instrumentation scope."""
    decoded = _decode_or_none(_decode_scope, scope)
    return "" if decoded is None else decoded.name


def _decode_or_none(decode: Any, value: msgspec.Raw) -> Any:
    try:
        return decode(bytes(value).decode("utf-8", "replace"))  # a name from the network may not be Unicode
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def salvage(document: bytes) -> Iterator[ExportRequest | None]:
    """Yield the requests in a document that does not decode, and ``None`` for each part or span that cannot be read.

    If a writer was killed or its disk was full, a line may contain two requests, or half a request before a complete
    one. A malformed span does not invalidate the other spans of its request. A byte order mark is skipped.
    """
    document = document.removeprefix(codecs.BOM_UTF8)
    starts = sorted({0, *(place for start in _REQUEST_STARTS for place in _find_all(document, start))})
    for begin, end in zip(starts, [*starts[1:], len(document)], strict=True):
        section = document[begin:end]
        if section.strip():
            yield from _decode_section(section)


def _find_all(document: bytes, start: bytes) -> Iterator[int]:
    place = document.find(start)
    while place >= 0:
        yield place
        place = document.find(start, place + 1)


def _decode_section(section: bytes) -> Iterator[ExportRequest | None]:
    try:
        request = decode_request(section)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        yield from _decode_leaves(section)
    else:
        yield request if request.is_request else None


def _decode_leaves(section: bytes) -> Iterator[ExportRequest | None]:
    """Yield a request for each span and log record that is valid by itself, and ``None`` for each other one."""
    try:
        request = json.loads(section.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict) or not {"resourceSpans", "resourceLogs"} & request.keys():
        yield None
        return
    for leaf in _list_leaves(request, "resourceSpans", "scopeSpans", "spans"):
        yield None if leaf is None else _decode_object(_wrap_span(*leaf))
    for leaf in _list_leaves(request, "resourceLogs", "scopeLogs", "logRecords"):
        yield None if leaf is None else _decode_object({"resourceLogs": [{"scopeLogs": [{"logRecords": [leaf[-1]]}]}]})


def _wrap_span(resource: dict[str, Any], scope: dict[str, Any], span: Any) -> dict[str, Any]:
    scope_spans = {"scope": scope.get("scope"), "spans": [span]}
    return {"resourceSpans": [{"resource": resource.get("resource"), "scopeSpans": [scope_spans]}]}


def _list_leaves(value: Any, key: str, *path: str, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...] | None]:
    """Yield the items at the end of a path of lists, each with the objects above it.

    Yield ``None`` for a value that is not a list, and for a list with another name, as in OTLP before 1.0.
    """
    items = _get_items(value, key, is_request=not above)
    if items is None:
        yield None
        return
    for item in items:
        if path:
            yield from _list_leaves(item, *path, above=(*above, item))
        else:
            yield *above, item


def _get_items(value: Any, key: str, *, is_request: bool) -> list[Any] | None:
    """Return the list with this name; empty if it is missing, and ``None`` if the value is malformed.

    A value without this list must not have other lists, unless it is a request.
    """
    if not isinstance(value, dict):
        return None
    items = value.get(key)
    if isinstance(items, list):
        return items
    if items is not None:
        return None
    has_others = any(isinstance(member, list) for member in value.values())
    return None if has_others and not is_request else []


def _decode_object(request: dict[str, Any]) -> ExportRequest | None:
    try:
        return decode_request(msgspec.json.encode(_drop_nulls(request)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _drop_nulls(value: Any) -> Any:
    """Return a JSON value with Unicode text and without null members, which are equal to missing ones."""
    if isinstance(value, dict):
        return {_drop_nulls(key): _drop_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_drop_nulls(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
