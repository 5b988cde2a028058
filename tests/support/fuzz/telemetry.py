"""Fuzz target of telemetry: evidence from files in any layout and compression."""

from __future__ import annotations

import gzip
import json
import sys
from typing import TYPE_CHECKING, Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from support.evidence import DAY, make_entry
from support.fuzz.limits import check_message, expect
from support.fuzz.names import make_registry
from support.otlp_files import sized, to_proto

from spanforge.model_registry.compliance import ComplianceMappingEngine, TelemetryError
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fuzz.limits import Target

    from spanforge.model_registry.compliance import Attestation


GOOD: dict[str, Any] = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "a" * 32,
                            "spanId": "b" * 16,
                            "startTimeUnixNano": str(MAX_TIME),
                            "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": "gpt"}}],
                        }
                    ]
                }
            ]
        }
    ]
}
"""A request with one span, which starts at the end of time."""
LAST = "2262-04-11T23:47:16.854775Z"
GOOD_LINE = json.dumps(GOOD).encode() + b"\n"


def same(data: bytes) -> bytes:
    """Return the data."""
    return data


def follow_by_good(data: bytes) -> bytes:
    """Return data that is followed by a line with a good request."""
    return data + b"\n" + GOOD_LINE


def follow_by_good_proto(data: bytes) -> bytes:
    """Return a request of any bytes after its size, and a good request after its size."""
    return sized(b"\n" + data) + sized(to_proto(GOOD))


WRAPPERS: tuple[Callable[[bytes], bytes], ...] = (
    same,
    gzip.compress,
    zstd.compress,
    lambda data: sized(b"\n" + data),
    lambda data: sized(zstd.compress(data)),
    follow_by_good,
    follow_by_good_proto,
    lambda data: gzip.compress(data)[:-4],
)
"""How an input becomes a file, selected by its first byte."""
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""The first bytes of compressed files, which are not read if they are compressed again."""
FOLLOWED = (follow_by_good, follow_by_good_proto)


def is_protobuf(data: bytes) -> bool:
    """Check whether data are the fields of any message."""
    try:
        Empty.FromString(data)
    except DecodeError:
        return False
    return True


def fuzz_telemetry(folder: Path) -> Target:
    """Check that a file gives an error or evidence, the same each time, and that no good request is lost unnoticed."""
    path = folder / "spans.jsonl"
    engine = ComplianceMappingEngine(make_registry(make_entry("gpt")))

    def attest(content: bytes) -> Attestation | None:
        path.write_bytes(content)
        try:
            package = engine.generate_evidence_package(None, "soc2", *DAY, telemetry=path, generated_at="2026-06-01")
        except TelemetryError as error:
            check_message(error)
            return None
        return package.attestation

    def run(data: bytes) -> None:
        wrap = WRAPPERS[data[0] % len(WRAPPERS)] if data else same
        content = wrap(data[1:])
        attestation = attest(content)
        if attestation is None:
            return
        (read,) = attestation.inputs
        expect(read.size == len(content), f"{read.size} of {len(content)} bytes were read")
        is_whole = not (read.limits or read.bad_lines)
        if wrap in FOLLOWED:
            expect(not is_whole or read.last == LAST, "a good request is lost unnoticed")
        if wrap is follow_by_good_proto:
            expect(not is_whole or is_protobuf(b"\n" + data[1:]), "a damaged request is lost unnoticed")
        if wrap is same:
            packed = attest(gzip.compress(content))
            has_same = packed is not None and packed.population == attestation.population
            expect(has_same or content.startswith(PACKED), "compression changes the evidence")

    return run
