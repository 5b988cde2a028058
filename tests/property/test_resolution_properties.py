"""Names to entries, against the plainest way of saying what the rules are."""

from __future__ import annotations

import fnmatch
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, Resolution

IDS = ("a", "a/a", "x", "y", "z")
NAMES = ("a", "b", "a/a", "a/b", "b/a")
GLOBS = ("*", "a*", "*b", "a/*", "*/a", "?", "[ab]", "[!a]*", "a[", "[a")
ODD = st.text("ab*?[]!-/", min_size=1, max_size=5)
ALIASES = st.lists(st.sampled_from(NAMES + GLOBS + NAMES) | ODD, max_size=3)
LIMITS = st.sampled_from([None, None, "a", "b"])
OPERATIONS = st.lists(st.tuples(st.sampled_from(IDS), ALIASES, LIMITS, st.booleans()), max_size=6)
QUESTIONS = st.lists(ODD, max_size=4).map(
    lambda odd: list(itertools.product(dict.fromkeys((*IDS, *NAMES, *odd)), (None, "", "a", "b")))
)
"""Names and providers to ask for: all those above, and some odd ones."""


def is_glob(alias: str) -> bool:
    return any(letter in alias for letter in "*?[")


def naive(entries: list[ModelRegistryEntry], name: str, provider: str | None) -> tuple[str, str] | None:
    """Return id and rule of the entry that a name stands for: rule by rule, name by name, entry by entry."""
    names = [f"{provider}/{name}", name] if provider else [name]
    for rule in ("id", "alias", "glob"):
        for candidate in names:
            for entry in entries:
                means = {
                    "id": entry.model_id == candidate,
                    "alias": any(not is_glob(alias) and alias == candidate for alias in entry.aliases),
                    "glob": any(is_glob(alias) and fnmatch.fnmatchcase(candidate, alias) for alias in entry.aliases),
                }
                if means[rule] and (not provider or entry.provider in (None, provider)):
                    return entry.model_id, rule
    return None


def compare(registry: ModelRegistry, questions: list[tuple[str, str | None]]) -> None:
    for name, provider in questions:
        expected = naive(registry.list_all(), name, provider)
        found = registry.resolve(name, provider=provider)
        if expected is None:
            assert found == Resolution(None, "unregistered", (f"model '{name}' is not registered",), None, name)
        else:
            entry = registry.get(expected[0])
            assert entry is not None
            assert found == Resolution(entry, entry.status, entry.warnings, expected[1], name)  # type: ignore[arg-type]
        assert registry.check(name, provider=provider) == found.warnings


@settings(max_examples=200)
@given(operations=OPERATIONS, questions=QUESTIONS)
def test_order_of_the_rules(
    operations: list[tuple[str, list[str], str | None, bool]], questions: list[tuple[str, str | None]]
) -> None:
    """After each operation every name resolves as by the plain rules, also the second time."""
    registry = ModelRegistry(auto_emit=False)
    for model_id, aliases, provider, deprecate in operations:
        registry.register(model_id, "N", "1", "low", "t", "p", aliases=aliases, provider=provider, replace=True)
        compare(registry, questions)
        if deprecate:
            registry.deprecate(model_id)
            compare(registry, questions)
    registry.clear()
    compare(registry, questions)
