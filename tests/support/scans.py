"""Scans of telemetry in January 2026: requests, inputs in memory, and a model whose status changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.evidence import ListReader, make_entry, make_record

from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest
from spanforge.model_registry.compliance._analysis.workers import scan_input

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from spanforge.model_registry import ModelRegistryEntry

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
START, END = to_nanos("2026-01-01"), to_nanos("2026-02-01")
DELAY = 5 * MINUTE
CHANGING = make_entry(
    deployment_date="2026-01-01",
    metadata={
        "history": [
            make_record("2026-01-01", "active"),
            make_record("2026-01-10T12:00:00.000001Z", "deprecated"),
            make_record("2026-01-20T12:00:00Z", "retired"),
        ],
        "sunset_date": "2026-01-15",
    },
)
"""A model that is deprecated, passes its sunset date and is retired in the period."""
DEPRECATED, SUNSET, RETIRED = map(to_nanos, ("2026-01-10T12:00:00.000001Z", "2026-01-15", "2026-01-20T12:00:00Z"))


def make_request(
    *entries: ModelRegistryEntry, max_gap: int = DAY, delay: int = DELAY, model_name: str | None = None
) -> ScanRequest:
    """Return a request to scan January 2026; there is one entry if none is given."""
    return ScanRequest(START, END, max_gap, delay, list(entries or [make_entry()]), model_name=model_name)


def scan_lines(
    folder: Path, lines: Iterable[bytes], request: ScanRequest | None = None, number: int = 0
) -> ScannedInput:
    """Return the scan of an input that has these lines."""
    return scan_input(ListReader(lines), request or make_request(), str(folder), number)
