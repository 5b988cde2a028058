"""The examples of the page that the project implements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import spanforge.model_registry
from spanforge.model_registry import ModelRegistryEntry

if TYPE_CHECKING:
    import pytest

LIFECYCLE = """
from spanforge.model_registry import ModelRegistry
registry = ModelRegistry()
# Register
entry = registry.register(
    model_id="gpt-4o-2024-05",
    name="GPT-4o",
    version="2024-05",
    risk_tier="high",
    owner="ml-platform",
    purpose="customer support agent",
)
# Deprecate
registry.deprecate("gpt-4o-2024-05", reason="Replaced by gpt-4o-2024-08")
# Retire
registry.retire("gpt-4o-2024-05")
"""

PERSISTENCE = """
registry.save("models.json")   # persist to disk
registry.load("models.json")   # reload from disk
"""

CONVENIENCE = """
from spanforge.model_registry import register_model, deprecate_model, retire_model
register_model("gpt-4o", "GPT-4o", "2024-05", "high", "ml-platform", "chat agent")
deprecate_model("gpt-4o", reason="Successor available")
retire_model("gpt-4o")
"""


def test_lifecycle_and_persistence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example registers, deprecates and retires a model; the second saves and loads it unchanged."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(LIFECYCLE, names)
    registry = names["registry"]
    assert isinstance(registry, spanforge.model_registry.ModelRegistry)
    entry = names["entry"]
    assert isinstance(entry, ModelRegistryEntry)
    assert entry.status == "active"
    retired = registry.get("gpt-4o-2024-05")
    assert retired is not None
    assert (retired.status, retired.metadata["deprecation_reason"]) == ("retired", "Replaced by gpt-4o-2024-08")
    assert retired.decommission_date is not None
    before = registry.list_all()
    exec(PERSISTENCE, names)
    assert (tmp_path / "models.json").exists()
    assert registry.list_all() == before


def test_convenience_functions() -> None:
    """The third example does the same in the process-wide registry."""
    exec(CONVENIENCE, {})
    entry = spanforge.model_registry.get_model("gpt-4o")
    assert entry is not None
    assert entry.status == "retired"
    assert spanforge.model_registry.list_models() == [entry]


def test_example_file_has_the_examples() -> None:
    """``examples/lifecycle.py`` has the examples of the page unchanged."""
    example = (Path(__file__).parent.parent / "examples" / "lifecycle.py").read_text("utf-8")
    assert all(block in example for block in (LIFECYCLE, PERSISTENCE, CONVENIENCE))


def test_payload_fields() -> None:
    """The entry has the payload fields and defaults of the page, in its order."""
    entry = ModelRegistryEntry("gpt-4o", "GPT-4o", "2024-05", "high", "ml-platform", "chat agent")
    payload = {
        "model_id": "gpt-4o",
        "name": "GPT-4o",
        "version": "2024-05",
        "risk_tier": "high",
        "owner": "ml-platform",
        "purpose": "chat agent",
        "status": "active",
        "deployment_date": None,
        "decommission_date": None,
        "metadata": {},
    }
    assert list(entry.to_dict().items()) == list(payload.items())
