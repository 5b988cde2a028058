"""Copies of spans: of those that differ, the worst counts, and those of untrusted senders change nothing."""

from __future__ import annotations

import functools
from bisect import insort
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.call_shutdowns import NOT_LISTED, CallShutdown
from spanforge.model_registry.compliance._analysis.calls import NO_NAMES, Call, SpanNames
from spanforge.model_registry.compliance._analysis.duplicates import pack_ids
from spanforge.model_registry.compliance._analysis.scan_data import SpanRef
from spanforge.model_registry.compliance._analysis.senders import TRUSTED, UNTRUSTED
from spanforge.model_registry.compliance._status_checks import STATUS_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spanforge.model_registry.compliance._analysis.duplicates import RepeatedSpan
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup, GroupKey


def _make_status_exceptions() -> dict[str, Callable[[Call], bool]]:
    """Return an exception for each status of ``LIFECYCLE`` that has a finding, the last status first."""

    def has_status(status: str) -> Callable[[Call], bool]:
        return lambda call: call.status == status

    rows = [*LIFECYCLE.items()][::-1]
    return {row.finding: has_status(status) for status, row in rows if row.finding is not None}


_STATUS_EXCEPTIONS: Final = _make_status_exceptions()
_FORBIDDEN: Final = [LIFECYCLE[status].finding for status in STATUS_CHECKS.values()]

CLAIMED_KINDS: Final = {status: f"not_examined_{status}" for status in STATUS_CHECKS.values()}
"""By status, the kind of calls whose model has no entry, although the span has this status."""


def _claims_status(status: str) -> Callable[[Call], bool]:
    return lambda call: call.model_id is None and call.difference.status == status


EXCEPTIONS: Final[Mapping[str, Callable[[Call], bool]]] = {
    **{kind: applies for kind, applies in _STATUS_EXCEPTIONS.items() if kind in _FORBIDDEN},
    "past_sunset": lambda call: call.past_sunset,
    "past_provider_shutdown": lambda call: call.shutdown.state == "past",
    "unregistered": lambda call: call.model_id is None,
    "before_deployment": lambda call: call.status is None,
    "answered_by_unregistered": lambda call: bool(call.names.served) and call.names.requested_id is None,
    "repeated_attributes": lambda call: call.is_ambiguous,
    **{kind: applies for kind, applies in _STATUS_EXCEPTIONS.items() if kind not in _FORBIDDEN},
    "disagreeing": lambda call: call.enriched and not call.agrees and not call.from_log,
    "not_enriched": lambda call: not call.enriched and not call.from_log,
    "past_unknown_shutdown": lambda call: call.shutdown.state == "past, not known",
    "in_calendar": lambda call: call.shutdown.state != "not listed",
    **{kind: _claims_status(status) for status, kind in CLAIMED_KINDS.items()},
}
"""The kinds of calls that checks count, by name, the worst first."""


def list_exceptions(call: Call) -> tuple[str, ...]:
    """Return the kinds of ``EXCEPTIONS`` that a call has, the worst first."""
    return _list_exceptions(_drop_names(call))


def _drop_names(call: Call) -> Call:
    """Return a call with the facts that ``EXCEPTIONS`` read. There are only a few of these calls."""
    names = call.names
    kept = NO_NAMES if not names.served else _UNREGISTERED_SERVED if names.requested_id is None else _OTHER_SERVED
    facts = Call(call.kind, call.model_id and "", "", "", *call[4:8], kept, "", *call[10:])
    return facts if facts.shutdown is NOT_LISTED else facts._replace(shutdown=CallShutdown(facts.shutdown.state))


@functools.cache
def _list_exceptions(call: Call) -> tuple[str, ...]:
    return tuple(kind for kind, applies in EXCEPTIONS.items() if applies(call))


_UNREGISTERED_SERVED: Final = SpanNames(served="x")
_OTHER_SERVED: Final = SpanNames(served="x", requested_id="x")
DIFFERING_COPIES: Final = "differing_copies"
"""The kind of spans whose copies differ, beside those of ``EXCEPTIONS``."""

_KINDS: Final = ("other", "agent", "call")
_SENDER: Final = Call._fields.index("sender")


@dataclass
class Corrections:
    """The corrections of the groups, because copies of spans must not count.

    Attributes:
        copies: The number of copies that each group counted.
        differing: The number of these copies that differ from the span that counts.
        spans_with_differences: The number of spans in each group that count and whose copies differ.
        difference_samples: Some of these spans.
        wrong_samples: The samples of each group that are copies of a span that counts in another group.
        beside_trusted: The number of spans of untrusted senders that a trusted or unknown sender sent too.
        beside_samples: Some of these spans.
        joined: The number of calls in log records of each group that a span reports too.
    """

    copies: Counter[GroupKey] = field(default_factory=Counter)
    differing: Counter[GroupKey] = field(default_factory=Counter)
    spans_with_differences: Counter[GroupKey] = field(default_factory=Counter)
    difference_samples: defaultdict[GroupKey, list[SpanRef]] = field(default_factory=lambda: defaultdict(list))
    wrong_samples: defaultdict[GroupKey, set[SpanRef]] = field(default_factory=lambda: defaultdict(set))
    beside_trusted: int = 0
    beside_samples: list[SpanRef] = field(default_factory=list)
    joined: Counter[GroupKey] = field(default_factory=Counter)

    @functools.cached_property
    def groups(self) -> set[GroupKey]:
        """The groups that have corrections, after all of them were added."""
        return {*self.copies, *self.spans_with_differences, *self.joined}

    def join(self, groups: Mapping[GroupKey, CallGroup], key: GroupKey, ids: bytes) -> None:
        """Leave out a call in a log record that a span reports too."""
        self.joined[key] += 1
        self.drop_samples(groups, key, ids)

    def drop_samples(self, groups: Mapping[GroupKey, CallGroup], key: GroupKey, ids: bytes) -> None:
        """Leave out the samples of a group that have these ids."""
        self.wrong_samples[key].update(sample for sample in groups[key].samples if _pack_sample(sample) == ids)


MAX_SAMPLES: Final = 10
"""The limit of samples for each group, and of spans beside trusted ones. An auditor looks up a few."""


def find_corrections(groups: Mapping[GroupKey, CallGroup], repeated: Iterable[RepeatedSpan]) -> Corrections:
    """Return the corrections with which each span counts once among untrusted senders, and once among the others.

    The first and last start of a group need no correction: copies of a span have the same start, unless one is forged.
    """
    corrections = Corrections()
    for span in repeated:
        first, *later = span.groups
        call = groups[first].call
        if all(groups[key].call == call for key in later):  # most copies; comparing them takes much longer
            for key in later:
                corrections.copies[key] += 1
        else:
            _correct_senders(corrections, groups, span)
    return corrections


def _correct_senders(corrections: Corrections, groups: Mapping[GroupKey, CallGroup], span: RepeatedSpan) -> None:
    """Add the corrections for a span whose copies differ: those of untrusted senders apart from the others."""
    untrusted = Counter(key for key in span.groups if groups[key].call.sender == UNTRUSTED)
    others = Counter(span.groups) - untrusted
    for keys in filter(None, (untrusted, others)):
        _correct(corrections, groups, span.ids, keys)
    if untrusted and others:
        corrections.beside_trusted += 1
        _keep_sample(corrections.beside_samples, groups, untrusted, span.ids)


def _correct(
    corrections: Corrections, groups: Mapping[GroupKey, CallGroup], ids: bytes, keys: Counter[GroupKey]
) -> None:
    """Add the corrections for a span: the worst of its copies counts."""
    worst = find_worst(keys, lambda key: groups[key].call)
    facts = _drop_sender(groups[worst].call)
    differs = False
    for key, number in keys.items():
        corrections.copies[key] += number - (key == worst)
        if key == worst:
            continue
        corrections.drop_samples(groups, key, ids)
        if _drop_sender(groups[key].call) != facts:
            corrections.differing[key] += number
            differs = True
    if differs:
        corrections.spans_with_differences[worst] += 1
        _keep_sample(corrections.difference_samples[worst], groups, keys, ids)


def find_worst(keys: Iterable[GroupKey], find_call: Callable[[GroupKey], Call]) -> GroupKey:
    """Return the group of the copy that counts: of the worst one. The order of reading never decides."""
    in_order = sorted(keys, key=lambda key: repr(find_call(key)))
    return max(in_order, key=lambda key: _rank_call(find_call(key)))


def _drop_sender(call: Call) -> tuple[object, ...]:
    """Return the facts that copies of a span must share. How both differ from the registry is not one of them."""
    return (*call[:_SENDER], *call[_SENDER + 1 : -1])


def _rank_call(call: Call) -> tuple[int | bool, ...]:
    """Return the key by which calls are compared; the worst has the highest."""
    found = list_exceptions(call) if call.kind == "call" else ()
    return _KINDS.index(call.kind), *(kind in found for kind in EXCEPTIONS), call.sender == TRUSTED


def _pack_sample(sample: SpanRef) -> bytes:
    return pack_ids(sample.trace_id, sample.span_id)


def _keep_sample(
    samples: list[SpanRef], groups: Mapping[GroupKey, CallGroup], keys: Iterable[GroupKey], ids: bytes
) -> None:
    """Keep a span as a sample if its ids are among the lowest. The order of reading never decides.

    A log record has no id of its own that anybody could look up.
    """
    if any(groups[key].call.from_log for key in keys):
        return
    if len(samples) < MAX_SAMPLES or ids < _pack_sample(samples[-1]):
        insort(samples, _find_sample(groups, keys, ids), key=_pack_sample)
        del samples[MAX_SAMPLES:]


def _find_sample(groups: Mapping[GroupKey, CallGroup], keys: Iterable[GroupKey], ids: bytes) -> SpanRef:
    """Return a span as a sample, without its start if no group has it as a sample."""
    known = (sample for key in keys for sample in groups[key].samples if _pack_sample(sample) == ids)
    text = ids.hex()
    return next(known, SpanRef(0, text[:32], text[32:]))
