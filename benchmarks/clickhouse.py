"""Evidence from ClickHouse compared with evidence from files, of the same spans on the same cores.

The engine runs in a child process behind a port on loopback. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import archive
from benchmarks.measured_evidence import ROOT, Cost, measure, read_requests, report_figures, report_times

if TYPE_CHECKING:
    from support.clickhouse_database import Database

_MODULE: Final = "benchmarks.clickhouse"
_INSERTED_ROWS: Final = 20_000
"""Rows that are inserted at once."""
_TRACE_ID: Final = re.compile(rb'"traceId":"[0-9a-f]{8}')


def _fill(database: Database, files: list[Path]) -> None:
    """Insert the spans and log records of files, in the order in which they are in the files."""
    from support.clickhouse_rows import list_log_rows, list_span_rows  # noqa: PLC0415

    waiting: dict[str, list[str]] = {"otel_traces": [], "otel_logs": []}

    def insert(limit: int) -> None:
        for table, rows in waiting.items():
            if len(rows) > limit:
                database.run(f"INSERT INTO `{database.name}`.{table} FORMAT JSONEachRow\n" + "\n".join(rows))
                rows.clear()

    for path in files:
        for request in read_requests(path):
            waiting["otel_traces"] += list_span_rows(request)
            waiting["otel_logs"] += list_log_rows(request)
            insert(_INSERTED_ROWS)
    insert(0)


def _multiply(database: Database, files: list[Path], times: int) -> list[Path]:
    """Write each span again under other trace ids, into more files and into the table; return all files."""
    made = list(files)
    for number in range(1, times):
        start = f"{number:08x}"
        for path in files:
            made.append(path.with_name(f"{start}-{path.name}"))
            with path.open("rb") as old, made[-1].open("wb") as new:
                spans = (line for line in old if b'"resourceLogs"' not in line)
                new.writelines(_TRACE_ID.sub(b'"traceId":"' + start.encode(), line) for line in spans)
        trace_id = f"if(length(TraceId) = 32, concat('{start}', substring(TraceId, 9)), TraceId) AS TraceId"
        table = f"`{database.name}`.otel_traces"
        is_first = "NOT startsWith(TraceId, '000000')"  # the ids of the first spans begin with random digits
        query = f"SELECT * REPLACE ({trace_id}) FROM (SELECT * FROM {table} WHERE {is_first})"  # noqa: S608 - no input
        database.run(f"INSERT INTO {table} {query}")
    return made


def _read_processor_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _compare(spans: int, times: int, rounds: int) -> int:
    """Compare, print the result, and return 1 if the figures differ."""
    from support.clickhouse_database import PASSWORD, serving_clickhouse  # noqa: PLC0415

    os.environ["CLICKHOUSE_PASSWORD"] = PASSWORD
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        archive.write(folder, spans, plain=True)
        files = sorted(Path(folder).glob("*.jsonl"))
        with serving_clickhouse(Path(folder, "data")) as server:
            database = server._replace(name="otel")
            database.create()
            _fill(database, files)
            files = _multiply(database, files, times)
            print(f"{spans * times:,} spans are in files and in ClickHouse", file=sys.stderr, flush=True)
            from_files, from_tables, engine = [], [], []
            for _ in range(rounds):
                from_files.append(measure(files))
                before = _read_processor_seconds(server.pid)
                from_tables.append(measure([database.url]))
                engine.append(_read_processor_seconds(server.pid) - before)
    return _report(from_files, from_tables, engine)


def _report(from_files: list[Cost], from_tables: list[Cost], engine: list[float]) -> int:
    processor = [
        (tables.processor + server) / files.processor
        for files, tables, server in zip(from_files, from_tables, engine, strict=True)
    ]
    is_same = report_figures([*from_files, *from_tables])
    report_times("ClickHouse", from_files, from_tables)
    print(f"processor with the engine, ClickHouse / files: {statistics.median(processor):.2f}")
    return 0 if is_same else 1


def start(given: list[str]) -> int:
    """Run this module in the environment with ClickHouse's engine, and return the exit code."""
    sys.path.insert(0, str(ROOT / "tools"))
    from environments import make_environment  # type: ignore[import-not-found]  # noqa: PLC0415

    python = make_environment("clickhouse", "clickhouse/python")
    paths = os.pathsep.join(str(ROOT / name) for name in ("src", "tests", "."))
    return subprocess.call([python, "-m", _MODULE, *given], env={**os.environ, "PYTHONPATH": paths})


def main() -> int:
    """Compare."""
    parser = argparse.ArgumentParser(prog="bench clickhouse", description=__doc__)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--times", type=int, default=1, help="how often each span is there, under other ids")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    return _compare(arguments.spans, arguments.times, arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
