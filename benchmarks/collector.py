"""Processor time of enrichment in the real Collector, with the statements that a registry is rendered to.

Each candidate is a Collector process that runs through all rounds. It receives the same requests each time and drops
all spans after enrichment. A Collector without enrichment measures the cost of receiving.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.comparison import Comparison
from benchmarks.models import entries, registry_of
from benchmarks.spans import FEW, LATE, MODEL_KEY
from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry.collector import PROCESSOR, render_transform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.comparison import Sizes
    from spanforge.model_registry import ModelRegistry

SPANS: Final = 1_000
"""Spans per request."""
READY: Final = 60
"""Seconds within which a Collector must listen."""
_ROOT: Final = Path(__file__).parent.parent
_SERVER_RUNNER: Final = _ROOT / "tests" / "support" / "run_server.py"
_CONFIG: Final = """\
receivers: {{otlp: {{protocols: {{http: {{endpoint: "{address}"}}}}}}}}
processors:
  filter/all: {{error_mode: ignore, trace_conditions: ['span.name != nil']}}
exporters: {{debug: {{}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [{first}filter/all], exporters: [debug]}}}}
"""
_NOTHING: Final = "processors: {}\n"


def unavailable() -> str:
    """Return why no Collector's processor time can be measured here; an empty string if it can."""
    if not sys.platform.startswith("linux"):
        return "only Linux reports the processor time of another process"
    return "" if _program().returncode == 0 else _program().stderr.strip()


@functools.cache
def _program() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(_ROOT / "tools" / "servers.py"), "otelcol"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def find_ports(number: int) -> list[int]:
    """Return free ports of loopback."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class CollectorProcess:
    """A running Collector with one thread. It ends when this process ends, even if this process is killed.

    Attributes:
        pid: Its process id.
        clock: The id of the clock of its processor time, in all threads.

    Args:
        configs: The files of its configuration.
        variables: Further environment variables.
    """

    def __init__(self, configs: Iterable[Path], variables: Mapping[str, str]) -> None:
        options = [f"--config={path.absolute()}" for path in configs]
        self._runner = subprocess.Popen(
            [sys.executable, str(_SERVER_RUNNER), _program().stdout.strip(), *options],
            env={**os.environ, "GOMAXPROCS": "1", **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._runner.stdout is not None  # noqa: S101 - for type checkers
        self.pid = int(self._runner.stdout.readline())
        self.clock = (~self.pid << 3) | 2  # the formula of clock_getcpuclockid(3)

    def connect(self, port: int) -> http.client.HTTPConnection:
        """Return a connection to its receiver, when it listens."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        deadline = time.monotonic() + READY
        while True:
            with contextlib.suppress(OSError):
                connection.connect()
                return connection
            if self._runner.poll() is not None or time.monotonic() > deadline:
                connection.close()
                raise RuntimeError(f"the Collector does not start: {self._runner.communicate()[0]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the Collector."""
        self._runner.communicate()


def send_spans(
    connection: http.client.HTTPConnection, body: bytes, content_type: str = "application/x-protobuf"
) -> None:
    """Send a request with spans, which must be accepted."""
    connection.request("POST", "/v1/traces", body, {"Content-Type": content_type})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"the server refuses spans: {said!r}")


class Collector:
    """A Collector that enriches spans with a transform processor, and drops them."""

    def __init__(self, folder: Path, transform: str) -> None:
        (port,) = find_ports(1)
        folder.mkdir()
        first = f"{PROCESSOR}, " if PROCESSOR in transform else ""
        contents = {"base.yaml": _CONFIG.format(address=f"127.0.0.1:{port}", first=first), "transform.yaml": transform}
        for name, content in contents.items():
            (folder / name).write_text(content, "utf-8")
        self._process = CollectorProcess([folder / name for name in contents], {})
        self._connection = self._process.connect(port)

    def cost(self, requests: int, body: bytes) -> float:
        """Send the requests and return the microseconds of processor time per span, in all threads."""
        start = time.clock_gettime(self._process.clock)
        for _ in range(requests):
            send_spans(self._connection, body)
        return (time.clock_gettime(self._process.clock) - start) / (requests * SPANS) * 1e6

    def stop(self) -> None:
        """Stop the Collector."""
        self._connection.close()
        self._process.stop()


def _registry(number: int) -> ModelRegistry:
    return registry_of(entries(number), auto_emit=False)


def _statements(registry: ModelRegistry) -> str:
    """Return a transform processor as a person would write it: one statement per model."""
    lines = [f"processors:\n  {PROCESSOR}:\n    error_mode: silent\n    trace_statements:\n      - statements:\n"]
    for entry in registry:
        bundle = json.dumps(span_attributes(entry, status=entry.status, warnings=entry.warnings))
        where = f'span.attributes["{MODEL_KEY}"] == {json.dumps(entry.model_id)}'
        lines.append(f'          - |-\n            merge_maps(span.attributes, {bundle}, "upsert") where {where}\n')
    return "".join(lines)


def _request(registry: ModelRegistry) -> bytes:
    """Return a request with LLM spans whose models are spread over the whole registry."""
    names, kept = [entry.model_id for entry in registry], InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("benchmarks")
    for i in range(SPANS):
        attributes = {**LATE, MODEL_KEY: names[i * 7_919 % len(names)]}  # a prime factor reaches every name
        tracer.start_span("chat", attributes=attributes).end()
    body: bytes = encode_spans(kept.get_finished_spans()).SerializeToString()
    return body


def _compare(sizes: Sizes, name: str, candidates: Mapping[str, tuple[str, bytes]], over: tuple[str, str]) -> Comparison:
    """Compare the time that two transform processors add to a Collector without enrichment."""
    with contextlib.ExitStack() as stack:
        costs = {}
        for which, (transform, body) in candidates.items():
            collector = Collector(Path(sizes.folder, f"{name}-{which}"), transform)
            stack.callback(collector.stop)
            costs[which] = functools.partial(collector.cost, sizes.requests, body)
        ours, other = over
        return Comparison(
            costs,
            lambda cost: (cost[ours] - cost["nothing"]) / (cost[other] - cost["nothing"]),
            end=stack.pop_all().close,
        )


def many_models(sizes: Sizes) -> Comparison:
    """Compare the time added by enrichment with many models and with few."""
    many, few = _registry(sizes.rendered), _registry(FEW)
    candidates = {
        "many": (render_transform(many), _request(many)),
        "few": (render_transform(few), _request(few)),
        "nothing": (_NOTHING, _request(few)),
    }
    return _compare(sizes, "models", candidates, ("many", "few"))


def statements(sizes: Sizes) -> Comparison:
    """Compare the time added by enrichment with the time added by one statement per model."""
    registry = _registry(sizes.some)
    body = _request(registry)
    candidates = {
        "ours": (render_transform(registry), body),
        "statements": (_statements(registry), body),
        "nothing": (_NOTHING, body),
    }
    return _compare(sizes, "statements", candidates, ("ours", "statements"))
