"""The plan cache by itself: what it remembers, for how long, and how much."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from spanforge.model_registry.otel import _plan_cache as plan_cache
from spanforge.model_registry.otel._plan_cache import NOT_COUNTED, BoundedMemory, Decision, PlanCache

DECISION = Decision(object(), None, NOT_COUNTED)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> PlanCache:
    """Give a cache that remembers ten plans and ten decisions."""
    monkeypatch.setattr(plan_cache, "MAX_PLANS", 10)
    monkeypatch.setattr(plan_cache, "MAX_DECISIONS", 10)
    return PlanCache(("model", "provider", "json", "scoped"), {"json"}, {"scoped"})


def test_bounded_memory() -> None:
    """The first keys have room, the next four times as many have none, then all is forgotten and it starts again."""
    resets: list[None] = []
    memory = BoundedMemory(3, lambda: resets.append(None))
    assert [memory.has_room() for _ in range(30)] == ([True] * 3 + [False] * 12) * 2
    assert len(resets) == 2


def test_a_plan_is_found_by_its_keys(cache: PlanCache) -> None:
    """A plan that was made is found again by the same keys in the same order, and by no others."""
    plan = cache.make(("a", "model"))
    assert cache.find(("a", "model")) is plan
    assert cache.find(("model", "a")) is None


def test_the_values_that_decide(cache: PlanCache) -> None:
    """A plan reads the deciding values only, and plans that differ in other keys share their decisions."""
    one, other = cache.make(("a", "model", "provider")), cache.make(("provider", "b", "model"))
    values = one.read_values({"a": 1, "model": "x", "provider": "y"})
    assert values == other.read_values({"provider": "y", "b": 2, "model": "x"}) == ("x", "y")
    cache.remember(one, values, DECISION)
    assert other.decisions[values] is DECISION


@pytest.mark.parametrize("key", ["model_registry.owner", "model_registry."])
def test_foreign_keys(cache: PlanCache, key: str) -> None:
    """Spans with foreign keys have plans of their own, whose decisions are not those of others."""
    plan = cache.make(("model", key))
    assert plan.has_foreign_keys
    assert plan.decisions is not cache.make(("model",)).decisions


def test_json_decides_if_nothing_else_does(cache: PlanCache) -> None:
    """Values inside JSON are not among those that are remembered; alone they leave nothing to remember."""
    plan = cache.make(("model", "json"))
    assert plan.has_json
    assert plan.read_values({"model": "x", "json": "{}"}) == "x"
    assert cache.make(("json",)).read_values({"json": "{}"}) is None


def test_scoped_keys_are_not_remembered(cache: PlanCache) -> None:
    """Spans with a key that depends on the scope leave nothing to remember."""
    plan = cache.make(("model", "scoped"))
    values = plan.read_values({"model": "x", "scoped": "y"})
    cache.remember(plan, values, DECISION)
    assert plan.decisions.get(values) is None


@pytest.mark.parametrize("values", ["x" * 100_000, ("x", "y" * 100_000), 7, (("x", ("y",)),), ("x",) * 129])
def test_big_values_are_not_remembered(cache: PlanCache, values: Any) -> None:
    """Values that are long, deep, many or no texts are not kept."""
    plan = cache.make(("model",))
    cache.remember(plan, values, DECISION)
    assert not plan.decisions


def test_decisions_are_bounded(cache: PlanCache) -> None:
    """However many names come, the memory stays small; a newer decision replaces an older one at once."""
    plan = cache.make(("model",))
    for number in range(1_000):
        cache.remember(plan, f"m{number}", DECISION)
        assert cache.sizes()[1] <= 10
    name = next(iter(plan.decisions))
    newer = Decision(object(), None, NOT_COUNTED)
    cache.remember(plan, name, newer)
    assert plan.decisions[name] is newer


def test_plans_are_bounded(cache: PlanCache) -> None:
    """However many kinds of spans come, the memory stays small."""
    for number in range(1_000):
        cache.make(("model", f"k{number}"))
        assert cache.sizes()[0] <= 10


def test_threads(cache: PlanCache) -> None:
    """Threads that make plans and decisions at once raise nothing, and the memory stays bounded."""
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(2_000):
                keys = "model", f"k{(turn * number) % 37}"
                plan = cache.find(keys) or cache.make(keys)
                cache.remember(plan, f"m{turn % 41}", DECISION)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a problem
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert max(cache.sizes()) <= 10 + len(threads)
