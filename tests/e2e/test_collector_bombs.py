"""Bombs: small requests that become large ones. The Collector refuses them with bounded memory, and serves others."""

from __future__ import annotations

import gzip
import sys
import urllib.error
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.collectors import Application, ids
from support.exporters import PROTOCOLS, TRUSTED, UNTRUSTED, exporter_to
from support.otlp_json import read_items
from support.servers import USUAL_GARBAGE_COLLECTION
from support.waiting import wait_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.servers import Server

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports a process's peak memory"),
]

MIB = 2**20
BOMB = bytes(128 * MIB)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": lambda text: gzip.compress(text, 1), "zstd": zstd.compress}
BODY = 4 * MIB
"""The limit of an untrusted request, in bytes, as the configuration has it."""
MEMORY_OF_BOMBS = 250 * MIB
"""The limit of memory for bombs that are refused. A Collector without requests has 50 MiB."""
MEMORY = 1_250 * MIB
"""The limit of memory for other requests: four take 0.3 GB each, and Go's collector may free them late."""


def read_peak(server: Server) -> int:
    """Return the most bytes of memory that a server has had."""
    status = Path(f"/proc/{server.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def post(server: Server, whose: str, body: bytes, coding: str) -> int:
    """Send a compressed request by HTTP, and return the status of the response."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": coding}
    try:
        server.ask(f"OTELCOL_{whose}_HTTP", "/v1/traces", body, **headers)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def call(server: Server, whose: str, body: bytes) -> grpc.StatusCode:
    """Send a request by gRPC, which compresses it, and return the status of the response."""
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    with grpc.insecure_channel(server.at[f"OTELCOL_{whose}_GRPC"]) as channel:
        try:
            channel.unary_unary(method)(body, timeout=60, compression=grpc.Compression.Gzip)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def make_dense(level: str) -> bytes:
    """Return a request of about ``BODY`` bytes, almost all of which are empty messages of two bytes each."""
    number, fields = {"spans": (2, (2, 1)), "attributes": (9, (2, 2, 1))}[level]
    content = make_field(number, b"") * ((BODY - 64) // 2)
    for each in fields:
        content = make_field(each, content)
    (resource,) = ExportTraceServiceRequest.FromString(content).resource_spans
    assert len(resource.scope_spans[0].spans) > 0
    return content


def make_field(number: int, content: bytes) -> bytes:
    """Return a field of a message in protobuf: a tag, the length in groups of 7 bits, and the content."""
    head, size = bytearray([number << 3 | 2]), len(content)
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + content


def check_others_are_served(server: Server, archive: Path) -> None:
    """Check that spans of both kinds of senders are accepted by both protocols, and archived."""
    for whose in (TRUSTED, UNTRUSTED):
        for protocol in PROTOCOLS:
            application = Application(f"{whose} {protocol}", plugin=False)
            application.call("chat", **{"gen_ai.request.model": "acme-chat-1"})
            spans = application.take()
            exporter = exporter_to(server, protocol, senders=whose)
            wait_until(lambda send=exporter.export, spans=spans: send(spans).name == "SUCCESS")
            exporter.shutdown()
            wait_until(lambda spans=spans: ids(spans) <= ids(read_items(archive)))


def test_compression_bombs(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Each receiver refuses 128 MiB in a small body without reading it to its end."""
    server = collector(**USUAL_GARBAGE_COLLECTION)
    bodies = {coding: compress(BOMB) for coding, compress in COMPRESSORS.items()}
    for whose in (TRUSTED, UNTRUSTED):
        for coding, body in bodies.items():
            assert len(body) < BODY
            assert post(server, whose, body, coding) == 400
        assert call(server, whose, BOMB) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert read_peak(server) < MEMORY_OF_BOMBS
    check_others_are_served(server, tmp_path / "spans.jsonl")


def test_dense_requests_of_untrusted_senders(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Requests within the limit that consist of millions of empty values are refused for their memory, or dropped."""
    server = collector(**USUAL_GARBAGE_COLLECTION)
    for level in ("spans", "attributes"):
        body = make_dense(level)
        assert BODY - 128 < len(body) <= BODY
        assert post(server, UNTRUSTED, gzip.compress(body), "gzip") in (200, 503)
        assert call(server, UNTRUSTED, body) in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    assert read_peak(server) < MEMORY
    check_others_are_served(server, tmp_path / "spans.jsonl")
