"""Registries of a given size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.sdk._logs import ReadWriteLogRecord

MODEL = "gpt-4o"
"""The model that spans name. Every registry made here has it."""


def entry(model_id: str, **more: Any) -> ModelRegistryEntry:
    """Return an entry with further fields."""
    return ModelRegistryEntry(
        model_id=model_id,
        name="GPT-4o",
        version="2024-08-06",
        risk_tier="high",
        owner="ml-platform",
        purpose="customer support agent",
        **more,
    )


def entries(number: int) -> Iterator[ModelRegistryEntry]:
    """Yield the given number of entries, with ``MODEL`` in the middle."""
    return (entry(MODEL if i == number // 2 else f"model-{i}") for i in range(number))


def with_globs(number: int) -> Iterator[ModelRegistryEntry]:
    """Yield the given number of entries that each have a glob."""
    return (entry(f"acme-{i}", metadata={"aliases": [f"acme-{i}-*"]}) for i in range(number))


def as_registered(number: int) -> Iterator[ModelRegistryEntry]:
    """Yield the given number of entries as ``register`` leaves them, with a history record and user metadata."""
    for i in range(number):
        at = f"2026-05-13T08:{i // 60 % 60:02}:{i % 60:02}.{i:06}Z"
        record = {"at": at, "status": "active", "owner": "ml-platform", "risk_tier": "high", "actor": "ci"}
        yield entry(f"model-{i}", deployment_date=at, metadata={"ticket": f"GOV-{i}", "history": [record]})


def loggers() -> LoggerProvider:
    """Return a logger provider that accepts log records and discards them."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(_Taking())
    return provider


class _Taking(LogRecordProcessor):
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is pending
        """Return ``True``."""
        return True


def deprecated_of(number: int) -> ModelRegistry:
    """Return a registry with the given number of entries, in which ``MODEL`` is deprecated."""
    registry = registry_of(entries(number), auto_emit=False)
    registry.deprecate(MODEL)
    return registry


def registry_of(found: Iterable[ModelRegistryEntry], **options: Any) -> ModelRegistry:
    """Return a registry with these entries, without emitting events for them."""
    registry = ModelRegistry(**options)
    replace_file_entries(registry, found)
    return registry
