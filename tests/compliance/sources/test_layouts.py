"""Files that people have: their layouts, and other kinds of files."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.otlp_files import LAYOUTS, dump, sized, to_message, to_proto
from support.scans import make_request

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry.compliance._analysis.workers import scan_input
from spanforge.model_registry.compliance._sources import otlp_proto
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.otlp import Otlp

    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput

    Scan = Callable[[bytes], ScannedInput]


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Scan a file with this content."""

    def scan_content(content: bytes) -> ScannedInput:
        path = tmp_path / "file"
        path.write_bytes(content)
        return scan_input(FileReader(str(path)), make_request(), str(tmp_path), 0)

    return scan_content


def request_of(*spans: Any, **members: Any) -> dict[str, Any]:
    """Return a request with spans of one resource."""
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}], **members}]}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_requests_in_any_layout(scan: Scan, otlp: Otlp, layout: str) -> None:
    """All spans are read, and nothing is a fault, in each layout that files have."""
    requests = [request_of(otlp.span("gpt"), otlp.span("x")), request_of(otlp.span("gpt"))]
    scanned = scan(LAYOUTS[layout](requests))
    assert (scanned.result.spans, scanned.result.faults, scanned.limits) == (3, [], [])
    assert sorted(group.calls for group in scanned.result.groups if group.calls) == [1, 2]


@pytest.mark.parametrize("form", ['{"batches":%s}', '{"trace":{"batches":%s}}', '{"result":{"resourceSpans":%s}}\n'])
def test_responses_of_interfaces(scan: Scan, otlp: Otlp, form: str) -> None:
    """The responses of Jaeger's and Tempo's interfaces are read."""
    resources = dump(request_of(otlp.span("gpt"))["resourceSpans"], indent=1).decode()
    assert scan((form % resources).encode() * 2).result.spans == 2


def test_lines_of_the_java_agent(scan: Scan, otlp: Otlp) -> None:
    """Resources behind the text of a log are read, and the text is reported."""
    line = b"INFO: " + dump(request_of(otlp.span("gpt"))["resourceSpans"][0])
    scanned = scan(b"Jan 1 10:00:00 AM OtlpJsonLoggingSpanExporter export\n" + line + b"\n")
    assert scanned.result.spans == 1
    assert scanned.result.faults == ["line 1: is not JSON", "line 2: is not JSON"]


def test_faults_have_their_lines(scan: Scan, otlp: Otlp) -> None:
    """A fault has the line at which its document begins, and the place in it."""
    good, bad = request_of(otlp.span("gpt")), request_of(otlp.span("gpt"), otlp.span("gpt") | {"traceId": "trace-001"})
    lines = [dump(good), dump(good, indent=2), b"", b"text", dump(bad, indent=2), dump(bad), dump(good)[:-9]]
    places = [1 + b"\n".join(lines[:number]).count(b"\n") + 1 for number in (3, 4, 5, 6)]
    scanned = scan(b"\n".join(lines))
    where = "resourceSpans[0].scopeSpans[0].spans[1]: traceId must be 32 hexadecimal digits; got 'trace-001'"
    assert scanned.result.faults == [
        f"line {places[0]}: is not JSON",
        *(f"line {place}, {where}" for place in places[1:3]),
        f"line {places[3]}: the JSON ends early",
    ]
    assert (scanned.result.spans, scanned.result.bad_lines) == (4, 4)
    assert scanned.limits == ["the last line cannot be read: the file may be cut off"]


def test_fault_after_bytes_that_are_not_utf_8(scan: Scan) -> None:
    """The place of damage counts the bytes of the document, also after bytes that are not UTF-8."""
    assert scan(b'{"resourceSpans":["\xff\xff" 1]}\n{"resourceSpans":[]}').result.faults == [
        "line 1: is not JSON: expected ',' or ']' (byte 23)"
    ]


def test_damage_in_a_document_hides_no_other(scan: Scan, otlp: Otlp) -> None:
    """A damaged document of any layout is one fault, and the documents around it are read."""
    good, bad = dump(request_of(otlp.span("gpt")), indent=2), dump(request_of(otlp.span("gpt")), indent=2)
    for place in range(0, len(bad), 7):
        scanned = scan(good + b"\n" + bad[:place] + b"!" + bad[place:] + b"\n" + good + b"\n" + bad[:-1])
        assert scanned.result.spans >= 2
        assert scanned.result.bad_lines >= 1


PROTO_LOG = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "5", "eventName": "e"}]}]}]}


def test_protobuf_of_all_signals(scan: Scan, otlp: Otlp) -> None:
    """Requests of traces, logs and metrics are told apart in one file of the Collector."""
    message: Any = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="m" * 16, description="d" * 8)
    metric.sum.data_points.add(as_int=5, time_unix_nano=6)
    traces, logs = to_proto(request_of(otlp.span("gpt"))), to_proto(PROTO_LOG)
    scanned = scan(b"".join(map(sized, (message.SerializeToString(), logs, traces, traces))))
    assert (scanned.result.lines, scanned.result.spans, scanned.result.bad_lines, scanned.limits) == (4, 2, 0, [])


def test_protobuf_without_sizes(scan: Scan, otlp: Otlp) -> None:
    """One request, or several that were appended, are read; the end of a file may be missing."""
    for name in ("x", "xy"):  # an even and an odd number of bytes
        data = to_proto(request_of(otlp.span("gpt"), otlp.span(name)))
        assert scan(data).result.spans == 2
        assert scan(data + data).result.spans == 4
    cut = scan(data + data[:-5])
    assert (cut.result.spans, cut.limits) == (2, ["the file ends in the middle of a request, or is damaged"])
    assert scan(gzip.compress(data)).result.spans == 2


def test_malformed_spans_in_protobuf(scan: Scan, otlp: Otlp) -> None:
    """A malformed span is reported, and text that is not UTF-8 is replaced."""
    message = to_message(request_of(otlp.span("gpt-@", service="a"), otlp.span("gpt"), otlp.span("gpt")))
    _, short, broken = message.resource_spans[0].scope_spans[0].spans
    short.trace_id = b"abc"
    broken.trace_id = b"@" * 16
    data = message.SerializeToString().replace(b"gpt-@", b"gpt-\xff")
    scanned = scan(sized(data.replace(b"\x0a\x10@", b"\x0f\x10@")))  # a type that no field has
    assert scanned.result.faults == [
        "request 1, resourceSpans[0].scopeSpans[0].spans[1]: traceId must be 32 hexadecimal digits; got '616263'",
        "request 1, resourceSpans[0].scopeSpans[0].spans[2]: traceId is missing",
    ]
    assert [group.call.name for group in scanned.result.groups if group.calls] == ["gpt-\ufffd"]


def test_damaged_protobuf_is_a_limit(scan: Scan, otlp: Otlp) -> None:
    """A request that is not protobuf is a limit, and the others are read."""
    good = sized(to_proto(request_of(otlp.span("gpt"))))
    scanned = scan(good + sized(b"\n\xff\xff") + good)
    assert (scanned.result.spans, scanned.limits) == (2, ["a request is not OTLP protobuf"])


def test_missing_extra_for_protobuf(scan: Scan, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf needs an extra."""
    monkeypatch.setitem(sys.modules, "google.protobuf.descriptor_pb2", None)
    otlp_proto.load_classes.cache_clear()
    with pytest.raises(MissingExtraError, match="compliance"):
        scan(sized(to_proto(request_of(otlp.span("gpt")))))


def zipped(content: bytes) -> bytes:
    """Return a zip archive that stores a file without compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("spans.jsonl", content)
    return file.getvalue()


WRONG: dict[str, tuple[bytes, str]] = {
    "jaeger ui": (dump({"data": [{"traceID": "5", "spans": [], "processes": {}}], "errors": None}, indent=2), "Jaeger"),
    "jaeger ui without traces": (b'{"data":[{"traceID":"\xe2\x80\xa6","spans":[]}]}', "Jaeger"),
    "zipkin": (dump([{"traceId": "a", "id": "b", "localEndpoint": {"serviceName": "s"}}]), "Zipkin"),
    "tempo search": (dump({"traces": [{"traceID": "a", "rootServiceName": "s"}]}), "Tempo"),
    "langfuse": (dump([{"id": "a", "projectId": "p", "observations": []}], indent=2), "Langfuse"),
    "phoenix": (dump([{"name": "a", "span_kind": "LLM", "context": {"trace_id": "x"}}]), "Phoenix"),
    "stdouttrace": (dump({"Name": "a", "SpanContext": {"TraceID": "5"}}, indent="\t") * 3, "stdouttrace"),
    "console exporter": (dump({"name": "a", "context": {"trace_id": "0x5", "span_id": "0x6"}}, indent=4), "Python"),
    "gemini cli": (dump({"hrTime": [1, 2], "attributes": {"event.name": "a"}}, indent=2) * 2, "JavaScript"),
    "langsmith": (dump({"run_type": "llm", "dotted_order": "x"}), "LangSmith"),
    "csv": (b"trace_id,span_id,name\n5,6,chat\n", "CSV"),
    "csv in utf-16": ("trace_id;span_id;name\n5;6;chat\n".encode("utf-16"), "CSV"),
    "html": (b"\n<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>", "HTML"),
    "xml": (b'<?xml version="1.0"?><a/>', "XML"),
    "registry in yaml": (b"# models\n- model_id: gpt-4o\n  name: GPT\n", "registry"),
    "registry in json": (b'[{"model_id": "gpt-4o", "risk_tier": "low"}]', "registry"),
    "yaml": (b"receivers:\n  otlp:\n", "YAML"),
    "metrics of prometheus": (b"# HELP up Up\n# TYPE up gauge\nup 1\n", "Prometheus"),
    "zip with requests": (zipped(b'{"resourceSpans":[]}\n'), "zip"),
    "gzip twice": (gzip.compress(gzip.compress(b'{"resourceSpans":[]}')), "gzip in another compression"),
    "parquet": (b"PAR1\x15\x04\x15\x00", "Parquet"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    "sqlite": (b"SQLite format 3\x00\x10\x00", "SQLite"),
    "bzip2": (b"BZh91AY&SY\x00\x01", "bzip2"),
    "other binary": (bytes(range(256)) * 9, "binary"),
    "text": (b"hello\nworld\n", "text"),
    "other json": (b'{"hello": "world"}', "JSON"),
    "empty array": (b"[]\n", "JSON"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_files_are_errors_that_say_what_they_are(scan: Scan, kind: str) -> None:
    """A file without a request is an error that names its kind and says what to pass instead."""
    content, seems = WRONG[kind]
    with pytest.raises(TelemetryError, match=rf"has no OTLP request; it seems to be .*{seems}.*: \w+") as caught:
        scan(content)
    assert caught.value.source.endswith("file")
    assert "cut off" not in caught.value.reason


@pytest.mark.parametrize("content", [b"", b"\n \r\n", "\n".encode("utf-16"), gzip.compress(b"", mtime=0)])
def test_empty_files_are_no_errors(scan: Scan, content: bytes) -> None:
    """A file without content is read, because a rotation may leave one."""
    scanned = scan(content)
    assert (scanned.result.lines, scanned.result.bad_lines, scanned.limits) == (0, 0, [])


def test_request_without_spans_is_one(scan: Scan) -> None:
    """A file with a request of any signal is read, also if it has no spans."""
    for name in ("resourceSpans", "resourceLogs", "resourceMetrics"):
        assert scan(dump({name: []}, indent=1)).result.lines == 1
