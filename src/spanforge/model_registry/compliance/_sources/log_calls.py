"""Calls that applications report as log records: the events, and their form as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODEL: Final = {"model": "gen_ai.request.model"}


class CallEvent(NamedTuple):
    """An event by which a log record reports a call.

    Attributes:
        sender: The application or convention that has it.
        source: The page that describes it.
        keys: The attribute keys that have another name on spans.
    """

    sender: str
    source: str
    keys: Mapping[str, str]


CALL_EVENTS: Final[Mapping[str, CallEvent]] = {
    "gen_ai.client.inference.operation.details": CallEvent(
        "OpenTelemetry's semantic conventions",
        "https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/",
        {},
    ),
    "claude_code.api_request": CallEvent("Claude Code", "https://code.claude.com/docs/en/monitoring-usage", _MODEL),
    "codex.api_request": CallEvent("Codex", "https://developers.openai.com/codex/config-advanced", _MODEL),
    "gemini_cli.api_request": CallEvent(
        "Gemini CLI", "https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/telemetry.md", _MODEL
    ),
    "api_request": CallEvent(
        "Claude Code and other coding agents",
        "https://code.claude.com/docs/en/monitoring-usage",
        _MODEL,
    ),
}
"""The events that report a call, by name. Any other name that ends with ``.api_request`` means ``api_request``."""
NAME_KEY: Final = "event.name"
"""The attribute with the name of the event, from older SDKs."""
AGENT_EVENT: Final = "api_request"
"""The row for the events of any coding agent."""


def find_call_event(record: otlp.LogRecord) -> str | None:
    """Return the row of ``CALL_EVENTS`` for the call that a log record reports; ``None`` if it reports none.

    The name is in the record's own field, or in the attribute ``event.name`` of older SDKs.
    """
    name = record.event_name
    if not name:
        name = next((otlp.get_text(each.value) for each in record.attributes if each.key == NAME_KEY), None) or ""
    return classify_event(name)


def classify_event(name: str) -> str | None:
    """Return the row of ``CALL_EVENTS`` for the name of an event; ``None`` if it reports no call."""
    if name in CALL_EVENTS:
        return name
    return AGENT_EVENT if name.endswith("." + AGENT_EVENT) else None


def get_call_attributes(record: otlp.LogRecord, event: str) -> list[otlp.KeyValue]:
    """Return the attributes of a call in a log record, with the keys that spans have."""
    keys = CALL_EVENTS[event].keys
    if not keys:
        return record.attributes
    return [otlp.KeyValue(keys.get(each.key, each.key), each.value) for each in record.attributes]
