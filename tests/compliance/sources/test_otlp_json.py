"""OTLP JSON: requests, malformed parts of them, and values of attributes."""

from __future__ import annotations

import base64
import codecs
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

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
    salvage,
)

if TYPE_CHECKING:
    from support.otlp import Otlp

DEEP = 20_000


def spans_of(request: ExportRequest) -> list[Span]:
    groups = request.resource_spans or []
    return [span for group in groups for scope in group.scope_spans for span in scope.spans]


def salvage_ids(document: bytes) -> list[list[str] | None]:
    """Return the span ids of each request in a document; ``None`` for what cannot be read."""
    return [None if request is None else [span.span_id for span in spans_of(request)] for request in salvage(document)]


def first_span(document: bytes) -> Span:
    return spans_of(decode_request(document))[0]


def test_fields_are_read(otlp: Otlp) -> None:
    """Ids, times, attributes, events, the resource and the scope are read, and other fields are ignored."""
    span = otlp.span("gpt-4o", 5, 7, tokens=3)
    span |= {"events": [otlp.event("e", 6, k="v")], "links": [{}], "unheardOf": {"a": [None, 1.5]}}
    request = decode_request(otlp.line(span, service="api", scope="s"))
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


def test_log_records_are_read(otlp: Otlp) -> None:
    """A log record has the name of its event."""
    record = {"eventName": "e", "timeUnixNano": "6", "attributes": otlp.attributes({"k": "v"}), "body": {}}
    request = decode_request(otlp.logs(record))
    read = request.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[index]
    assert (read.event_name, read.time_unix_nano, get_text_attributes(read.attributes)) == ("e", 6, {"k": "v"})


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
    assert [request is not None for request in salvage(document)] == [is_one]


@pytest.mark.parametrize("document", [b"[]", b"null", b"text", b'"text"', b"1", b"{", b"\x00\x00", b"\xff"])
def test_other_lines_are_one_unreadable_part(document: bytes) -> None:
    """A line that is not a JSON object is one unreadable part."""
    assert salvage_ids(document) == [None]


def test_requests_of_a_line(otlp: Otlp) -> None:
    """All requests on a line are read, of any signal; white space and a byte order mark before them are ignored."""
    one, two = otlp.span(), otlp.span()
    document = b" ".join([otlp.line(one), b'{"resourceMetrics":[]}', otlp.logs(), otlp.line(two)])
    for before in (b"", b" \r\t ", codecs.BOM_UTF8):
        assert salvage_ids(before) == []
        assert salvage_ids(before + document) == [[one["spanId"]], [], [], [two["spanId"]]]


def test_partial_request_next_to_a_whole_one(otlp: Otlp) -> None:
    """A whole request before or after a partial one is read."""
    cut, whole = otlp.line(otlp.span("cut", text='"\\{')), otlp.span("whole")
    for length in range(1, len(cut)):
        assert salvage_ids(cut[:length] + otlp.line(whole)) == [None, [whole["spanId"]]]
        if length >= len(b'{"resourceSpans"'):
            assert salvage_ids(otlp.line(whole) + cut[:length]) == [[whole["spanId"]], None]


@pytest.mark.parametrize("signal", ["resourceSpans", "resourceLogs", "resourceMetrics"])
@pytest.mark.parametrize("around", ["{}", "\u2028{}", '"{}"', "\\{}", '\\"{}\\', "\n{}\n"])
def test_request_in_a_text_is_text(otlp: Otlp, signal: str, around: str) -> None:
    """A text that contains the start of a request stays a text."""
    text = around.replace("{}", f'{{"{signal}":[{{"a":1}}]}}')
    one, two = otlp.span("one", text=text), otlp.span("two")
    document = otlp.line(one) + otlp.line(two)
    assert salvage_ids(document) == [[one["spanId"]], [two["spanId"]]]
    read = spans_of(next(request for request in salvage(document) if request is not None))[0]
    assert get_text_attributes(read.attributes)["text"] == text


BAD_FIELDS: dict[str, list[Any]] = {
    "traceId": [None, "", 5, "ab" * 8, base64.b64encode(bytes(range(16))).decode()],
    "spanId": [None, "", base64.b64encode(bytes(range(8))).decode(), "ab" * 9],
    "startTimeUnixNano": [
        *(None, 0, "0", -1, "-1", MAX_TIME + 1, str(MAX_TIME + 1), 2**64, 10**30, 1.5, "soon", [], float("nan")),
    ],
    "endTimeUnixNano": ["late"],
    "attributes": [{}, [5], [{"key": 5}]],
    "events": [["text"]],
}


@pytest.mark.parametrize(("field", "value"), [(key, value) for key, values in BAD_FIELDS.items() for value in values])
def test_malformed_span_is_left_out(otlp: Otlp, field: str, value: Any) -> None:
    """A malformed span is unreadable, and the other spans keep their resource and scope."""
    one, bad, two = otlp.span("one"), otlp.span("bad") | {field: value}, otlp.span("two")
    document = otlp.line(one, bad, two, service="api", scope="s")
    with pytest.raises(msgspec.MsgspecError):
        decode_request(document)
    assert salvage_ids(document) == [[one["spanId"]], None, [two["spanId"]]]
    for request in salvage(document):
        if request is not None:
            group = request.resource_spans[0]  # type: ignore[index]
            assert get_text_attributes(get_resource_attributes(group.resource)) == {"service.name": "api"}
            assert get_scope_name(group.scope_spans[0].scope) == "s"


@pytest.mark.parametrize("field", ["traceId", "spanId", "startTimeUnixNano"])
def test_span_without_required_field(otlp: Otlp, field: str) -> None:
    """A span without ids or a start is unreadable."""
    bad, good = otlp.span(), otlp.span()
    del bad[field]
    assert salvage_ids(otlp.line(bad, good)) == [None, [good["spanId"]]]


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


def test_ids_keep_their_case(otlp: Otlp) -> None:
    """Ids are read as they are written."""
    span = otlp.span() | {"traceId": "AB" * 16, "spanId": "CD" * 8}
    read = first_span(otlp.line(span))
    assert (read.trace_id, read.span_id) == ("AB" * 16, "CD" * 8)


@pytest.mark.parametrize("field", ["endTimeUnixNano", "attributes", "events", "name", "links"])
def test_null_field_is_a_missing_field(otlp: Otlp, field: str) -> None:
    """A field that is null counts as missing."""
    span = otlp.span("m") | {field: None}
    assert salvage_ids(otlp.line(span)) == [[span["spanId"]]]


def test_null_above_the_spans(otlp: Otlp) -> None:
    """A null resource, scope or list removes no spans and is not unreadable."""
    span = otlp.span("m")
    document = {
        "resourceSpans": [
            {"resource": None, "scopeSpans": [{"scope": None, "spans": [span]}, {"spans": None}]},
            {"scopeSpans": None},
        ],
        "resourceLogs": None,
    }
    assert salvage_ids(otlp.json(document)) == [[span["spanId"]]]


@pytest.mark.parametrize("odd", [5, "text", {}, [5], [None], [{"scopeSpans": 5}], [{"scopeSpans": [{"spans": 5}]}]])
def test_other_values_for_lists_are_unreadable(otlp: Otlp, odd: Any) -> None:
    """A value that is not a list of spans is one unreadable part."""
    assert salvage_ids(otlp.json({"resourceSpans": odd})) == [None]


def test_malformed_log_record_is_left_out(otlp: Otlp) -> None:
    """The other log records and the spans are read."""
    span, good = otlp.span(), {"eventName": "e", "timeUnixNano": "6"}
    document = json.loads(otlp.line(span)) | json.loads(otlp.logs(good, {"timeUnixNano": "soon"}, good))
    read = list(salvage(otlp.json(document)))
    assert [request is None for request in read] == [False, False, True, False]
    found = [request for request in read if request is not None and request.resource_logs]
    assert [request.resource_logs[0].scope_logs[0].log_records[0].event_name for request in found] == [  # type: ignore[index]
        "e",
        "e",
    ]


def test_numbers_that_json_does_not_have(otlp: Otlp) -> None:
    """A request with NaN or an infinity is read."""
    spans = [otlp.span("m", x={"doubleValue": value}) for value in (float("nan"), float("inf"), 10**400)]
    assert salvage_ids(otlp.line(*spans[:2])) == [[span["spanId"]] for span in spans[:2]]
    assert salvage_ids(otlp.line(spans[2], otlp.span() | {"traceId": ""})) == [[spans[2]["spanId"]], None]


def test_lone_surrogates(otlp: Otlp) -> None:
    """A lone surrogate is replaced, and the text around it is read."""
    document = otlp.line(otlp.span("gpt-@-4o", service="a")).replace(b"@", b"\\ud800")
    (request,) = salvage(document)
    assert request is not None
    assert get_text_attributes(spans_of(request)[0].attributes)["gen_ai.request.model"] == "gpt-?-4o"


def test_bytes_that_are_not_unicode(otlp: Otlp) -> None:
    """Bytes that are not UTF-8 are replaced, and the text around them is read."""
    read = first_span(otlp.line(otlp.span("gpt-@-4o")).replace(b"@", b"\xff"))
    assert get_text_attributes(read.attributes) == {"gen_ai.request.model": "gpt-\ufffd-4o"}
    bad = otlp.line(otlp.span("gpt-@-4o") | {"endTimeUnixNano": None}).replace(b"@", b"\xff")
    (request,) = salvage(bad)
    assert request is not None
    assert get_text_attributes(spans_of(request)[0].attributes) == {"gen_ai.request.model": "gpt-\ufffd-4o"}


@pytest.mark.parametrize("depth", [500, DEEP])
def test_deep_nesting(otlp: Otlp, depth: int) -> None:
    """A request with too deep nesting is unreadable, and the next one is read."""
    deep = b'{"resourceSpans":' + b"[" * depth + b"]" * depth + b"}"
    span = otlp.span()
    assert salvage_ids(deep + otlp.line(span)) == [None, [span["spanId"]]]
    value = b'{"arrayValue":{"values":[' * depth + b"]}}" * depth
    document = otlp.line(otlp.span(x="@")).replace(b'{"stringValue":"@"}', value)
    assert salvage_ids(document) == [None]


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
