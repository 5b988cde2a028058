"""Bursts of log events to the real Collector over gRPC: what the SDK's queue keeps while nobody answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.otlp_json import read_items
from support.processes import environment
from support.servers import archive_settings
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

REGISTRATIONS = 10_000
QUEUE, BATCH = 2_048, 512
"""The SDK's defaults: records that wait, and records that are sent at once."""
WINDOW = 20
"""Seconds: the SDK says the same once in each twenty seconds of the clock."""
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
    records = read_items(file)
    assert {record.item["eventName"] for record in records} <= {"model_registry.registered"}
    return [int(record.attributes["model_registry.model_id"][1:]) for record in records]


def test_a_burst_while_the_collector_does_not_answer(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """The SDK's default queue keeps the newest 2,048 records, and says now and then that it is full."""
    file = tmp_path / "logs.jsonl"
    server = run_server("otelcol", **archive_settings(tmp_path))
    os.kill(server.pid, signal.SIGSTOP)
    began = time.time()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", REGISTERING],
            env=environment(
                OTEL_PYTHON_MODEL_REGISTRY_EVENTS="span,log",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{server.at['OTELCOL_OTLP_GRPC']}",
            ),
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

    wait_until(lambda: len(archived(file)) >= QUEUE)
    numbers = sorted(archived(file))
    assert len(numbers) == len(set(numbers))
    assert numbers[-QUEUE:] == list(range(REGISTRATIONS - QUEUE, REGISTRATIONS))
    sent = numbers[:-QUEUE]  # the batch that was on its way
    assert sent == list(range(len(sent)))
    assert len(sent) <= BATCH
    lines = [line for line in errors.splitlines() if "Queue full" in line]
    assert set(lines) == {"Queue full, dropping Log."}
    assert len(lines) <= ended // WINDOW - began // WINDOW + 1
