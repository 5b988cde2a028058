"""The charts of time on the report page: lifecycle changes and findings of models, and the coverage of the period."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry.compliance._page import texts
from spanforge.model_registry.compliance._page.charts import WIDTH, BarPart, Scale, draw_bar, draw_lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._attestation_figures import AttestedFinding
    from spanforge.model_registry.compliance._attestation_parts import Change, Coverage, Period

MAX_LANES: Final = 15
"""The limit of models in the timeline."""
_MAX_DESCRIBED: Final = 5
"""The limit of changes and of findings that the description of a lane lists."""


class Lane(NamedTuple):
    """One model of the timeline.

    Attributes:
        model: The model.
        chart: Its changes and findings, as a chart.
        changes: The number of changes.
        occurrences: The number of occurrences of its findings.
    """

    model: str
    chart: str
    changes: int
    occurrences: int


class Timeline(NamedTuple):
    """The models with changes or findings in the period.

    Attributes:
        lanes: The first of them: those with most occurrences of findings, then those with most changes.
        left: The number of the others.
    """

    lanes: Sequence[Lane]
    left: int


def build_timeline(attestation: Attestation) -> Timeline:
    """Return the timeline of an attestation."""
    changes: defaultdict[str, list[Change]] = defaultdict(list)
    for change in attestation.changes:
        changes[change.model_id].append(change)
    findings: defaultdict[str, list[AttestedFinding]] = defaultdict(list)
    for finding in attestation.findings:
        if finding.name and finding.first is not None and finding.sender != "untrusted":
            findings[finding.name].append(finding)
    numbers = {model: sum(each.occurrences for each in findings[model]) for model in {*changes, *findings}}
    ordered = sorted(numbers, key=lambda model: (-numbers[model], -len(changes[model]), model))
    lanes = [
        _draw_model(number, model, attestation.period, changes[model], findings[model])
        for number, model in enumerate(ordered[:MAX_LANES], 1)
    ]
    return Timeline(lanes, max(len(ordered) - MAX_LANES, 0))


def _draw_model(
    number: int, model: str, period: Period, changes: Sequence[Change], findings: Sequence[AttestedFinding]
) -> Lane:
    scale = Scale(period)
    segments = [scale.cut(first, last, "bad") for first, last in _join_times(findings)]
    marks = [(scale.place(each.at), f"status-{each.status}") for each in changes]
    parts = [f"{each.status} on {texts.show_moment(each.at)}" for each in changes[:_MAX_DESCRIBED]]
    parts += [
        f"{each.check}: {each.occurrences:,}, {texts.show_bounds(each.first, each.last)}"
        for each in findings[:_MAX_DESCRIBED]
    ]
    title = f"{texts.show_text(model)} in the period"
    chart = draw_lane(f"lane-{number}", title, "; ".join(parts), segments, marks)
    return Lane(model, chart, len(changes), sum(each.occurrences for each in findings))


def _join_times(findings: Sequence[AttestedFinding]) -> list[tuple[str, str]]:
    """Return the times from the first to the last occurrence of findings, with those that overlap joined."""
    joined = list[tuple[str, str]]()
    for first, last in sorted((each.first, each.last) for each in findings if each.first and each.last):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def draw_coverage(coverage: Coverage, period: Period) -> str:
    """Return the period as a bar, with the gaps of the telemetry in it."""
    scale = Scale(period)
    gaps = [scale.cut(gap.from_date, gap.to_date, "gap") for gap in coverage.gaps]
    title = f"Coverage of the period: {coverage.status}"
    description = f"Gaps without telemetry: {coverage.gap_count:,}"
    return draw_bar("coverage-bar", title, description, [BarPart(0, WIDTH, "covered"), *gaps])
