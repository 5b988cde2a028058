"""OTLP JSON: export requests, decoded only as far as the evidence needs their fields.

OpenTelemetry defines the encoding: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_TIME: Final = 2**63 - 1
"""The latest start of a span, in nanoseconds since the epoch: the year 2262."""

_VALUE_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""The errors of a value that has another form than required."""
_Time = Annotated[int, msgspec.Meta(ge=1, le=MAX_TIME)]
_NULL: Final = msgspec.Raw(b"null")


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
    trace_id: str = ""
    span_id: str = ""
    attributes: list[KeyValue] = []

    @property
    def at(self) -> int:
        """The time of the event; the time at which it was observed if there is none."""
        return self.time_unix_nano or self.observed_time_unix_nano


class ScopeLogs(_OtlpPart):
    """Log records of one instrumentation scope."""

    log_records: list[LogRecord]
    scope: msgspec.Raw = _NULL


class ResourceLogs(_OtlpPart):
    """Log records of one resource."""

    scope_logs: list[ScopeLogs]
    resource: msgspec.Raw = _NULL


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
decode_span: Final[Callable[[bytes | msgspec.Raw], Span]] = msgspec.json.Decoder(Span, strict=False).decode
"""The decoder of one span."""
decode_log_record: Final[Callable[[bytes | msgspec.Raw], LogRecord]] = msgspec.json.Decoder(
    LogRecord, strict=False
).decode
"""The decoder of one log record."""
_decode_value = msgspec.json.Decoder(_Value).decode
_decode_resource = msgspec.json.Decoder(_Resource).decode
_decode_scope = msgspec.json.Decoder(_Scope).decode


def get_text(value: msgspec.Raw) -> str | None:
    """Return the text of an attribute's value; ``None`` if it is not text."""
    try:
        return _decode_value(value).string_value
    except _VALUE_ERRORS:  # a name from the network may not be Unicode
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
    return {key: text for key, value in first.items() if (text := get_text(value)) is not None}


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
        return decode(bytes(value).decode("utf-8", "replace"))
    except _VALUE_ERRORS:
        return None
