"""Evidence from Jaeger compared with evidence from files, of the same spans on the same cores.

Usage: python -m benchmarks jaeger [--spans N] [--rounds R]    needs make servers

Jaeger keeps all spans in memory. It keeps no log records, so its evidence has a second input: a file with the log
records of the files. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks import archive
from benchmarks.collector import send_spans
from benchmarks.measured_evidence import ROOT, Cost, measure, read_requests, report_figures, report_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.servers import Server

_STORE: Final = "yaml:extensions::jaeger_storage::backends::memory::memory::max_traces: {}"
_GARBAGE: Final = {"GOGC": "30"}
"""The setting of Jaeger's runtime. With the default, its memory may become twice as large as its spans."""


def _fill(server: Server, files: Sequence[Path], logs: Path) -> int:
    """Send the spans of files to Jaeger, write their log records into a file, and return the number of log records.

    Jaeger responds when it has stored the spans of a request, so all are stored at the end.
    """
    host, _, port = server.at["JAEGER_OTLP_HTTP"].partition(":")
    connection = http.client.HTTPConnection(host, int(port))
    records = 0
    with logs.open("wb") as file:
        for request in (request for path in files for request in read_requests(path)):
            log_parts = request.get("resourceLogs")
            if log_parts:
                file.write(msgspec.json.encode({"resourceLogs": log_parts}) + b"\n")
                records += sum(len(scope["logRecords"]) for part in log_parts for scope in part["scopeLogs"])
            if request.get("resourceSpans"):
                body = msgspec.json.encode({"resourceSpans": request["resourceSpans"]})
                send_spans(connection, body, "application/json")
    connection.close()
    return records


def _read_peak(pid: int) -> float:
    """Return the largest resident memory of a process, in GB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6


def _compare(spans: int, rounds: int) -> int:
    """Compare, print the result, and return 1 if the figures differ."""
    from support.servers import started  # noqa: PLC0415 - it is beside the tests

    os.environ["no_proxy"] = "*"
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        archive.write(folder, spans, plain=True)
        files, logs = sorted(Path(folder).glob("*.jsonl")), Path(folder, "records", "logs.jsonl")
        logs.parent.mkdir()
        server = started("jaeger", _STORE.format(spans + 1_000), **_GARBAGE)
        try:
            begin = time.perf_counter()
            records = _fill(server, files, logs)
            seconds = time.perf_counter() - begin
            print(f"{spans:,} spans are in Jaeger after {seconds:.0f} s", file=sys.stderr, flush=True)
            sources = [f"http://{server.at['JAEGER_QUERY_HTTP']}", logs]
            pairs = [(measure(files), measure(sources)) for _ in range(rounds)]
            peak = _read_peak(server.pid)
        finally:
            server.stop()
    return _report(pairs, records, peak)


def _report(pairs: Sequence[tuple[Cost, Cost]], records: int, peak: float) -> int:
    from_files, from_jaeger = zip(*pairs, strict=True)
    is_same = report_figures([*from_files, *from_jaeger])
    for limit in sorted({limit for cost in from_jaeger for limit in cost.limits}):
        print(f"limit of Jaeger's evidence: {limit}")
    print(f"log records, which Jaeger does not keep, from a file: {records}")
    report_times("Jaeger", from_files, from_jaeger)
    print(f"Jaeger itself: {peak:.1f} GB at its peak")
    return 0 if is_same else 1


def start(given: list[str]) -> int:
    """Run this benchmark, and return the exit code."""
    parser = argparse.ArgumentParser(prog="bench jaeger", description=__doc__)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args(given)
    sys.path.insert(0, str(ROOT / "tests"))
    return _compare(arguments.spans, arguments.rounds)
