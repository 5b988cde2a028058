"""Salvage: other spellings of OTLP JSON, malformed spans and log records, and damaged documents."""

from __future__ import annotations

import base64
import codecs
import json
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry.compliance._sources import salvage as salvaging
from spanforge.model_registry.compliance._sources.faults import FaultLog
from spanforge.model_registry.compliance._sources.otlp_json import (
    MAX_TIME,
    ExportRequest,
    Span,
    get_resource_attributes,
    get_scope_name,
    get_text_attributes,
)
from spanforge.model_registry.compliance._sources.salvage import SalvageContext, salvage
from spanforge.model_registry.compliance._sources.spellings import read_id

if TYPE_CHECKING:
    from support.otlp import Otlp

DEEP = 20_000


def spans_of(request: ExportRequest) -> list[Span]:
    groups = request.resource_spans or []
    return [span for group in groups for scope in group.scope_spans for span in scope.spans]


def salvage_all(document: bytes) -> tuple[list[ExportRequest], FaultLog]:
    """Return the requests in a document, and its faults; every time counts."""
    log = FaultLog()
    return list(salvage(document, SalvageContext(log, range(2**63)))), log


def salvage_ids(document: bytes) -> tuple[list[str], int]:
    """Return the ids of the spans in a document, and the number of faults."""
    requests, log = salvage_all(document)
    return [span.span_id for request in requests for span in spans_of(request)], log.count


@pytest.mark.parametrize("document", [b"[]", b"null", b"text", b'"text"', b"1", b"{", b"\x00\x00", b"\xff", b"{}"])
def test_other_documents_are_one_fault(document: bytes) -> None:
    """A document that is not a request is one fault."""
    assert salvage_ids(document) == ([], 1)


def test_requests_of_a_line(otlp: Otlp) -> None:
    """All requests on a line are read, of any signal; white space and a byte order mark before them are ignored."""
    one, two = otlp.span(), otlp.span()
    document = b" ".join([otlp.line(one), b'{"resourceMetrics":[]}', otlp.logs(), otlp.line(two)])
    for before in (b"", b" \r\t ", codecs.BOM_UTF8):
        assert salvage_ids(before + document) == ([one["spanId"], two["spanId"]], 0)


def test_partial_request_next_to_a_whole_one(otlp: Otlp) -> None:
    """A whole request before or after a partial one is read."""
    cut, whole = otlp.line(otlp.span("cut", text='"\\{')), otlp.span("whole")
    for length in range(1, len(cut)):
        assert salvage_ids(cut[:length] + otlp.line(whole)) == ([whole["spanId"]], 1)
        assert salvage_ids(otlp.line(whole) + cut[:length]) == ([whole["spanId"]], 1)


@pytest.mark.parametrize("signal", ["resourceSpans", "resourceLogs", "resourceMetrics"])
@pytest.mark.parametrize("around", ["{}", "\u2028{}", '"{}"', "\\{}", '\\"{}\\', "\n{}\n"])
def test_request_in_a_text_is_text(otlp: Otlp, signal: str, around: str) -> None:
    """A text that contains the start of a request stays a text."""
    text = around.replace("{}", f'{{"{signal}":[{{"a":1}}]}}')
    one, two = otlp.span("one", text=text), otlp.span("two")
    requests, log = salvage_all(otlp.line(one) + otlp.line(two))
    assert [span.span_id for request in requests for span in spans_of(request)] == [one["spanId"], two["spanId"]]
    assert log.count == 0
    assert get_text_attributes(spans_of(requests[0])[0].attributes)["text"] == text


TRACE_ID, SPAN_ID = "32 hexadecimal digits", "16 hexadecimal digits"
RANGE = f"must be from 1 to {MAX_TIME}; got"
BAD_FIELDS: dict[str, list[tuple[Any, str]]] = {
    "traceId": [
        *((value, "traceId is missing") for value in (None, "")),
        (5, "traceId must be text; got an integer"),
        ("trace-001", f"traceId must be {TRACE_ID}; got 'trace-001'"),
        ("ab" * 8, f"traceId must be {TRACE_ID}; got '{'ab' * 8}'"),
    ],
    "spanId": [(None, "spanId is missing"), ("", "spanId is missing"), ("ab" * 9, f"spanId must be {SPAN_ID}; got ")],
    "startTimeUnixNano": [
        *((value, "startTimeUnixNano is missing") for value in (None, 0, "0")),
        *((value, f"startTimeUnixNano {RANGE} {value}") for value in (-1, MAX_TIME + 1)),
        *((value, "startTimeUnixNano must be an integer; got ") for value in (1.5, "soon", [])),
        *((value, "") for value in (str(MAX_TIME + 1), 2**64, 10**30, float("nan"))),
    ],
    "endTimeUnixNano": [("late", "endTimeUnixNano must be an integer; got text")],
    "attributes": [
        ({}, "attributes must be a list; got object"),
        ([5], "attributes[0] must be object; got an integer"),
        ([{"key": 5}], "attributes[0].key must be text; got an integer"),
    ],
    "events": [(["text"], "events[0] must be object; got text")],
}


@pytest.mark.parametrize(
    ("field", "value", "reason"), [(key, *row) for key, rows in BAD_FIELDS.items() for row in rows], ids=str
)
def test_malformed_span_is_left_out(otlp: Otlp, field: str, value: Any, reason: str) -> None:
    """A malformed span is a fault with its place, field and reason, and the other spans keep resource and scope."""
    one, bad, two = otlp.span("one"), otlp.span("bad") | {field: value}, otlp.span("two")
    requests, log = salvage_all(otlp.line(one, bad, two, service="api", scope="s"))
    assert [span.span_id for request in requests for span in spans_of(request)] == [one["spanId"], two["spanId"]]
    assert log.count == 1
    assert log.texts[0].startswith(f"resourceSpans[0].scopeSpans[0].spans[1]: {reason}")
    (group,) = requests[0].resource_spans or []
    assert get_text_attributes(get_resource_attributes(group.resource)) == {"service.name": "api"}
    assert get_scope_name(group.scope_spans[0].scope) == "s"


def test_faults_are_described_up_to_a_limit(otlp: Otlp) -> None:
    """The first ten faults are described, and all are counted."""
    _, log = salvage_all(otlp.line(*[otlp.span() | {"spanId": "x"} for _ in range(30)]))
    assert (log.count, len(log.texts)) == (30, 10)
    assert log.texts[9].startswith("resourceSpans[0].scopeSpans[0].spans[9]: spanId must be")


@pytest.mark.parametrize(
    ("change", "is_harmless"),
    [
        ({"startTimeUnixNano": "0"}, True),
        ({"startTimeUnixNano": "999"}, True),
        ({"startTimeUnixNano": "1000"}, False),
        ({"startTimeUnixNano": "2000"}, True),
        ({"startTimeUnixNano": "1000", "sender": "untrusted"}, True),
        ({"startTimeUnixNano": "1000", "sender": "trusted"}, False),
        ({"startTimeUnixNano": "1000", "attributes": 5}, True),
    ],
)
def test_faults_outside_the_period_are_harmless(otlp: Otlp, change: dict[str, Any], is_harmless: bool) -> None:  # noqa: FBT001
    """A malformed span is harmless without a time in the period, and if an untrusted sender sent it."""
    sender = {"model_registry__sender": change.pop("sender")} if "sender" in change else {}
    span = otlp.span("gpt", **sender) | {"traceId": ""} | change
    log = FaultLog()
    list(salvage(otlp.line(span), SalvageContext(log, range(1_000, 2_000))))
    assert (log.count, log.harmless) == (1, int(is_harmless))


@pytest.mark.parametrize("field", ["endTimeUnixNano", "attributes", "events", "name", "links"])
def test_null_field_is_a_missing_field(otlp: Otlp, field: str) -> None:
    """A field that is null counts as missing."""
    span = otlp.span("m") | {field: None}
    assert salvage_ids(otlp.line(span)) == ([span["spanId"]], 0)


def test_null_above_the_spans(otlp: Otlp) -> None:
    """A null resource, scope or list removes no spans and is not a fault."""
    span = otlp.span("m")
    document = {
        "resourceSpans": [
            {"resource": None, "scopeSpans": [{"scope": None, "spans": [span]}, {"spans": None}]},
            {"scopeSpans": None},
        ],
        "resourceLogs": None,
    }
    assert salvage_ids(otlp.json(document)) == ([span["spanId"]], 0)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (5, "resourceSpans: must be a list; got an integer"),
        ("text", "resourceSpans: must be a list; got text"),
        ([5], "resourceSpans[0]: must be object; got an integer"),
        ([{"scopeSpans": 5}], "resourceSpans[0].scopeSpans: must be a list; got an integer"),
        ([{"scopeSpans": [{"spans": 5}]}], "resourceSpans[0].scopeSpans[0].spans: must be a list; got an integer"),
        ([{"libraries": []}], "resourceSpans[0]: scopeSpans is missing; it has 'libraries' instead"),
    ],
)
def test_other_values_for_lists_are_faults(otlp: Otlp, odd: Any, reason: str) -> None:
    """A value that is not a list of the right name is one fault."""
    assert salvage_all(otlp.json({"resourceSpans": odd}))[1].texts == [reason]


def test_malformed_log_record_is_left_out(otlp: Otlp) -> None:
    """The other log records and the spans are read."""
    span, good = otlp.span(), {"eventName": "e", "timeUnixNano": "6"}
    document = json.loads(otlp.line(span)) | json.loads(otlp.logs(good, {"timeUnixNano": "soon"}, good))
    (request,), log = salvage_all(otlp.json(document))
    assert [each.span_id for each in spans_of(request)] == [span["spanId"]]
    (resource,) = request.resource_logs or []
    assert [record.event_name for record in resource.scope_logs[0].log_records] == ["e", "e"]
    place = "resourceLogs[0].scopeLogs[0].logRecords[1]"
    assert log.texts == [f"{place}: timeUnixNano must be an integer; got text"]


def test_numbers_that_json_does_not_have(otlp: Otlp) -> None:
    """A request with NaN or an infinity is read."""
    spans = [otlp.span("m", x={"doubleValue": value}) for value in (float("nan"), float("inf"), 10**400)]
    assert salvage_ids(otlp.line(*spans[:2])) == ([span["spanId"] for span in spans[:2]], 0)
    assert salvage_ids(otlp.line(spans[2], otlp.span() | {"traceId": ""})) == ([spans[2]["spanId"]], 1)


def test_text_that_is_not_unicode(otlp: Otlp) -> None:
    """A lone surrogate, or bytes that are not UTF-8, are replaced, and the text around them is read."""
    for odd, shown in ((b"\\ud800", "gpt-?-4o"), (b"\xff", "gpt-\ufffd-4o")):
        for field in ({}, {"endTimeUnixNano": None}):
            document = otlp.line(otlp.span("gpt-@-4o") | field, service="a").replace(b"@", odd)
            (request,), log = salvage_all(document)
            assert get_text_attributes(spans_of(request)[0].attributes)["gen_ai.request.model"] == shown
            assert log.count == 0


def test_documents_after_too_many_others(otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the limit of documents without a request, every further document is a fault."""
    monkeypatch.setattr(salvaging, "_MAX_SALVAGED", 3)
    context = SalvageContext(FaultLog(), range(2**63))
    assert [len(list(salvage(document, context))) for document in (b"[]", b"[]", otlp.line(), b"[]")] == [0, 0, 1, 0]
    assert list(salvage(otlp.line(), context)) == []
    assert context.log.count == 4


@pytest.mark.parametrize("depth", [500, DEEP])
def test_deep_nesting(otlp: Otlp, depth: int) -> None:
    """A request with too deep nesting is a fault, and the next one is read."""
    deep = b'{"resourceSpans":' + b"[" * depth + b"]" * depth + b"}"
    span = otlp.span()
    assert salvage_ids(deep + otlp.line(span)) == ([span["spanId"]], 1)
    value = b'{"arrayValue":{"values":[' * depth + b"]}}" * depth
    document = otlp.line(otlp.span(x="@")).replace(b'{"stringValue":"@"}', value)
    _, log = salvage_all(document)
    assert log.count <= 1
    assert all(text.endswith("is nested too deeply") for text in log.texts)


@pytest.mark.parametrize(
    ("text", "size", "read"),
    [
        ("AB" * 16, 16, "AB" * 16),
        (base64.b64encode(bytes(range(16))).decode(), 16, bytes(range(16)).hex()),
        (base64.b64encode(bytes(range(8))).decode().rstrip("="), 8, bytes(range(8)).hex()),
        (base64.urlsafe_b64encode(b"\xff\xfb" * 8).decode(), 16, "fffb" * 8),
        *((text, 16, None) for text in ("", "trace-001", "ab" * 15, "=" * 24, "é" * 24, "A" * 23 + "!")),
    ],
)
def test_ids_are_hexadecimal_or_base64(text: str, size: int, read: str | None) -> None:
    """An id is hexadecimal digits, as in OTLP JSON, or base64, as in protobuf's JSON mapping."""
    assert read_id(text, size) == read
