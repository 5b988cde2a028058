"""Paths in JSON values."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of a value and of all items in it."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def item_at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return the item at a path."""
    return functools.reduce(operator.getitem, path, value)


def replaced(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    """Return a copy with another item at a path."""
    if not path:
        return item
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]] if len(path) > 1 else None, path[1:], item)
    return copy
