"""The scan of one input: one pass that counts spans and lifecycle events, with memory independent of its size."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

from spanforge.model_registry._core.attributes import SENDER_KEY
from spanforge.model_registry.compliance._analysis.call_groups import CallGroups
from spanforge.model_registry.compliance._analysis.calls import NO_MARK, Origin
from spanforge.model_registry.compliance._analysis.log_calls import LogCallWriter, make_ids
from spanforge.model_registry.compliance._analysis.resolver import Resolver
from spanforge.model_registry.compliance._analysis.retention import add_days
from spanforge.model_registry.compliance._analysis.scan_cache import ScanCache
from spanforge.model_registry.compliance._analysis.scan_data import (
    ScanRequest,
    ScanResult,
    SpanRef,
)
from spanforge.model_registry.compliance._analysis.seen_events import EventKeeper
from spanforge.model_registry.compliance._analysis.senders import add_stretch, read_sender_mark, split_by_sender
from spanforge.model_registry.compliance._analysis.span_groups import GroupPicker
from spanforge.model_registry.compliance._sources import otlp_json as otlp
from spanforge.model_registry.compliance._sources.faults import FaultLog
from spanforge.model_registry.compliance._sources.log_calls import find_call_event, get_call_attributes
from spanforge.model_registry.compliance._sources.salvage import SalvageContext, salvage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
    from spanforge.model_registry.compliance._analysis.span_groups import LayoutPickers, ServiceScope

_SENDER_BYTES: Final = SENDER_KEY.encode()


class Scan:
    """Counts the spans and lifecycle events of one input.

    Args:
        request: The period, the registry's entries and the settings of the scan.
        id_writer: The writer of span ids, by which copies are found later.
        faults: The log of the parts that cannot be read; ``None`` for a new one.

    Attributes:
        has_request: ``True`` if the input has a request of any signal.
    """

    def __init__(self, request: ScanRequest, id_writer: SpanIdWriter, faults: FaultLog | None = None) -> None:
        self.request = request
        self.has_request = False
        self._faults = FaultLog() if faults is None else faults
        self._salvage = SalvageContext(self._faults, range(request.start, request.end))
        self._log_writer = LogCallWriter(id_writer.folder, id_writer.input_number)
        self.result: ScanResult = ScanResult(groups=[], stretches={}, events={}, lost_events={}, days={})
        self._id_writer = id_writer
        start, end, delay = request.start, request.end, request.delay
        self._events = EventKeeper(request, self.result)
        # A call may end long after the period.
        times = range(start - delay, max(end, otlp.MAX_TIME))
        self._resolver = Resolver(
            request.entries, request.model_attributes, times, request.match, request.announcements
        )
        self._cache = ScanCache(self._resolver)
        self._document, self._has_mark_text = b"", False
        self._groups = CallGroups(request, self.result)

    def count_document(self, document: bytes) -> bool:
        """Count one request, and return ``True`` if all of it could be read."""
        self.result.lines += 1
        self._document = document
        try:
            request = otlp.decode_request(document)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._count_salvaged(document)
        if not (request.resource_spans or request.resource_logs or request.is_request):
            return self._count_salvaged(document)
        self._count_request(request)
        return True

    def flush(self) -> None:
        """Write the ids that are in memory; raise the errors of ``SpanIdWriter.flush``."""
        self._id_writer.flush()
        self._log_writer.flush()

    def _count_salvaged(self, document: bytes) -> bool:
        faults, before = self._faults, self._faults.count
        faults.ends_early = False
        for request in salvage(document, self._salvage):
            self._count_request(request)
        self.result.bad_lines, self.result.harmless_faults = faults.count, faults.harmless
        self.result.faults = faults.texts
        return faults.count == before

    def _count_request(self, request: otlp.ExportRequest) -> None:
        self.has_request = True
        for resource_spans in request.resource_spans or ():
            scopes = self._cache.find_resource(resource_spans.resource)
            for scope_spans in resource_spans.scope_spans:
                if scope_spans.spans:
                    self._count_spans(scope_spans.spans, self._cache.find_scope(scopes, scope_spans.scope))
        for resource_logs in request.resource_logs or ():
            self._count_logs(resource_logs)

    def _count_logs(self, resource_logs: otlp.ResourceLogs) -> None:
        """Keep the lifecycle events among log records, and count the calls."""
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                sender = self._read_sender(record.attributes)
                self._events.keep(record.event_name, record.at, record.attributes, sender)
                event = find_call_event(record)
                if event is not None and self.request.start <= record.at < self.request.end:
                    scopes = self._cache.find_resource(resource_logs.resource)
                    self._count_log_call(record, event, sender, self._cache.find_scope(scopes, scope_logs.scope))
                elif event is not None:
                    self._note_days([record.at], sender)

    def _count_log_call(self, record: otlp.LogRecord, event: str, sender: str, scope: ServiceScope) -> None:
        """Count a call that a log record reports."""
        attributes = get_call_attributes(record, event)
        known = self._cache.find_layout(scope.logs, [each.key for each in attributes])
        values = b"".join([picked.value for picked in known.layout.pick(attributes)])
        picker = known.pickers.get(values) or self._add_log_picker(scope, known, attributes, values, sender)
        if picker is None:
            return
        at = record.at
        group = picker.at(at, at)
        ids = make_ids(record)
        group.add(at, SpanRef(at, ids.trace_id.lower(), ids.span_id.lower()) if ids.has_span else None)
        self._id_writer.add(ids.trace_id, ids.own_id, group.mark)
        if ids.has_span:
            self._log_writer.add(ids, group.mark)
        self._note_stretches([at], sender)

    def _add_log_picker(
        self,
        scope: ServiceScope,
        known: LayoutPickers,
        attributes: Sequence[otlp.KeyValue],
        values: bytes,
        sender: str,
    ) -> GroupPicker | None:
        """Return the picker of log records that report calls; ``None`` if they report none."""
        layout = known.layout
        model_span = self._resolver.find(*layout.read_texts(attributes), scope.scope, layout.model_keys)
        if model_span is None or model_span.kind != "call":
            return None
        origin = Origin(scope.service, sender, from_log=True)
        picker = GroupPicker(origin, model_span, self.request.delay, self._groups.find)
        self._cache.add(scope, known, values, picker)
        return picker

    def _count_spans(self, spans: list[otlp.Span], scope: ServiceScope) -> None:
        """Count spans.

        Most of a scan's time goes here. Consecutive spans mostly have the same keys and values, so each lookup starts
        with the latest result: the layout by the keys, then the picker by the values, then the group by the time.
        """
        spans, starts = self._drop_outside(spans)
        buckets = self._id_writer.buckets
        layout, pickers = latest = scope.latest
        sender: str | None = None
        switches: list[tuple[otlp.Span, str]] = []
        for span in spans:
            attributes = span.attributes
            keys = [attribute.key for attribute in attributes]
            if keys != layout.keys:
                layout, pickers = latest = self._cache.find_layout(scope.spans, keys)
            values = b"".join([picked.value for picked in layout.pick(attributes)])
            picker = pickers.get(values)
            if picker is None:
                picker = self._add_picker(scope, latest, attributes, values)
            if picker.sender is not sender:
                sender = picker.sender
                switches.append((span, sender))
            start, end = span.start_time_unix_nano, span.end_time_unix_nano
            group = picker.group if picker.since <= start < picker.until > end else picker.at(start, end)
            group.calls += 1
            if start < group.first:  # noqa: PLR1730 - min() takes four times as long
                group.first = start
            if start > group.last:  # noqa: PLR1730 - likewise
                group.last = start
            if start <= group.bound:
                group.keep_sample(SpanRef(start, span.trace_id.lower(), span.span_id.lower()))
            buckets[span.span_id[0]].append(f"{span.trace_id}{span.span_id}{group.mark}")
            if span.events:
                self._events.keep_all(span, picker.sender)
        scope.latest = latest
        self._id_writer.note_added(len(spans))
        for sender, part in split_by_sender(spans, starts, switches):
            self._note_stretches(part, sender)

    def _drop_outside(self, spans: list[otlp.Span]) -> tuple[list[otlp.Span], list[int]]:
        """Return the spans that started in the period, and their starts; update the counts and times of the result."""
        result = self.result
        starts = [span.start_time_unix_nano for span in spans]
        first, last = (min(starts), max(starts)) if len(starts) > 1 else (starts[0], starts[0])
        result.spans += len(starts)
        result.first = min(first, result.first or first)
        result.last = max(last, result.last)
        if first < self.request.start or last >= self.request.end:
            spans = self._select_inside(spans)
            starts = [span.start_time_unix_nano for span in spans]
        return spans, starts

    def _select_inside(self, spans: list[otlp.Span]) -> list[otlp.Span]:
        """Return the spans that started in the period, and keep the events of the others."""
        start, end = self.request.start, self.request.end
        inside, outside = [], defaultdict[str, list[int]](list)
        keeps_days = self.request.keeps_days
        may_find_marks = (keeps_days or not self.result.has_marks) and self._may_have_marks()
        for span in spans:
            if start <= span.start_time_unix_nano < end:
                inside.append(span)
            elif span.events or may_find_marks:
                # A span that started before the period may have events in the period.
                sender = self._read_sender(span.attributes)
                self._events.keep_all(span, sender)
                outside[sender].append(span.start_time_unix_nano)
            elif keeps_days:
                outside[NO_MARK].append(span.start_time_unix_nano)
        self.result.spans_outside += len(spans) - len(inside)
        for sender, starts in outside.items():
            self._note_days(starts, sender)
        return inside

    def _may_have_marks(self) -> bool:
        """Check whether the document may have a mark of a sender. It may be large, and is searched once."""
        if self._document:
            self._has_mark_text, self._document = _SENDER_BYTES in self._document, b""
        return self._has_mark_text

    def _read_sender(self, attributes: Sequence[otlp.KeyValue]) -> str:
        """Return the mark of the sender of a span or a log record."""
        for attribute in attributes:
            if attribute.key == SENDER_KEY:
                self.result.has_marks = True
                return read_sender_mark(otlp.get_text(attribute.value))
        return NO_MARK

    def _note_stretches(self, starts: list[int], sender: str) -> None:
        """Add start times to the stretches of the period. Each is as long as ``max_gap``, so no gap fits into it."""
        self._note_days(starts, sender)
        origin, width = self.request.start, self.request.max_gap
        stretches = self.result.stretches.get(sender)
        if stretches is None:
            stretches = self.result.stretches.setdefault(sender, {})
        first, last = (min(starts), max(starts)) if len(starts) > 1 else (starts[0], starts[0])
        number = (first - origin) // width
        known = stretches.get(number)
        if known is not None and known[0] <= first and last <= known[1]:
            return
        if number == (last - origin) // width:
            add_stretch(stretches, number, first, last)
            return
        for start in starts:
            add_stretch(stretches, (start - origin) // width, start, start)

    def _note_days(self, starts: list[int], sender: str) -> None:
        if self.request.keeps_days:
            add_days(self.result.days.setdefault(sender, {}), starts)

    def _add_picker(
        self, scope: ServiceScope, known: LayoutPickers, attributes: Sequence[otlp.KeyValue], values: bytes
    ) -> GroupPicker:
        layout = known.layout
        texts, warnings = layout.read_texts(attributes)
        model_span = self._resolver.find(texts, warnings, scope.scope, layout.model_keys)
        self.result.has_marks |= layout.is_marked
        later_texts = layout.list_later_texts(attributes)
        is_ambiguous = self._resolver.is_ambiguous(model_span, later_texts, scope.scope, layout.model_keys)
        origin = Origin(scope.service, layout.read_sender(texts), is_ambiguous)
        picker = GroupPicker(origin, model_span, self.request.delay, self._groups.find)
        self._cache.add(scope, known, values, picker)
        return picker
