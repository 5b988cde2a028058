"""OTLP protobuf: export requests as OTLP JSON, decoded only as far as the evidence needs their fields.

The fields have the numbers of https://github.com/open-telemetry/opentelemetry-proto. Texts are bytes here, because the
Collector does not check them, and one text that is not UTF-8 would invalidate a request with many spans. So the classes
of the package ``opentelemetry-proto`` are not suitable.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_PACKAGE: Final = "spanforge_otlp"
_BYTES, _FIXED64 = "TYPE_BYTES", "TYPE_FIXED64"
_MESSAGES: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "Request": {"resources": (1, "*Resources")},
    "Resources": {"resource": (1, "Resource"), "scopes": (2, "*Scopes")},
    "Scopes": {"scope": (1, "Scope"), "items": (2, "*")},
    "Resource": {"attributes": (1, "*KeyValue")},
    "Scope": {"name": (1, _BYTES)},
    "Span": {
        "trace_id": (1, _BYTES),
        "span_id": (2, _BYTES),
        "start": (7, _FIXED64),
        "end": (8, _FIXED64),
        "attributes": (9, "*KeyValue"),
        "events": (11, "*Event"),
    },
    "Event": {"time": (1, _FIXED64), "name": (2, _BYTES), "attributes": (3, "*KeyValue")},
    "LogRecord": {
        "time": (1, _FIXED64),
        "attributes": (6, "*KeyValue"),
        "trace_id": (9, _BYTES),
        "span_id": (10, _BYTES),
        "observed": (11, _FIXED64),
        "event_name": (12, _BYTES),
    },
    "KeyValue": {"key": (1, _BYTES), "value": (2, _BYTES)},
    "Value": {"text": (1, _BYTES), "array": (5, "Values")},
    "Values": {"values": (1, "*Value")},
}
"""The fields of each message: number and type. A type with a star is repeated. Other fields are skipped.

Requests of all signals have the same outer messages. Their items stay encoded until the signal is known.
"""
_CACHED_ATTRIBUTES: Final = 10_000
_CACHED_BYTES: Final = 1_024
"""The limits of the attributes that are remembered, and of the bytes of each: 10 MB. Telemetry repeats most of them."""


@functools.cache
def load_classes() -> Mapping[str, Any]:
    """Return the class of each message.

    Raises:
        MissingExtraError: The package ``protobuf`` is not installed.
    """
    try:
        descriptors = importlib.import_module("google.protobuf.descriptor_pb2")
        pools = importlib.import_module("google.protobuf.descriptor_pool")
        factory = importlib.import_module("google.protobuf.message_factory")
    except ImportError:
        raise MissingExtraError("archives of OTLP protobuf", "compliance") from None
    file = descriptors.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = pools.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in _MESSAGES}
    return {name: factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
    kind = kind.removeprefix("*") or _BYTES
    if kind in _MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(field, kind)


def to_json(message: bytes) -> bytes | None:
    """Return an export request in OTLP JSON; ``None`` if the bytes are not protobuf.

    Raises:
        MissingExtraError: The package ``protobuf`` is not installed.
    """
    request = _parse_message("Request", message)
    if request is None:
        return None
    items = [item for resource in request.resources for scope in resource.scopes for item in scope.items]
    if not items or any(map(_is_span, items)):
        build = _build_spans
    elif any(map(_is_log_record, items)):
        build = _build_logs
    else:
        return b'{"resourceMetrics":[]}'
    return msgspec.json.encode(build(request))


def _parse_message(name: str, data: bytes) -> Any:
    """Return a message; ``None`` if the bytes are not one."""
    message = load_classes()[name]()
    try:
        message.ParseFromString(data)
    except Exception:  # noqa: BLE001 - protobuf's own error; its class is not known without the package
        return None
    return message


def _is_span(item: bytes) -> bool:
    """Check whether an item is a span: metrics and log records have other types at the numbers of its times."""
    span = _parse_message("Span", item)
    return span is not None and (span.HasField("start") or span.HasField("end"))


def _is_log_record(item: bytes) -> bool:
    """Check whether an item is a log record, likewise."""
    record = _parse_message("LogRecord", item)
    return record is not None and (record.HasField("time") or record.HasField("observed"))


def _build_spans(request: Any) -> otlp.ExportRequest:
    return otlp.ExportRequest(
        resource_spans=_build_resources(request, otlp.ResourceSpans, otlp.ScopeSpans, _build_span)
    )


def _build_logs(request: Any) -> otlp.ExportRequest:
    return otlp.ExportRequest(resource_logs=_build_resources(request, otlp.ResourceLogs, otlp.ScopeLogs, _build_record))


def _build_resources(
    request: Any,
    build_resource: Callable[[list[Any], msgspec.Raw], Any],
    build_scope: Callable[[list[Any], msgspec.Raw], Any],
    build_item: Callable[[Any], Any],
) -> list[Any]:
    """Return the resources of a request, with their scopes and items."""
    return [
        build_resource(
            [build_scope(list(map(build_item, scope.items)), _encode_scope(scope)) for scope in each.scopes],
            _encode_resource(each),
        )
        for each in request.resources
    ]


def _encode_scope(scope: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"name": _to_text(scope.scope.name)}))


def _encode_resource(resource: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"attributes": _build_attributes(resource.resource.attributes)}))


def _build_span(item: bytes) -> otlp.Span:
    """Return a span; without ids if the item is malformed, so that it is reported."""
    span = _parse_message("Span", item) or load_classes()["Span"]()
    events = [
        otlp.Event(_to_text(event.name), event.time, _build_attributes(event.attributes)) for event in span.events
    ]
    attributes = _build_attributes(span.attributes)
    return otlp.Span(span.trace_id.hex(), span.span_id.hex(), span.start, span.end, attributes, events)


def _build_record(item: bytes) -> otlp.LogRecord:
    record = _parse_message("LogRecord", item) or load_classes()["LogRecord"]()
    return otlp.LogRecord(
        event_name=_to_text(record.event_name),
        time_unix_nano=record.time,
        observed_time_unix_nano=record.observed,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        attributes=_build_attributes(record.attributes),
    )


def _build_attributes(attributes: Iterable[Any]) -> list[otlp.KeyValue]:
    return [
        (_build_attribute if len(each.value) <= _CACHED_BYTES else _build_attribute.__wrapped__)(each.key, each.value)
        for each in attributes
    ]


@functools.lru_cache(_CACHED_ATTRIBUTES)
def _build_attribute(key: bytes, value: bytes) -> otlp.KeyValue:
    return otlp.KeyValue(_to_text(key), _encode_value(value))


def _encode_value(value: bytes) -> msgspec.Raw:
    """Return an attribute's value in JSON: a text or a list of texts; an empty object for any other value."""
    return msgspec.Raw(msgspec.json.encode(_to_value(_parse_message("Value", value))))


def _to_value(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if value.HasField("text"):
        return {"stringValue": _to_text(value.text)}
    if value.HasField("array"):
        return {"arrayValue": {"values": [_to_value(item) for item in value.array.values]}}
    return {}


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
