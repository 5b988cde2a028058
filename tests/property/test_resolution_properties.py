"""Names to entries: an exact match equals the plainest statement of the rules, and no order of entries decides."""

from __future__ import annotations

import fnmatch
import itertools
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from support.name_strategies import ENTRIES, REAL_NAMES

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.globs import Glob
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from spanforge.model_registry._core.names import MatchMode

IDS = ("a", "a/a", "x", "y", "z")
NAMES = ("a", "b", "a/a", "a/b", "b/a")
GLOBS = ("*", "a*", "*b", "a/*", "*/a", "?", "[ab]", "[!a]*", "a[", "[a")
ODD = st.text("ab*?[]!-/", min_size=1, max_size=5)
ALIASES = st.lists(st.sampled_from(NAMES + GLOBS + NAMES) | ODD, max_size=3)
LIMITS = st.sampled_from([None, None, "a", "b", ("a", "b")])
OPERATIONS = st.lists(st.tuples(st.sampled_from(IDS), ALIASES, LIMITS, st.booleans()), max_size=6)
QUESTIONS = st.lists(ODD, max_size=4).map(
    lambda odd: list(itertools.product(dict.fromkeys((*IDS, *NAMES, *odd)), (None, "", "a", "b")))
)
"""Names and providers to ask for: all those above, and some odd ones."""


def is_glob(alias: str) -> bool:
    return any(letter in alias for letter in "*?[")


def naive(entries: list[ModelRegistryEntry], name: str, provider: str | None) -> tuple[str, str] | None:
    """Return id and rule of the entry that matches a name exactly. Try each rule, each name and each entry in turn."""
    names = [f"{provider}/{name}", name] if provider else [name]
    for candidate in names:
        match = choose([(entry, ()) for entry in entries if entry.model_id == candidate], provider)
        if match:
            return match[0], "id"
    for candidate in names:
        match = choose(
            [(entry, ()) for entry in entries if candidate in entry.aliases and not is_glob(candidate)], provider
        )
        if match:
            return (match[0], "alias") if len(match) == 1 else None
    globs = [(entry, glob) for entry in entries for glob in Glob.of(entry)]
    aliases = [alias for entry in entries for alias in entry.aliases if is_glob(alias)]
    pairs = zip(globs, aliases, strict=True)
    found = [
        (entry, glob.rank)
        for (entry, glob), alias in pairs
        if any(fnmatch.fnmatchcase(candidate, alias) for candidate in names)
    ]
    match = choose(found, provider)
    return (match[0], "glob") if len(match) == 1 else None


def choose(found: list[tuple[ModelRegistryEntry, tuple[int, ...]]], provider: str | None) -> list[str]:
    """Return the ids of the entries that match best."""
    limited = [item for item in found if provider and provider in item[0].providers]
    general = [item for item in found if not provider or not item[0].providers]
    group = limited or general
    best = max((rank for _, rank in group), default=())
    group = [item for item in group if item[1] == best]
    if not provider:
        group = [item for item in group if not item[0].providers] or group
    return sorted({entry.model_id for entry, _ in group})


def compare(registry: ModelRegistry, questions: list[tuple[str, str | None]]) -> None:
    for name, provider in questions:
        expected = naive(registry.list_all(), name, provider)
        resolution = registry.resolve(name, provider=provider, match="exact")
        assert resolution.candidate == name
        if expected is None:
            assert (resolution.entry, resolution.status, resolution.rule) == (None, "unregistered", None)
            assert resolution.warnings[0] == f"model '{name}' is not registered"
        else:
            entry = registry.get(expected[0])
            assert entry is not None
            assert (resolution.entry, resolution.status, resolution.rule) == (entry, entry.status, expected[1])
            assert resolution.warnings == entry.warnings
        assert registry.check(name, provider=provider, match="exact") == resolution.warnings


@settings(max_examples=2 * settings.default.max_examples)
@given(operations=OPERATIONS, questions=QUESTIONS)
def test_order_of_the_rules(
    operations: list[tuple[str, list[str], str | None, bool]], questions: list[tuple[str, str | None]]
) -> None:
    """After each operation every name matches exactly as by the plain rules."""
    registry = ModelRegistry(auto_emit=False)
    for model_id, aliases, provider, deprecate in operations:
        registry.register(model_id, "N", "1", "low", "t", "p", aliases=aliases, provider=provider, replace=True)
        compare(registry, questions)
        if deprecate:
            registry.deprecate(model_id)
            compare(registry, questions)
    registry.clear()
    compare(registry, questions)


@settings(max_examples=2 * settings.default.max_examples, deadline=None)
@given(entries=ENTRIES, order=st.randoms(use_true_random=False), mode=st.sampled_from(["forms", "exact"]))
def test_the_order_of_entries_never_decides(entries: list[ModelRegistryEntry], order: object, mode: MatchMode) -> None:
    """In any order, loaded at once or registered one by one, every name has the same resolution."""
    shuffled = entries.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one_by_one = ModelIndex()
    for entry in shuffled:
        one_by_one = one_by_one.put(entry)
    indexes = [ModelIndex(entries), ModelIndex(shuffled), one_by_one]
    for name, provider in itertools.product(REAL_NAMES, (None, "azure", "openai", "langchain")):
        first, *others = [index.resolve([name], provider, mode) for index in indexes]
        assert others == [first, first]
