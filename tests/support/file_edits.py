"""Operations on the content of registry files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._cli.entry_edits import edit_content
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from collections.abc import Callable

    Operate = Callable[[ModelRegistry], ModelRegistryEntry]


def operate_on(entries: list[ModelRegistryEntry], operate: Operate) -> ModelRegistryEntry:
    registry = ModelRegistry(auto_emit=False)
    replace_file_entries(registry, entries)
    return operate(registry)


def change(name: str, content: bytes, operate: Operate) -> tuple[bytes, ModelRegistryEntry]:
    """Return the content of a file after an operation, and the entry that the library has then."""
    entries = parse_entries(name, content)
    after = operate_on(entries, operate)
    new = edit_content(name, content, entries, after)
    others = [entry for entry in entries if entry.model_id != after.model_id]
    assert [entry for entry in parse_entries(name, new) if entry.model_id != after.model_id] == others
    assert {entry.model_id: entry for entry in parse_entries(name, new)}[after.model_id] == after
    return new, after
