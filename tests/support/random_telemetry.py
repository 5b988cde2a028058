"""Random telemetry in January 2026: calls near changes, agents, copies, senders and log records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from support.evidence import make_entry
from support.otlp import Otlp
from support.scans import CHANGING, DAY, DELAY, DEPRECATED, END, HOUR, MINUTE, RETIRED, START, SUNSET

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRIES = (CHANGING, make_entry("acme-chat-1", metadata={"aliases": ["chat", "acme-*-preview"]}))
NAMES = (
    "gpt",
    "acme-chat-1",
    "chat",
    "acme-x-preview",
    "openai/gpt",
    "unknown-1",
    "name with 'quotes\\",
    "",
    "ünï\n",
    None,
)
MOMENTS = (START, DEPRECATED, SUNSET, RETIRED, END)
CLAIMS: tuple[dict[str, Any], ...] = (
    {},
    {"status": "active", "model_id": "gpt", "owner": "ml", "risk_tier": "high"},
    {"status": "retired", "model_id": "gpt"},
    {"status": "unregistered", "warnings": ["model 'unknown-2' is not registered"]},
    {"status": "active", "owner": "somebody"},
)
FURTHER: tuple[dict[str, Any], ...] = (
    {},
    {"gen_ai.response.model": "gpt-2026-01-01", "gen_ai.response.id": "1"},
    {"gen_ai.response.model": "other"},
    {"gen_ai.operation.name": "invoke_agent"},
    {"gen_ai.operation.name": "execute_tool"},
    {"db.system": "x"},
    {"llm.model_name": "acme-chat-1", "openinference.span.kind": "CHAIN"},
    {"llm.invocation_parameters": '{"model": "gpt"}'},
)
SENDERS = (None, "trusted", "untrusted", "somebody")


class Drawn(NamedTuple):
    """What is drawn for a span or a log record."""

    name: str | None
    at: int
    length: int
    claims: dict[str, Any]
    further: dict[str, Any]
    sender: str | None
    service: str
    scope: str
    kind: str
    repeated: str | None


times = st.builds(
    lambda moment, distance: min(max(moment + distance, START - HOUR), END + HOUR),
    st.sampled_from(MOMENTS),
    st.sampled_from((0, -1, 1, MINUTE, -MINUTE, DELAY, -DELAY, HOUR, DAY + HOUR, -3 * DAY)),
)


@st.composite
def drawn_items(draw: st.DrawFn) -> Drawn:
    """Draw a span or a log record."""
    return Drawn(
        draw(st.sampled_from(NAMES)),
        draw(times),
        draw(st.sampled_from((0, 1, MINUTE, DELAY, DAY, -MINUTE))),
        draw(st.sampled_from(CLAIMS)),
        draw(st.sampled_from(FURTHER)),
        draw(st.sampled_from(SENDERS)),
        draw(st.sampled_from(("api", "web; DROP TABLE x", ""))),
        draw(st.sampled_from(("test", "pydantic-ai"))),
        draw(st.sampled_from(("span", "span", "span", "call", "call in span", "event", "event record"))),
        draw(st.sampled_from((None, None, None, "gpt", "unknown-1"))),
    )


class Telemetry(NamedTuple):
    """Random telemetry: items, and the copies among them, each with the place of its original and what differs."""

    items: list[Drawn]
    copies: list[tuple[int, str]]
    is_marked: bool

    def list_lines(self, *, keep_repeated: bool = True) -> list[bytes]:
        """Return the export requests, a line each.

        Args:
            keep_repeated: ``False`` to write each attribute of a span once.
        """
        otlp = Otlp()
        made = [(item, list(self._make_records(otlp, item, keep_repeated=keep_repeated))) for item in self.items]
        lines = [(item, part) for item, parts in made for part in parts]
        for place, difference in self.copies:
            if lines:
                lines.append(self._copy(otlp, *lines[place % len(lines)], difference))
        return [self._write(otlp, item, *part) for item, part in lines]

    def _make_records(self, otlp: Otlp, item: Drawn, *, keep_repeated: bool) -> Iterator[tuple[str, Any]]:
        claims = {f"model_registry.{key}": value for key, value in item.claims.items()}
        texts = {**item.further, **claims}
        if item.kind == "event record":
            yield "log", otlp.lifecycle_record(item.at, model_id="gpt")
            return
        if item.kind == "call":
            yield "log", otlp.call_record(item.name or "", item.at, **texts)
            return
        span = otlp.span(item.name, item.at, item.at + item.length, **texts)
        if item.repeated is not None and keep_repeated:
            span["attributes"] += otlp.attributes({"gen_ai.request.model": item.repeated})
        if item.kind == "event":
            span["events"] = [otlp.lifecycle_event(item.at + 1)]
        yield "span", span
        if item.kind == "call in span":
            yield "log", otlp.call_record(item.name or "", item.at + 1, span, **texts)

    def _copy(self, otlp: Otlp, item: Drawn, part: tuple[str, Any], difference: str) -> tuple[Drawn, tuple[str, Any]]:
        signal, record = part
        changed = json.loads(json.dumps(record))
        if difference == "model":
            changed["attributes"] = otlp.attributes({"gen_ai.request.model": "acme-chat-1"})
        if difference == "service":
            item = item._replace(service="other")
        if difference == "sender":
            item = item._replace(sender="untrusted")
        return item, (signal, changed)

    def _write(self, otlp: Otlp, item: Drawn, signal: str, record: Any) -> bytes:
        is_inside = START <= item.at < END
        if self.is_marked and item.sender is not None and is_inside:
            (record,) = otlp.marked(item.sender, record)
        if signal == "log":
            return otlp.logs(record, resource={"service.name": item.service})
        return otlp.line(record, service=item.service, scope=item.scope)


telemetries = st.builds(
    Telemetry,
    st.lists(drawn_items(), min_size=6, max_size=20) | st.lists(drawn_items(), min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(("", "", "model", "service", "sender"))), max_size=6),
    st.booleans(),
)
