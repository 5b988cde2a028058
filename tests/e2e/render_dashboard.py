"""Draws a dashboard as a page of HTML: its panels in their places, with what their queries answered.

It is no Grafana: it shows the same numbers in about the same form, so that people can look at them without one.
"""

from __future__ import annotations

import html
import subprocess
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COLOURS = ("#3d71d9", "#e0752d", "#4d9e4a", "#c4162a", "#8f3bb8", "#b8a000", "#0f8f8f", "#777777")
STATES = {1: ("active", "#4d9e4a"), 2: ("deprecated", "#e0752d"), 3: ("retired", "#c4162a")}
HEIGHT = 35
"""Pixels of a unit of Grafana's grid, with what is between two."""
STYLE = """
body { font: 13px "DejaVu Sans", sans-serif; margin: 12px; background: #f4f5f5; color: #24292e }
h1 { font-size: 18px; margin: 2px 4px 12px }
main { display: grid; grid-template-columns: repeat(24, 1fr); grid-auto-rows: 27px; gap: 8px }
section { background: #fff; border: 1px solid #d8d9da; border-radius: 3px; padding: 8px; overflow: hidden }
h2 { font-size: 13px; margin: 0 0 6px }
.stat { font-size: 34px; text-align: center; color: #3d71d9; padding-top: 10px }
.alarm { color: #c4162a }
table { border-collapse: collapse; width: 100%; font-size: 12px }
th { text-align: left; color: #3d71d9 }
td, th { border-bottom: 1px solid #e7e7e7; padding: 3px 8px 3px 0 }
td:last-child, th:last-child { text-align: right; padding-right: 0 }
.bar { display: grid; grid-template-columns: 110px 1fr 80px; gap: 6px; align-items: center; margin: 7px 0 }
.bar i { display: block; height: 16px }
.bar b, .legend b { font-weight: normal; text-align: right }
.legend { font-size: 11px }
.legend i { display: inline-block; width: 9px; height: 9px; margin: 0 4px 0 10px }
"""


class Line(NamedTuple):
    """What a query answered for one set of labels: its legend, the labels, and values with their times."""

    legend: str
    labels: dict[str, str]
    values: list[tuple[float, float]]


Answer = list[tuple[dict[str, str], list[tuple[float, float]]]]
"""Labels, and values with their times, of each line."""


def number(value: float, unit: str) -> str:
    """Return a value as people write it."""
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s":
        days, hours = value / 86400, value / 3600
        return f"{days:.1f} days" if abs(days) >= 1 else f"{hours:.1f} h" if abs(hours) >= 1 else f"{value:.1f} s"
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"


def stat(panel: dict[str, Any], lines: list[Line], unit: str) -> str:
    """Draw one number."""
    is_alarm = "red" in str(panel["fieldConfig"]["defaults"].get("thresholds"))
    shown = number(lines[0].values[-1][1], unit) if lines else "0"
    return f'<div class="stat{" alarm" if is_alarm and shown != "0" else ""}">{shown}</div>'


def bars(_panel: dict[str, Any], lines: list[Line], unit: str) -> str:
    """Draw a bar for each line."""
    most = max((line.values[-1][1] for line in lines), default=1)
    return "".join(
        f'<div class="bar"><span>{html.escape(line.legend)}</span>'
        f'<i style="width: {line.values[-1][1] / most:.1%}; background: {colour}"></i>'
        f"<b>{number(line.values[-1][1], unit)}</b></div>"
        for line, colour in zip(lines, COLOURS, strict=False)
    )


def table(panel: dict[str, Any], lines: list[Line], _unit: str) -> str:
    """Draw the lines of a table, the most first."""
    named = {
        override["matcher"]["options"]: {each["id"]: each["value"] for each in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    labels = [label for label in named if label != "Value"] or sorted({key for line in lines for key in line.labels})
    value = named["Value"]
    heads = [named.get(label, {}).get("displayName", label) for label in labels] + [value["displayName"]]
    rows = [
        [html.escape(line.labels.get(label, "")) for label in labels] + [number(line.values[-1][1], value["unit"])]
        for line in sorted(lines, key=lambda line: -line.values[-1][1])
    ]
    head = "".join(f"<th>{each}</th>" for each in heads)
    return (
        f"<table><tr>{head}</tr>" + "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows) + "</table>"
    )


def graph(panel: dict[str, Any], lines: list[Line], unit: str) -> str:
    """Draw lines over time, or bars on each other where the panel has these."""
    times = [time for line in lines for time, _ in line.values]
    first, last = min(times), max(times)
    as_bars = panel["fieldConfig"]["defaults"]["custom"].get("drawStyle") == "bars"
    sums: dict[float, float] = {}
    for line in lines:
        for time, value in line.values:
            sums[time] = sums.get(time, 0) + value if as_bars else max(sums.get(time, 0), value)
    most = max(sums.values()) or 1
    drawn, below = [], dict.fromkeys(sums, 0.0)
    for line, colour in zip(lines, COLOURS, strict=False):
        points = [
            (time, 1000 * (time - first) / (last - first or 1), 190 * value / most) for time, value in line.values
        ]
        if as_bars:
            for time, x, height in points:
                below[time] += height
                place = f'x="{x - 6:.0f}" y="{200 - below[time]:.0f}" width="12" height="{height:.0f}"'
                drawn.append(f'<rect {place} fill="{colour}"/>')
        else:
            path = " ".join(f"{x:.0f},{200 - y:.0f}" for _, x, y in points)
            drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
    height = panel["gridPos"]["h"] * HEIGHT - 70
    return (
        f'<svg viewBox="-8 0 1016 204" preserveAspectRatio="none" width="100%" height="{height}">{"".join(drawn)}</svg>'
        f'<div class="legend">{number(most, unit)} at most {"".join(legend(lines))}</div>'
    )


def states(_panel: dict[str, Any], lines: list[Line], _unit: str) -> str:
    """Draw the state of each line over time."""
    drawn = []
    for line in sorted(lines, key=lambda line: line.legend):
        colours = [STATES[int(value)][1] for _, value in line.values]
        cells = "".join(f'<i style="flex: 1; height: 16px; background: {colour}"></i>' for colour in colours)
        last = STATES[int(line.values[-1][1])][0]
        drawn.append(
            f'<div class="bar"><span>{html.escape(line.legend)}</span>'
            f'<span style="display: flex">{cells}</span><b>{last}</b></div>'
        )
    return "".join(drawn)


def legend(lines: list[Line]) -> Iterator[str]:
    """Yield the names of the lines, with their colours."""
    for line, colour in zip(lines, COLOURS, strict=False):
        yield f'<i style="background: {colour}"></i>{html.escape(line.legend)}'


KINDS = {
    "stat": stat,
    "bargauge": bars,
    "table": table,
    "timeseries": graph,
    "state-timeline": states,
}


def draw(board: dict[str, Any], ask: Callable[[dict[str, Any]], Answer]) -> str:
    """Return a dashboard as a page; ``ask`` returns what Prometheus answers to a target."""
    sections = []
    for panel in board["panels"]:
        lines = [
            Line(name(target["legendFormat"], labels), labels, values)
            for target in panel["targets"]
            for labels, values in ask(target)
        ]
        place = panel["gridPos"]
        where = f"grid-column: {place['x'] + 1} / span {place['w']}; grid-row: {place['y'] + 1} / span {place['h']}"
        shown = KINDS[panel["type"]](panel, lines, panel["fieldConfig"]["defaults"]["unit"])
        sections.append(f'<section style="{where}"><h2>{html.escape(panel["title"])}</h2>{shown}</section>')
    title = html.escape(board["title"])
    return (
        f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title}</h1><main>{''.join(sections)}</main>"
    )


def name(legend_format: str, labels: dict[str, str]) -> str:
    """Return a line's name."""
    for label, value in labels.items():
        legend_format = legend_format.replace(f"{{{{{label}}}}}", value)
    return legend_format


def photograph(browser: str, address: str, file: Path, height: int, width: int = 1280) -> None:
    """Have a browser draw a page."""
    browse(browser, address, height, width, f"--screenshot={file}")


def browse(browser: str, address: str, height: int, width: int, *options: str) -> str:
    """Have a browser load a page, and return its output."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-proxy-server"]
    command += [f"--window-size={width},{height}", "--virtual-time-budget=5000", *options, address]
    return subprocess.run(command, check=True, capture_output=True, timeout=120, text=True).stdout
