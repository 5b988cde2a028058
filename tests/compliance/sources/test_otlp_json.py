"""OTLP JSON: requests, malformed parts of them, and values of attributes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.otlp_files import to_proto

from spanforge.model_registry.compliance._sources.otlp_json import (
    MAX_TIME,
    ExportRequest,
    Span,
    decode_request,
    get_resource_attributes,
    get_scope_name,
    get_text,
    get_text_attributes,
    get_texts,
)
from spanforge.model_registry.compliance._sources.otlp_proto import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.otlp import Otlp

DEEP = 20_000


def spans_of(request: ExportRequest) -> list[Span]:
    groups = request.resource_spans or []
    return [span for group in groups for scope in group.scope_spans for span in scope.spans]


def first_span(document: bytes) -> Span:
    return spans_of(decode_request(document))[0]


def read_protobuf(document: bytes) -> ExportRequest:
    """Return the same request as it is read from protobuf, which has no unknown members."""
    request = json.loads(document, object_hook=lambda each: {key: each[key] for key in each if key != "unheardOf"})
    converted = to_json(to_proto(request))
    assert converted is not None
    return decode_request(converted)


in_both_encodings = pytest.mark.parametrize("read_request", [decode_request, read_protobuf])


@in_both_encodings
def test_fields_are_read(otlp: Otlp, read_request: Callable[[bytes], ExportRequest]) -> None:
    """Ids, times, attributes, events, the resource and the scope are read, and other fields are ignored."""
    span = otlp.span("gpt-4o", 5, 7, tokens=3)
    span |= {"events": [otlp.event("e", 6, k="v")], "links": [{}], "unheardOf": {"a": [None, 1.5]}}
    request = read_request(otlp.line(span, service="api", scope="s"))
    read = spans_of(request)[0]
    assert (read.trace_id, read.span_id) == (span["traceId"], span["spanId"])
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (5, 7)
    assert [attribute.key for attribute in read.attributes] == ["gen_ai.request.model", "tokens"]
    assert get_text_attributes(read.attributes) == {"gen_ai.request.model": "gpt-4o"}
    assert [(event.name, event.time_unix_nano, get_text_attributes(event.attributes)) for event in read.events] == [
        ("e", 6, {"k": "v"})
    ]
    group = request.resource_spans[0]  # type: ignore[index]
    assert get_text_attributes(get_resource_attributes(group.resource)) == {"service.name": "api"}
    assert get_scope_name(group.scope_spans[0].scope) == "s"


@in_both_encodings
def test_log_records_are_read(otlp: Otlp, read_request: Callable[[bytes], ExportRequest]) -> None:
    """A log record has the name of its event, its times, its attributes and the ids of its span."""
    times = {"timeUnixNano": "6", "observedTimeUnixNano": "7"}
    ids = {"traceId": "ab" * 16, "spanId": "cd" * 8}
    record = {"eventName": "e", **times, **ids, "attributes": otlp.attributes({"k": "v"}), "body": {}}
    request = read_request(otlp.logs(record))
    read = request.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[index]
    assert (read.event_name, get_text_attributes(read.attributes)) == ("e", {"k": "v"})
    assert (read.time_unix_nano, read.observed_time_unix_nano) == (6, 7)
    assert (read.trace_id, read.span_id) == (ids["traceId"], ids["spanId"])


@pytest.mark.parametrize(
    ("document", "is_one"),
    [
        (b'{"resourceMetrics":[{"scopeMetrics":[]}]}', True),
        (b'{"resourceSpans":[]}', True),
        (b'{"resourceLogs":[]}', True),
        (b"{}", False),
        (b'{"spans":[]}', False),
    ],
)
def test_requests_of_any_signal(document: bytes, is_one: bool) -> None:  # noqa: FBT001
    """A request of any signal is one, even if it is empty; another JSON object is not."""
    assert decode_request(document).is_request is is_one


@pytest.mark.parametrize("value", [1, "1", 1.0, MAX_TIME, str(MAX_TIME)])
def test_times_are_numbers_or_texts(otlp: Otlp, value: Any) -> None:
    """A time is a number or a text, from 1 to the largest of 63 bits."""
    assert first_span(otlp.line(otlp.span() | {"startTimeUnixNano": value})).start_time_unix_nano == int(value)


@pytest.mark.parametrize("value", [0, "-1", 2**70, str(2**70)])
def test_end_may_be_any_time(otlp: Otlp, value: Any) -> None:
    """A span with an odd end, or without one, is read."""
    assert first_span(otlp.line(otlp.span() | {"endTimeUnixNano": value})).end_time_unix_nano == int(value)
    span = otlp.span()
    del span["endTimeUnixNano"]
    assert first_span(otlp.line(span)).end_time_unix_nano == 0


@pytest.mark.parametrize("times", [{}, {"timeUnixNano": "0"}])
def test_record_without_a_time_has_the_observed_one(otlp: Otlp, times: dict[str, str]) -> None:
    """A log record whose time is missing or zero happened when it was observed."""
    record = {"observedTimeUnixNano": "7", "attributes": [], **times}
    (read,) = decode_request(otlp.logs(record)).resource_logs[0].scope_logs[0].log_records  # type: ignore[index]
    assert read.at == 7


def test_ids_keep_their_case(otlp: Otlp) -> None:
    """Ids are read as they are written."""
    span = otlp.span() | {"traceId": "AB" * 16, "spanId": "CD" * 8}
    read = first_span(otlp.line(span))
    assert (read.trace_id, read.span_id) == ("AB" * 16, "CD" * 8)


@pytest.mark.parametrize("text", ["a", "", 'a\u2028"b\U0001f600'])
def test_text_values(text: str) -> None:
    """A value with ``stringValue`` is a text, with or without escapes."""
    for escape in (True, False):
        assert get_text(msgspec.Raw(json.dumps({"stringValue": text}, ensure_ascii=escape).encode())) == text


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"{}", b"null", b'"a"', b"[]", b'{"stringValue":null}', b'{"stringValue":5}', b'{"intValue":"5"}'),
        *(b'{"boolValue":true}', b'{"arrayValue":{"values":[{"stringValue":"a"}]}}'),
        b'{"arrayValue":' + b"[" * DEEP + b"]" * DEEP + b"}",
    ],
)
def test_other_values_are_no_texts(value: bytes) -> None:
    """A value without a text in ``stringValue`` is not a text."""
    assert get_text(msgspec.Raw(value)) is None


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ({"values": [{"stringValue": "a"}, {"intValue": "5"}, 5, None, {"stringValue": "b"}]}, ["a", "b"]),
        *((array, []) for array in ({"values": [{"stringValue": 5}]}, {"values": None}, {}, [], [5], "a")),
    ],
    ids=str,
)
def test_text_arrays(otlp: Otlp, value: Any, texts: list[str]) -> None:
    """The texts of an array are its items with ``stringValue``; other values have none."""
    assert get_texts(msgspec.Raw(otlp.json({"arrayValue": value}))) == texts
    for other in (b'{"stringValue":"a"}', b"null"):
        assert get_texts(msgspec.Raw(other)) == []


def test_odd_resources_and_scopes() -> None:
    """A malformed resource has no attributes, and a malformed scope has no name."""
    for odd in (b"null", b"[]", b"5", b'{"attributes":5}', b'{"name":5}', b""):
        assert get_resource_attributes(msgspec.Raw(odd)) == []
        assert get_scope_name(msgspec.Raw(odd)) == ""
