"""One pass over one input: it counts, in memory that does not grow with the input, what spans and log records say."""

from __future__ import annotations

import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.entry import ModelRegistryEntry  # noqa: TC001 - msgspec decodes it
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.timestamps import DAY_NANOS
from spanforge.model_registry.compliance._analysis.calls import (
    AGENT,
    OTHER,
    WARNINGS,
    Call,
    Found,
    Resolver,
    clean,
)
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanforge.model_registry.compliance._analysis.duplicates import Spill

MAX_TALLIES: Final = 50_000
"""Groups of calls that one input is counted in. What comes on top is counted without service and unregistered name."""
MAX_EVENTS: Final = 100_000
"""Lifecycle events that are remembered of one input."""
MAX_SAMPLES: Final = 5
"""Spans of each group that are remembered to look up."""
_MAX_CACHED: Final = 20_000
"""Combinations of attributes whose meaning is remembered; each ``_PIECE`` bytes of long ones count as one more."""
_PIECE: Final = 1_024
REST: Final = "(others)"
"""Stands for services, and for names that are not registered, beyond ``MAX_TALLIES``."""

EVENTS: Final = frozenset(kind.event for kind in OPERATIONS.values())
_NO_SERVICE: Final = "unknown_service"


class Plan(msgspec.Struct, frozen=True):
    """What to count, the same for every input; times in nanoseconds since the epoch.

    Attributes:
        start: The first instant of the period.
        end: The first one after it.
        max_gap: How long a stretch without spans may be.
        delay: How long a change may take to be in force everywhere.
        entries: The registry's entries.
        model_attributes: Further attribute keys that hold a model's name.
        asked: The model that it is about, whose name is kept however many others there are.
    """

    start: int
    end: int
    max_gap: int
    delay: int
    entries: list[ModelRegistryEntry]
    model_attributes: tuple[str, ...] = ()
    asked: str | None = None


class Sample(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A span to look up."""

    start: int
    trace_id: str
    span_id: str


class Tally(msgspec.Struct, array_like=True):
    """How often something was seen, copies included.

    Attributes:
        call: What was seen.
        mark: Its number in this input, as the records of its spans hold it.
        calls: How often.
        first: When the first one started, in nanoseconds since the epoch.
        last: When the last one started.
        samples: The first ones that were read.
    """

    call: Call
    mark: str
    calls: int = 0
    first: int = otlp.MAX_TIME
    last: int = 0
    samples: list[Sample] = []


class SeenEvent(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A lifecycle event, on a span or as a log record."""

    at: int
    name: str
    model_id: str


class Seen(msgspec.Struct):
    """What one input holds.

    Attributes:
        lines: Requests that were read, the unreadable ones included.
        bad_lines: Lines, or parts of them, that are no request, and spans and log records that are not OTLP's.
        spans: Spans that were read, copies included.
        outside: Those of them that started outside of the period.
        first: When the first span started, in nanoseconds since the epoch; ``0``: there is none.
        last: When the last one did.
        tallies: What was seen in the period.
        stretches: First and last span of each stretch of the period that has any, by its number.
        events: The lifecycle events that may tell of changes in the period.
        lost_events: Those beyond ``MAX_EVENTS``.
    """

    lines: int = 0
    bad_lines: int = 0
    spans: int = 0
    outside: int = 0
    first: int = 0
    last: int = 0
    tallies: list[Tally] = []
    stretches: dict[int, tuple[int, int]] = {}
    events: set[SeenEvent] = set()
    lost_events: int = 0


class _Group:
    """Spans of one service with the same attributes, of those that matter.

    Attributes:
        tally: What spans count under that start at ``since`` or later and end before ``until``.
        since: Nanoseconds since the epoch.
        until: The same.
    """

    __slots__ = ("_found", "_scan", "_service", "_tallies", "since", "tally", "until")

    def __init__(self, scan: Scan, service: str, found: Found | None) -> None:
        self._scan = scan
        self._service = service
        self._found = found
        self._tallies: dict[tuple[int, int, int], Tally] = {}
        self.since, self.until = 0, sys.maxsize
        if found is None or not found.is_call:
            self.tally = scan.tally(OTHER if found is None else AGENT)
        else:
            self.at(0, 0)

    def at(self, start: int, end: int) -> Tally:
        """Return the tally of a span that started and ended then, and remember it for those that follow."""
        if self._found is None or not self._found.is_call:
            return self.tally  # of all times, but this one ends beyond them
        subject, recorded, uncovered, _ = self._found
        end, delay = max(start, end), self._scan.plan.delay
        early, here, late = map(subject.position, (min(start, end - delay), start, end))
        key = early, here, late
        known = self._tallies.get(key)
        if known is None:
            call = subject.call(self._service, recorded, uncovered, range(early, late + 1), start)
            known = self._tallies[key] = self._scan.tally(call)
        if early == here == late:
            self.since, self.until = subject.reach(here)
            self.since += delay
            self.tally = known
        return known


class _Shape:
    """The keys of a span's attributes, in their order; which of them matter; and the groups of such spans."""

    __slots__ = ("_wanted", "groups", "keys", "pick")

    def __init__(self, keys: list[str], wanted: frozenset[str]) -> None:
        places = [place for place, key in enumerate(keys) if key in wanted]
        self.keys = keys
        self._wanted = [keys[place] for place in places]
        self.pick = _picker(places)
        self.groups: dict[bytes, _Group] = {}

    def texts(self, attributes: Sequence[otlp.Attribute]) -> tuple[dict[str, str], list[str]]:
        """Return the texts of the attributes that matter, and the warnings."""
        picked = self.pick(attributes)
        warnings = [text for item in picked if item.key == WARNINGS for text in otlp.texts_of(item.value)]
        return otlp.texts_in(picked), warnings


def _picker(places: list[int]) -> Callable[[Any], Sequence[otlp.Attribute]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda attributes: [attributes[place] for place in places]


class _Context:
    """A service and an instrumentation scope, and the shapes of their spans."""

    def __init__(self, resource: bytes, scope: bytes) -> None:
        named = otlp.texts_in(otlp.attributes_of(msgspec.Raw(resource)))
        self.service = clean(named.get("service.name") or _NO_SERVICE)
        self.scope = otlp.scope_name(msgspec.Raw(scope))
        self.shapes: dict[tuple[str, ...], _Shape] = {}
        self.latest = _Shape([], frozenset())


class Scan:
    """Counts what an input holds.

    Args:
        plan: What to count.
        spill: Where the ids of spans go, so that copies can be found later.
    """

    def __init__(self, plan: Plan, spill: Spill) -> None:
        self.plan = plan
        self.seen: Seen = Seen(tallies=[], stretches={}, events=set())
        self._spill = spill
        times = range(plan.start - plan.delay, max(plan.end, otlp.MAX_TIME))  # a call may end long after the period
        self._event_times = range(plan.start - plan.delay, plan.end + max(plan.delay, DAY_NANOS))
        self._resolver = Resolver(plan.entries, plan.model_attributes, times)
        self._contexts: dict[tuple[bytes, bytes], _Context] = {}
        self._cached = 0
        self._tallies: dict[Call, Tally] = {}

    def take(self, document: bytes) -> bool:
        """Count one request; return whether all of it could be read."""
        self.seen.lines += 1
        try:
            request = otlp.decode_request(document)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return self._salvage(document)
        if not (request.resource_spans or request.resource_logs or request.is_one):
            self.seen.bad_lines += 1
            return False
        self._count(request)
        return True

    def _salvage(self, document: bytes) -> bool:
        bad = 0
        for request in otlp.salvage(document):
            if request is None:
                bad += 1
            else:
                self._count(request)
        self.seen.bad_lines += bad
        return not bad

    def tally(self, call: Call) -> Tally:
        """Return the tally of such calls."""
        known = self._tallies.get(call)
        if known is None and len(self._tallies) >= MAX_TALLIES:
            name = REST if call.name and call.name != self.plan.asked else call.name
            call = call._replace(name=name, service=REST, uncovered=(REST,) if call.uncovered else ())
            known = self._tallies.get(call)
        if known is None:
            known = self._tallies[call] = Tally(call, self._spill.mark(len(self._tallies)), samples=[])
            self.seen.tallies.append(known)
        return known

    def _count(self, request: otlp.Request) -> None:
        for resource_spans in request.resource_spans or ():
            for scope_spans in resource_spans.scope_spans:
                spans = scope_spans.spans
                if spans:
                    self._spans(spans, self._context(bytes(resource_spans.resource), bytes(scope_spans.scope)))
        for resource_logs in request.resource_logs or ():
            for scope_logs in resource_logs.scope_logs:
                for record in scope_logs.log_records:
                    at = record.time_unix_nano or record.observed_time_unix_nano
                    self._event(record.event_name, at, record.attributes)

    def _context(self, resource: bytes, scope: bytes) -> _Context:
        known = self._contexts.get((resource, scope))
        if known is None:
            self._cached += 1 + (len(resource) + len(scope)) // _PIECE
            if self._cached > _MAX_CACHED:
                self._contexts.clear()
                self._cached = 0
            known = self._contexts[resource, scope] = _Context(resource, scope)
        return known

    def _spans(self, spans: list[otlp.Span], context: _Context) -> None:
        """Count spans. This is where the time goes: what can be looked up once is looked up once."""
        spans = self._in_period(spans)
        spill = self._spill.buckets
        shape = context.latest
        for span in spans:
            attributes = span.attributes
            keys = [attribute.key for attribute in attributes]
            if keys != shape.keys:
                shape = self._shape(context, keys)
            values = b"".join([picked.value for picked in shape.pick(attributes)])
            group = shape.groups.get(values)
            if group is None:
                group = self._group(context, shape, attributes, values)
            start, end = span.start_time_unix_nano, span.end_time_unix_nano
            tally = group.tally if group.since <= start < group.until > end else group.at(start, end)
            tally.calls += 1
            if start < tally.first:  # noqa: PLR1730 - min() takes four times as long
                tally.first = start
            if start > tally.last:  # noqa: PLR1730 - likewise
                tally.last = start
            if tally.calls <= MAX_SAMPLES:
                tally.samples.append(Sample(start, span.trace_id, span.span_id))
            spill[span.span_id[0]].append(f"{span.trace_id}{span.span_id}{tally.mark}")
            if span.events:
                self._events(span)
        context.latest = shape
        self._spill.added(len(spans))

    def _in_period(self, spans: list[otlp.Span]) -> list[otlp.Span]:
        """Note when spans started, and return those that started in the period."""
        seen, start, end = self.seen, self.plan.start, self.plan.end
        starts = [span.start_time_unix_nano for span in spans]
        first, last = min(starts), max(starts)
        seen.spans += len(spans)
        seen.first = min(first, seen.first or first)
        seen.last = max(last, seen.last)
        if first < start or last >= end:
            for span in spans:
                if not start <= span.start_time_unix_nano < end:
                    self._events(span)  # the period's changes may be told of on a span that started before it
            spans = [span for span in spans if start <= span.start_time_unix_nano < end]
            seen.outside += len(starts) - len(spans)
            if not spans:
                return spans
            starts = [span.start_time_unix_nano for span in spans]
            first, last = min(starts), max(starts)
        self._note(starts, first, last)
        return spans

    def _note(self, starts: list[int], first: int, last: int) -> None:
        """Note which stretches of the period have spans: each as long as a gap may be, so no gap fits inside of one."""
        origin, width = self.plan.start, self.plan.max_gap
        if (first - origin) // width != (last - origin) // width:
            for start in starts:
                self._stretch((start - origin) // width, start, start)
            return
        self._stretch((first - origin) // width, first, last)

    def _stretch(self, number: int, first: int, last: int) -> None:
        known = self.seen.stretches.get(number, (first, last))
        self.seen.stretches[number] = min(known[0], first), max(known[1], last)

    def _shape(self, context: _Context, keys: list[str]) -> _Shape:
        shape = context.shapes.get(tuple(keys))
        if shape is None:
            self._cached += 1 + sum(map(len, keys)) // _PIECE
            shape = context.shapes[tuple(keys)] = _Shape(keys, self._resolver.wanted)
        return shape

    def _group(self, context: _Context, shape: _Shape, attributes: Sequence[otlp.Attribute], values: bytes) -> _Group:
        self._cached += 1 + len(values) // _PIECE
        if self._cached > _MAX_CACHED:
            self._contexts.clear()
            context.shapes.clear()
            shape.groups.clear()
            self._cached = 0
        found = self._resolver.find(*shape.texts(attributes), context.scope)
        group = _Group(self, context.service, found)
        shape.groups[values] = group
        return group

    def _events(self, span: otlp.Span) -> None:
        for event in span.events:
            self._event(event.name, event.time_unix_nano, event.attributes)

    def _event(self, name: str, at: int, attributes: Sequence[otlp.Attribute]) -> None:
        """Remember a lifecycle event, if it may tell of a change in the period."""
        if name not in EVENTS or at not in self._event_times:
            return
        model_id = otlp.texts_in(attributes).get(f"{PREFIX}model_id")
        if model_id is None:
            return
        if len(self.seen.events) >= MAX_EVENTS:
            self.seen.lost_events += 1
        else:
            self.seen.events.add(SeenEvent(at, name, model_id))
