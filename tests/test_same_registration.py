"""Registrations of a model that is registered already: the same description is no change, another one is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.entries import FIELDS, METADATA
from support.threads import run_in_threads

from spanforge.model_registry import ModelAlreadyRegisteredError, ModelRegistry, event_counts
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from pathlib import Path

MORE: dict[str, Any] = {"aliases": ["chat"], "provider": "openai", "metadata": {"ticket": 5, "none": None}}


def register(registry: ModelRegistry, **changes: Any) -> Any:
    """Register the same model, with changes."""
    return registry.register(**{**FIELDS, **MORE, **changes})


SAME: list[dict[str, Any]] = [
    {},
    {"actor": "ci"},
    {"aliases": ("chat",)},
    {"aliases": (), "metadata": {"ticket": 5, "aliases": ["chat"]}},
    {"metadata": {"ticket": 5, "more": None}},
]
OTHER: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    *(({field: "low" if field == "risk_tier" else "x"}, (field,)) for field in FIELDS if field != "model_id"),
    ({"aliases": ()}, ("metadata.aliases",)),
    ({"provider": "azure", "owner": "x"}, ("owner", "metadata.provider")),
    ({"metadata": {"ticket": 6}}, ("metadata.ticket",)),
    ({"metadata": {"ticket": 5, "successor": "y"}}, ("metadata.successor",)),
    ({"deployment_date": "2020-01-01"}, ("deployment_date",)),
]


@pytest.mark.parametrize("make", [ModelRegistry, LayeredRegistry])
@pytest.mark.parametrize("deprecated", [False, True])
def test_same_description_again(make: type[ModelRegistry], *, deprecated: bool) -> None:
    """The same description again returns the entry in force; the registry does not change, and no event is emitted."""
    registry = make()
    entry = register(registry)
    if deprecated:
        entry = registry.deprecate("gpt-4o", reason="old", successor="gpt-5", sunset_date="2027-01-01")
    counts = event_counts()
    dates = {"deployment_date": entry.deployment_date}
    for changes in (*SAME, dates, {"metadata": {"ticket": 5, "successor": "gpt-5"}} if deprecated else {}):
        assert register(registry, **changes) is entry
    assert registry.list_all() == [entry]
    assert event_counts() == counts


@pytest.mark.parametrize(("changes", "fields"), OTHER)
def test_another_description(changes: dict[str, Any], fields: tuple[str, ...]) -> None:
    """Another description is an error that names the fields that differ; with ``replace`` it takes effect."""
    registry = ModelRegistry(auto_emit=False)
    entry = register(registry)
    with pytest.raises(ModelAlreadyRegisteredError) as caught:
        register(registry, **changes)
    assert (caught.value.model_id, caught.value.status, caught.value.fields) == ("gpt-4o", "active", fields)
    assert str(caught.value).endswith(f"and differs in {', '.join(fields)}; to change it, pass replace=True")
    assert registry.get("gpt-4o") is entry


def test_retired_model() -> None:
    """The same description of a retired model is an error, because its id is never used again."""
    registry = ModelRegistry(auto_emit=False)
    register(registry)
    registry.retire("gpt-4o")
    with pytest.raises(
        ModelAlreadyRegisteredError, match=r"is already registered \(status retired\); an id is never"
    ) as caught:
        register(registry)
    assert caught.value.fields == ()


def test_registration_after_a_load(tmp_path: Path) -> None:
    """A model that was loaded from a file, with all its metadata, may be registered again with its description."""
    path = tmp_path / "models.json"
    registry = ModelRegistry(auto_emit=False)
    mine = {key: value for key, value in METADATA.items() if key in ("aliases", "provider", "base_model", "contact")}
    registry.register(**FIELDS, metadata=mine)
    registry.deprecate("gpt-4o", successor="y")
    registry.save(path)
    registry.load(path)
    entry = registry.get("gpt-4o")
    assert registry.register(**FIELDS, metadata=mine) is entry


def test_model_of_a_file() -> None:
    """The same registration over a file's model returns the file's entry, before and after the file drops the model."""
    registry = LayeredRegistry(auto_emit=False)
    entry = ModelRegistry(auto_emit=False).register(**{**FIELDS, "owner": "file"})
    replace_file_entries(registry, [entry])
    assert register(registry) is register(registry) is entry
    replace_file_entries(registry, [])
    mine = registry.get("gpt-4o")
    assert mine is not None
    assert register(registry) is mine
    assert len(mine.metadata["history"]) == 1


def test_threads_that_register_the_same_model() -> None:
    """If many threads register the same models, each model is registered once, and no thread has an error."""
    registry = ModelRegistry(auto_emit=False)
    names = [f"m{number}" for number in range(50)]

    results: list[list[Any]] = []
    run_in_threads(*[lambda: results.append([register(registry, model_id=name) for name in names])] * 8)
    assert results == [registry.list_all()] * 8
    assert all(len(entry.metadata["history"]) == 1 for entry in registry)
