"""Near misses: entries that are valid, but probably do not mean what their author meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.entries import FIELDS, METADATA

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.near_misses import list_near_misses
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from pathlib import Path

MEANT = {
    "alias": "aliases",
    "Aliases": "aliases",
    "sunset": "sunset_date",
    "sunsetDate": "sunset_date",
    "providers": "provider",
    "base-model": "base_model",
    "replaced_by": "successor",
    "successsor": "successor",
    "reason": "deprecation_reason",
    "contacts": "contact",
}
TEMPLATE = "a template such as {{ owner }} must be rendered first"
OWN = dict.fromkeys(("ticket", "team", "tags", "contract", "owner", "version", "source", "notes", "x" * 5000, "é"), 1)
"""Keys of users, which no reserved key is meant by."""


def near(**changes: Any) -> list[tuple[str, str]]:
    """Return the near misses of an entry: the field and the problem of each."""
    return [near_miss[1:] for near_miss in list_near_misses(ModelRegistryEntry(**{**FIELDS, **changes}))]


@pytest.mark.parametrize("key", MEANT)
def test_key_that_is_nearly_reserved(key: str) -> None:
    """A metadata key that is nearly a reserved one, or another word for it, is a near miss, unless that one is set."""
    text = f"is not a key that the library reads; did you mean {MEANT[key]}?"
    assert near(metadata={key: "x"}) == [(f"metadata.{key}", text)]
    assert near(metadata={key: "x", MEANT[key]: METADATA[MEANT[key]]}) == []


def test_keys_of_users() -> None:
    """Other keys are the user's, and reserved keys are right."""
    assert near(metadata={**METADATA, **OWN}) == []


def test_field_in_the_metadata() -> None:
    """An optional field of the entry in its metadata is a near miss, because it has no effect there."""
    place = "is a field of the entry; write it beside metadata, not in it"
    assert near(metadata={"status": "retired"}) == [("metadata.status", place)]
    assert near(metadata={"deployment_date": "2026-01-01"}) == [("metadata.deployment_date", place)]
    assert near(metadata={"deployment_date": "2026-01-01"}, deployment_date="2026-01-01") == []


def test_templates() -> None:
    """A text that is a template which was not rendered is a near miss."""
    assert near(owner="{{ owner }}") == [("owner", f"is '{{{{ owner }}}}'; {TEMPLATE}")]
    assert [
        field for field, _ in near(version="${VERSION}", metadata={"aliases": ["a", "<%= x %>"], "x": "{{ }}"})
    ] == [
        "version",
        "metadata.aliases[1]",
    ]
    assert near(purpose="fills {placeholders} for $5") == []


def test_followed_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A followed file with near misses has one line for each of its versions, which has the first one."""
    path = tmp_path / "models.json"
    registry = ModelRegistry(auto_emit=False)
    registry.register(**FIELDS, metadata={"alias": ["a"], "sunset": "x"})
    registry.save(path)
    watcher = FileWatcher(registry, [str(path)], reload_interval=0)
    watcher.start()
    watcher.look()
    near_miss = "model 'gpt-4o': metadata.alias is not a key that the library reads; did you mean aliases? (and 1 more)"
    assert caplog.messages == [f"model registry: check registry file {path}: {near_miss}"]
