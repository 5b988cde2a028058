"""A report on exported spans: each lifecycle event, and each LLM call with owner, tier, status and warnings."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PREFIX = "model_registry."
CODES = {"green": 32, "orange": 33, "yellow": 33, "red": 31, "purple": 35, "blue": 34}
COLOURS = {
    "title": 1,
    "note": 2,
    "unregistered": CODES["red"],
    **{status: CODES[row.colour] for status, row in LIFECYCLE.items()},
    **{row.event.removeprefix(PREFIX): CODES[LIFECYCLE[row.target].colour] for row in OPERATIONS.values()},
}
"""The code of a line's colour in a terminal, by kind of line. Statuses and events have the colours of dashboards."""
COLUMNS = "  {:16} {:23} {:13} {:8} {}"


class Span(NamedTuple):
    """An exported span."""

    name: str
    scope: str
    span_id: str
    parent_id: str
    start: int
    attributes: dict[str, Any]
    events: list[tuple[int, str, dict[str, Any]]]
    error: str


def read(file: Path) -> list[Span]:
    """Return the spans of an OTLP JSON file, in the order in which they started."""
    return parse(file.read_text("utf-8").splitlines())


def parse(lines: Iterable[str]) -> list[Span]:
    """Return the spans of OTLP JSON with one export per line, in the order in which they started."""
    exports = [json.loads(line) for line in lines]
    scopes = (scope for export in exports for spans in export["resourceSpans"] for scope in spans["scopeSpans"])
    spans = (_span(span, scope["scope"]["name"]) for scope in scopes for span in scope["spans"])
    return sorted(spans, key=lambda span: span.start)


def render(spans: list[Span]) -> Iterator[str]:
    """Yield the lines of the report on one run: a table of the events and a table of the calls, if there are any."""
    steps = {span.span_id: span.name for span in spans}
    events = [
        (at, name, event, span.name) for span in spans for at, name, event in span.events if name.startswith(PREFIX)
    ]
    calls = [span for span in spans if PREFIX + "status" in span.attributes]
    if events:
        yield _paint("title", COLUMNS.format("event", "model", "owner", "tier", "time (UTC)"))
    for at, name, event, where in events:
        yield from _event(at, name.removeprefix(PREFIX), event, where)
    if events and calls:
        yield ""
    if calls:
        yield _paint("title", COLUMNS.format("LLM call", "model", "owner", "tier", "status"))
    for span in calls:
        yield from _call(span, steps.get(span.parent_id) or span.name.partition(" ")[0])


def _event(at: int, name: str, event: dict[str, Any], where: str) -> Iterator[str]:
    get = {key.removeprefix(PREFIX): value for key, value in event.items()}.get
    moment = datetime.fromtimestamp(at / 1e9, tz=timezone.utc)
    yield _line(name, name, get("model_id"), get("owner"), get("risk_tier"), f"{moment:%H:%M:%S.%f}"[:12])
    notes = [
        get("previous_status") and f"was {get('previous_status')}",
        get("reason"),
        get("metadata.successor") and f"use {get('metadata.successor')}",
        get("actor") and f"by {get('actor')}",
        not where.startswith(PREFIX) and f"on span '{where}'",
    ]
    yield from _notes(notes)


def _call(span: Span, step: str) -> Iterator[str]:
    get = span.attributes.get
    parameters = get("llm.invocation_parameters") or get("embedding.invocation_parameters") or "{}"
    asked = get("gen_ai.request.model") or json.loads(parameters).get("model", "?")
    answered = get("gen_ai.response.model") or get("llm.model_name") or get("embedding.model_name")
    status, entry = span.attributes[PREFIX + "status"], get(PREFIX + "model_id")
    yield _line(status, step, asked, get(PREFIX + "owner"), get(PREFIX + "risk_tier"), status)
    notes = [
        answered != asked and answered and f"answered by {answered}",
        entry not in (asked, None) and f"registered as {entry}",
        span.error and f"failed: {shorten(span.error, 50, placeholder='…')}",
    ]
    yield from _notes(notes)
    for warning in get(PREFIX + "warnings", []):
        yield _paint(status, f"  {'':16} ! {warning}")


def _line(kind: str, *cells: str | None) -> str:
    return _paint(kind, COLUMNS.format(*(cell or "-" for cell in cells)))


def _notes(notes: list[str | bool | None]) -> Iterator[str]:
    for line in wrap(", ".join(str(note) for note in notes if note), 61):
        yield _paint("note", f"  {'':16} {line}")


def _paint(kind: str, line: str) -> str:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return line if plain else f"\x1b[{COLOURS[kind]}m{line}\x1b[0m"


def _span(span: dict[str, Any], scope: str) -> Span:
    events = [
        (int(event["timeUnixNano"]), event["name"], _attributes(event.get("attributes", [])))
        for event in span.get("events", [])
    ]
    return Span(
        name=span["name"],
        scope=scope,
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        start=int(span["startTimeUnixNano"]),
        attributes=_attributes(span.get("attributes", [])),
        events=events,
        error=span.get("status", {}).get("message", ""),
    )


def _attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: _value(pair["value"]) for pair in pairs}


def _value(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    return [_value(item) for item in content.get("values", [])] if kind == "arrayValue" else content
