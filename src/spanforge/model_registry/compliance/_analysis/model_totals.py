"""The totals of one model: its calls, exceptions and samples."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from spanforge.model_registry.compliance._analysis.copies import DIFFERING_COPIES, list_exceptions
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup, SpanRef

_CountKey = TypeVar("_CountKey")


class GroupSpans(NamedTuple):
    """The spans of a group that count.

    Attributes:
        number: Their number.
        samples: Some of them.
        with_differences: The number of those whose copies differ; ``0`` if they are findings by repeated attributes.
        difference_samples: Some of those.
        copies: The number of copies that do not count.
        differing_copies: The number of these copies that differ from the span that counts.
    """

    number: int
    samples: Sequence[SpanRef]
    with_differences: int = 0
    difference_samples: Sequence[SpanRef] = ()
    copies: int = 0
    differing_copies: int = 0


class Counts(dict[_CountKey, int]):
    """Numbers by key; ``0`` for others. It is made faster than ``collections.Counter``, and there may be many."""

    __slots__ = ()

    def __missing__(self, key: _CountKey) -> int:
        return 0


@dataclass(slots=True)
class ModelTotals:
    """The calls of one model, or of one name that is not registered.

    Attributes:
        calls: The number of calls.
        exceptions: The number of calls of each kind of ``EXCEPTIONS``.
        services: The services that called.
        sunsets: The days on which the providers stop serving the model, by the provider calendar.
        matched: The names that matched by form or by glob, each with its rule and its number of calls.
        with_response: The number of calls with a request model and a response model.
        from_logs: The number of calls that log records alone report.
        first: The start of the first call, in nanoseconds since the epoch.
        last: The start of the last call, in nanoseconds since the epoch.
        samples: Some of the calls' spans, for each kind of ``EXCEPTIONS``.
    """

    calls: int = 0
    exceptions: Counts[str] = field(default_factory=Counts)
    services: set[str] = field(default_factory=set)
    sunsets: set[str] = field(default_factory=set)
    matched: Counts[tuple[str, str]] = field(default_factory=Counts)
    with_response: int = 0
    from_logs: int = 0
    first: int = MAX_TIME
    last: int = 0
    samples: defaultdict[str, set[SpanRef]] = field(default_factory=lambda: defaultdict(set))

    def add(self, group: CallGroup, spans: GroupSpans) -> None:
        """Add calls of a group."""
        calls = spans.number
        self.calls += calls
        self.services.add(group.call.service)
        if group.call.shutdown.sunset:
            self.sunsets.add(group.call.shutdown.sunset)
        names = group.call.names
        if names.rule:
            self.matched[names.matched, names.rule] += calls
        self.with_response += calls if names.has_response else 0
        self.from_logs += calls if group.call.from_log else 0
        self.first = min(self.first, group.first)
        self.last = max(self.last, group.last)
        for kind in list_exceptions(group.call):
            self.exceptions[kind] += calls
            self.samples[kind].update(spans.samples)
        self.add_differing_copies(spans)

    def add_differing_copies(self, spans: GroupSpans) -> None:
        """Add the spans whose copies differ."""
        if spans.with_differences:
            self.exceptions[DIFFERING_COPIES] += spans.with_differences
            self.samples[DIFFERING_COPIES].update(spans.difference_samples)
