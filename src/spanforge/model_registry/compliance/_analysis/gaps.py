"""The stretches of a period without any span."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest


def find_gaps(inputs: Iterable[ScannedInput], request: ScanRequest) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the period that have no span and are longer than allowed.

    Each numbered stretch is as long as the longest gap that is allowed. A longer gap is therefore between the spans of
    two stretches, or at an end of the period.
    """
    stretches: dict[int, tuple[int, int]] = {}
    for scanned in inputs:
        for number, (first, last) in scanned.result.stretches.items():
            earliest, latest = stretches.get(number, (first, last))
            stretches[number] = min(earliest, first), max(latest, last)
    last_seen = request.start
    for number in sorted(stretches):
        first, last = stretches[number]
        if first - last_seen > request.max_gap:
            yield last_seen, first
        last_seen = last
    if request.end - last_seen > request.max_gap:
        yield last_seen, request.end
