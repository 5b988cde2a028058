"""Files that are not telemetry in OTLP: what they seem to be, and what to pass instead."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SHOWN_BYTES: Final = 16 * 1024
"""The number of bytes at the beginning of an input by which it is recognised."""

_OTLP: Final = (
    "pass OTLP in JSON or protobuf, as the Collector's file exporter writes it, or the address of a Jaeger "
    "(http://localhost:16686)"
)
_UNPACK: Final = "unpack it, and pass the files in it"
_REPEAT: Final = "decompress it, or compress the telemetry with gzip or zstd"
_SEND: Final = f"send the application's telemetry to a Collector by OTLP; {_OTLP}"


class _FileKind(NamedTuple):
    """A kind of file that people pass by mistake.

    Attributes:
        pattern: The pattern that its beginning matches.
        seems: The kind, after "it seems to be".
        remedy: The advice what to pass instead.
    """

    pattern: re.Pattern[bytes]
    seems: str
    remedy: str = _OTLP


def _row(pattern: str, seems: str, remedy: str = _OTLP) -> _FileKind:
    return _FileKind(re.compile(pattern.encode("latin-1"), re.DOTALL | re.IGNORECASE), seems, remedy)


_BINARY_KINDS: Final = (
    _row(r"PK[\x03\x05\x07]", "a zip archive", _UNPACK),
    _row(r".{257}ustar", "a tar archive", _UNPACK),
    _row(r"7z\xbc\xaf", "a 7z archive", _UNPACK),
    _row(r"\x1f\x8b", "gzip in another compression", _REPEAT),
    _row(r"BZh\d", "compressed with bzip2", _REPEAT),
    _row(r"\xfd7zXZ", "compressed with xz", _REPEAT),
    _row(r"\x04\x22\x4d\x18", "compressed with lz4", _REPEAT),
    _row(r"\xff\x06\x00\x00sNaPpY", "compressed with snappy", _REPEAT),
    _row(r"PAR1", "a Parquet file"),
    _row(r"ARROW1|\xff\xff\xff\xff", "an Arrow file"),
    _row(r"Obj\x01", "an Avro file"),
    _row(r"%PDF", "a PDF document"),
    _row(r"SQLite format 3", "an SQLite database"),
    _row(r"\x89PNG|\xff\xd8\xff|GIF8", "a picture"),
    _row(r"\x7fELF|MZ", "a program"),
)
"""The kinds that the first bytes show."""
_TEXT_KINDS: Final = (
    _row(r"\s*(<!doctype html|<html)", "an HTML page, perhaps an error page or a login", f"download it again; {_OTLP}"),
    _row(r"\s*<", "XML"),
    _row(r'.*"payloadType"|.*"predicateType"', "a part of an evidence package"),
    _row(r'.*"(risk_tier|model_id)"\s*:', "a registry file", f"load it into the registry; {_OTLP}"),
    _row(r"(.*\n)?[ -]*\"?(model_id|risk_tier)\"?[ ]*:", "a registry file", f"load it into the registry; {_OTLP}"),
    _row(
        r'(?=.*"traceID")(?=.*"processes")|.*"data"\s*:\s*\[\s*\{\s*"traceID"',
        "an export of Jaeger's UI or of its API v2",
        "pass the address of the Jaeger (http://localhost:16686), or the response of its API v3 (/api/v3/traces)",
    ),
    _row(r'.*"(localEndpoint|remoteEndpoint|binaryAnnotations)"', "spans of Zipkin", _SEND),
    _row(r'.*"SpanContext"\s*:\s*\{\s*"TraceID"', "the output of Go's stdouttrace exporter", _SEND),
    _row(r'.*"trace_id"\s*:\s*"0x', "the output of Python's console exporter", _SEND),
    _row(r'.*"(hrTime|instrumentationScope)"', "the output of JavaScript's console exporter", _SEND),
    _row(r'.*"(rootServiceName|rootTraceName)"', "a search result of Tempo", "pass the traces that it lists"),
    _row(r'.*"(projectId|htmlPath|usageDetails|promptName|parentObservationId)"', "an export of Langfuse", _SEND),
    _row(r'.*"?context[.]span_id"?|.*"span_kind"|.*"context"\s*:\s*\{\s*"trace_id"', "an export of Phoenix", _SEND),
    _row(r'.*"(run_type|dotted_order)"', "an export of LangSmith", _SEND),
    _row(r'.*"(_source|_index)"', "an export of Elasticsearch", _SEND),
    _row(r'.*"instrumentationLibrarySpans"', "OTLP before 1.0", "write it again with a newer Collector"),
    _row(r"# (HELP|TYPE) ", "metrics of Prometheus"),
    _row(r'.*"(timeUnixNano|dataPoints)"', "OTLP metrics or logs without a request around them"),
    _row(r"\s*[\[{]", "JSON of another kind"),
    _row(r"[^\n{},;\t]*[,;\t][^\n{},;\t]*[,;\t][^\n{}]*\n", "a table of values (CSV)"),
    _row(r"(---\s|[\w\"-]+:\s)", "YAML"),
)
"""The kinds that a text shows; the first one that matches counts. No pattern takes more than linear time."""
_CHECKED_BYTES: Final = 1_024
"""The number of bytes at the beginning that must be text. Every binary file has control characters among them."""
_CONTROL_BYTES: Final = re.compile(rb"[\x00-\x08\x0e-\x1a]")


def is_binary_kind(start: bytes) -> bool:
    """Check whether an input is a binary file of a known kind; an archive could contain requests by chance."""
    return any(kind.pattern.match(start) for kind in _BINARY_KINDS)


def describe_content(start: bytes) -> str:
    """Return the reason why an input has no request: the kind that it seems to be, and the remedy.

    Args:
        start: The beginning of the input.
    """
    start = start[:SHOWN_BYTES]
    is_text = not _CONTROL_BYTES.search(start[:_CHECKED_BYTES])
    other = _row("", "text" if is_text else "binary data")
    kinds = (*_BINARY_KINDS, *(_TEXT_KINDS if is_text else ()))
    kind = next((kind for kind in kinds if kind.pattern.match(start)), other)
    return f"has no OTLP request; it seems to be {kind.seems}: {kind.remedy}"
