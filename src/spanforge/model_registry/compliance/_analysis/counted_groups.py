"""The groups of all inputs, in which each span counts once: its copies are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry.compliance._analysis.copies import Corrections, find_corrections
from spanforge.model_registry.compliance._analysis.duplicates import find_repeated_spans
from spanforge.model_registry.compliance._analysis.log_calls import find_joined_calls
from spanforge.model_registry.compliance._analysis.model_totals import GroupSpans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup, GroupKey, ScannedInput, SpanRef


class BesideTrusted(NamedTuple):
    """Spans of untrusted senders that a trusted or unknown sender sent too: their number, and some of them."""

    number: int
    samples: Sequence[SpanRef]


class CountedGroups(NamedTuple):
    """The groups of all inputs.

    Attributes:
        groups: The groups, each with its spans that count.
        beside_trusted: The spans of untrusted senders that a trusted or unknown sender sent too.
    """

    groups: Sequence[tuple[CallGroup, GroupSpans]]
    beside_trusted: BesideTrusted


def count_once(inputs: Sequence[ScannedInput], folder: str) -> CountedGroups:
    """Return the groups of inputs that were read; the inputs do not change.

    Args:
        inputs: The inputs, each with the result of its scan.
        folder: The folder with the ids of their spans.
    """
    groups = {(number, group.mark): group for number, one in enumerate(inputs) for group in one.result.groups}
    joined = list(find_joined_calls(folder, len(inputs), {key: group.call for key, group in groups.items()}))
    corrections = find_corrections(groups, find_repeated_spans(folder, len(inputs)))
    for key, ids in joined:
        corrections.join(groups, key, ids)
    beside = BesideTrusted(corrections.beside_trusted, corrections.beside_samples)
    return CountedGroups(list(_list_counted(groups, corrections)), beside)


def _list_counted(
    groups: dict[GroupKey, CallGroup], corrections: Corrections
) -> Iterator[tuple[CallGroup, GroupSpans]]:
    for key, group in groups.items():
        is_whole = key not in corrections.groups and not group.copies  # most groups
        yield group, GroupSpans(group.calls, group.samples) if is_whole else _correct_group(group, key, corrections)


def _correct_group(group: CallGroup, key: GroupKey, corrections: Corrections) -> GroupSpans:
    """Return the spans of a group without copies."""
    wrong = corrections.wrong_samples.get(key, ())
    return GroupSpans(
        group.calls - group.copies - corrections.copies[key] - corrections.joined[key],
        [sample for sample in group.samples if sample not in wrong],
        0 if group.call.is_ambiguous else corrections.spans_with_differences[key],
        corrections.difference_samples.get(key, ()),
        group.copies + corrections.copies[key],
        corrections.differing[key],
    )
