"""Receivers of OTLP on loopback, which keep what they get and answer as a test wants."""

from __future__ import annotations

import gzip
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from support.loopback import serving_http

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROTOBUF = "application/x-protobuf"


class Receiver:
    """A receiver of spans.

    Attributes:
        settings: The environment variables of an exporter that sends to it.
        spans: The spans that it got.
        status: The HTTP status of its answers.
        kind: The content type of its answers.
        body: The content of its answers.
        rejected: The number of spans that it rejects in each answer; over gRPC only.
    """

    def __init__(self, protocol: str) -> None:
        self.settings = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_TIMEOUT": "2"}
        self.spans: list[Any] = []
        self._requests: list[bytes] = []
        self.status, self.kind, self.body = 200, PROTOBUF, b""
        self.rejected = 0

    def listen_at(self, port: int) -> None:
        """Set the address."""
        self.settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"

    def keep(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of a request."""
        self._requests.append(request.SerializeToString())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def write_archive(self, path: Path) -> None:
        """Write all requests to a new file, as the Collector's exporter writes protobuf."""
        path.parent.mkdir(parents=True)
        path.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in self._requests))

    def list_events(self) -> list[tuple[str, dict[str, str]]]:
        """Return the names and the text attributes of the events, in the order of arrival."""
        return [
            (event.name, {each.key: each.value.string_value for each in event.attributes})
            for span in self.spans
            for event in span.events
        ]


@contextmanager
def receiving_http() -> Iterator[Receiver]:
    """Run a receiver for ``http/protobuf``."""
    receiver = Receiver("http/protobuf")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            content = gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content
            receiver.keep(ExportTraceServiceRequest.FromString(content))
            self.send_response(receiver.status)
            self.send_header("Content-Type", receiver.kind)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with serving_http(Handler) as port:
        receiver.listen_at(port)
        yield receiver


@contextmanager
def receiving_grpc() -> Iterator[Receiver]:
    """Run a receiver for ``grpc``."""
    receiver = Receiver("grpc")

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - its name in the protocol
            receiver.keep(request)
            partial = ExportTracePartialSuccess(rejected_spans=receiver.rejected, error_message="no room")
            return ExportTraceServiceResponse(partial_success=partial if receiver.rejected else None)

    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
    receiver.listen_at(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()
