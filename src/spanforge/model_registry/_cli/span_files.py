"""Spans in files from where people get them: OTLP, Jaeger's JSON, the console exporter, or plain attributes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance._sources.files import FileReader
from spanforge.model_registry.compliance._sources.json_texts import JsonSplitter, to_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDIN_NAME: Final = "-"
"""The name that means standard input."""
_CHUNK_BYTES: Final = 1 << 20
"""The bytes that are read at once, so that memory does not grow with the input."""
_MAX_SPAN_DEPTH: Final = 12
"""The limit of levels at which spans are searched. Jaeger's and OTLP's are at most at the seventh."""
_JSON_STARTS: Final = (b"{", b"[")
_SPAN_REMEDY: Final = (
    "pass a span, a trace or telemetry as JSON: OTLP, Jaeger's, what the console exporter prints, or an object of "
    "attributes"
)
_OTHER_KIND: Final = "has no OTLP request"
"""The beginning of the reason why a file of another kind is no telemetry."""
_SERVICE: Final = "service.name"
_SCOPES: Final = ("scope", "instrumentationScope", "instrumentation_scope", "instrumentationLibrary")
"""The members that hold an instrumentation scope. Jaeger has the tags of ``_SCOPE_TAGS`` instead."""
_SCOPE_TAGS: Final = ("otel.scope.name", "otel.library.name")
_PLAIN_KINDS: Final = ("stringvalue", "boolvalue", "doublevalue")
_MAX_DIGITS: Final = len(str(-(2**63)))
"""The digits of the smallest integer of 64 bits, the longest that OTLP has."""
_NOT_SEARCHED: Final = frozenset(
    (*_SCOPES, "resource", "processes", "resourceLogs", "resource_logs", "resourceMetrics", "resource_metrics")
)
"""The members that hold no spans, although they have attributes."""
_SPAN_IDS: Final = ("spanId", "span_id", "spanID")
"""The members by which a span is known that has no attributes."""


class FileSpan(NamedTuple):
    """A span of a file, as far as its model is concerned.

    Attributes:
        name: Its name; empty if the file has none.
        attributes: Its attributes.
        scope: The name of its instrumentation scope; ``None`` if the file has none.
        service: The name of its service; ``None`` if the file has none.
    """

    name: str
    attributes: dict[str, Any]
    scope: str | None = None
    service: str | None = None


class _Context(NamedTuple):
    """What a span inherits from the document around it."""

    scope: str | None = None
    service: str | None = None
    processes: dict[str, Any] = {}  # noqa: RUF012 - never changed


def read_file_spans(path: str) -> Iterator[FileSpan]:
    """Yield the spans of a file in any layout, plain or compressed, or of standard input.

    Raises:
        UsageError: There is no span.
        TelemetryError: The file cannot be read.
    """
    limits: list[str] = []
    documents = _split_input(limits) if path == _STDIN_NAME else _read_documents(path, limits)
    has_spans = False
    for document in documents:
        for span in _find_spans(_decode_document(document), _Context()):
            has_spans = True
            yield span
    if not has_spans:
        msg = f"{path}: {limits[0] if limits else 'has no span'}; {_SPAN_REMEDY}"
        raise UsageError(msg)


def _read_documents(path: str, limits: list[str]) -> Iterator[bytes]:
    """Yield the documents of a file, and add what cannot be read to the limits."""
    reader = FileReader(path)
    try:
        yield from reader.requests()
    except TelemetryError as error:
        if not error.reason.startswith(_OTHER_KIND):
            raise
        limits.append(error.reason.partition(": ")[0])  # the rest is about evidence
    limits += reader.limits


def _split_input(limits: list[str]) -> Iterator[bytes]:
    chunks = iter(lambda: sys.stdin.buffer.read(_CHUNK_BYTES), b"")
    return JsonSplitter(limits, has_lines=False).split(to_utf8(chunks))


def _decode_document(document: bytes) -> Any:
    """Return the value of a JSON document; ``None`` for other text, such as the lines of a program between spans."""
    try:
        return json.loads(document) if document.lstrip().startswith(_JSON_STARTS) else None
    except (ValueError, RecursionError):
        return None


def _find_spans(value: Any, context: _Context, depth: int = 0) -> Iterator[FileSpan]:
    """Yield the spans in a JSON value."""
    if depth > _MAX_SPAN_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _find_spans(item, context, depth + 1)
    elif isinstance(value, dict):
        attributes = _read_attributes(value)
        if attributes is not None:
            yield _make_span(value, attributes, context)
            return
        inner = _enter(value, context)
        for key, item in value.items():
            if key not in _NOT_SEARCHED and isinstance(item, (dict, list)):
                yield from _find_spans(item, inner, depth + 1)


def _enter(value: dict[str, Any], context: _Context) -> _Context:
    """Return the context of the spans inside a document."""
    processes = value.get("processes")
    return _Context(
        _read_scope(value) or context.scope,
        _read_service_name(value.get("resource")) or context.service,
        processes if isinstance(processes, dict) else context.processes,
    )


def _make_span(value: dict[str, Any], attributes: dict[str, Any], context: _Context) -> FileSpan:
    name = value.get("name", value.get("operationName"))
    process_id = value.get("processID")
    process = context.processes.get(process_id) if isinstance(process_id, str) else value.get("process")
    service = process.get("serviceName") if isinstance(process, dict) else None
    scope = next((attributes[key] for key in _SCOPE_TAGS if isinstance(attributes.get(key), str)), None)
    return FileSpan(
        name if isinstance(name, str) else "",
        attributes,
        _read_scope(value) or scope or context.scope,
        service if isinstance(service, str) else _read_service_name(value.get("resource")) or context.service,
    )


def _read_attributes(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return the attributes of an object that is a span, or is attributes itself; ``None`` if it is neither."""
    for key in ("attributes", "tags"):
        held = value.get(key)
        if isinstance(held, dict):
            return held
        if isinstance(held, list):
            return _read_pairs(held)
    if any(isinstance(value.get(key), str) for key in _SPAN_IDS):
        return {}
    has_keys = any("." in key for key in value) and not any(isinstance(item, dict) for item in value.values())
    return value if has_keys else None


def _read_pairs(items: list[Any]) -> dict[str, Any]:
    """Return the attributes in the list of keys and values of OTLP or Jaeger. The first of equal keys counts."""
    pairs = [(item.get("key"), _read_value(item.get("value"))) for item in items if isinstance(item, dict)]
    return {key: value for key, value in reversed(pairs) if isinstance(key, str)}


def _read_value(value: Any) -> Any:
    """Return a value of OTLP as a plain one; any other value as it is."""
    if not isinstance(value, dict):
        return value
    for member, held in value.items():
        kind = member.replace("_", "").lower()
        if kind == "intvalue":
            return _read_integer(held)
        if kind in _PLAIN_KINDS:
            return held
        if kind == "arrayvalue" and isinstance(held, dict) and isinstance(held.get("values"), list):
            return tuple(map(_read_value, held["values"]))
    return json.dumps(value)


def _read_integer(held: Any) -> Any:
    """Return an integer, which OTLP writes as text; anything else as it is."""
    text = str(held)
    return int(text) if text.lstrip("-").isdecimal() and len(text) <= _MAX_DIGITS else held


def _read_scope(value: dict[str, Any]) -> str | None:
    for member in _SCOPES:
        scope = value.get(member)
        name = scope.get("name") if isinstance(scope, dict) else None
        if isinstance(name, str):
            return name
    return None


def _read_service_name(resource: Any) -> str | None:
    attributes = _read_attributes(resource) if isinstance(resource, dict) else None
    service = (attributes or {}).get(_SERVICE)
    return service if isinstance(service, str) else None
