"""The stretches of a period without any span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._analysis.senders import COUNTED, add_stretch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest


def find_gaps(inputs: Iterable[ScannedInput], request: ScanRequest) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the period that have no span of a sender that counts, and are longer than allowed.

    Each numbered stretch is as long as the longest gap that is allowed. A longer gap is therefore between the spans of
    two stretches, or at an end of the period.
    """
    stretches: dict[int, tuple[int, int]] = {}
    for scanned in inputs:
        for sender in COUNTED:
            for number, stretch in scanned.result.stretches.get(sender, {}).items():
                add_stretch(stretches, number, *stretch)
    last_seen = request.start
    for number in sorted(stretches):
        first, last = stretches[number]
        if first - last_seen > request.max_gap:
            yield last_seen, first
        last_seen = last
    if request.end - last_seen > request.max_gap:
        yield last_seen, request.end
