"""``OverlayMap``: an immutable mapping of which a changed copy is cheap, however large it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_OVERLAY: Final = 512
"""Keys of an overlay: a change copies as many at most, and one change in so many copies the whole mapping."""


class OverlayMap(Mapping[_K, _V]):
    """A mapping in the order of insertion: a base, and above it an overlay of what has changed since.

    Nobody changes the two dicts after the mapping is made, so readers may look into them directly: first ``overlay``,
    then ``base``.
    """

    __slots__ = ("_added", "base", "overlay")

    def __init__(self, base: dict[_K, _V], overlay: dict[_K, _V] | None = None, added: int = 0) -> None:
        """Take the dicts as they are, and the number of the overlay's keys that the base does not have."""
        self.base = base
        self.overlay: dict[_K, _V] = {} if overlay is None else overlay
        self._added = added

    def with_items(self, items: Mapping[_K, _V]) -> OverlayMap[_K, _V]:
        """Return the mapping with these items: a known key keeps its place, a new one comes last."""
        overlay = {**self.overlay, **items}
        if len(overlay) > MAX_OVERLAY:
            merged = self.base.copy()
            merged.update(overlay)
            return OverlayMap(merged)
        return OverlayMap(self.base, overlay, self._added + sum(key not in self for key in items))

    def __getitem__(self, key: _K) -> _V:
        try:
            return self.overlay[key]
        except KeyError:
            return self.base[key]

    def __contains__(self, key: object) -> bool:
        return key in self.overlay or key in self.base

    def __len__(self) -> int:
        return len(self.base) + self._added

    def __iter__(self) -> Iterator[_K]:
        return iter(self._merged())

    def values(self) -> list[_V]:  # type: ignore[override]  # a list is as good as a view: nothing changes
        """Return the values, as a new list."""
        return list(self._merged().values())

    def items(self) -> list[tuple[_K, _V]]:  # type: ignore[override]  # likewise
        """Return the pairs of key and value, as a new list."""
        return list(self._merged().items())

    def _merged(self) -> dict[_K, _V]:
        return {**self.base, **self.overlay} if self.overlay else self.base
