"""Evidence from an archive, compared with decoding the same files with msgspec in as many processes.

Each candidate is a process that starts one worker per core, as the engine does. As a program, this module runs one
candidate: ``python -m benchmarks.evidence typed FILE …``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from benchmarks import archive
from benchmarks.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.comparison import Sizes

_ROOT: Final = Path(__file__).parent.parent
_BETWEEN: Final = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A small process between this one and the candidate, which would otherwise inherit this one's peak memory."""


class _Part(msgspec.Struct, rename="camel"):
    pass


class AnyValue(_Part):
    """An OTLP value of any type."""

    string_value: str | None = None
    int_value: int | None = None
    double_value: float | None = None
    bool_value: bool | None = None
    array_value: ArrayValue | None = None


class ArrayValue(_Part):
    """An array of values."""

    values: list[AnyValue] = []


class Attribute(_Part):
    """An attribute: key and value."""

    key: str = ""
    value: AnyValue | None = None


class Resource(_Part):
    """A resource, or the relevant part of an instrumentation scope."""

    name: str = ""
    attributes: list[Attribute] = []


class Event(_Part):
    """A span event."""

    name: str = ""
    time_unix_nano: int = 0
    attributes: list[Attribute] = []


class Span(_Part):
    """A span."""

    trace_id: str
    span_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int = 0
    attributes: list[Attribute] = []
    events: list[Event] = []


class ScopeSpans(_Part):
    """The spans of one scope."""

    scope: Resource | None = None
    spans: list[Span] = []


class ResourceSpans(_Part):
    """The spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] = []


class Request(_Part):
    """A line of the archive: one export request."""

    resource_spans: list[ResourceSpans] = []


DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "typed": msgspec.json.Decoder(Request, strict=False).decode,
    "untyped": msgspec.json.Decoder().decode,
}


def _decoded(how: str, path: str) -> int:
    """Decode all lines of a file, discard them, and return the number that could be decoded."""
    decode, lines = DECODERS[how], 0
    with open(path, "rb") as file:
        for line in file:
            try:
                decode(line)
            except (msgspec.MsgspecError, UnicodeError):
                continue
            lines += 1
    return lines


def _decode(how: str, files: Iterable[str]) -> None:
    longest_first = sorted(files, key=lambda path: -os.path.getsize(path))
    workers = min(len(longest_first), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_decoded, [how] * len(longest_first), longest_first))


def _engine(files: Iterable[str]) -> Callable[[], object]:
    """Return a function that generates evidence from these files and the archive's registry."""
    from benchmarks.models import registry_of  # noqa: PLC0415 - processes that only decode need none of this
    from spanforge.model_registry import ModelRegistryEntry  # noqa: PLC0415
    from spanforge.model_registry.compliance import ComplianceMappingEngine  # noqa: PLC0415

    entries = [ModelRegistryEntry.from_dict(model.entry()) for model in archive.MODELS.values()]
    engine = ComplianceMappingEngine(registry_of(entries, auto_emit=False))
    period = archive.rfc3339(archive.START), archive.rfc3339(archive.END)
    return lambda: engine.generate_evidence_package(None, "soc2", *period, telemetry=list(files))


class Cost(NamedTuple):
    """Cost of one run: clock and processor seconds, and peak KiB of the first process and of the largest child."""

    wall: float
    processor: float
    parent: int
    child: int


def main(how: str, *files: str) -> None:
    """Run one candidate and print its cost."""
    import resource  # noqa: PLC0415 - not on every platform, see unavailable()

    work = _engine(files) if how == "engine" else lambda: _decode(how, files)
    start, before = time.perf_counter(), os.times()
    work()
    wall, after = time.perf_counter() - start, os.times()
    processor = sum(after[:4]) - sum(before[:4])
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps([wall, processor, *peaks]))


def _cost(how: str, files: list[str]) -> Cost:
    command = [sys.executable, "-I", "-S", "-c", _BETWEEN, sys.executable, "-m", __name__, how, *files]
    return Cost(*json.loads(subprocess.run(command, cwd=_ROOT, capture_output=True, check=True).stdout))


def _archived(sizes: Sizes) -> list[str]:
    folder = Path(sizes.folder, "archive")
    if not folder.exists():  # both comparisons use the same archive
        folder.mkdir()
        archive.write(str(folder), sizes.archived, plain=True)
    return sorted(map(str, folder.glob("*.jsonl")))


def against(other: str) -> Callable[[Sizes], Comparison]:
    """Return a function that compares evidence with ``typed`` or ``untyped`` decoding, by the clock."""

    def prepare(sizes: Sizes) -> Comparison:
        files = _archived(sizes)
        costs: dict[str, list[Cost]] = {"evidence": [], "decoding": []}

        def candidate(name: str, how: str) -> Callable[[], float]:
            def run() -> float:
                costs[name].append(_cost(how, files))
                return costs[name][-1].wall

            return run

        def note() -> str:
            counted = [found[sizes.has_warm_up :] for found in costs.values()]
            ratios = [a.processor / b.processor for a, b in zip(*counted, strict=True)]
            peak = max(max(cost.parent, cost.child) for cost in costs["evidence"]) / 1_000
            return f"ratio by processor time {statistics.median(ratios):.3f}; peak memory {peak:,.0f} MB per process"

        candidates = {"evidence": candidate("evidence", "engine"), "decoding": candidate("decoding", other)}
        return Comparison(candidates, lambda cost: cost["evidence"] / cost["decoding"], remark=note)

    return prepare


def unavailable() -> str:
    """Return why evidence cannot be measured here; an empty string if it can."""
    return "" if sys.platform.startswith("linux") else "only Linux reports peak memory in KiB"


if __name__ == "__main__":
    main(*sys.argv[1:])
