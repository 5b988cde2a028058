"""OTLP JSON: a request at a time, of which only the fields that matter are decoded.

The encoding is OpenTelemetry's: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_TIME: Final = 2**63 - 1
"""Nanoseconds since the epoch that a span may have started at: the year 2262."""

_Time = Annotated[int, msgspec.Meta(ge=1, le=MAX_TIME)]
_NOTHING: Final = msgspec.Raw(b"null")
_STARTS: Final = (b'{"resourceSpans"', b'{"resourceLogs"', b'{"resourceMetrics"')
"""What a request begins with. Inside a JSON string the quote would stand behind a backslash."""


class _Part(msgspec.Struct, rename="camel", gc=False):
    """What all parts of a request have in common."""


class Attribute(_Part):
    """An attribute; its value stays as it was written, for most are never looked at."""

    key: str = ""
    value: msgspec.Raw = _NOTHING


class Event(_Part):
    """An event on a span."""

    name: str = ""
    time_unix_nano: int = 0
    attributes: list[Attribute] = []


class Span(_Part):
    """A span: its ids are hexadecimal digits, and it has a time."""

    trace_id: Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
    span_id: Annotated[str, msgspec.Meta(min_length=16, max_length=16)]
    start_time_unix_nano: _Time
    end_time_unix_nano: int = 0
    attributes: list[Attribute] = []
    events: list[Event] = []


class ScopeSpans(_Part):
    """Spans of one instrumentation scope."""

    spans: list[Span]
    scope: msgspec.Raw = _NOTHING


class ResourceSpans(_Part):
    """Spans of one resource."""

    scope_spans: list[ScopeSpans]  # required: OTLP before 1.0, and that with names of another form, has none
    resource: msgspec.Raw = _NOTHING


class LogRecord(_Part):
    """A log record, which is an event if it has a name."""

    event_name: str = ""
    time_unix_nano: int = 0
    observed_time_unix_nano: int = 0
    attributes: list[Attribute] = []


class ScopeLogs(_Part):
    """Log records of one instrumentation scope."""

    log_records: list[LogRecord]


class ResourceLogs(_Part):
    """Log records of one resource."""

    scope_logs: list[ScopeLogs]


class Request(_Part):
    """An export request of any signal; that of metrics is read over."""

    resource_spans: list[ResourceSpans] | msgspec.UnsetType = msgspec.UNSET
    resource_logs: list[ResourceLogs] | msgspec.UnsetType = msgspec.UNSET
    resource_metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_one(self) -> bool:
        """Whether it is a request at all: any JSON object decodes."""
        return self.__class__() != self


class _Value(_Part):
    string_value: str | None = None
    array_value: Any = None


class _Resource(_Part):
    attributes: list[Attribute] = []


class _Scope(_Part):
    name: str = ""


decode_request: Final[Callable[[bytes], Request]] = msgspec.json.Decoder(Request, strict=False).decode
"""Decodes one request; 64-bit integers are texts in OTLP JSON, which is why it is not strict."""
_decode_value = msgspec.json.Decoder(_Value).decode
_decode_resource = msgspec.json.Decoder(_Resource).decode
_decode_scope = msgspec.json.Decoder(_Scope).decode


def text_of(value: msgspec.Raw) -> str | None:
    """Return the text that an attribute's value is; ``None`` if it is none."""
    found = _or_none(_decode_value, value)
    return None if found is None else found.string_value


def texts_of(value: msgspec.Raw) -> list[str]:
    """Return the texts in an attribute's value that is an array."""
    found = _or_none(_decode_value, value)
    array = found.array_value if found is not None else None
    items = array.get("values") if isinstance(array, dict) else None
    texts = (item.get("stringValue") for item in items or () if isinstance(item, dict))
    return [text for text in texts if isinstance(text, str)]


def texts_in(attributes: Sequence[Attribute]) -> dict[str, str]:
    """Return those attributes that are texts."""
    found = ((attribute.key, text_of(attribute.value)) for attribute in attributes)
    return {key: text for key, text in found if text is not None}


def attributes_of(resource: msgspec.Raw) -> list[Attribute]:
    """Return the attributes of a resource."""
    found = _or_none(_decode_resource, resource)
    return [] if found is None else found.attributes


def scope_name(scope: msgspec.Raw) -> str:
    """Return the name of an instrumentation scope."""
    found = _or_none(_decode_scope, scope)
    return "" if found is None else found.name


def _or_none(decode: Any, value: msgspec.Raw) -> Any:
    try:
        return decode(bytes(value).decode("utf-8", "replace"))  # a name from the network may be no Unicode
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def salvage(document: bytes) -> Iterator[Request | None]:
    """Yield the requests in what does not decode as one, and ``None`` for each part or span that cannot be read.

    Two requests stand on one line, or half of one before a whole one, where a writer was killed or its disk was full.
    A span that is not as OTLP has it does not take the others of its request with it. A byte order mark is read over.
    """
    document = document.removeprefix(codecs.BOM_UTF8)
    starts = sorted({0, *(place for start in _STARTS for place in _places(document, start))})
    for begin, end in zip(starts, [*starts[1:], len(document)], strict=True):
        part = document[begin:end]
        if part.strip():
            yield from _requests(part)


def _places(document: bytes, start: bytes) -> Iterator[int]:
    place = document.find(start)
    while place >= 0:
        yield place
        place = document.find(start, place + 1)


def _requests(part: bytes) -> Iterator[Request | None]:
    try:
        request = decode_request(part)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        yield from _piecewise(part)
    else:
        yield request if request.is_one else None


def _piecewise(part: bytes) -> Iterator[Request | None]:
    """Yield the spans and log records of a request one by one, those that are as OTLP has them."""
    try:
        found = json.loads(part.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not {"resourceSpans", "resourceLogs"} & found.keys():
        yield None
        return
    for leaf in _leaves(found, "resourceSpans", "scopeSpans", "spans"):
        yield None if leaf is None else _converted(_around_span(*leaf))
    for leaf in _leaves(found, "resourceLogs", "scopeLogs", "logRecords"):
        yield None if leaf is None else _converted({"resourceLogs": [{"scopeLogs": [{"logRecords": [leaf[-1]]}]}]})


def _around_span(resource: dict[str, Any], scope: dict[str, Any], span: Any) -> dict[str, Any]:
    scope_spans = {"scope": scope.get("scope"), "spans": [span]}
    return {"resourceSpans": [{"resource": resource.get("resource"), "scopeSpans": [scope_spans]}]}


def _leaves(value: Any, key: str, *path: str, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...] | None]:
    """Yield what stands at the end of a path of lists, each with the objects above it.

    ``None`` stands for what is no list, or a list of another name, as OTLP before 1.0 has them.
    """
    items = value.get(key) if isinstance(value, dict) else False
    other = items is None and above and any(isinstance(member, list) for member in value.values())
    if other or not (items is None or isinstance(items, list)):
        yield None
        return
    for item in items or ():
        if path:
            yield from _leaves(item, *path, above=(*above, item))
        else:
            yield *above, item


def _converted(request: dict[str, Any]) -> Request | None:
    try:
        return decode_request(msgspec.json.encode(_present(request)))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _present(value: Any) -> Any:
    """Return a JSON value without members that are null, which say as much as none, and with text that is Unicode."""
    if isinstance(value, dict):
        return {_present(key): _present(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_present(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
