"""Odd names: ids and aliases that do not contain what they seem to contain, or that look like another entry's name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.guard import Guard, guards_at_forks
from spanforge.model_registry._core.process import ProcessState, WarnOnce
from spanforge.model_registry._core.values import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.resolution import ModelIndex

MAX_REMEMBERED: Final = 1_000
"""The limit of names beyond ASCII with which later names are compared. Almost all registries have none."""

_TABLES_MODULE: Final = "spanforge.model_registry._core.look_alikes"
"""The module with the tables. It is imported when it is needed, because almost no process needs it."""

_warnings: Final = WarnOnce(100)
_importing: Final = Guard()
guards_at_forks.add(_importing)  # a fork during an import would leave half of a module in the child


class _RememberedNames(ProcessState):
    """The names beyond ASCII in this process, by the text that all names have that look the same."""

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Forget all names."""
        self.by_skeleton: dict[str, tuple[str, ...]] = {}

    def add(self, skeleton: str, name: str) -> None:
        """Remember a name, unless there are too many."""
        names = self.by_skeleton.get(skeleton, ())
        if name not in names and len(self.by_skeleton) < MAX_REMEMBERED:
            self.by_skeleton[skeleton] = (*names, name)[:MAX_REMEMBERED]


_remembered: Final = _RememberedNames()


def warn_about_odd_names(index: ModelIndex, entries: Iterable[ModelRegistryEntry]) -> None:
    """Warn once about each odd id and alias of entries that are in the index. Plain ASCII names cost almost nothing."""
    for entry in entries:
        for name in (entry.model_id, *entry.aliases):
            if not name.isascii() or not name.isprintable():
                _warn_about_name(index, entry, name)
            elif _remembered.by_skeleton:
                _warn_about_look_alikes(index, entry, name, name.casefold())


def _warn_about_name(index: ModelIndex, entry: ModelRegistryEntry, name: str) -> None:
    """Warn if a name is odd, or if it looks like the name of another entry."""
    if _warnings.is_exhausted():
        return
    tables = _importing.run(importlib.import_module, _TABLES_MODULE)
    oddity = tables.explain_oddity(name)
    if oddity is not None:
        what = f"id {show_ascii(name)}"
        if name != entry.model_id:
            what = f"alias {show_ascii(name)} of model {show_ascii(entry.model_id)}"
        text = "model registry: %s %s; type it again in plain letters, unless calls have it too"
        _warnings.warn(name, text, what, oddity)
    skeleton = tables.make_skeleton(name)
    _warn_about_look_alikes(index, entry, name, skeleton)
    _remembered.add(skeleton, name)


def _warn_about_look_alikes(index: ModelIndex, entry: ModelRegistryEntry, name: str, skeleton: str) -> None:
    """Warn if a name looks like the name of another entry."""
    others = _remembered.by_skeleton.get(skeleton, ())
    if skeleton.isascii() and not name.isascii():
        others += tuple(text for text in index.list_texts_like(skeleton) if text.casefold() == skeleton)
    for other in others:
        if other != name and any(owner is not entry for owner in index.list_owners([other])):
            pair = sorted((name, other))
            text = "model registry: the names %s and %s look the same, but calls by one do not match the other"
            _warnings.warn(tuple(pair), text, *map(show_ascii, pair))


def show_ascii(name: str) -> str:
    """Return a name in quotes, with the number of each character beyond ASCII, cut off after ``MAX_NAME``."""
    return ascii(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...")
