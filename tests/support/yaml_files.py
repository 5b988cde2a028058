"""Registry files in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from spanforge.model_registry import ModelRegistry, RegistryFileError

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = """\
- model_id: gpt-4o
  name: GPT-4o
  version: 2024-05
  risk_tier: high
  owner: ml-platform
  purpose: customer support
"""
OTHER = ENTRY.replace("gpt-4o", "b", 1)
"""An entry with the id ``b``: after ``ENTRY`` its lines are 7 to 12."""
PLAIN = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "customer support",
    "status": "active",
    "deployment_date": None,
    "decommission_date": None,
    "metadata": {},
}
needs_libyaml = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is built without libyaml")
LOADERS = [pytest.param("CSafeLoader", marks=needs_libyaml), "SafeLoader"]


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
    assert registry.list_all() == [before]
    assert str(caught.value).isprintable()
    return caught.value
