"""Valid registry files in JSON."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from support.json_files import ENTRY, WRITTEN, with_text

from spanforge.model_registry import InvalidEntryError, ModelRegistry, ModelRegistryEntry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + WRITTEN.encode(),
        WRITTEN.replace("\n", "\r\n").encode(),
        json.dumps([ENTRY]).encode(),
        json.dumps([dict(reversed(list(ENTRY.items())))], indent="\t").encode(),
        WRITTEN.replace('"name"', '"n\\u0061me"').replace("ml-platform", "ml\\u002dplatform").encode(),
        b" \n\t" + json.dumps([ENTRY], separators=(" , ", " :\r\n")).encode() + b"  ",
    ],
    ids=["byte order mark", "CRLF", "ASCII", "other order", "escapes", "white space"],
)
def test_layouts_and_encodings(registry: ModelRegistry, path: Path, content: bytes) -> None:
    """Layout, order of fields, escapes and a byte order mark do not matter."""
    before = registry.list_all()
    path.write_bytes(content)
    registry.load(path)
    assert registry.list_all() == before
    registry.save(path)
    assert path.read_text() == WRITTEN


def test_load_replaces_everything(registry: ModelRegistry, path: Path) -> None:
    """A load removes all entries and aliases, and adds those of the file in their order."""
    old = ModelRegistry(auto_emit=False)
    old.register("gone", "N", "1", "low", "team", "test", aliases=["alias", "glob-*"])
    for model_id in ("b", "a"):
        registry.register(model_id, "N", "1", "low", "team", "test", aliases=[f"{model_id}-*", f"my {model_id}"])
    registry.save(path)
    old.load(path)
    assert [entry.model_id for entry in old] == ["gpt-4o", "b", "a"]
    assert [old.resolve(name).rule for name in ("gone", "alias", "glob-1")] == [None, None, None]
    assert [old.resolve(name).rule for name in ("a", "my a", "a-1")] == ["id", "alias", "glob"]


def test_long_float(registry: ModelRegistry, path: Path) -> None:
    """A float with very many digits is rounded."""
    path.write_bytes(with_text(b"0." + b"1" * 5_000))
    registry.load(path)
    entry = registry.get("b")
    assert entry is not None
    assert entry.metadata["x"] == 0.1111111111111111


def test_file_of_the_pypi_package(registry: ModelRegistry, path: Path) -> None:
    """A file as the PyPI package spanforge writes it loads."""
    written = {
        **ENTRY,
        "status": "retired",
        "deployment_date": "2026-05-13T08:00:00.123456Z",
        "decommission_date": "2026-06-01T00:00:00.000000Z",
        "metadata": {"deprecation_reason": "alt, überholt"},
    }
    path.write_text(json.dumps([written], indent=2, default=str))
    registry.load(path)
    (entry,) = registry
    assert entry.to_dict() == written
    assert entry.warnings == ("model 'gpt-4o' is retired",)


def test_loaded_entries_are_immutable(registry: ModelRegistry, path: Path) -> None:
    """A loaded entry is as immutable as a registered one."""
    path.write_text(WRITTEN)
    registry.load(path)
    (entry,) = registry
    with pytest.raises(TypeError, match="immutable"):
        entry.metadata["tags"].append("c")
    with pytest.raises(AttributeError):
        entry.owner = "other"  # type: ignore[misc]
    with pytest.raises(InvalidEntryError):
        ModelRegistryEntry.from_dict({**entry.to_dict(), "owner": ""})


def test_lookup_skips_the_history(registry: ModelRegistry, path: Path) -> None:
    """A lookup of a loaded model reads its providers, successor and warnings without the rest of the metadata."""
    record = {"at": "2026-05-13T08:00:00.000000Z", "status": "active", "owner": "team", "risk_tier": "low"}
    facts = {"provider": ["openai", "azure"], "aliases": ["my-*"], "successor": "gpt-5", "base_model": "gpt-4o"}
    entry = {**ENTRY, "status": "deprecated", "metadata": {**facts, "history": [record] * 1_000}}
    path.write_text(json.dumps([entry]))
    registry.load(path)
    registry.resolve("gpt-4o")
    tracemalloc.start()
    try:
        resolutions = [registry.resolve(name, provider="azure") for name in ("gpt-4o", "my-model", "GPT-4o")]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50_000  # the history takes 500 kB
    assert [each.rule for each in resolutions] == ["id", "glob", "form"]
    for each in resolutions:
        assert each.entry is not None
        assert each.entry.base_models == ("gpt-4o",)
        assert each.warnings == ("model 'gpt-4o' is deprecated", "use 'gpt-5' instead")
        assert each.entry.metadata == entry["metadata"]
