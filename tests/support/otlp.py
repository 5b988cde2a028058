"""``Otlp``: spans, events and log records in OTLP JSON, as the Collector and the SDK write it."""

from __future__ import annotations

import itertools
import json
from typing import Any

START = 1_767_225_600_000_000_000
"""2026-01-01, in nanoseconds: the default start of spans."""


class Otlp:
    """Makes spans, events, and lines of OTLP JSON; no two spans have the same id.

    Attributes:
        start: The default start of spans, in nanoseconds since the epoch.
    """

    start = START

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def span(self, model: str | None = None, start: int = START, end: int | None = None, **attributes: Any) -> Any:
        """Return a span; ``model`` is the request model; in the names of further attributes, ``__`` is a dot."""
        number = next(self._numbers)
        named = {} if model is None else {"gen_ai.request.model": model}
        named |= {key.replace("__", "."): value for key, value in attributes.items()}
        return {
            "traceId": f"{number:032x}",
            "spanId": f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 1_000_000 if end is None else end),
            "attributes": self.attributes(named),
            "status": {},
        }

    def enriched(self, model: str = "gpt", start: int = START, **attributes: Any) -> Any:
        """Return a span with the attributes of an active model that ``support.evidence.make_entry`` returns."""
        own = {"status": "active", "model_id": model, "owner": "ml", "risk_tier": "high"}
        return self.span(model, start, **{f"model_registry__{key}": value for key, value in own.items()} | attributes)

    def event(self, name: str, at: int = START, **attributes: Any) -> Any:
        """Return an event on a span."""
        return {"name": name, "timeUnixNano": str(at), "attributes": self.attributes(attributes)}

    def lifecycle_event(self, at: int = START, name: str = "model_registry.retired", model_id: Any = "gpt") -> Any:
        """Return a lifecycle event on a span."""
        return self.event(name, at, **{"model_registry.model_id": model_id})

    def lifecycle_record(self, at: int = START, name: str = "model_registry.retired", model_id: Any = "gpt") -> Any:
        """Return a lifecycle event as a log record."""
        event = self.lifecycle_event(at, name, model_id)
        return {"eventName": event.pop("name"), **event}

    def marked(self, sender: str, *items: Any) -> list[Any]:
        """Return spans, events or log records with the Collector's mark of their sender."""
        mark = self.attributes({"model_registry.sender": sender})
        return [item | {"attributes": [*item.get("attributes", ()), *mark]} for item in items]

    def call_record(self, model: str, at: int = START, span: Any = None, **attributes: Any) -> Any:
        """Return a log record that reports a call in the form of the semantic conventions, perhaps in a span."""
        ids = {} if span is None else {key: span[key] for key in ("traceId", "spanId")}
        named = {"gen_ai.request.model": model, **attributes}
        name = "gen_ai.client.inference.operation.details"
        return {"eventName": name, "timeUnixNano": str(at), "attributes": self.attributes(named), **ids}

    def line(self, *spans: Any, service: str | None = "api", scope: str = "test") -> bytes:
        """Return a line, without its end, with spans of one service and one instrumentation scope."""
        resource = {"attributes": self.attributes({} if service is None else {"service.name": service})}
        return self.json(
            {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": scope}, "spans": spans}]}]}
        )

    def logs(self, *records: Any, resource: dict[str, Any] | None = None) -> bytes:
        """Return a line, without its end, with log records of a resource with these attributes."""
        described = {} if resource is None else {"attributes": self.attributes(resource)}
        return self.json(
            {"resourceLogs": [{"resource": described, "scopeLogs": [{"scope": {}, "logRecords": records}]}]}
        )

    def attributes(self, values: dict[str, Any]) -> list[Any]:
        """Return attributes; a value that is an object already stays as it is."""
        return [{"key": key, "value": self.value(value)} for key, value in values.items()]

    def value(self, value: Any) -> Any:
        """Return an attribute's value."""
        if isinstance(value, bool):
            return {"boolValue": value}
        if isinstance(value, int):
            return {"intValue": str(value)}
        if isinstance(value, float):
            return {"doubleValue": value}
        if isinstance(value, (list, tuple)):
            return {"arrayValue": {"values": [self.value(item) for item in value]}}
        return {"stringValue": value} if isinstance(value, str) else value

    def json(self, value: Any) -> bytes:
        """Return a value as a line, without its end."""
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
