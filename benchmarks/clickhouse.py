"""Evidence from ClickHouse compared with evidence from files, of the same spans on the same cores.

The engine runs in a child process behind a port on loopback. Each measurement is a process of its own. As a program in
the environment ``clickhouse``, this module runs one: ``python -m benchmarks.clickhouse FILE_OR_ADDRESS ...``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from benchmarks import archive
from benchmarks.models import registry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.clickhouse_database import Database

_ROOT: Final = Path(__file__).parent.parent
_MODULE: Final = "benchmarks.clickhouse"
_INSERTED_ROWS: Final = 20_000
"""Rows that are inserted at once."""
_BETWEEN: Final = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A small process between this one and the candidate, which would otherwise inherit this one's peak memory."""


class Cost(NamedTuple):
    """Cost of one run: clock and processor seconds, peak MB of the process and of its largest child, the figures."""

    wall: float
    processor: float
    parent: float
    child: float
    figures: str


def _make_evidence(sources: list[str]) -> None:
    """Make evidence, and print its cost."""
    import resource  # noqa: PLC0415 - not on every platform

    from spanforge.model_registry import ModelRegistryEntry  # noqa: PLC0415
    from spanforge.model_registry.compliance import ComplianceMappingEngine  # noqa: PLC0415

    entries = [ModelRegistryEntry.from_dict(model.entry()) for model in archive.MODELS.values()]
    engine = ComplianceMappingEngine(registry_of(entries, auto_emit=False))
    period = archive.rfc3339(archive.START), archive.rfc3339(archive.END)
    start, before = time.perf_counter(), os.times()
    package = engine.generate_evidence_package(None, "soc2", *period, telemetry=sources, generated_at="2026-06-01")
    wall, after = time.perf_counter() - start, os.times()
    peaks = [resource.getrusage(who).ru_maxrss / 1_000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([wall, sum(after[:4]) - sum(before[:4]), *peaks, _digest_figures(package)]))


def _digest_figures(package: Any) -> str:
    """Return a digest of all that evidence states, apart from its inputs and what depends on their kind."""
    attested = msgspec.to_builtins(package.attestation)
    for field in ("inputs", "limits"):
        del attested[field]
    del attested["coverage"]["reasons"]  # files have lines that cannot be read
    content = msgspec.json.encode(attested, order="sorted") + package.evidence_csv + package.findings_csv
    return hashlib.sha256(content).hexdigest()


def _measure(python: Path, sources: list[str]) -> Cost:
    command = [sys.executable, "-I", "-S", "-c", _BETWEEN, python, "-m", _MODULE, *sources]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True)
    return Cost(*json.loads(done.stdout))


def _read_requests(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the requests of a file, with what can be read of its broken lines, as the Collector would have them."""
    from spanforge.model_registry.compliance._sources import otlp_json as otlp  # noqa: PLC0415
    from spanforge.model_registry.compliance._sources.faults import FaultLog  # noqa: PLC0415
    from spanforge.model_registry.compliance._sources.salvage import SalvageContext, salvage  # noqa: PLC0415

    context = SalvageContext(FaultLog(), range(2**63 - 1))

    def read(line: bytes) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            otlp.decode_request(line)
            yield msgspec.json.decode(line)
            return
        for request in salvage(line, context):
            yield msgspec.json.decode(msgspec.json.encode(request))

    with path.open("rb") as file:
        for line in file:
            yield from read(line)


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
        for request in _read_requests(path):
            waiting["otel_traces"] += list_span_rows(request)
            waiting["otel_logs"] += list_log_rows(request)
            insert(_INSERTED_ROWS)
    insert(0)


def _read_processor_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _compare(spans: int, rounds: int) -> int:
    """Compare, print the result, and return 1 if the figures differ."""
    from support.clickhouse_database import PASSWORD, serving_clickhouse  # noqa: PLC0415

    os.environ["CLICKHOUSE_PASSWORD"] = PASSWORD
    python = Path(sys.executable)
    (_ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_ROOT / "build") as folder:
        archive.write(folder, spans, plain=True)
        files = sorted(Path(folder).glob("*.jsonl"))
        with serving_clickhouse(Path(folder, "data")) as server:
            database = server._replace(name="otel")
            database.create()
            _fill(database, files)
            print(f"{spans:,} spans are in files and in ClickHouse", file=sys.stderr, flush=True)
            from_files, from_tables, engine = [], [], []
            for _ in range(rounds):
                from_files.append(_measure(python, list(map(str, files))))
                before = _read_processor_seconds(server.pid)
                from_tables.append(_measure(python, [database.url]))
                engine.append(_read_processor_seconds(server.pid) - before)
    return _report(from_files, from_tables, engine)


def _report(from_files: list[Cost], from_tables: list[Cost], engine: list[float]) -> int:
    walls = [tables.wall / files.wall for files, tables in zip(from_files, from_tables, strict=True)]
    processor = [
        (tables.processor + server) / files.processor
        for files, tables, server in zip(from_files, from_tables, engine, strict=True)
    ]
    is_same = len({cost.figures for cost in (*from_files, *from_tables)}) == 1
    print(f"figures: {'the same' if is_same else 'different'}")
    print(f"clock, ClickHouse / files: {statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f})")
    print(f"processor with the engine, ClickHouse / files: {statistics.median(processor):.2f}")
    print(f"files: {statistics.median(cost.wall for cost in from_files):.1f} s by the clock")
    print(f"ClickHouse: {statistics.median(cost.wall for cost in from_tables):.1f} s by the clock")
    print(f"client of ClickHouse: {max(max(cost.parent, cost.child) for cost in from_tables):.0f} MB at its peak")
    return 0 if is_same else 1


def start(given: list[str]) -> int:
    """Run this module in the environment with ClickHouse's engine, and return the exit code."""
    sys.path.insert(0, str(_ROOT / "tools"))
    from environments import make_environment  # type: ignore[import-not-found]  # noqa: PLC0415

    python = make_environment("clickhouse", "clickhouse/python")
    paths = os.pathsep.join(str(_ROOT / name) for name in ("src", "tests", "."))
    return subprocess.call([python, "-m", _MODULE, "--compare", *given], env={**os.environ, "PYTHONPATH": paths})


def main() -> int:
    """Compare, or make evidence from sources."""
    if sys.argv[1:2] != ["--compare"]:
        _make_evidence(sys.argv[1:])
        return 0
    parser = argparse.ArgumentParser(prog="bench clickhouse", description=__doc__)
    parser.add_argument("--spans", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(sys.argv[2:])
    return _compare(arguments.spans, arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
