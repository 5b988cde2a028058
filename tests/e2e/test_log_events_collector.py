"""Bursts of log events to the real Collector over gRPC: what the SDK's queue keeps while nobody answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.e2e

REGISTRATIONS = 10_000
QUEUE, BATCH = 2_048, 512
"""The SDK's defaults: records that wait, and records that are sent at once."""
WINDOW = 20
"""Seconds: the SDK says the same once in each twenty seconds of the clock."""
ARRIVES = 30
"""Seconds that records may take until they are in the archive."""
REGISTERING = f"""
import json, sys
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from spanforge.model_registry import event_counts, register_model

provider = LoggerProvider(shutdown_on_exit=False)
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(provider)
trace.set_tracer_provider(TracerProvider(sampler=TraceIdRatioBased(0.01), shutdown_on_exit=False))
for number in range({REGISTRATIONS}):
    register_model(f"m{{number}}", "M", "1", "low", "team", "test")
print(json.dumps([event_counts("log"), event_counts("span")]), flush=True)
sys.stdin.readline()
provider.shutdown()
"""


def archived(file: Path) -> list[int]:
    """Return the numbers of the models whose registration the Collector has written down."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    records = [
        record
        for line in lines
        if line.endswith(b"\n")
        for resource in json.loads(line)["resourceLogs"]
        for scope in resource["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert {record["eventName"] for record in records} <= {"model_registry.registered"}
    ids = [item for record in records for item in record["attributes"] if item["key"] == "model_registry.model_id"]
    return [int(item["value"]["stringValue"][1:]) for item in ids]


@pytest.mark.parametrize("queue", [None, 16_384], ids=["default queue", "larger queue"])
def test_a_burst_while_the_collector_does_not_answer(
    run_server: Callable[..., Any], tmp_path: Path, queue: int | None
) -> None:
    """The SDK's default queue keeps the newest 2,048 records, and says so now and then; a larger one keeps all."""
    file = tmp_path / "logs.jsonl"
    paths = {"OTELCOL_ARCHIVE_SPANS": str(tmp_path / "spans.jsonl"), "OTELCOL_ARCHIVE_LOGS": str(file)}
    server = run_server("otelcol", OTELCOL_STORAGE=str(tmp_path / "queue"), **paths)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {} if queue is None else {"OTEL_BLRP_MAX_QUEUE_SIZE": str(queue)}
    environment["OTEL_PYTHON_MODEL_REGISTRY_EVENTS"] = "span,log"
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{server.at['OTELCOL_OTLP_GRPC']}"
    os.kill(server.pid, signal.SIGSTOP)
    began = time.time()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", REGISTERING],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            log, span = json.loads(process.stdout.readline())
            os.kill(server.pid, signal.SIGCONT)
            _, errors = process.communicate("go\n", timeout=120)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    ended = time.time()
    assert process.returncode == 0, errors
    assert log == [REGISTRATIONS, 0, 0, 0]
    assert span == [span[0], 0, REGISTRATIONS - span[0], 0]

    expected = REGISTRATIONS if queue else QUEUE
    deadline = time.monotonic() + ARRIVES
    while len(archived(file)) < expected:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    numbers = sorted(archived(file))
    assert len(numbers) == len(set(numbers))
    assert numbers[-expected:] == list(range(REGISTRATIONS - expected, REGISTRATIONS))
    sent = numbers[:-expected]  # the batch that was on its way
    assert sent == list(range(len(sent)))
    assert len(sent) <= (0 if queue else BATCH)
    lines = [line for line in errors.splitlines() if "Queue full" in line]
    assert set(lines) == (set() if queue else {"Queue full, dropping Log."})
    assert len(lines) <= ended // WINDOW - began // WINDOW + 1
