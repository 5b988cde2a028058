"""Tables of globs: they find the globs that match, and an unknown name is compared with few globs."""

from __future__ import annotations

import fnmatch
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanforge.model_registry._core import globs
from spanforge.model_registry._core.globs import Glob, GlobTable

GLOBS = st.lists(st.text("ab-1*?[]!", min_size=1, max_size=30), max_size=12)
SHAPES = ("acme-{}-*", "*-{}", "*x{}x*", "acme-*-{}", "[ab]-{}-?", "acme-model-{}-standard-edition-*", "*:{}:acme*")


@given(first=GLOBS, more=GLOBS, names=st.lists(st.text("ab-1", max_size=30), min_size=1, max_size=8))
def test_matches(first: list[str], more: list[str], names: list[str]) -> None:
    """A table finds the globs that a comparison with each one finds, also those that were added later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(globs, "MAX_OVERLAY", 3)
        table = GlobTable(Glob(text, "m") for text in first).with_globs(Glob(text, "n") for text in more)
    for name in names:
        matches = {glob.text for glob in table.match(name)}
        assert matches == {text for text in (*first, *more) if fnmatch.fnmatchcase(name, text)}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_unknown_names_are_compared_with_few_globs(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of globs with which a name is compared does not grow with the number of globs."""
    compared: list[str] = []
    monkeypatch.setattr(globs, "_compile", lambda text: compared.append(text) or _Never())
    numbers = [f"{number:05}" for number in range(20_000)]
    table = GlobTable(Glob(shape.format(number), "m") for number in numbers)
    names = ["gpt-4o-2024-08-06", "acme-model-12345-premium-edition-1", "x12345", "anthropic/claude-sonnet-4"]
    for name in itertools.chain(names, ["a" * 500]):
        compared.clear()
        assert table.match(name) == []
        assert len(compared) < 20


class _Never:
    """A pattern that matches nothing."""

    def match(self, _name: str) -> None:
        """Return no match."""
