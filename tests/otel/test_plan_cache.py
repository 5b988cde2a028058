"""The plan cache alone: what it caches, for how long, and how much."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from support.threads import run_in_threads

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
    """Give a cache of ten plans and ten decisions."""
    monkeypatch.setattr(plan_cache, "MAX_PLANS", 10)
    monkeypatch.setattr(plan_cache, "MAX_DECISIONS", 10)
    return PlanCache(CONVENTIONS)


def test_admission_policy() -> None:
    """The policy admits the first N keys, refuses the next 4N, and then resets."""
    resets: list[None] = []
    memory = AdmissionPolicy(3, lambda: resets.append(None))
    assert [memory.admit() for _ in range(30)] == ([True] * 3 + [False] * 12) * 2
    assert len(resets) == 2


def test_plan_is_found_by_its_keys(cache: PlanCache) -> None:
    """A plan is found by the same keys in the same order only."""
    plan = cache.add(("a", "model"))
    assert cache.find(("a", "model")) is plan
    assert cache.find(("model", "a")) is None


def test_plans_share_decisions(cache: PlanCache) -> None:
    """A plan reads the deciding values, and plans that differ in other keys share their decisions."""
    one, other = cache.add(("a", "model", PROVIDER)), cache.add((PROVIDER, "b", "model"))
    attributes = {"a": 1, "model": "x", PROVIDER: "y"}
    assert one.read_values(attributes) == other.read_values({PROVIDER: "y", "b": 2, "model": "x"}) == ("x", "y")
    cache.remember(one, one.read_values(attributes), "model", DECISION)
    assert other.decisions["x", "y"] is DECISION


@pytest.mark.parametrize("key", ["model_registry.owner", "model_registry."])
def test_forged_keys_have_their_own_decisions(cache: PlanCache, key: str) -> None:
    """Spans with forged attributes share no decisions with others."""
    plan = cache.add(("model", key))
    assert plan.has_registry_keys
    assert plan.decisions is not cache.add(("model",)).decisions


def test_json_is_not_part_of_the_cache_key(cache: PlanCache) -> None:
    """JSON is not part of the cache key, and a span with JSON only has no cached decision."""
    assert cache.add(("model", "json")).read_values({"model": "x", "json": "{}"}) == "x"
    assert cache.add(("json",)).read_values({"json": "{}"}) is None


@pytest.mark.parametrize(
    ("matched_key", "is_cached"), [("model", True), ("json", False), ("late", False), (None, False)]
)
def test_decision_beside_json(cache: PlanCache, matched_key: str | None, is_cached: Any) -> None:
    """Beside JSON, a decision is cached only if a key before the JSON matched."""
    plan = cache.add(("model", "json", "late"))
    cache.remember(plan, plan.read_values({"model": "x", "json": "{}", "late": "y"}), matched_key, DECISION)
    assert bool(plan.decisions) is is_cached


def test_scoped_keys_have_their_own_plans(cache: PlanCache) -> None:
    """Decisions of a scope's own keys are cached for that scope; all other scopes share theirs."""
    plan = cache.add(("model", "scoped"))
    inside, outside = plan.for_scope("app"), plan.for_scope("other")
    assert plan.for_scope(None) is outside is not inside
    cache.remember(inside, inside.read_values({"model": "x", "scoped": "y"}), "scoped", DECISION)
    assert inside.decisions == {("x", "y"): DECISION}
    assert not outside.decisions
    cache.remember(outside, outside.read_values({"model": "x", "scoped": "y"}), "model", DECISION)
    assert outside.decisions == {"x": DECISION}


def test_decision_without_names_is_cached_once(cache: PlanCache) -> None:
    """Spans whose model name was copied share one decision, and do not use up the cache."""
    plan = cache.add(("model", "db.system"))
    assert not plan.keys.conventions
    for _ in range(100):
        cache.remember(plan, plan.read_values({"model": "x", "db.system": "redis"}), None, DECISION)
    assert plan.decisions == {None: DECISION}
    one = cache.add(("model",))
    cache.remember(one, one.read_values({"model": "x"}), "model", DECISION)
    assert one.decisions == {"x": DECISION}


@pytest.mark.parametrize("value", ["x" * 100_000, 7, ("x", 7)])
def test_values_that_are_no_names_are_not_cached(cache: PlanCache, value: Any) -> None:
    """Values that are long or no text are not cached."""
    plan, other = cache.add(("model",)), cache.add(("model", PROVIDER))
    cache.remember(plan, plan.read_values({"model": value}), "model", DECISION)
    cache.remember(other, other.read_values({"model": "x", PROVIDER: value}), "model", DECISION)
    assert not plan.decisions
    assert not other.decisions


def test_decisions_are_bounded(cache: PlanCache) -> None:
    """The number of decisions is bounded; a newer decision replaces an older one at once."""
    plan = cache.add(("model",))
    for number in range(1_020):  # the policy refuses the next new key
        cache.remember(plan, plan.read_values({"model": f"m{number}"}), "model", DECISION)
        assert cache.sizes()[1] <= 10
    name = next(iter(plan.decisions))
    newer = Decision(object(), None, NOT_COUNTED)
    cache.remember(plan, plan.read_values({"model": name}), "model", newer)
    assert plan.decisions[name] is newer


def test_plans_are_bounded(cache: PlanCache) -> None:
    """The number of plans is bounded."""
    for number in range(1_000):
        cache.add(("model", f"k{number}"))
        assert cache.sizes()[0] <= 10


def test_threads(cache: PlanCache) -> None:
    """Threads that add plans and decisions at once raise nothing, and the memory stays bounded."""

    def work(number: int) -> None:
        for turn in range(2_000):
            keys = "model", f"k{(turn * number) % 37}"
            plan = cache.find(keys) or cache.add(keys)
            cache.remember(plan, plan.read_values({"model": f"m{turn % 41}"}), "model", DECISION)

    run_in_threads(*(partial(work, number) for number in range(1, 9)))
    assert max(cache.sizes()) <= 10 + 8


@pytest.mark.parametrize(
    "keys",
    [
        ["k" * 8_200],
        ["k" * 8_187],
        [f"{number}" * 100 for number in range(100)],
        [f"k{number}" for number in range(200)],
    ],
    ids=["a long key", "one character too many", "long keys", "many keys"],
)
def test_big_key_tuples_are_not_cached(cache: PlanCache, keys: list[str]) -> None:
    """A big tuple of keys is not cached, and takes no room from other tuples."""
    for number in range(30):
        assert cache.add(("model", *keys, f"{number}")).keys.conventions
        assert cache.sizes()[0] == 0
    cache.add(("model", "other"))
    assert cache.sizes()[0] == 1
