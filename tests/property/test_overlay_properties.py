"""``OverlayMap`` and ``ModelIndex``: changed step by step, each equals one that was made at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core import globs, overlay
from spanforge.model_registry._core.overlay import OverlayMap
from spanforge.model_registry._core.resolution import ModelIndex

KEYS = st.sampled_from("abcdefgh")
ENTRIES = st.builds(
    lambda model_id, aliases, provider: ModelRegistryEntry(
        model_id, "N", "1", "low", "team", "test", metadata={"aliases": aliases, "provider": provider}
    ),
    KEYS,
    st.lists(st.sampled_from(["x", "y", "x*", "?", "p/*", "a"]), max_size=3),
    st.sampled_from([None, "p", "q"]),
)


@pytest.fixture(autouse=True, params=[0, 1, 3], ids="overlay of {}".format)
def _small_overlays(monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    """Have overlays merged often."""
    monkeypatch.setattr(overlay, "MAX_OVERLAY", request.param)
    monkeypatch.setattr(globs, "MAX_OVERLAY", request.param)


@given(st.lists(st.dictionaries(KEYS, st.integers(), max_size=3), max_size=12))
def test_mapping(changes: list[dict[str, int]]) -> None:
    """A mapping equals a dict with the same updates, and earlier mappings do not change."""
    expected: dict[str, int] = {}
    mapping, earlier = OverlayMap[str, int]({}), []
    for items in changes:
        earlier.append((mapping, dict(expected)))
        mapping = mapping.with_items(items)
        expected.update(items)
        earlier.append((mapping, dict(expected)))
    for one, other in earlier:
        assert dict(one) == other
        assert list(one.items()) == list(other.items())
        assert (list(one), list(one.values()), len(one)) == (list(other), list(other.values()), len(other))
        assert [key in one for key in "abcdefgh"] == [key in other for key in "abcdefgh"]
        assert [one.get(key) for key in "abcdefgh"] == [other.get(key) for key in "abcdefgh"]
        assert sorted(one.iterate_newest()) == sorted(other.values())


@given(st.lists(ENTRIES, max_size=12))
def test_index(entries: list[ModelRegistryEntry]) -> None:
    """An index that was changed step by step equals a new index, and earlier indexes do not change."""
    index, indexes = ModelIndex(), [(ModelIndex(), {})]
    known: dict[str, ModelRegistryEntry] = {}
    for entry in entries:
        index = index.put(entry)
        known = {**known, entry.model_id: entry}
        indexes.append((index, known))
    for one, content in indexes:
        fresh = ModelIndex(content.values())
        assert one.entries.items() == list(content.items())
        for name in ("a", "b", "x", "y", "z", "x1", "p/x", "p/a", "none"):
            for provider in (None, "p", "q"):
                assert one.resolve([name], provider) == fresh.resolve([name], provider)
