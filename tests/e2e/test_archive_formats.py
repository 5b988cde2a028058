"""The formats of the real Collector's file exporter: evidence reads the same from each of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.otlp import Otlp
from support.scans import START, make_request
from support.waiting import wait_until

from spanforge.model_registry.compliance._analysis.workers import scan_input
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

FORMATS = {
    "json": {"format": "json"},
    "proto": {"format": "proto"},
    "json_zstd": {"format": "json", "compression": "zstd"},
    "proto_zstd": {"format": "proto", "compression": "zstd"},
}


def configure(folder: Path) -> Path:
    """Write a configuration with an exporter of each format for all signals, and return its path."""
    exporters = {f"file/{name}": {"path": str(folder / name), **options} for name, options in FORMATS.items()}
    pipeline = {"receivers": ["otlp"], "exporters": list(exporters)}
    pipelines = {f"{signal}/formats": pipeline for signal in ("traces", "logs", "metrics")}
    path = folder / "formats.yaml"
    path.write_text(json.dumps({"exporters": exporters, "service": {"pipelines": pipelines}}), "utf-8")
    return path


def read_facts(path: Path, folder: Path) -> tuple[Any, ...]:
    """Return the facts that the scan of a file finds."""
    scanned = scan_input(FileReader(str(path)), make_request(), str(folder), 0)
    result = scanned.result
    groups = {group.call: (group.calls, group.first, group.last) for group in result.groups if group.calls}
    return groups, result.spans, result.events["unknown"], result.bad_lines, scanned.limits


def test_each_format_of_the_file_exporter(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """Spans, log records and metrics in one file give the same facts in JSON and protobuf, compressed or not."""
    server, otlp = run_server("otelcol", configure(tmp_path)), Otlp()
    spans = [otlp.span("gpt", START + number, text="ü" * number, n=[1, 2], flag=True) for number in range(50)]
    metric = {"name": "m", "sum": {"dataPoints": [{"asInt": "5", "timeUnixNano": str(START)}]}}
    requests = {
        "traces": otlp.line(*spans, otlp.span("x") | {"events": [otlp.lifecycle_event()]}),
        "logs": otlp.logs(otlp.call_record("rogue"), otlp.lifecycle_record(START + 7)),
        "metrics": otlp.json({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}),
    }
    for signal, request in requests.items():
        server.ask("OTELCOL_OTLP_HTTP", f"/v1/{signal}", request, **{"Content-Type": "application/json"})
    wait_until(lambda: (tmp_path / "json").exists() and (tmp_path / "json").read_bytes().count(b"\n") == len(requests))
    server.stop()
    expected = read_facts(tmp_path / "json", tmp_path)
    assert (expected[1], len(expected[0]), len(expected[2]), expected[3:]) == (51, 3, 2, (0, []))
    for name in FORMATS:
        assert read_facts(tmp_path / name, tmp_path) == expected, name
