"""A platform team's start: models are registered, changed and listed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from typing_extensions import assert_type

from spanforge.model_registry import (
    EventCounts,
    LifecycleEvent,
    ModelRegistry,
    ModelRegistryEntry,
    ModelStatus,
    RiskTier,
    StateAsOf,
    deprecate_model,
    event_counts,
    flush_events,
    get_default_registry,
    get_model,
    list_models,
    register_model,
    retire_model,
)

TIERS: dict[str, RiskTier] = {"acme-chat-1": "high", "acme-embed-1": "low"}


def register_all(owner: str) -> list[ModelRegistryEntry]:
    return [register_model(model_id, model_id, "1", tier, owner, "support") for model_id, tier in TIERS.items()]


entry = register_model(
    "acme-chat-2",
    name="Acme Chat 2",
    version="2",
    risk_tier="critical",
    owner="chat-team",
    purpose="support",
    metadata={"contact": "#chat-team", "cost_centre": 42},
    aliases=["support-chat"],
    provider=("openai", "azure"),
)
assert_type(entry, ModelRegistryEntry)
assert_type(entry.risk_tier, RiskTier)
assert_type(entry.status, ModelStatus)
assert_type(entry.aliases, tuple[str, ...])
assert_type(entry.provider, str | None)
assert_type(entry.as_of(datetime.now(timezone.utc)), StateAsOf | None)
assert_type(deprecate_model("acme-chat-1", reason="old", successor="acme-chat-2"), ModelRegistryEntry)
assert_type(retire_model("acme-chat-1", actor="ci"), ModelRegistryEntry)
assert_type(get_model("acme-chat-1"), ModelRegistryEntry | None)
assert_type(list_models(), list[ModelRegistryEntry])
assert_type(flush_events(), int)
assert_type(event_counts("log"), EventCounts)
assert_type(event_counts().dropped, int)

registry: ModelRegistry = get_default_registry()
registry.save(Path("models.json"))
registry.load("models.json")
assert_type([each.model_id for each in registry], list[str])
assert_type(len(registry), int)
assert_type("acme-chat-1" in registry, bool)
other = ModelRegistry(auto_emit=False)
changes = registry.emit_changes(before=other, after=registry, source_revision="abc")
assert_type(changes, list[LifecycleEvent])
assert_type(ModelRegistryEntry.from_dict(entry.to_dict()), ModelRegistryEntry)


def read_tier(text: str) -> None:
    register_model("m", "M", "1", text, "o", "p")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


register_model("m", "M", "1", "severe", "o", "p")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
register_model("m", "M", "1", "low", "o")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
register_model("m", "M", "1", "low", "o", "p", None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
register_model("m", "M", 1, "low", "o", "p")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
entry.owner = "me"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
print(get_model("m").owner)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
