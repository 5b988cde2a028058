"""The scan of one input: one pass that counts spans and lifecycle events, with memory independent of its size."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

from spanforge.model_registry._core.timestamps import DAY_NANOS
from spanforge.model_registry.compliance._analysis.calls import NO_MARK, OTHERS_NAME, SENDER_KEY, Call, Resolver
from spanforge.model_registry.compliance._analysis.scan_data import (
    MAX_CALL_GROUPS,
    MAX_SEEN_EVENTS,
    SAMPLES_PER_GROUP,
    CallGroup,
    ScanRequest,
    ScanResult,
    SeenEvent,
    SpanRef,
)
from spanforge.model_registry.compliance._analysis.seen_events import is_lifecycle_event, read_event
from spanforge.model_registry.compliance._analysis.senders import add_stretch, read_sender_mark
from spanforge.model_registry.compliance._analysis.span_groups import GroupPicker, KeyLayout, ServiceScope
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry.compliance._analysis.calls import ModelSpan
    from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter

_CACHE_SLOTS: Final = 20_000
"""The limit of remembered attribute combinations. A combination takes one more slot per ``_BYTES_PER_SLOT`` bytes."""
_BYTES_PER_SLOT: Final = 1_024
_SENDER_BYTES: Final = SENDER_KEY.encode()
_MAX_LATER_VALUES: Final = 4
"""The limit of values of repeated attributes that are resolved for a span. A span with more is ambiguous."""


class Scan:
    """Counts the spans and lifecycle events of one input.

    Args:
        request: The period, the registry's entries and the settings of the scan.
        id_writer: The writer of span ids, by which copies are found later.
    """

    def __init__(self, request: ScanRequest, id_writer: SpanIdWriter) -> None:
        self.request = request
        self.result: ScanResult = ScanResult(groups=[], stretches={}, events={}, lost_events={})
        self._id_writer = id_writer
        start, end, delay = request.start, request.end, request.delay
        self._event_times = range(start - delay, end + max(delay, DAY_NANOS))
        # A call may end long after the period.
        times = range(start - delay, max(end, otlp.MAX_TIME))
        self._resolver = Resolver(request.entries, request.model_attributes, times, request.match)
        self._scopes: dict[tuple[bytes, bytes], ServiceScope] = {}
        self._used_slots = 0
        self._document, self._has_mark_text = b"", False
        self._groups: defaultdict[str, dict[Call, CallGroup]] = defaultdict(dict)

    def count_document(self, document: bytes) -> bool:
        """Count one request, and return ``True`` if all of it could be read."""
        self.result.lines += 1
        self._document = document
        try:
            request = otlp.decode_request(document)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._count_salvaged(document)
        if not (request.resource_spans or request.resource_logs or request.is_request):
            self.result.bad_lines += 1
            return False
        self._count_request(request)
        return True

    def find_group(self, call: Call) -> CallGroup:
        """Return the group that counts such calls. Each sender has its own limit of groups."""
        groups = self._groups[call.sender]
        group = groups.get(call)
        if group is None and len(groups) >= MAX_CALL_GROUPS:
            call = self._merge(call)
            group = groups.get(call)
        if group is None:
            group = CallGroup(call, self._id_writer.format_mark(len(self.result.groups)), samples=[])
            groups[call] = group
            self.result.groups.append(group)
        return group

    def _merge(self, call: Call) -> Call:
        """Return the call without its service, and without names but the one that the evidence is about."""
        kept = ("", self.request.model_name)
        name, matched, served = (
            each if each in kept else OTHERS_NAME for each in (call.name, call.names.matched, call.names.served)
        )
        names = call.names._replace(matched=matched, served=served)
        return call._replace(name=name, service=OTHERS_NAME, names=names)

    def _count_salvaged(self, document: bytes) -> bool:
        bad = 0
        for request in otlp.salvage(document):
            if request is None:
                bad += 1
            else:
                self._count_request(request)
        self.result.bad_lines += bad
        return not bad

    def _count_request(self, request: otlp.ExportRequest) -> None:
        for resource_spans in request.resource_spans or ():
            for scope_spans in resource_spans.scope_spans:
                if scope_spans.spans:
                    scope = self._find_scope(bytes(resource_spans.resource), bytes(scope_spans.scope))
                    self._count_spans(scope_spans.spans, scope)
        for resource_logs in request.resource_logs or ():
            for scope_logs in resource_logs.scope_logs:
                for record in scope_logs.log_records:
                    at = record.time_unix_nano or record.observed_time_unix_nano
                    sender = self._read_sender(record.attributes)
                    self._keep_event(record.event_name, at, record.attributes, sender)

    def _count_spans(self, spans: list[otlp.Span], scope: ServiceScope) -> None:
        """Count spans.

        Most of a scan's time goes here. Consecutive spans mostly have the same keys and values, so each lookup starts
        with the latest result: the layout by the keys, then the picker by the values, then the group by the time.
        """
        spans, starts = self._drop_outside(spans)
        buckets = self._id_writer.buckets
        layout = scope.latest
        sender: str | None = None
        switches: list[tuple[otlp.Span, str]] = []
        for span in spans:
            attributes = span.attributes
            keys = [attribute.key for attribute in attributes]
            if keys != layout.keys:
                layout = self._find_layout(scope, keys)
            values = b"".join([picked.value for picked in layout.pick(attributes)])
            picker = layout.pickers.get(values)
            if picker is None:
                picker = self._add_picker(scope, layout, attributes, values)
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
            if group.calls <= SAMPLES_PER_GROUP:
                group.samples.append(SpanRef(start, span.trace_id, span.span_id))
            buckets[span.span_id[0]].append(f"{span.trace_id}{span.span_id}{group.mark}")
            if span.events:
                self._keep_events(span, picker.sender)
        scope.latest = layout
        self._id_writer.note_added(len(spans))
        for sender, part in _split_by_sender(spans, starts, switches):
            self._note_stretches(part, sender)

    def _drop_outside(self, spans: list[otlp.Span]) -> tuple[list[otlp.Span], list[int]]:
        """Return the spans that started in the period, and their starts; update the counts and times of the result."""
        result = self.result
        starts = [span.start_time_unix_nano for span in spans]
        first, last = min(starts), max(starts)
        result.spans += len(spans)
        result.first = min(first, result.first or first)
        result.last = max(last, result.last)
        if first < self.request.start or last >= self.request.end:
            spans = self._select_inside(spans)
            starts = [span.start_time_unix_nano for span in spans]
        return spans, starts

    def _select_inside(self, spans: list[otlp.Span]) -> list[otlp.Span]:
        """Return the spans that started in the period, and keep the events of the others."""
        start, end = self.request.start, self.request.end
        inside = []
        may_find_marks = not self.result.has_marks and self._may_have_marks()
        for span in spans:
            if start <= span.start_time_unix_nano < end:
                inside.append(span)
            elif span.events or may_find_marks:
                # A span that started before the period may have events in the period.
                self._keep_events(span, self._read_sender(span.attributes))
        self.result.spans_outside += len(spans) - len(inside)
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
        origin, width = self.request.start, self.request.max_gap
        stretches = self.result.stretches.setdefault(sender, {})
        first, last = min(starts), max(starts)
        number = (first - origin) // width
        if number == (last - origin) // width:
            add_stretch(stretches, number, first, last)
            return
        for start in starts:
            add_stretch(stretches, (start - origin) // width, start, start)

    def _find_scope(self, resource: bytes, scope: bytes) -> ServiceScope:
        known = self._scopes.get((resource, scope))
        if known is None:
            self._used_slots += 1 + (len(resource) + len(scope)) // _BYTES_PER_SLOT
            if self._used_slots > _CACHE_SLOTS:
                self._scopes.clear()
                self._used_slots = 0
            known = self._scopes[resource, scope] = ServiceScope(resource, scope)
        return known

    def _find_layout(self, scope: ServiceScope, keys: list[str]) -> KeyLayout:
        layout = scope.layouts.get(tuple(keys))
        if layout is None:
            self._used_slots += 1 + sum(map(len, keys)) // _BYTES_PER_SLOT
            layout = scope.layouts[tuple(keys)] = KeyLayout(keys, self._resolver.relevant_keys)
        return layout

    def _add_picker(
        self, scope: ServiceScope, layout: KeyLayout, attributes: Sequence[otlp.KeyValue], values: bytes
    ) -> GroupPicker:
        self._used_slots += 1 + len(values) // _BYTES_PER_SLOT
        if self._used_slots > _CACHE_SLOTS:
            self._scopes.clear()
            scope.layouts.clear()
            layout.pickers.clear()
            self._used_slots = 0
        texts, warnings = layout.read_texts(attributes)
        model_span = self._resolver.find(texts, warnings, scope.scope, layout.keys)
        self.result.has_marks |= layout.is_marked
        picker = GroupPicker(
            scope.service,
            model_span,
            self.request.delay,
            self.find_group,
            sender=layout.read_sender(texts),
            is_ambiguous=self._is_ambiguous(layout, attributes, model_span, scope.scope),
        )
        layout.pickers[values] = picker
        return picker

    def _is_ambiguous(
        self, layout: KeyLayout, attributes: Sequence[otlp.KeyValue], model_span: ModelSpan | None, scope: str
    ) -> bool:
        """Check whether a later value of a repeated attribute resolves otherwise; many different values do."""
        facts = None if model_span is None else model_span.facts
        for number, later in enumerate(layout.list_later_texts(attributes), 1):
            other = self._resolver.find(*later, scope, layout.keys)
            if number > _MAX_LATER_VALUES or (None if other is None else other.facts) != facts:
                return True
        return False

    def _keep_events(self, span: otlp.Span, sender: str) -> None:
        for event in span.events:
            self._keep_event(event.name, event.time_unix_nano, event.attributes, sender)

    def _keep_event(self, name: str, at: int, attributes: Sequence[otlp.KeyValue], sender: str) -> None:
        """Keep a lifecycle event, if it may match a change in the period."""
        if not is_lifecycle_event(name):
            return
        event = read_event(name, at, otlp.get_text_attributes(attributes))
        if event is None or not self._may_confirm(event):
            return
        events = self.result.events.setdefault(sender, set())
        if len(events) >= MAX_SEEN_EVENTS:
            self.result.lost_events[sender] = self.result.lost_events.get(sender, 0) + 1
        else:
            events.add(event)

    def _may_confirm(self, event: SeenEvent) -> bool:
        """Check whether an event may confirm a change in the period, or is in the period itself."""
        start, end = self.request.start, self.request.end
        return event.at in self._event_times or any(start <= date < end for _, date in event.dates)


def _split_by_sender(
    spans: list[otlp.Span], starts: list[int], switches: list[tuple[otlp.Span, str]]
) -> Iterable[tuple[str, list[int]]]:
    """Return the starts of the spans of each sender.

    Args:
        spans: The spans.
        starts: Their starts.
        switches: The first span, and each span whose sender differs from that of the span before; with the senders.
    """
    if len(switches) <= 1:
        return [(sender, starts) for _, sender in switches]
    sender_at = {id(span): sender for span, sender in switches}
    by_sender: defaultdict[str, list[int]] = defaultdict(list)
    sender = NO_MARK
    for span, start in zip(spans, starts, strict=True):
        sender = sender_at.get(id(span), sender)
        by_sender[sender].append(start)
    return by_sender.items()
