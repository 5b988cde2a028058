"""The costs of a reload: the memory for any file, the objects that stay, and the threads that wait."""

from __future__ import annotations

import gc
import itertools
import json
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core import json_items, state, yaml_nodes
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 1_000_000
VALUES = 10_000
ITEM_BYTES = 100_000
ENTRY = '"model_id":"a","name":"n","version":"1","risk_tier":"low","owner":"o","purpose":"p"'
YAML_ENTRY = "- model_id: a\n  name: n\n  version: 1\n  risk_tier: low\n  owner: o\n  purpose: p\n"


def repeat(start: str, part: str, end: str) -> str:
    """Return a text of ``SIZE`` characters that repeats a part."""
    return start + part * ((SIZE - len(start) - len(end)) // len(part)) + end


HOSTILE = {
    "lists.json": repeat("[", "[],", "[]]"),
    "mappings.json": repeat("[", "{},", "{}]"),
    "string.json": repeat('["', "x", '"]'),
    "escapes.json": repeat('["', r"\u0041", '"]'),
    "digits.json": repeat("[", "1", "]"),
    "numbers.json": repeat("[", "1,", "1]"),
    "depth.json": repeat("", "[", ""),
    "depth of mappings.json": repeat("", '[{"a":', ""),
    "metadata.json": repeat(f'[{{{ENTRY},"metadata":{{"x":[', "[],", "[]]}}]"),
    "text in metadata.json": repeat(f'[{{{ENTRY},"metadata":{{"x":"', "x", '"}}]'),
    "texts in metadata.json": repeat(f'[{{{ENTRY},"metadata":{{"x":["', f'{"x" * 1_000}","', '"]}}]'),
    "blanks.json": repeat(f"[{{{ENTRY}", " ", "}]"),
    "blanks and values.json": repeat(f'[{{{ENTRY},"metadata":{{"x":[0', f"{' ' * 1_000},0", "]}}]"),
    "no list.json": repeat('{"models":[', "[],", "[]]}"),
    "lists.yaml": repeat("", "- []\n", ""),
    "flow.yaml": repeat("[", "[],", "[]]"),
    "text.yaml": repeat("- ", "x", "\n"),
    "depth.yaml": repeat("", "[", ""),
    "metadata.yaml": repeat(f"{YAML_ENTRY}  metadata:\n    x: [", "[],", "[]]\n"),
    "no list.yaml": repeat("models: [", "[],", "[]]\n"),
}
REASONS = {
    "lists.json": "line 1, column 2: must be a mapping; got a list",
    "string.json": "line 1, column 2: must be a mapping; got text",
    "depth.json": "is not valid JSON: it is nested too deeply",
    "metadata.json": "line 1, column 2: has more than 10,000 values in one entry",
    "text in metadata.json": "line 1, column 2: has a string of more than 65,536 characters",
    "blanks.json": "line 1, column 2: has more than 100,000 bytes in one entry",
    "blanks and values.json": "line 1, column 2: has more than 100,000 bytes in one entry",
    "texts in metadata.json": "line 1, column 2: has more than 100,000 bytes in one entry",
    "no list.json": "must be a JSON array of entries; got a mapping; the list under 'models' is probably meant",
    "lists.yaml": "line 1, column 3: must be a mapping; got a list",
    "depth.yaml": "nest",
    "metadata.yaml": "has more than 10,000 values in one entry",
    "no list.yaml": "must be a YAML list of entries; got a mapping; the list under 'models' is probably meant",
}


def make_entries(number: int) -> list[dict[str, Any]]:
    """Return entries with aliases, a glob and a history."""
    names = {"name": "GPT-4o", "version": "2024-08-06", "owner": "ml-platform", "purpose": "customer support agent"}
    fields = {**names, "risk_tier": "low", "deployment_date": "2026-05-13T08:00:00Z"}
    record = {"at": "2026-05-13T08:00:00Z", "status": "active", "owner": "ml-platform", "risk_tier": "low"}
    return [
        {"model_id": f"m-{i}", **fields, "metadata": {"aliases": [f"a-{i}", f"g-{i}-*"], "history": [record]}}
        for i in range(number)
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_memory_for_a_hostile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A bad file takes at most ten times its size in memory, and its error says what is wrong and where."""
    path = tmp_path / name
    path.write_text(HOSTILE[name])
    watcher = FileWatcher(ModelRegistry(auto_emit=False), [str(path)], reload_interval=0)
    monkeypatch.setattr(json_items, "MAX_ITEM_BYTES", ITEM_BYTES)
    for module in (json_items, yaml_nodes):
        monkeypatch.setattr(module, "MAX_ITEM_VALUES", VALUES)  # in proportion to this small file
    tracemalloc.start()
    watcher.look()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * SIZE
    (file,) = watcher.states()
    assert REASONS.get(name, "") in str(file.error)


@pytest.mark.slow
@pytest.mark.parametrize("indent", [None, 2])
def test_memory_for_a_good_file(tmp_path: Path, indent: int | None) -> None:
    """A good file takes at most ten times its size, and the garbage collector has next to nothing to visit."""
    path = tmp_path / "models.json"
    path.write_text(json.dumps(make_entries(1_500), indent=indent))
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    gc.collect()
    objects = len(gc.get_objects())
    registry = ModelRegistry(auto_emit=False)
    tracemalloc.start()
    registry.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gc.collect()
    assert peak < 10 * path.stat().st_size
    assert len(gc.get_objects()) - objects < 300
    assert len(registry) == 1_500


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "*"])
def test_memory_for_short_names(tmp_path: Path, end: str) -> None:
    """A file of short aliases or globs takes at most 220 bytes for each of them."""
    number = 11_000  # tables have just grown
    names = ["".join(letters) + end for letters in itertools.islice(itertools.permutations("abcdefghij", 5), number)]
    items = [
        {**json.loads(f"{{{ENTRY}}}"), "model_id": str(start), "metadata": {"aliases": names[start : start + 1_000]}}
        for start in range(0, number, 1_000)
    ]
    path = tmp_path / "models.json"
    path.write_text(json.dumps(items))
    registry = ModelRegistry(auto_emit=False)
    tracemalloc.start()
    registry.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 220 * number


def test_operations_during_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation of another thread does not wait while a large registry is built, and it is not lost."""
    registry = LayeredRegistry(auto_emit=False)
    calls: list[bool] = []
    compute_entries = state.compute_entries

    def register() -> None:
        registry.register("new", "n", "1", "low", "o", "p")

    def compute(layers: Any) -> list[ModelRegistryEntry]:
        if not calls:
            thread = threading.Thread(target=register)
            thread.start()
            thread.join(30)
            calls.append(thread.is_alive())
        return compute_entries(layers)

    monkeypatch.setattr(state, "compute_entries", compute)
    replace_file_entries(registry, map(ModelRegistryEntry.from_dict, make_entries(3)))
    assert calls == [False]
    assert [entry.model_id for entry in registry] == ["m-0", "m-1", "m-2", "new"]


def test_operations_during_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """If operations change the registry during each attempt, the last one holds the lock, and nothing is lost."""
    registry = LayeredRegistry(auto_emit=False)
    compute_entries = state.compute_entries
    names = iter("abcdef")

    def compute(layers: Any) -> list[ModelRegistryEntry]:
        if registry._guard.is_free():
            registry.register(next(names), "n", "1", "low", "o", "p")
        return compute_entries(layers)

    monkeypatch.setattr(state, "compute_entries", compute)
    replace_file_entries(registry, map(ModelRegistryEntry.from_dict, make_entries(2)))
    assert [entry.model_id for entry in registry] == ["m-0", "m-1", "a", "b", "c"]
