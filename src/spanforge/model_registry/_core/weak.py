"""What is kept only as long as somebody else keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

_T = TypeVar("_T")


def alive(found: WeakKeyDictionary[_T, Any]) -> list[_T]:
    """Return the keys that are still alive, in one step: other threads may be adding some, which iterating forbids."""
    return [key for ref in found.keyrefs() if (key := ref()) is not None]
