"""Sample spans: examples of exceptions that an auditor can look up."""

from __future__ import annotations

import re
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._attestation_parts import SampleSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry.compliance._analysis.scan_data import SpanRef

SAMPLES_PER_CHECK: Final = 10
"""The limit of spans that a check lists."""
_HEX_IDS: Final = re.compile("[0-9A-Fa-f]{48}")


def select_samples(spans: Iterable[SpanRef]) -> list[SpanRef]:
    """Return the first spans that a check lists, the earliest first, without those whose ids cannot be looked up."""
    found = set(spans)
    first = nsmallest(SAMPLES_PER_CHECK, found)
    return first if all(map(_can_look_up, first)) else nsmallest(SAMPLES_PER_CHECK, filter(_can_look_up, found))


def _can_look_up(span: SpanRef) -> bool:
    return _HEX_IDS.fullmatch(f"{span.trace_id}{span.span_id}") is not None


def build_samples(spans: Sequence[SpanRef], limit: int) -> tuple[SampleSpan, ...]:
    """Return the first of these spans as they are in an attestation."""
    return tuple(
        SampleSpan(trace_id=span.trace_id, span_id=span.span_id, start=format_nanos(span.start) if span.start else None)
        for span in spans[:limit]
    )
