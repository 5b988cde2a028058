"""The two layers of the process-wide registry: the application's models, and above them the models of files."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from support.telemetry import exported_events

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CODE = {"name": "N", "version": "1", "risk_tier": "low", "owner": "code", "purpose": "test"}
FILE = {**CODE, "owner": "file"}
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def filed(model_id: str = "a", **changes: Any) -> ModelRegistryEntry:
    return ModelRegistryEntry(model_id=model_id, **{**FILE, **changes})


def register(registry: ModelRegistry, model_id: str = "a", **changes: Any) -> ModelRegistryEntry:
    given: dict[str, Any] = {**CODE, **changes}
    return registry.register(model_id, **given)


def found(registry: ModelRegistry, model_id: str = "a") -> ModelRegistryEntry:
    entry = registry.get(model_id)
    assert entry is not None
    return entry


def shown(registry: ModelRegistry) -> list[tuple[str, str, str]]:
    return [(entry.model_id, entry.owner, entry.status) for entry in registry]


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000000Z"


def record(second: int, status: str, owner: str, **more: str) -> dict[str, str]:
    return {"at": at(second), "status": status, "owner": owner, "risk_tier": "low", **more}


def emitted(exporter: InMemorySpanExporter) -> list[tuple[str, str, str, str | None]]:
    """Return event, model, status and previous status of each event so far."""
    keys = ("model_id", "status", "previous_status")
    return [
        (event.name, *((event.attributes or {}).get(f"model_registry.{key}") for key in keys))  # type: ignore[misc]
        for event in exported_events(exporter)
    ]


class Clock:
    """A stopped clock; ``second`` is its time after ``START``."""

    def __init__(self) -> None:
        self.second = 0

    def time_ns(self) -> int:
        return (int(START.timestamp()) + self.second) * 1_000_000_000
