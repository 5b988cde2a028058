"""``OverlayMap``: an immutable mapping with cheap changed copies at any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")

MAX_OVERLAY: Final = 512
"""The limit of keys in an overlay. A change copies the overlay, and copies the base only at the limit."""


class OverlayMap(Mapping[_K, _V]):
    """A mapping in the order of insertion: a base dict, and an overlay dict with the items that changed since.

    The two dicts never change, so readers may look into them directly: first ``overlay``, then ``base``.
    """

    __slots__ = ("_added", "base", "overlay")

    def __init__(self, base: dict[_K, _V], overlay: dict[_K, _V] | None = None, added: int = 0) -> None:
        """Keep the dicts without copying them. ``added`` is the number of keys that are only in the overlay."""
        self.base = base
        self.overlay: dict[_K, _V] = {} if overlay is None else overlay
        self._added = added

    def with_items(self, items: Mapping[_K, _V]) -> OverlayMap[_K, _V]:
        """Return the mapping with these items. An existing key keeps its position; a new key comes last."""
        overlay = {**self.overlay, **items}
        if len(overlay) > MAX_OVERLAY:
            merged = self.base.copy()
            merged.update(overlay)
            return OverlayMap(merged)
        added = sum(key not in self for key in items)
        return OverlayMap(self.base, overlay, self._added + added)

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
        return iter(self._merge())

    def values(self) -> list[_V]:  # type: ignore[override]  # a list equals a view, because the mapping never changes
        """Return the values, as a new list."""
        return list(self._merge().values())

    def items(self) -> list[tuple[_K, _V]]:  # type: ignore[override]  # as above
        """Return the pairs of key and value, as a new list."""
        return list(self._merge().items())

    def iterate_newest(self) -> Iterator[_V]:
        """Yield the values, those that were changed or added last first. Unlike ``values``, this copies nothing."""
        yield from reversed(self.overlay.values())
        yield from (self.base[key] for key in reversed(self.base) if key not in self.overlay)

    def _merge(self) -> dict[_K, _V]:
        if not self.overlay:
            return self.base
        return {**self.base, **self.overlay}
