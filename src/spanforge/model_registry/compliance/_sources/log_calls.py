"""Calls that applications report as log records: the events, and their form as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Mapping

_MODEL: Final = {"model": "gen_ai.request.model"}

CALL_EVENTS: Final[Mapping[str, Mapping[str, str]]] = {
    # https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/
    "gen_ai.client.inference.operation.details": {},
    # https://code.claude.com/docs/en/monitoring-usage: the name is the body; event.name lacks the prefix
    "claude_code.api_request": _MODEL,
    # https://developers.openai.com/codex/config-advanced
    "codex.api_request": _MODEL,
    # https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/telemetry.md
    "gemini_cli.api_request": _MODEL,
}
"""The events that report a call, with the attribute keys that have another name on spans."""
_NAME_KEY: Final = "event.name"
_NAME_ENDS: Final = tuple(name.rpartition(".")[2] for name in CALL_EVENTS)


def find_call_event(record: otlp.LogRecord) -> str | None:
    """Return the name of the event by which a log record reports a call; ``None`` if it does not.

    The name is in the record's own field, in the attribute ``event.name`` of older SDKs, or in the body.
    """
    if record.event_name:
        return record.event_name if record.event_name in CALL_EVENTS else None
    for attribute in record.attributes:
        if attribute.key == _NAME_KEY:
            name = otlp.get_text(attribute.value) or ""
            if name in CALL_EVENTS:
                return name
            body = otlp.get_text(record.body) if name.endswith(_NAME_ENDS) else None
            return body if body in CALL_EVENTS else None
    return None


def get_call_attributes(record: otlp.LogRecord, event: str) -> list[otlp.KeyValue]:
    """Return the attributes of a call in a log record, with the keys that spans have."""
    keys = CALL_EVENTS[event]
    return [otlp.KeyValue(keys.get(each.key, each.key), each.value) for each in record.attributes]
