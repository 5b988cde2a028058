"""The figures of docs/sizing.md: what the users' Collector needs for each call, and the size of its archive.

Usage: python -m benchmarks.sizing [--requests N]    print a table in Markdown; needs make servers

Each Collector has the whole configuration of ``collector-config`` and the enrichment of a registry. It sends to a
second Collector, which drops what it gets. One processor runs each of them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.collector import SPANS, CollectorProcess, find_ports, send_spans
from benchmarks.models import entries, registry_of
from benchmarks.spans import LATE, MODEL_KEY
from spanforge.model_registry.collector import render_transform

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry

_ROOT: Final = Path(__file__).parent.parent
_MODELS: Final = (100, 5_000)
_NEW_TRACES: Final = 50
"""The requests with different traces. The Collector gets them again and again."""
_DECISION_SECONDS: Final = 1
_SETTLE_SECONDS: Final = 5
"""The seconds after the last request, in which the Collector decides on traces and writes."""
_SINK: Final = """\
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}", max_recv_msg_size_mib: 16}}}}}}}}
exporters: {{debug: {{}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}
"""
_PORTS: Final = (
    *("OTELCOL_OTLP_GRPC", "OTELCOL_OTLP_HTTP", "OTELCOL_UNTRUSTED_GRPC", "OTELCOL_UNTRUSTED_HTTP"),
    *("OTELCOL_PROMETHEUS", "OTELCOL_UNTRUSTED_PROMETHEUS", "OTELCOL_HEALTH"),
)


class Need(NamedTuple):
    """What a Collector needs.

    Attributes:
        models: The number of models in its registry.
        micros: Its processor time for each call, in microseconds.
        archived: The bytes of its archive for each call.
        memory: Its largest resident memory, in bytes.
    """

    models: int
    micros: float
    archived: float
    memory: int


def encode_requests(registry: ModelRegistry) -> list[bytes]:
    """Return requests with calls of all models of a registry; a trace has ten calls."""
    names, kept = [entry.model_id for entry in registry], InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "checkout"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("benchmarks")
    bodies: list[bytes] = []
    for request in range(_NEW_TRACES):
        kept.clear()
        for number in range(SPANS // 10):
            with tracer.start_as_current_span("task"):
                for call in range(9):
                    name = names[(request * SPANS + number * 10 + call) * 7_919 % len(names)]
                    tracer.start_span("chat", attributes={**LATE, MODEL_KEY: name}).end()
        bodies.append(encode_spans(kept.get_finished_spans()).SerializeToString())
    return bodies


def measure(models: int, requests: int, folder: Path) -> Need:
    """Return the needs of a Collector with so many models."""
    registry = registry_of(entries(models), auto_emit=False)
    folder.mkdir()
    sink, transform, archive = folder / "sink.yaml", folder / "transform.yaml", folder / "archive" / "spans.jsonl"
    ports = find_ports(len(_PORTS) + 2)
    sink.write_text(_SINK.format(port=ports[-1]))
    transform.write_text(render_transform(registry), "utf-8")
    environment = {
        **{name: f"127.0.0.1:{port}" for name, port in zip(_PORTS, ports, strict=False)},
        "OTELCOL_TELEMETRY_PORT": str(ports[-2]),
        "JAEGER_OTLP_ENDPOINT": f"127.0.0.1:{ports[-1]}",
        "OTELCOL_ARCHIVE_SPANS": str(archive),
        "OTELCOL_ARCHIVE_LOGS": str(folder / "archive" / "logs.jsonl"),
        "OTELCOL_ARCHIVE_MEGABYTES": "100000",
        "OTELCOL_STORAGE": str(folder / "queue"),
        "OTELCOL_DECISION_WAIT": f"{_DECISION_SECONDS}s",
        "OTELCOL_MEMORY_MIB": "4000",
    }
    bodies = encode_requests(registry)
    config = _ROOT / "collector-config" / "collector.yaml"
    with contextlib.ExitStack() as stack:
        stack.callback(CollectorProcess([sink], {}).stop)
        collector = CollectorProcess([config, transform], environment)
        stack.callback(collector.stop)
        connection = stack.enter_context(contextlib.closing(collector.connect(ports[1])))
        for body in bodies:  # a first round, so that the start does not count
            send_spans(connection, body)
        time.sleep(_SETTLE_SECONDS)
        start, size = time.clock_gettime(collector.clock), archive.stat().st_size
        for body in itertools.islice(itertools.cycle(bodies), requests):
            send_spans(connection, body)
        time.sleep(_SETTLE_SECONDS)
        calls = requests * SPANS * 9 // 10
        seconds, written = time.clock_gettime(collector.clock) - start, archive.stat().st_size - size
        status = Path(f"/proc/{collector.pid}/status").read_text()
    (memory,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return Need(models, seconds / calls * 1e6, written / calls, memory * 1_024)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="sizing", description=__doc__)
    parser.add_argument("--requests", type=int, default=300, help="requests of 1,000 spans (default: %(default)s)")
    requests = parser.parse_args().requests
    print("| models | CPU time for each call | calls per second on one CPU | archive for each call | memory |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=_ROOT / "build") as folder:
        for models in _MODELS:
            need = measure(models, requests, Path(folder, str(models)))
            cells = (
                f"{need.models:,}",
                f"{need.micros:.0f} µs",
                f"{1e6 / need.micros:,.0f}",
                f"{need.archived:,.0f} bytes",
                f"{need.memory / 1e6:.0f} MB",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
