"""Ends of spans that Jaeger changed: it moves an end that is not after the start to a nanosecond after the start."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_WARNING: Final = b"Negative duration detected"
"""The start of the warning that Jaeger adds to such a span."""


class _RawPart(msgspec.Struct, rename="camel", omit_defaults=True):
    """Base of the parts of a document."""


class _RawScope(_RawPart):
    spans: list[msgspec.Raw] = []
    scope: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _RawResource(_RawPart):
    scope_spans: list[_RawScope] = []
    resource: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _RawTraces(_RawPart):
    resource_spans: list[_RawResource] = []


class _SpanTimes(_RawPart):
    start_time_unix_nano: int
    end_time_unix_nano: int


_decode_raw_traces: Final = msgspec.json.Decoder(_RawTraces).decode
_decode_times: Final = msgspec.json.Decoder(_SpanTimes, strict=False).decode  # 64-bit integers are strings in OTLP JSON


def restore_ends(document: bytes) -> bytes:
    """Return a document in which spans that Jaeger lengthened end when they start. Evidence treats earlier ends so."""
    if _WARNING not in document:
        return document
    try:
        decoded = _decode_raw_traces(document)
        for scope in (scope for resource in decoded.resource_spans for scope in resource.scope_spans):
            scope.spans = [_restore_end(span) for span in scope.spans]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return document  # the scan describes the fault
    return msgspec.json.encode(decoded)


def _restore_end(span: msgspec.Raw) -> msgspec.Raw:
    if _WARNING not in bytes(span):
        return span
    times = _decode_times(span)
    if times.end_time_unix_nano != times.start_time_unix_nano + 1:
        return span
    fields: dict[str, Any] = msgspec.json.decode(span)
    return msgspec.Raw(msgspec.json.encode({**fields, "endTimeUnixNano": fields["startTimeUnixNano"]}))
