"""The charts of the report page: bars in SVG, which the page's style sheet colours.

A chart has no text but its title and its description. Labels and numbers are beside it, in HTML, so that they stay
readable on narrow pages.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._optional_modules import OptionalModule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import svg

    from spanforge.model_registry.compliance._attestation_parts import Period
else:
    svg = OptionalModule("svg", "evidence packages", "compliance")

WIDTH: Final = 1_000
"""The width of a chart in its own units. The page stretches it."""
_BAR_HEIGHT: Final = 14
_LANE_HEIGHT: Final = 22


class BarPart(NamedTuple):
    """A part of a bar.

    Attributes:
        start: Its start, in units of the chart.
        width: Its width.
        tone: The name of its colour in the style sheet.
    """

    start: float
    width: float
    tone: str


class Scale:
    """The positions of moments of a period on a chart.

    Args:
        period: The period.
    """

    def __init__(self, period: Period) -> None:
        self._start = to_nanos(period.from_date)
        self._length = max(to_nanos(period.to_date) - self._start, 1)

    def place(self, moment: str) -> float:
        """Return the position of a moment; one outside the period is at its bound."""
        share = (to_nanos(moment) - self._start) / self._length
        return round(min(max(share, 0.0), 1.0) * WIDTH, 1)

    def cut(self, first: str, last: str, tone: str) -> BarPart:
        """Return the part of a bar between two moments, wide enough to be seen."""
        start = min(self.place(first), WIDTH - _LEAST_WIDTH)
        return BarPart(start, round(max(self.place(last) - start, _LEAST_WIDTH), 1), tone)


_LEAST_WIDTH: Final = 4


def stack_segments(numbers: Sequence[tuple[str, int]], total: int) -> list[BarPart]:
    """Return the parts of a bar, one after another.

    Args:
        numbers: The tone and the number of each part.
        total: The number to which the whole width belongs.
    """
    segments = list[BarPart]()
    before = 0
    for tone, number in numbers:
        start = round(before / total * WIDTH, 1)
        before += number
        segments.append(BarPart(start, round(before / total * WIDTH - start, 1), tone))
    return segments


def draw_bar(name: str, title: str, description: str, segments: Iterable[BarPart]) -> str:
    """Return a bar as SVG; ``name`` is unique on the page."""
    shapes = [_draw_segment(segment, 0, _BAR_HEIGHT) for segment in segments]
    return _draw(name, (title, description), [_draw_segment(BarPart(0, WIDTH, "rest"), 0, _BAR_HEIGHT), *shapes])


def draw_lane(
    name: str, title: str, description: str, segments: Iterable[BarPart], marks: Iterable[tuple[float, str]]
) -> str:
    """Return a lane of a timeline as SVG: parts of a bar, and marks at positions, each with its tone."""
    rest = _draw_segment(BarPart(0, WIDTH, "rest"), 10, 2)
    shapes: list[svg.Element] = [rest, *(_draw_segment(segment, 6, 10) for segment in segments)]
    for position, tone in marks:
        inside = min(max(position, 2.0), WIDTH - 2.0)
        shapes.append(
            svg.Line(
                x1=inside, x2=inside, y1=0, y2=_LANE_HEIGHT, class_=["mark", tone], vector_effect="non-scaling-stroke"
            )
        )
    return _draw(name, (title, description), shapes, _LANE_HEIGHT)


def _draw_segment(segment: BarPart, top: float, height: float) -> svg.Element:
    return svg.Rect(x=segment.start, y=top, width=segment.width, height=height, class_=[segment.tone])


def _draw(name: str, texts: tuple[str, str], shapes: list[svg.Element], height: int = _BAR_HEIGHT) -> str:
    ids = f"{name}-title", f"{name}-description"
    title, description = map(html.escape, texts)  # the library does not escape texts
    chart = svg.SVG(
        xmlns=None,  # HTML needs none
        viewBox=svg.ViewBoxSpec(0, 0, WIDTH, height),
        preserveAspectRatio=svg.PreserveAspectRatio("none"),
        class_=["chart"],
        elements=[svg.Title(id=ids[0], text=title), svg.Desc(id=ids[1], text=description), *shapes],
        extra={"role": "img", "aria-labelledby": " ".join(ids)},
    )
    return chart.as_str()
