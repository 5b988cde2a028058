"""The limits on the size of an entry and on the names of a file: what ``save`` writes, ``load`` reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.entries import FIELDS
from support.registry_files import refused

from spanforge.model_registry import InvalidValueError, ModelRegistry, ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._core import metadata_size, name_limit
from spanforge.model_registry._core.metadata_size import LONG_LISTS, MAX_METADATA
from spanforge.model_registry._core.settings import MAX_FILE_SIZE
from spanforge.model_registry._core.validation import MAX_ALIASES, MAX_HISTORY, RESERVED
from spanforge.model_registry._core.values import MAX_TEXT

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2026-05-13T08:00:00Z"


def make_record(text: str) -> dict[str, str]:
    """Return a record of a history with long texts."""
    return {"at": DAY, "status": "active", "risk_tier": "low", **dict.fromkeys(("owner", "reason", "actor"), text)}


TOO_LARGE: dict[str, dict[str, Any]] = {
    "history": {"history": [make_record("x" * 1_400)] * MAX_HISTORY},
    "escapes in the history": {"history": [make_record("\x01" * 240)] * MAX_HISTORY},
    "provider": {"provider": ["é" * 2_098] * MAX_ALIASES},
    "several": {"provider": ["x" * 2_097] * MAX_ALIASES, "base_model": ["x" * 2_097] * MAX_ALIASES},
}


def test_other_values_are_small() -> None:
    """Only the listed keys, and no others, may have values that are longer than the limit."""
    assert {key for key, row in RESERVED.items() if row.kind in ("history", "names")} == set(LONG_LISTS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", TOO_LARGE)
def test_too_large_an_entry(tmp_path: Path, kind: str) -> None:
    """Code and both kinds of files refuse it, with its size and the limit."""
    metadata = TOO_LARGE[kind]
    size = len(msgspec.json.encode(metadata))
    assert MAX_METADATA < size < 1.1 * MAX_METADATA
    with pytest.raises(InvalidValueError, match="the limit is 4,194,304; shorten its texts or lists") as caught:
        ModelRegistryEntry(**FIELDS, metadata=metadata)
    assert caught.value.field == "metadata"
    text = json.dumps([{**FIELDS, "metadata": metadata}], indent=2)
    for ending in ("json", "yaml"):
        error = refused(tmp_path / f"a.{ending}", text)
        assert (error.model_id, error.line) == (FIELDS["model_id"], 9)
        assert error.reason.startswith(f"has {size:,} bytes as JSON; the limit is 4,194,304;")
    beside = json.dumps([{**FIELDS, **metadata}])
    if "history" not in metadata:
        assert refused(tmp_path / "beside.json", beside).field == "metadata"


@pytest.mark.slow
def test_the_largest_entry(tmp_path: Path) -> None:
    """An entry at the limit is the same after ``save`` and ``load``, also if all its characters are escaped."""
    records = [make_record("é" * 680) for _ in range(MAX_HISTORY)]
    rest = MAX_METADATA - len(msgspec.json.encode({"history": records}))
    for number, record in enumerate(records):
        record["owner"] += "x" * (rest // MAX_HISTORY + (number < rest % MAX_HISTORY))
    entry = ModelRegistryEntry(**FIELDS, metadata={"history": records})
    assert len(msgspec.json.encode(entry.metadata)) == MAX_METADATA
    registry = ModelRegistry(auto_emit=False)
    for name, text in {
        "a.json": json.dumps([entry.to_dict()]),
        "b.json": json.dumps([entry.to_dict()], ensure_ascii=False, indent=8),
        "c.yaml": json.dumps([entry.to_dict()], ensure_ascii=False),
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
        registry.load(tmp_path / name)
        assert registry.list_all() == [entry]
        registry.save(tmp_path / "saved.json", overwrite=True)
        registry.load(tmp_path / "saved.json")
        assert registry.list_all() == [entry]


def test_operations_drop_the_oldest_records(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operation is never refused for its history: the oldest records go, and the file can be loaded."""
    monkeypatch.setattr(metadata_size, "MAX_METADATA", 200_000)
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "N", "1", "low", "team", "test", aliases=["a", "b-*"])
    for number in range(30):
        registry.deprecate("m", reason=f"{number} {'x' * 4_000}", actor="é" * 2_000)
    registry.retire("m", reason="\x01" * MAX_TEXT)
    entry = registry.list_all()[0]
    history = entry.metadata["history"]
    numbers = [int(record["reason"].split()[0]) for record in history[:-1]]
    assert numbers == list(range(30 - len(numbers), 30))
    assert 200_000 - 2 * 8_200 < len(msgspec.json.encode(entry.metadata)) <= 200_000
    assert (entry.status, history[-1]["status"], entry.aliases) == ("retired", "retired", ("a", "b-*"))
    registry.save(tmp_path / "a.json")
    registry.load(tmp_path / "a.json")
    assert registry.list_all() == [entry]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_too_many_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str, indent: int | None) -> None:
    """A file may have the limit of ids and aliases, and no more; ``save`` refuses more than ``load`` reads."""
    monkeypatch.setattr(name_limit, "MAX_FILE_NAMES", 400)
    items = [{**FIELDS, "model_id": f"m-{i}", "metadata": {"aliases": [f"a-{i}", "b", f"g-{i}-*"]}} for i in range(100)]
    path = tmp_path / f"a.{ending}"
    path.write_text(json.dumps(items, indent=indent))
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    registry.save(tmp_path / "b.json")
    registry.register("m-0", "N", "1", "low", "team", "test", aliases=["a-0", "b", "g-0-*"], replace=True)
    registry.save(tmp_path / "b.json")
    registry.register("m-100", "N", "1", "low", "team", "test", aliases=["a-100"])
    with pytest.raises(RegistryFileError, match="registry has 402 ids and aliases; a file may have 400"):
        registry.save(tmp_path / "b.json")
    path.write_text(json.dumps([*items, {**FIELDS, "model_id": "m-100"}], indent=indent))
    assert refused(path, path.read_text()).reason == (
        "has more than 400 ids and aliases; replace aliases by globs, or use several files"
    )


def test_too_large_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``save`` writes at most the size that ``load`` reads, and leaves the old file as it is."""
    path, registry = tmp_path / "a.json", ModelRegistry(auto_emit=False)
    registry.register("m-1", "N", "1", "low", "team", "x" * 1_000)
    registry.save(path)
    content = path.read_bytes()
    monkeypatch.setenv(MAX_FILE_SIZE.variable, str(len(content)))
    registry.save(path)
    registry.register("m-2", "N", "1", "low", "team", "test")
    with pytest.raises(RegistryFileError) as caught:
        registry.save(path)
    problem = f"cannot be written: it would be larger than {len(content):,} bytes; use several files, or raise "
    assert caught.value.reason == problem + MAX_FILE_SIZE.variable
    assert (path.read_bytes(), [each.name for each in tmp_path.iterdir()]) == (content, ["a.json"])
    registry.load(path)
