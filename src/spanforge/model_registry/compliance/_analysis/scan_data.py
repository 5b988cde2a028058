"""The data of a scan: one request for all inputs, and a result for each input."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

import msgspec

from spanforge.model_registry._core.announcements import Announcement  # noqa: TC001 - msgspec decodes it
from spanforge.model_registry._core.entry import ModelRegistryEntry  # noqa: TC001 - msgspec decodes it
from spanforge.model_registry._core.names import MatchMode  # noqa: TC001 - likewise
from spanforge.model_registry.compliance._analysis.calls import Call  # noqa: TC001 - likewise
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CALL_GROUPS: Final = 20_000
"""The limit of call groups of each sender in one input. Spans beyond it are counted without service and names."""
MAX_SEEN_EVENTS: Final = 100_000
"""The limit of lifecycle events of each sender that are kept for one input, because anybody can send them."""
SAMPLES_PER_GROUP: Final = 10
"""The limit of sample spans that are kept for each group: as many as a check lists."""


class ScanRequest(msgspec.Struct, frozen=True):
    """The request of a scan, the same for every input. Times are nanoseconds since the epoch, durations nanoseconds.

    Attributes:
        start: The first instant of the period.
        end: The first instant after the period.
        max_gap: The longest stretch without spans for which the period counts as covered.
        delay: The longest time until a change is in force in every process.
        entries: The registry's entries.
        model_attributes: Additional attribute keys that contain a model name.
        model_name: The model that the evidence is about; ``None`` for the whole inventory. This name is kept beyond
            ``MAX_CALL_GROUPS`` too.
        match: Whether forms match.
        announcements: The announcements of the provider calendar.
        keeps_days: ``True`` to keep the days of all records, those outside the period too.
    """

    start: int
    end: int
    max_gap: int
    delay: int
    entries: list[ModelRegistryEntry]
    model_attributes: tuple[str, ...] = ()
    model_name: str | None = None
    match: MatchMode = "forms"
    announcements: tuple[Announcement, ...] = ()
    keeps_days: bool = False


class SpanRef(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """A reference to a span: its ids and its start, in nanoseconds since the epoch."""

    start: int
    trace_id: str
    span_id: str


GroupKey = tuple[int, str]
"""The number of an input, and the mark of a group in it."""


class CallGroup(msgspec.Struct, array_like=True, gc=False):
    """Spans that are counted together, copies included.

    Attributes:
        call: Their common properties.
        mark: The number of the group in its input, in the form that the records of its spans have.
        calls: The number of spans.
        first: The start of the first span, in nanoseconds since the epoch.
        last: The start of the last span, in nanoseconds since the epoch.
        samples: The spans of the group that started first, in order. The order of reading never decides.
        bound: The start beyond which a span is no sample, in nanoseconds since the epoch.
        copies: The number of spans that are copies of others in the group, if the source of the telemetry found them.
    """

    call: Call
    mark: str
    calls: int = 0
    first: int = MAX_TIME
    last: int = 0
    samples: list[SpanRef] = []
    bound: int = MAX_TIME
    copies: int = 0

    def add(self, start: int, sample: SpanRef | None) -> None:
        """Count a call, and keep its span as a sample if there is one."""
        self.add_all(1, start, start, () if sample is None else (sample,))

    def add_all(self, number: int, first: int, last: int, samples: Iterable[SpanRef]) -> None:
        """Count spans, with the start of the first and of the last one."""
        self.calls += number
        self.first = min(self.first, first)
        self.last = max(self.last, last)
        for sample in samples:
            self.keep_sample(sample)

    def keep_sample(self, sample: SpanRef) -> None:
        """Keep a span as a sample if it is one of the first of the group. A copy of a sample is no further one."""
        samples = self.samples
        if sample.start > self.bound:
            return
        for known in samples:
            if known.span_id == sample.span_id and known.trace_id == sample.trace_id:
                if known <= sample:
                    return
                samples.remove(known)
                break
        insort(samples, sample)
        del samples[SAMPLES_PER_GROUP:]
        if len(samples) == SAMPLES_PER_GROUP:
            self.bound = samples[-1].start


class SeenEvent(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A lifecycle event, read from a span or a log record.

    Attributes:
        at: The time of its emission, in nanoseconds since the epoch.
        name: The name of the event.
        model_id: The model.
        status: The status after the operation.
        dates: The dates that the event carries, in nanoseconds since the epoch: that of its status, after that of the
            deployment if the event is a registration.
        source_revision: The revision that has the change; empty if the event names none.
    """

    at: int
    name: str
    model_id: str
    status: str
    dates: tuple[tuple[str, int], ...] = ()
    source_revision: str = ""

    @property
    def identity(self) -> tuple[int | str, str, str]:
        """The facts that are equal in each signal of one event, and in events of the same change that a job repeated.

        A revision changes a model at most once in the same way, so the time of an event with a revision does not count.
        """
        return self.source_revision or self.at, self.name, self.model_id


class ScanResult(msgspec.Struct):
    """The result of the scan of one input. It does not change after the scan.

    Attributes:
        lines: Requests that were read, unreadable ones included.
        bad_lines: Lines, or parts of lines, that are not requests, and spans and log records that are not OTLP.
        spans: Spans that were read, copies included.
        spans_outside: Spans that were read and started outside the period.
        first: The start of the first span, in nanoseconds since the epoch; ``0`` if there is no span.
        last: The start of the last span, likewise.
        has_marks: ``True`` if a span or a log record has a mark of its sender.
        groups: The spans of the period, in groups.
        stretches: By sender, the start of the first and the last span of each stretch of the period with spans, by its
            number.
        events: By sender, the lifecycle events that may match changes in the period.
        lost_events: By sender, the number of events beyond ``MAX_SEEN_EVENTS``.
        faults: The first of ``bad_lines``, a text each with its place and the reason.
        harmless_faults: The number of ``bad_lines`` that are spans and log records without a time in the period, or of
            untrusted senders.
        days: By sender, the start of the first and the last span or call of each day, by the number of the day since
            the epoch, in the period and outside it. It is empty unless the request asks for it.
    """

    lines: int = 0
    bad_lines: int = 0
    spans: int = 0
    spans_outside: int = 0
    first: int = 0
    last: int = 0
    has_marks: bool = False
    groups: list[CallGroup] = []
    stretches: dict[str, dict[int, tuple[int, int]]] = {}
    events: dict[str, set[SeenEvent]] = {}
    lost_events: dict[str, int] = {}
    faults: list[str] = []
    harmless_faults: int = 0
    days: dict[str, dict[int, tuple[int, int]]] = {}


class ScannedInput(msgspec.Struct, frozen=True):
    """One input, with the result of its scan.

    Attributes:
        name: The name of the input in the evidence.
        kind: The telemetry format; see ``Input`` of the attestation.
        size: The number of bytes that were read.
        sha256: The SHA-256 of these bytes, in hexadecimal.
        limits: The parts of the input that could not be read, a sentence each.
        result: The result of the scan.
    """

    name: str
    kind: str
    size: int
    sha256: str
    limits: list[str]
    result: ScanResult
