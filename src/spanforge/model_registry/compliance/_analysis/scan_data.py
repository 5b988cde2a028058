"""The data of a scan: the request, which is the same for every input, and the result for each input."""

from __future__ import annotations

from typing import Final

import msgspec

from spanforge.model_registry._core.entry import ModelRegistryEntry  # noqa: TC001 - msgspec decodes it
from spanforge.model_registry.compliance._analysis.calls import Call  # noqa: TC001 - likewise
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

MAX_CALL_GROUPS: Final = 50_000
"""Groups of calls in one input. Further calls are counted without service and unregistered name."""
MAX_SEEN_EVENTS: Final = 100_000
"""Lifecycle events of one input that are kept."""
SAMPLES_PER_GROUP: Final = 5
"""Spans of each group that are kept to look up."""
OTHERS_NAME: Final = "(others)"
"""Stands for the services and unregistered names beyond ``MAX_CALL_GROUPS``."""


class ScanRequest(msgspec.Struct, frozen=True):
    """What to count, the same for every input; times are nanoseconds since the epoch.

    Attributes:
        start: The first instant of the period.
        end: The first instant after it.
        max_gap: The longest stretch without spans for which the period is covered.
        delay: How long a change may take to be in force everywhere.
        entries: The registry's entries.
        model_attributes: Further attribute keys that hold a model name.
        model_name: The model that the evidence is about, whose name is kept however many others there are; ``None``:
            the whole inventory.
    """

    start: int
    end: int
    max_gap: int
    delay: int
    entries: list[ModelRegistryEntry]
    model_attributes: tuple[str, ...] = ()
    model_name: str | None = None


class SpanRef(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A span to look up: its ids, and when it started."""

    start: int
    trace_id: str
    span_id: str


class CallGroup(msgspec.Struct, array_like=True):
    """Spans that are counted together, copies included.

    Attributes:
        call: What they have in common.
        mark: The group's number in its input, as the records of its spans hold it.
        calls: How many spans there are.
        first: When the first one started, in nanoseconds since the epoch.
        last: When the last one started.
        samples: The first ones that were read.
    """

    call: Call
    mark: str
    calls: int = 0
    first: int = MAX_TIME
    last: int = 0
    samples: list[SpanRef] = []


class SeenEvent(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A lifecycle event, on a span or as a log record."""

    at: int
    name: str
    model_id: str


class ScanResult(msgspec.Struct):
    """What one input holds. Nothing changes it after the scan.

    Attributes:
        lines: Requests that were read, the unreadable ones included.
        bad_lines: Lines, or parts of them, that are not requests, and spans and log records that are not OTLP.
        spans: Spans that were read, copies included.
        spans_outside: Those of them that started outside of the period.
        first: When the first span started, in nanoseconds since the epoch; ``0``: there is none.
        last: When the last span started.
        groups: The spans of the period, in groups.
        stretches: First and last span of each stretch of the period that has any, by its number.
        events: The lifecycle events that may match changes in the period.
        lost_events: Those beyond ``MAX_SEEN_EVENTS``.
    """

    lines: int = 0
    bad_lines: int = 0
    spans: int = 0
    spans_outside: int = 0
    first: int = 0
    last: int = 0
    groups: list[CallGroup] = []
    stretches: dict[int, tuple[int, int]] = {}
    events: set[SeenEvent] = set()
    lost_events: int = 0


class ScannedInput(msgspec.Struct, frozen=True):
    """One input, and what it holds.

    Attributes:
        name: Its name in the evidence.
        kind: The telemetry format, see ``attestation.Input``.
        size: Bytes that were read.
        sha256: Their SHA-256, in hexadecimal.
        limits: What could not be read, a sentence each.
        result: What it holds.
    """

    name: str
    kind: str
    size: int
    sha256: str
    limits: list[str]
    result: ScanResult
