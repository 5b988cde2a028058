"""The plan cache by itself: what it remembers, for how long, and how much."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from spanforge.model_registry._core.conventions import PROVIDER_KEYS, Convention
from spanforge.model_registry.otel import _plan_cache as plan_cache
from spanforge.model_registry.otel._plan_cache import NOT_COUNTED, AdmissionPolicy, Decision, PlanCache

DECISION = Decision(object(), None, NOT_COUNTED)
CONVENTIONS = (
    Convention("model", "a test"),
    Convention("json", "a test", member="model"),
    Convention("late", "a test"),
    Convention("scoped", "a test", scope="app"),
)
PROVIDER = PROVIDER_KEYS[0]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> PlanCache:
    """Give a cache that remembers ten plans and ten decisions."""
    monkeypatch.setattr(plan_cache, "MAX_PLANS", 10)
    monkeypatch.setattr(plan_cache, "MAX_DECISIONS", 10)
    return PlanCache(CONVENTIONS)


def test_bounded_memory() -> None:
    """The first keys have room, the next four times as many have none, then all is forgotten and it starts again."""
    resets: list[None] = []
    memory = AdmissionPolicy(3, lambda: resets.append(None))
    assert [memory.admit() for _ in range(30)] == ([True] * 3 + [False] * 12) * 2
    assert len(resets) == 2


def test_a_plan_is_found_by_its_keys(cache: PlanCache) -> None:
    """A plan that was made is found again by the same keys in the same order, and by no others."""
    plan = cache.add(("a", "model"))
    assert cache.find(("a", "model")) is plan
    assert cache.find(("model", "a")) is None


def test_the_values_that_decide(cache: PlanCache) -> None:
    """A plan reads the deciding values only, and plans that differ in other keys share their decisions."""
    one, other = cache.add(("a", "model", PROVIDER)), cache.add((PROVIDER, "b", "model"))
    attributes = {"a": 1, "model": "x", PROVIDER: "y"}
    assert one.read_values(attributes) == other.read_values({PROVIDER: "y", "b": 2, "model": "x"}) == ("x", "y")
    cache.remember(one, attributes, "model", DECISION)
    assert other.decisions["x", "y"] is DECISION


@pytest.mark.parametrize("key", ["model_registry.owner", "model_registry."])
def test_spoofed_keys(cache: PlanCache, key: str) -> None:
    """Spans with spoofed attributes have plans of their own, whose decisions are not those of others."""
    plan = cache.add(("model", key))
    assert plan.has_registry_keys
    assert plan.decisions is not cache.add(("model",)).decisions


def test_json_values_are_no_part_of_what_is_remembered(cache: PlanCache) -> None:
    """Values inside JSON are not read; a span whose only model key holds JSON has no cached decision."""
    assert cache.add(("model", "json")).read_values({"model": "x", "json": "{}"}) == "x"
    assert cache.add(("json",)).read_values({"json": "{}"}) is None


@pytest.mark.parametrize(
    ("matched_key", "is_cached"), [("model", True), ("json", False), ("late", False), (None, False)]
)
def test_json_that_may_decide(cache: PlanCache, matched_key: str | None, is_cached: Any) -> None:
    """Beside JSON, a decision is cached only if a key that comes before the JSON matched."""
    plan = cache.add(("model", "json", "late"))
    cache.remember(plan, {"model": "x", "json": "{}", "late": "y"}, matched_key, DECISION)
    assert bool(plan.decisions) is is_cached


def test_scoped_keys_are_not_remembered(cache: PlanCache) -> None:
    """Spans with a key that depends on the scope have no cached decision."""
    plan = cache.add(("model", "scoped"))
    cache.remember(plan, {"model": "x", "scoped": "y"}, "model", DECISION)
    assert not plan.decisions


@pytest.mark.parametrize("value", ["x" * 100_000, 7, ("x", 7)])
def test_values_that_are_no_names_are_not_remembered(cache: PlanCache, value: Any) -> None:
    """Values that are long, or are no text, are not kept."""
    plan, other = cache.add(("model",)), cache.add(("model", PROVIDER))
    cache.remember(plan, {"model": value}, "model", DECISION)
    cache.remember(other, {"model": "x", PROVIDER: value}, "model", DECISION)
    assert not plan.decisions
    assert not other.decisions


def test_decisions_are_bounded(cache: PlanCache) -> None:
    """However many names come, the memory stays small; a newer decision replaces an older one at once."""
    plan = cache.add(("model",))
    for number in range(1_000):
        cache.remember(plan, {"model": f"m{number}"}, "model", DECISION)
        assert cache.sizes()[1] <= 10
    name = next(iter(plan.decisions))
    newer = Decision(object(), None, NOT_COUNTED)
    cache.remember(plan, {"model": name}, "model", newer)
    assert plan.decisions[name] is newer


def test_plans_are_bounded(cache: PlanCache) -> None:
    """However many kinds of spans come, the memory stays small."""
    for number in range(1_000):
        cache.add(("model", f"k{number}"))
        assert cache.sizes()[0] <= 10


def test_threads(cache: PlanCache) -> None:
    """Threads that make plans and decisions at once raise nothing, and the memory stays bounded."""
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(2_000):
                keys = "model", f"k{(turn * number) % 37}"
                plan = cache.find(keys) or cache.add(keys)
                cache.remember(plan, {"model": f"m{turn % 41}"}, "model", DECISION)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a problem
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert max(cache.sizes()) <= 10 + len(threads)
