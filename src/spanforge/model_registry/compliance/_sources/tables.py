"""Telemetry in tables of a database: the protocol of its readers, and the rows that they yield.

A database counts spans itself: it groups them by all that decides how a span is counted, and finds copies. So a reader
yields groups of spans, never spans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol, runtime_checkable

import msgspec

from spanforge.model_registry.compliance._sources.log_calls import CALL_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

RowKind = Literal["spans", "logs"]
"""The kind of a table's rows: spans, or log records."""
Unit = Literal["stretch", "day"]
"""The unit of numbered times: a stretch of the period as long as ``max_gap``, or a day since the epoch."""
_Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]*$")]
LOG_KEYS: Final = frozenset(key for event in CALL_EVENTS.values() for key in event.keys)
"""The attribute keys that have another name on spans."""


class TableRequest(msgspec.Struct, frozen=True):
    """The request of a scan of tables. Times are nanoseconds since the epoch, durations nanoseconds.

    Attributes:
        start: The first instant of the period.
        end: The first instant after the period.
        events_start: The first instant at which a span may have started whose lifecycle events are read.
        events_end: The first instant after these.
        delay: The longest time until a change is in force in every process.
        max_gap: The length of the stretches in which spans are counted.
        moments: The moments at which the state of a model changes, in order, and an earliest one before all spans.
        keys: The attribute keys whose values decide how a span is counted.
        present_keys: The attribute keys whose presence decides it.
        scopes: The instrumentation scopes whose name decides it.
    """

    start: int
    end: int
    events_start: int
    events_end: int
    delay: int
    max_gap: int
    moments: tuple[int, ...]
    keys: tuple[str, ...]
    present_keys: tuple[str, ...]
    scopes: tuple[str, ...]


class Combination(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """All that decides how a span or a log record is counted, apart from its time.

    Attributes:
        service: The name of the service.
        scope: The name of the instrumentation scope, if it decides.
        keys: The keys of the attributes whose values decide, perhaps repeated.
        values: Their values, as text.
        present_keys: The other keys whose presence decides.
        event: The name of the event of a log record that reports a call.
    """

    service: str
    scope: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    present_keys: tuple[str, ...]
    event: str = ""


class Moments(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The moments of ``TableRequest`` that were the latest ones at three times of a span.

    Attributes:
        early: At the oldest state that the span may show.
        here: At its start.
        late: At its end.
    """

    early: int
    here: int
    late: int


class CountedSpans(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Spans of one combination and the same moments.

    Attributes:
        moments: The moments.
        number: The number of spans, copies included.
        first: The start of the first one.
        last: The start of the last one.
        samples: The first ones: for each, 16 hexadecimal digits of its start, then its trace id and its span id.
    """

    moments: Moments
    number: int
    first: int
    last: int
    samples: _Hex


class SpanGroup(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The spans of one combination."""

    combination: Combination
    counted: list[CountedSpans]


class PlacedSpan(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A combination with moments: all that decides how one span is counted."""

    combination: Combination
    moments: Moments


class RepeatedRows(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Equal rows.

    Attributes:
        ids: The trace id and the span id of a span whose rows differ; empty for all spans whose rows are equal.
        row: One of the equal rows.
        number: The number of these rows of the span; for spans whose rows are equal, without the first row of each.
    """

    ids: _Hex
    row: PlacedSpan
    number: int


class ReportedCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A call in a log record that was written in a span of the tables.

    Attributes:
        ids: The trace id and the span id of the span.
        own_id: The id of the log record.
        call: The log record.
        spans: The different rows of the span, at most two.
        is_first: ``True`` for one of the log records of the span.
    """

    ids: _Hex
    own_id: _Hex
    call: PlacedSpan
    spans: list[PlacedSpan] = []
    is_first: bool = False


class Stretch(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The first and the last start in a numbered stretch, by the mark of the sender."""

    sender: str
    number: int
    first: int
    last: int


class CombinationStretches(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The numbers of the stretches with log records of one combination, each with the first and the last start."""

    combination: Combination
    stretches: list[tuple[int, int, int]]


class TableEvent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A lifecycle event with its attributes, and the mark of its sender."""

    sender: str
    name: str
    at: int
    keys: list[str]
    values: list[str]


class RowTotals(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The rows of a table in the period.

    Attributes:
        rows: The number of rows.
        counted: The number of spans with ids, or of log records that report calls.
        first: The start of the first of these; ``0`` without any.
        last: The start of the last one.
    """

    rows: int
    counted: int
    first: int
    last: int


@runtime_checkable
class TelemetryTables(Protocol):
    """The protocol of readers of tables. See ``TelemetryReader`` for the attributes."""

    name: str
    kind: str
    sha256: str
    limits: list[str]

    @property
    def size(self) -> int:
        """The number of bytes that were received."""

    def open(self, request: TableRequest) -> tuple[RowKind, ...]:
        """Connect, and return the signals that have a table.

        Raises:
            TelemetryError: The database cannot be read, or has no table.
        """

    def count_rows(self, signal: RowKind) -> RowTotals:
        """Return the totals of the rows of the period."""

    def list_groups(self, signal: RowKind) -> Iterator[SpanGroup]:
        """Yield the spans of the period, or the calls among its log records, in groups."""

    def list_copies(self, signal: RowKind) -> Iterator[RepeatedRows]:
        """Yield the rows that have the ids of another row."""

    def list_reported(self) -> Iterator[ReportedCall]:
        """Yield the calls in log records that were written in a span of the tables."""

    def list_ids(self) -> Iterator[RepeatedRows]:
        """Yield all spans, so that they can be compared with other inputs."""

    def list_calls(self) -> Iterator[ReportedCall]:
        """Yield all calls in log records, for the same purpose."""

    def list_stretches(self, *, by_sender: bool) -> Iterator[Stretch]:
        """Yield the stretches of the period with spans; all of them as of one sender if not ``by_sender``."""

    def list_call_stretches(self, unit: Unit) -> Iterator[CombinationStretches]:
        """Yield the stretches or days of the period with calls in log records."""

    def list_days(self, signal: RowKind) -> Iterator[Stretch]:
        """Yield the days with spans, or those outside the period with calls in log records."""

    def list_events(self, signal: RowKind) -> Iterator[TableEvent]:
        """Yield the lifecycle events."""

    def has_marks(self) -> bool:
        """Check whether a log record of the period has the mark of a sender."""

    def close(self) -> None:
        """Disconnect."""
