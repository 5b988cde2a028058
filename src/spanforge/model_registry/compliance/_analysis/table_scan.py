"""The scan of tables of a database, which groups spans and finds copies itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from spanforge.model_registry._core.attributes import SENDER_KEY
from spanforge.model_registry._core.timestamps import DAY_NANOS
from spanforge.model_registry.compliance._analysis.call_groups import CallGroups
from spanforge.model_registry.compliance._analysis.call_shutdowns import list_announced_moments
from spanforge.model_registry.compliance._analysis.calls import NO_MARK, Origin, list_entry_moments
from spanforge.model_registry.compliance._analysis.log_calls import LogCallIds, LogCallWriter
from spanforge.model_registry.compliance._analysis.resolver import WARNINGS_KEY, Resolver
from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest, ScanResult, SpanRef
from spanforge.model_registry.compliance._analysis.seen_events import EventKeeper
from spanforge.model_registry.compliance._analysis.senders import add_stretch, read_sender_mark, settle_senders
from spanforge.model_registry.compliance._analysis.span_groups import GroupPicker, clean_service
from spanforge.model_registry.compliance._sources.log_calls import CALL_EVENTS, classify_event
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME
from spanforge.model_registry.compliance._sources.tables import TableRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup
    from spanforge.model_registry.compliance._sources.tables import (
        Combination,
        CountedSpans,
        PlacedSpan,
        RepeatedRows,
        RowKind,
        RowTotals,
        TelemetryTables,
        Unit,
    )

_BEFORE_ALL: Final = -(2**62)
"""A moment before all spans."""
_MAX_PICKERS: Final = 10_000
"""The limit of combinations that are remembered, which takes about 30 MB."""
_MAX_KEPT_TEXT: Final = 4_096
"""The limit of characters of a combination that is remembered. Real ones have a few hundred."""
_TRACE_DIGITS: Final = 32
_SAMPLE_DIGITS: Final = 64
_TIME_DIGITS: Final = 16
_CHANGED: Final = (
    "rows of the period were added to the tables or removed from them while they were read; make the evidence again"
)

_NOT_COMPARED: Final = (
    "calls in log records of the tables cannot be compared with log records of other inputs, because the tables do not "
    "have all that these have; a call in both counts twice"
)


class TableScan:
    """Counts the spans and lifecycle events of the tables of a database.

    Args:
        tables: The tables.
        request: The request of the scan.
        id_writer: The writer of span ids, by which copies are found later.
        is_alone: ``True`` if there is no other input. The tables then find all copies themselves.
    """

    def __init__(
        self, tables: TelemetryTables, request: ScanRequest, id_writer: SpanIdWriter, *, is_alone: bool
    ) -> None:
        self._tables = tables
        self._request = request
        self._is_alone = is_alone
        self._id_writer = id_writer
        self._log_writer = LogCallWriter(id_writer.folder, id_writer.input_number)
        self.result = ScanResult(groups=[], stretches={}, events={}, lost_events={}, days={})
        self._times = range(request.start - request.delay, max(request.end, MAX_TIME))
        self._resolver = Resolver(
            request.entries, request.model_attributes, self._times, request.match, request.announcements
        )
        self._groups = CallGroups(request, self.result)
        self._events = EventKeeper(request, self.result)
        self._pickers: dict[Combination, GroupPicker | None] = {}
        self._has_calls = False

    def run(self) -> ScannedInput:
        """Count everything, and return the result.

        Raises:
            TelemetryError: The tables cannot be read.
        """
        tables = self._tables
        signals = tables.open(self._make_request())
        try:
            before = {signal: tables.count_rows(signal) for signal in signals}
            self._note_rows(before)
            self._count_all(before)
            self._id_writer.flush()
            self._log_writer.flush()
            if before != {signal: tables.count_rows(signal) for signal in signals}:
                tables.limits.append(_CHANGED)
        finally:
            tables.close()
        if self._has_calls:
            tables.limits.append(_NOT_COMPARED)
        settle_senders(self.result)
        return ScannedInput(tables.name, tables.kind, tables.size, tables.sha256, [*tables.limits], self.result)

    def _count_all(self, totals: Mapping[RowKind, RowTotals]) -> None:
        """Count the rows of all tables."""
        counted = [signal for signal, each in totals.items() if each.counted]
        for signal in counted:
            self._count_signal(signal)
        for signal in totals:
            self._note_others(signal)
        if self._is_alone and len(counted) > 1:
            self._count_reported()
        self.result.has_marks |= self._tables.has_marks()

    def _make_request(self) -> TableRequest:
        request, resolver = self._request, self._resolver
        own = (moment for entry in request.entries for moment in list_entry_moments(entry))
        moments = {*own, *list_announced_moments(request.announcements)}
        after = max(request.delay, DAY_NANOS)
        return TableRequest(
            start=request.start,
            end=request.end,
            events_start=max(request.start - request.delay - DAY_NANOS, 0),
            events_end=min(request.end + after, MAX_TIME),
            delay=request.delay,
            max_gap=request.max_gap,
            moments=(_BEFORE_ALL, *sorted(each for each in moments if each in self._times)),
            keys=tuple(sorted(resolver.relevant_keys)),
            present_keys=tuple(sorted(resolver.deciding_keys - resolver.relevant_keys)),
            scopes=tuple(sorted(resolver.relevant_scopes)),
        )

    def _note_rows(self, totals: Mapping[RowKind, RowTotals]) -> None:
        """Note the number of rows, and the spans that cannot be read."""
        result = self.result
        result.lines = sum(each.rows for each in totals.values())
        spans = totals.get("spans")
        if spans is not None:
            result.spans, result.first, result.last = spans.counted, spans.first, spans.last
            result.bad_lines = spans.rows - spans.counted
        if result.bad_lines:
            result.faults = [f"spans of the period without a trace id or a span id: {result.bad_lines:,}"]

    def _count_signal(self, signal: RowKind) -> None:
        tables = self._tables
        for group in tables.list_groups(signal):
            picker = self._find_picker(group.combination)
            if picker is not None:
                for counted in group.counted:
                    moments = counted.moments
                    place = picker.at_moments((moments.early, moments.here, moments.late))
                    place.add_all(counted.number, counted.first, counted.last, _read_samples(counted))
        if self._is_alone:
            for repeated in tables.list_copies(signal):
                self._note_copies(repeated)
        else:
            self._note_all(signal)
        self._note_stretches(signal)

    def _note_others(self, signal: RowKind) -> None:
        """Note days and lifecycle events, which may be outside the period."""
        self._note_days(signal)
        for event in self._tables.list_events(signal):
            texts = dict(zip(reversed(event.keys), reversed(event.values), strict=True))
            self._events.keep_texts(event.name, event.at, texts, event.sender)

    def _note_copies(self, repeated: RepeatedRows) -> None:
        """Count equal copies, and write the ids of rows that differ, so that they are compared as other inputs are."""
        group = self._find_group(repeated.row)
        if group is None:
            return
        if not repeated.ids:
            group.copies += repeated.number
            return
        ids = _split_ids(repeated.ids)
        for _ in range(repeated.number):
            self._id_writer.add(*ids, group.mark)

    def _note_all(self, signal: RowKind) -> None:
        """Write the ids of all rows, so that they are compared with other inputs."""
        if signal == "spans":
            for row in self._tables.list_ids():
                self._note_copies(row)
            return
        for call in self._tables.list_calls():
            group = self._find_group(call.call)
            if group is not None:
                self._has_calls = True
                ids = LogCallIds(*_split_ids(call.ids), call.own_id)
                self._id_writer.add(ids.trace_id, ids.own_id, group.mark)
                if ids.has_span:
                    self._log_writer.add(ids, group.mark)

    def _count_reported(self) -> None:
        """Write the ids of calls in log records that have a span, with those of the span.

        A span whose rows differ is already written.
        """
        for call in self._tables.list_reported():
            group = self._find_group(call.call)
            if group is None:
                continue
            ids = LogCallIds(*_split_ids(call.ids), call.own_id)
            self._log_writer.add(ids, group.mark)
            span = self._find_group(call.spans[0]) if len(call.spans) == 1 else None
            if span is not None and call.is_first:
                self._id_writer.add(ids.trace_id, ids.span_id, span.mark)

    def _note_stretches(self, signal: RowKind) -> None:
        """Note the stretches of the period with spans or calls, and the days of the calls."""
        result = self.result
        if signal == "logs":
            self._note_calls("stretch", result.stretches)
            if self._request.keeps_days:
                self._note_calls("day", result.days)
            return
        senders = {group.call.sender for group in result.groups}
        by_sender = len(senders) > 1
        for stretch in self._tables.list_stretches(by_sender=by_sender):
            sender = stretch.sender if by_sender else next(iter(senders), NO_MARK)
            add_stretch(result.stretches.setdefault(sender, {}), stretch.number, stretch.first, stretch.last)

    def _note_calls(self, unit: Unit, found: dict[str, dict[int, tuple[int, int]]]) -> None:
        for row in self._tables.list_call_stretches(unit):
            picker = self._find_picker(row.combination)
            if picker is not None:
                for number, first, last in row.stretches:
                    add_stretch(found.setdefault(picker.sender, {}), number, first, last)

    def _note_days(self, signal: RowKind) -> None:
        if self._request.keeps_days:
            for day in self._tables.list_days(signal):
                add_stretch(self.result.days.setdefault(day.sender, {}), day.number, day.first, day.last)

    def _find_group(self, row: PlacedSpan) -> CallGroup | None:
        picker = self._find_picker(row.combination)
        moments = row.moments
        return None if picker is None else picker.at_moments((moments.early, moments.here, moments.late))

    def _find_picker(self, combination: Combination) -> GroupPicker | None:
        """Return the picker of a combination; ``None`` for log records that report no call."""
        if combination in self._pickers:
            return self._pickers[combination]
        if len(self._pickers) >= _MAX_PICKERS:
            self._pickers.clear()
        picker = self._make_picker(combination)
        if sum(map(len, combination.values)) <= _MAX_KEPT_TEXT:  # anybody can send long texts
            self._pickers[combination] = picker
        return picker

    def _make_picker(self, combination: Combination) -> GroupPicker | None:
        keys, values = combination.keys, combination.values
        event = classify_event(combination.event) if combination.event else None
        if event is not None:
            names = CALL_EVENTS[event].keys
            keys = tuple(names.get(key, key) for key in keys)
        pairs = list(zip(keys, values, strict=True))
        texts = dict(reversed(pairs))
        present = {*keys, *combination.present_keys}
        model_keys = self._resolver.select_keys(present)
        model_span = self._resolver.find(texts, _read_warnings(texts), combination.scope, model_keys)
        is_marked = SENDER_KEY in present
        sender = read_sender_mark(texts.get(SENDER_KEY)) if is_marked else NO_MARK
        service = clean_service(combination.service)
        if combination.event:
            origin = Origin(service, sender, from_log=True)
            if model_span is None or model_span.kind != "call":
                return None
        else:
            self.result.has_marks |= is_marked
            later = _list_later_texts(pairs, texts)
            is_ambiguous = self._resolver.is_ambiguous(model_span, later, combination.scope, model_keys)
            origin = Origin(service, sender, is_ambiguous)
        return GroupPicker(origin, model_span, self._request.delay, self._groups.find)


def _list_later_texts(
    pairs: list[tuple[str, str]], first: dict[str, str]
) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield the texts and the warnings if a later value of a repeated attribute counts, for each such value."""
    for key, value in dict.fromkeys(pairs):
        if value != first[key]:
            texts = {**first, key: value}
            yield texts, _read_warnings(texts)


def _read_warnings(texts: dict[str, str]) -> list[str]:
    """Return the warnings, which the tables have as JSON."""
    text = texts.get(WARNINGS_KEY)
    if text is None:
        return []
    try:
        items = msgspec.json.decode(text.encode("utf-8", "replace"))
    except msgspec.MsgspecError:
        return []
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def _read_samples(counted: CountedSpans) -> Iterator[SpanRef]:
    text = counted.samples.lower()
    for start in range(0, len(text), _SAMPLE_DIGITS):
        ids = text[start + _TIME_DIGITS : start + _SAMPLE_DIGITS]
        yield SpanRef(int(text[start : start + _TIME_DIGITS], 16), *_split_ids(ids))


def _split_ids(ids: str) -> tuple[str, str]:
    text = ids.lower()
    return text[:_TRACE_DIGITS], text[_TRACE_DIGITS:]
