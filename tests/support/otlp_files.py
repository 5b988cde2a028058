"""The layouts and encodings in which files have OTLP requests, written by other programs than the reader."""

from __future__ import annotations

import codecs
import copy
import gzip
import json
import sys
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Requests = Sequence[dict[str, Any]]


def dump(value: Any, **options: Any) -> bytes:
    """Return a value in JSON."""
    return json.dumps(value, **options).encode()


def as_lines(requests: Requests) -> bytes:
    """Return requests as the Collector and the SDK write them: one per line, without white space."""
    return b"".join(dump(request, separators=(",", ":")) + b"\n" for request in requests)


def sized(data: bytes) -> bytes:
    """Return data behind its size, as the Collector's file exporter writes it."""
    return len(data).to_bytes(4, "big") + data


def to_message(request: dict[str, Any]) -> Any:
    """Return a request as a message of the published classes; their JSON has ids in base64."""
    request = copy.deepcopy(request)
    message: Any = ExportLogsServiceRequest() if "resourceLogs" in request else ExportTraceServiceRequest()
    for resource in request.get("resourceSpans", request.get("resourceLogs", ())):
        for scope in resource.get("scopeSpans", resource.get("scopeLogs", ())):
            for item in scope.get("spans", scope.get("logRecords", ())):
                for key in {"traceId", "spanId"} & item.keys():
                    item[key] = codecs.encode(bytes.fromhex(item[key]), "base64").decode().strip()
    return json_format.ParseDict(request, message)


def to_proto(request: dict[str, Any]) -> bytes:
    """Return a request in protobuf."""
    data: bytes = to_message(request).SerializeToString()
    return data


def list_resources(requests: Requests) -> list[Any]:
    """Return the resources of requests."""
    return [each for request in requests for resources in request.values() for each in resources]


def _encode(name: str) -> Callable[[Requests], bytes]:
    return lambda requests: as_lines(requests).decode().encode(name)


def _each(encode: Callable[[dict[str, Any]], bytes]) -> Callable[[Requests], bytes]:
    return lambda requests: b"".join(map(encode, requests))


LAYOUTS: dict[str, Callable[[Requests], bytes]] = {
    "lines": as_lines,
    "lines with white space": _each(lambda request: b" \t" + dump(request) + b" \r\n\n"),
    "pretty-printed": _each(lambda request: dump(request, indent=2) + b"\n"),
    "glued": lambda requests: as_lines(requests).replace(b"\n", b""),
    "json sequence": _each(lambda request: b"\x1e" + dump(request) + b"\n"),
    "array": dump,
    "pretty-printed array": lambda requests: dump(requests, indent="\t"),
    "lines in brackets": lambda requests: b"[\n" + b",\n".join(map(dump, requests)) + b"\n]\n",
    "jaeger": _each(lambda request: dump({"result": request})),
    "tempo": _each(lambda request: dump({"trace": request}, indent=1)),
    "resources": lambda requests: b"\n".join(map(dump, list_resources(requests))),
    "array of resources": lambda requests: dump(list_resources(requests), indent=4),
    "utf-8 with bom": lambda requests: codecs.BOM_UTF8 + as_lines(requests),
    **{name: _encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")},
    "base64 ids": _each(lambda request: json_format.MessageToJson(to_message(request)).encode()),
    "names with underscores": _each(
        lambda request: json_format.MessageToJson(to_message(request), preserving_proto_field_name=True).encode()
    ),
    "proto": _each(lambda request: sized(to_proto(request))),
    "zstd frames of proto": _each(lambda request: sized(zstd.compress(to_proto(request)))),
    "zstd frames of json": _each(lambda request: sized(zstd.compress(dump(request)))),
    "gzip": lambda requests: gzip.compress(as_lines(requests)),
    "zstd": lambda requests: zstd.compress(as_lines(requests)),
    "gzip of proto": _each(lambda request: gzip.compress(sized(to_proto(request)))),
}
"""The layouts, by name. All of them hold any requests of traces and logs."""
