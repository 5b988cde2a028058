"""The scan of telemetry for ``reconcile``, with the definitions of evidence."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.calendar_option import load_calendar_if_any
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.telemetry_option import list_telemetry
from spanforge.model_registry._core.settings import MATCH, MODEL_ATTRIBUTES
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.counted_groups import count_once
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._analysis.totals import total_groups
from spanforge.model_registry.compliance._analysis.workers import scan_inputs
from spanforge.model_registry.compliance._arguments import parse_period
from spanforge.model_registry.compliance._sources.formats import file_kind, open_sources, read_size
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.model_totals import GroupSpans
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup, ScannedInput
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._sources.formats import TelemetryInput

_DELAY: Final = 300 * 10**9
"""The nanoseconds until a change is in force everywhere, as in evidence."""


class Observed(NamedTuple):
    """Telemetry, as the scan counted it.

    Attributes:
        request: The request of the scan.
        inputs: The inputs, each with the result of its scan.
        groups: The groups of spans, each with those that count.
        totals: The totals.
    """

    request: ScanRequest
    inputs: Sequence[ScannedInput]
    groups: Sequence[tuple[CallGroup, GroupSpans]]
    totals: CallTotals


def choose_scan_period(sources: Iterable[str], from_date: str | None, to_date: str | None) -> tuple[int, int]:
    """Return the start and the end of the period, in nanoseconds since the epoch: by default, all times.

    Raises:
        InvalidValueError: A date is not valid, or the period is empty.
        UsageError: A source is an address, and there is no first day: a server finds traces by their time.
    """
    addresses = [each for each in sources if "://" in each]
    if addresses and from_date is None:
        msg = "--from is missing: reading traces over the network needs a period, such as --from 2026-11-01"
        raise UsageError(msg)
    if to_date is None and addresses:
        to_date = format_nanos(time.time_ns())
    start, end = parse_period(from_date or "1970-01-01", to_date or "2262-01-01", ("--from", "--to"))
    return start, MAX_TIME if to_date is None else end


def make_scan_request(
    period: tuple[int, int], entries: Sequence[ModelRegistryEntry], calendar: str | None
) -> ScanRequest:
    """Return the request of a scan with the settings of this environment.

    Args:
        period: The start and the end of the period.
        entries: The entries of the registry.
        calendar: The path of the provider calendar; ``None``: the setting ``calendar``.

    Raises:
        RegistryFileError: The calendar cannot be read or is not valid.
    """
    start, end = period
    loaded = load_calendar_if_any(calendar)
    announcements = () if loaded is None else loaded.announcements
    # No gaps are reported, so the whole period may be one.
    return ScanRequest(
        start, end, end - start, _DELAY, list(entries), MODEL_ATTRIBUTES.read(), None, MATCH.read(), announcements
    )


def find_size(readers: Iterable[TelemetryInput]) -> int | None:
    """Return the number of bytes to read; ``None`` if it is not known."""
    sizes = [_find_file_size(reader) for reader in readers]
    return None if None in sizes else sum(filter(None, sizes))


def _find_file_size(reader: TelemetryInput) -> int | None:
    kind = file_kind(reader)
    return None if kind is None else read_size(kind, str(getattr(reader, "path", "")))


def open_telemetry(sources: Iterable[str], request: ScanRequest) -> list[TelemetryInput]:
    """Return the readers of sources, each file once; raise ``TelemetryError`` if one does not exist."""
    return open_sources(list_telemetry(sources), request.start, request.end)


def scan_telemetry(
    readers: Sequence[TelemetryInput], request: ScanRequest, report: Callable[[int, int], None]
) -> Observed:
    """Return telemetry, counted.

    Args:
        readers: The readers.
        request: The request of the scan.
        report: A function that gets the number of a reader and the number of bytes that it has read, now and then.

    Raises:
        TelemetryError: Telemetry cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="spanforge-reconcile-") as folder:
        inputs = scan_inputs(readers, request, folder, report)
        counted = count_once(inputs, folder)
    return Observed(request, inputs, counted.groups, total_groups(counted, []))
