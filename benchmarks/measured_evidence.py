"""Evidence from any sources in a process of its own: its cost, and a digest of each of its figures.

As a program, this module makes evidence once: ``python -m benchmarks.measured_evidence FILE_OR_ADDRESS ...``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from benchmarks import archive
from benchmarks.models import registry_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ROOT: Final = Path(__file__).parent.parent
_MODULE: Final = "benchmarks.measured_evidence"
_BETWEEN: Final = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A small process between this one and the candidate, which would otherwise inherit this one's peak memory."""


class Cost(NamedTuple):
    """Cost of one run: clock and processor seconds, peak MB of the process and of its largest child, and its results.

    The results are a digest of each figure, and the parts of the inputs that could not be read.
    """

    wall: float
    processor: float
    parent: float
    child: float
    figures: dict[str, str]
    limits: list[str]

    @property
    def peak(self) -> float:
        """The peak MB of the largest process."""
        return max(self.parent, self.child)


def measure(sources: Iterable[str | os.PathLike[str]]) -> Cost:
    """Make evidence in a new process, and return its cost."""
    command = [sys.executable, "-I", "-S", "-c", _BETWEEN, sys.executable, "-m", _MODULE, *sources]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return Cost(*json.loads(done.stdout))


def report_figures(costs: Iterable[Cost]) -> bool:
    """Print which figures differ between runs, and return ``True`` if none does."""
    figures = [cost.figures for cost in costs]
    names = sorted(set().union(*figures))
    differences = [name for name in names if len({each.get(name) for each in figures}) > 1]
    print(f"figures: {', '.join(differences) + ' differ' if differences else 'the same'}")
    return not differences


def report_times(name: str, from_files: Sequence[Cost], candidates: Sequence[Cost]) -> None:
    """Print the times of a source and of files, their ratio, and the memory of the source's client."""
    ratios = [candidate.wall / files.wall for files, candidate in zip(from_files, candidates, strict=True)]
    print(f"clock, {name} / files: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"files: {statistics.median(cost.wall for cost in from_files):.1f} s by the clock")
    print(f"{name}: {statistics.median(cost.wall for cost in candidates):.1f} s by the clock")
    print(f"client of {name}: {max(cost.peak for cost in candidates):.0f} MB at its peak")


def read_requests(path: Path) -> Iterator[dict[str, Any]]:
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


def _digest_figures(package: Any) -> dict[str, str]:
    """Return a digest of each figure of evidence, apart from its inputs and what depends on their kind."""
    attested = msgspec.to_builtins(package.attestation)
    for field in ("inputs", "limits"):
        del attested[field]
    del attested["coverage"]["reasons"]  # files have lines that cannot be read
    figures = {"evidence.csv": package.evidence_csv, "findings.csv": package.findings_csv}
    for name, value in attested.items():
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        figures.update((key, msgspec.json.encode(part, order="sorted")) for key, part in parts.items())
    return {name: hashlib.sha256(content).hexdigest() for name, content in figures.items()}


def _list_limits(package: Any) -> list[str]:
    return [limit for each in msgspec.to_builtins(package.attestation.inputs) for limit in each["limits"]]


def main(sources: list[str]) -> None:
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
    processor = sum(after[:4]) - sum(before[:4])
    peaks = [resource.getrusage(who).ru_maxrss / 1_000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps(Cost(wall, processor, *peaks, _digest_figures(package), _list_limits(package))))


if __name__ == "__main__":
    main(sys.argv[1:])
