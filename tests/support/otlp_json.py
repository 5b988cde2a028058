"""Telemetry in files of OTLP JSON, and in Jaeger's answers."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Item(NamedTuple):
    """A span or a log record, with its resource and its scope."""

    resource: dict[str, Any]
    scope: dict[str, Any]
    item: dict[str, Any]

    @property
    def attributes(self) -> dict[str, Any]:
        """The item's attributes, as the SDK has them."""
        return attributes_of(self.item)


def items_of(requests: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the spans or log records of OTLP requests."""
    return [
        Item(resource["resource"], scope["scope"], item)
        for request in requests
        for resource in request.get("resourceSpans") or request.get("resourceLogs") or ()
        for scope in resource.get("scopeSpans") or resource.get("scopeLogs") or ()
        for item in scope.get("spans") or scope.get("logRecords") or ()
    ]


def read_items(*files: str | os.PathLike[str], start: int = 0) -> list[Item]:
    """Return the spans or log records of files; a file may be missing, and its last line may be incomplete."""
    requests = []
    for path in files:
        if os.path.exists(path):
            with open(path, "rb") as file:
                file.seek(start)
                lines = [line for line in file if line.startswith(b'{"resource') and line.endswith(b"\n")]
            requests += map(json.loads, lines)
    return items_of(requests)


def attributes_of(owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span, an event, a resource or a scope, as the SDK has them."""
    return {pair["key"]: _value_of(pair["value"]) for pair in owner.get("attributes", ())}


def _value_of(given: Mapping[str, Any]) -> Any:
    [(kind, value)] = given.items()
    if kind == "arrayValue":
        return tuple(_value_of(item) for item in value.get("values", ()))
    return int(value) if kind == "intValue" else value


def tags_of(fields: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the tags of a span in Jaeger, or the fields of one of its logs."""
    return {field["key"]: field["value"] for field in fields}


SENDER = "model_registry.sender"
"""The attribute that a Collector sets on every span and log record."""


def ours(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the registry's namespace, except the one that a Collector sets."""
    return {key: value for key, value in attributes.items() if key.startswith("model_registry.") and key != SENDER}
