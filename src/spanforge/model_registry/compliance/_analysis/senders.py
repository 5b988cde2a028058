"""Senders of telemetry: trusted and untrusted ones, and unknown ones if an input has no marks."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._analysis.calls import NO_MARK
from spanforge.model_registry.compliance._attestation_parts import SENDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry.compliance._analysis.calls import Call
    from spanforge.model_registry.compliance._analysis.scan_data import ScanResult
    from spanforge.model_registry.compliance._attestation_parts import Sender
    from spanforge.model_registry.compliance._sources import otlp_json as otlp

TRUSTED, UNKNOWN, UNTRUSTED = SENDERS
COUNTED: Final = (TRUSTED, UNKNOWN)
"""The senders whose telemetry decides checks, counts and statuses."""


def read_sender_mark(text: str | None) -> Sender:
    """Return the sender of a record that has a mark; ``text`` is ``None`` if the mark is not text."""
    return TRUSTED if text == TRUSTED else UNTRUSTED


def settle_senders(result: ScanResult) -> None:
    """Replace the sender of the records without a mark, after the scan of an input.

    If the input has marks, these records did not pass the Collector's ports for trusted senders. Otherwise their sender
    is unknown. What an untrusted sender claims about the registry, or the Collector added, does not count.
    """
    sender = UNTRUSTED if result.has_marks else UNKNOWN
    for group in result.groups:
        call = group.call
        settled = call._replace(sender=sender) if call.sender == NO_MARK else call
        group.call = _drop_claims(settled) if settled.sender == UNTRUSTED else settled
    for stretches in (result.stretches, result.days):
        for number, stretch in stretches.pop(NO_MARK, {}).items():
            add_stretch(stretches.setdefault(sender, {}), number, *stretch)
    result.events.setdefault(sender, set()).update(result.events.pop(NO_MARK, ()))
    result.lost_events[sender] = result.lost_events.get(sender, 0) + result.lost_events.pop(NO_MARK, 0)


def _drop_claims(call: Call) -> Call:
    return call._replace(enriched=False, agrees=False)


def add_stretch(stretches: dict[int, tuple[int, int]], number: int, first: int, last: int) -> None:
    """Add the start of the first and of the last span of a stretch."""
    earliest, latest = stretches.get(number, (first, last))
    stretches[number] = min(earliest, first), max(latest, last)


def split_by_sender(
    spans: list[otlp.Span], starts: list[int], switches: list[tuple[otlp.Span, str]]
) -> Iterable[tuple[str, list[int]]]:
    """Return the starts of the spans of each sender.

    Args:
        spans: The spans.
        starts: Their starts.
        switches: The first span, and each span whose sender differs from that of the span before; with the senders.
    """
    if len(switches) == 1:  # most documents are of one sender
        return ((switches[0][1], starts),)
    sender_at = {id(span): sender for span, sender in switches}
    by_sender: defaultdict[str, list[int]] = defaultdict(list)
    sender = NO_MARK
    for span, start in zip(spans, starts, strict=True):
        sender = sender_at.get(id(span), sender)
        by_sender[sender].append(start)
    return by_sender.items()
