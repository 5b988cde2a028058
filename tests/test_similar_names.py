"""Suggestions for names that are not known."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from spanforge.model_registry._core.similar_names import MAX_COMPARED_NAMES, find_similar_names, suggest_name

KNOWN = ("acme-chat-1", "acme-chat-2", "acme-embed-1", "other")


def test_the_most_similar_name_comes_first() -> None:
    """The known names that are like an unknown one are returned by likeness, and one of them is suggested."""
    assert find_similar_names("acme-chat1", KNOWN, 3) == ["acme-chat-1", "acme-chat-2"]
    assert find_similar_names("acme-chat1", KNOWN, 3, likeness=0.95) == ["acme-chat-1"]
    assert suggest_name("acme-chat1", KNOWN) == "; did you mean 'acme-chat-1'?"
    assert suggest_name("zzz", KNOWN) == ""
    assert suggest_name("acme", ["\x1b[31macme"]) == r"; did you mean '\x1b[31macme'?"


@given(name=st.text(), known=st.lists(st.text(), max_size=5))
def test_suggestions_are_known_names(name: str, known: list[str]) -> None:
    """Whatever the names are, only known ones are suggested, and a known name suggests itself."""
    assert set(find_similar_names(name, known, 3)) <= set(known)
    for each in filter(None, known):
        assert find_similar_names(each, known) == [each] or len(each) > 100


def test_many_and_long_names_take_little_time() -> None:
    """A long name and many known ones cost as much as the limits allow."""
    known = [f"acme-chat-{number}" for number in range(MAX_COMPARED_NAMES)]
    start = time.thread_time()
    find_similar_names("acme-chat-" * 100_000, [*known * 20, "x" * 1_000_000], 3)
    assert time.thread_time() - start < 2
