"""Loads of registry files with some content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import ModelRegistry, RegistryFileError

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path, content: str | bytes) -> list[dict[str, Any]]:
    """Return the entries of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    return [entry.to_dict() for entry in registry]


def refused(path: Path, content: str | bytes) -> RegistryFileError:
    """Return the error about a file with this content; the registry stays as it was."""
    registry = ModelRegistry(auto_emit=False)
    before = registry.register("m", "N", "1", "low", "team", "test")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RegistryFileError) as caught:
        registry.load(path)
    (entry,) = registry
    assert entry is registry.resolve("m").entry is before
    assert str(caught.value).isprintable()
    return caught.value
