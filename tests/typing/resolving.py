"""An application that asks whether it may call a model."""

from __future__ import annotations

from typing import Literal

from typing_extensions import assert_type

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, Resolution

registry = ModelRegistry()


def choose_model(wanted: str) -> str:
    """Return the model, or its successor."""
    resolution = registry.resolve(wanted, provider="openai")
    if resolution.entry is None or resolution.rule is None:
        return wanted
    assert_type(resolution.entry, ModelRegistryEntry)
    successor = resolution.entry.metadata.get("successor", wanted)
    return str(successor)


resolution = registry.resolve("acme-chat-1", match="exact")
assert_type(resolution, Resolution)
assert_type(resolution.entry, ModelRegistryEntry | None)
assert_type(resolution.warnings, tuple[str, ...])
assert_type(resolution.rule, Literal["id", "alias", "form", "glob"] | None)
entry, status, warnings, rule, candidate = resolution
assert_type(status, str)
assert_type(candidate, str)
assert_type(registry.check("acme-chat-1"), tuple[str, ...])
assert_type(registry.require("acme-chat-1", allow=["active"], min_days_left=30), ModelRegistryEntry)

registry.resolve("m", "openai")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.resolve("m", match="regex")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
registry.require("m", min_days_left="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
resolution.status = "active"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
