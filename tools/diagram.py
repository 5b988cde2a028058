"""Draws where the parts of the project run, as SVG for light and dark pages. People can search and copy its texts.

Usage: diagram.py FOLDER
"""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "where-things-run"
TITLE: Final = "Where the parts of spanforge-model-registry run"
WIDTH: Final = 600
HEIGHT: Final = 730
LINE: Final = 19
"""The pixels from one line of text to the next."""
FONT: Final = "-apple-system, 'Segoe UI', Roboto, Helvetica, Arial, 'DejaVu Sans', sans-serif"
TITLE_FONT: Final = 'font-size="17" font-weight="600"'
LINE_FONT: Final = 'font-size="15"'
LABEL_FONT: Final = 'font-size="14"'


class Box(NamedTuple):
    """A place where something runs. ``ours`` marks places with parts of this project."""

    left: int
    top: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...]
    ours: bool


class Arrow(NamedTuple):
    """A flow from one point to another, straight down or across, with a label beside it."""

    start: tuple[int, int]
    end: tuple[int, int]
    label: str
    at: tuple[int, int]


class Theme(NamedTuple):
    """The colours of a picture."""

    background: str
    text: str
    quiet: str
    box: str
    border: str
    ours: str
    ours_border: str


BOXES: Final = (
    Box(10, 10, 270, 84, "Git repository", ("models.yaml: owner, risk tier,", "status of each model"), ours=True),
    Box(320, 10, 270, 84, "CI job", ("spanforge-models check, diff", "spanforge-models emit"), ours=True),
    Box(
        10,
        150,
        330,
        104,
        "Python service",
        ("LLM client and its instrumentation", "span processor with the registry", "metrics of the registry"),
        ours=True,
    ),
    Box(390, 150, 166, 104, "Other services", ("in any language,", "with any SDK"), ours=False),
    Box(
        10,
        310,
        580,
        104,
        "OpenTelemetry Collector",
        (
            "trust boundary · enrichment from the same registry",
            "sampling that keeps flagged calls and lifecycle events",
            "archive without prompts · metrics of calls",
        ),
        ours=True,
    ),
    Box(10, 470, 180, 104, "Jaeger", ("or any backend", "that accepts OTLP"), ours=False),
    Box(205, 470, 190, 104, "Prometheus", ("alert rules,", "Grafana dashboards"), ours=True),
    Box(410, 470, 180, 104, "Archive", ("all model calls,", "OTLP files"), ours=False),
    Box(10, 636, 180, 84, "Auditor", ("verifies the package", "with the public key"), ours=True),
    Box(
        250,
        636,
        340,
        84,
        "Evidence job, after each month",
        ("spanforge-models evidence make:", "a signed package with a report"),
        ours=True,
    ),
)
ARROWS: Final = (
    Arrow((280, 52), (320, 52), "", (0, 0)),
    Arrow((130, 94), (130, 150), "followed, every 10 s", (142, 127)),
    Arrow((573, 94), (573, 310), "", (0, 0)),
    Arrow((130, 254), (130, 310), "OTLP, enriched spans", (142, 287)),
    Arrow((450, 254), (450, 310), "OTLP", (462, 287)),
    Arrow((100, 414), (100, 470), "OTLP", (112, 447)),
    Arrow((300, 414), (300, 470), "metrics", (312, 447)),
    Arrow((500, 414), (500, 470), "", (0, 0)),
    Arrow((500, 574), (500, 636), "telemetry of the month", (332, 611)),
    Arrow((250, 678), (190, 678), "", (0, 0)),
)
THEMES: Final = {
    "light": Theme("#ffffff", "#1f2328", "#59636e", "#f6f8fa", "#818b98", "#ddf4ff", "#0969da"),
    "dark": Theme("#0d1117", "#f0f6fc", "#9198a1", "#151b23", "#656c76", "#0c2d4d", "#4493f8"),
}


def draw(theme: Theme) -> str:
    """Return the picture."""
    parts = "\n".join([*_draw_arrows(theme), *_draw_boxes(theme)])
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"
font-family="{FONT}">
<title>{html.escape(TITLE)}</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0L8 4L0 8z" fill="{theme.quiet}"/></marker></defs>
<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{theme.background}"/>
{parts}
</svg>
"""


def _draw_boxes(theme: Theme) -> Iterator[str]:
    for box in BOXES:
        fill, border = (theme.ours, theme.ours_border) if box.ours else (theme.box, theme.border)
        yield (
            f'<rect x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}" rx="6" '
            f'fill="{fill}" stroke="{border}" stroke-width="1.5"/>'
        )
        yield _draw_text((box.left + 14, box.top + 27), box.title, theme.text, TITLE_FONT)
        for number, line in enumerate(box.lines, 1):
            yield _draw_text((box.left + 14, box.top + 28 + LINE * number), line, theme.text, LINE_FONT)


def _draw_arrows(theme: Theme) -> Iterator[str]:
    for arrow in ARROWS:
        (left, top), (right, bottom) = arrow.start, arrow.end
        yield (
            f'<path d="M{left} {top}L{right} {bottom}" stroke="{theme.quiet}" stroke-width="1.5" fill="none" '
            'marker-end="url(#tip)"/>'
        )
        if arrow.label and arrow.at != (0, 0):
            yield _draw_text(arrow.at, arrow.label, theme.quiet, LABEL_FONT)


def _draw_text(place: tuple[int, int], text: str, colour: str, font: str) -> str:
    left, bottom = place
    return f'<text x="{left}" y="{bottom}" fill="{colour}" {font}>{html.escape(text)}</text>'


def main(arguments: list[str]) -> int:
    """Draw the pictures into a folder."""
    for name, theme in THEMES.items():
        (Path(arguments[0]) / f"{NAME}-{name}.svg").write_text(draw(theme), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
