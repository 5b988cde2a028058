"""Plan cache: bounded caches of plans, by attribute keys, and of decisions, by the values of the deciding keys.

*Deciding keys* are the attribute keys whose values decide which model a span names and whether it is a call: keys of
model names, of the provider, and of the kind of span. A *plan* depends on a span's attribute keys alone, so it outlives
every change of the registry. A *decision* also depends on values, and on one state of the registry.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.conventions import select_keys
from spanforge.model_registry._core.values import MAX_NAME
from spanforge.model_registry.otel._span_access import is_in_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.conventions import Convention, ModelKeys
    from spanforge.model_registry.otel._span_access import SpanChange

MAX_PLANS: Final = 1_024
"""The limit of cached plans."""
MAX_DECISIONS: Final = 1_024
"""The limit of cached decisions."""
MAX_TUPLE_ITEMS: Final = 128
"""The limit of keys in a cached key tuple: the SDK's own default limit on a span's attributes."""
MAX_KEY_CHARACTERS: Final = 8_192
"""The limit of characters in a cached key tuple."""
RESET_FACTOR: Final = 5
"""Turns per reset, in cache sizes. Names come from the network, so caches are bounded."""


@dataclass(slots=True)
class Decision:
    """The change and the counter for spans with the same values of their deciding keys.

    Attributes:
        version: The version of the registry's state that it belongs to; the state itself would keep old entries alive.
        change: The change to make; ``None``: none.
        ticks: ``next()`` counts one span; ``NOT_COUNTED`` if the spans name no model.
    """

    version: object
    change: SpanChange | None
    ticks: Iterator[int]


NOT_COUNTED: Final[Iterator[int]] = itertools.repeat(0)
NO_DECISION: Final = Decision(object(), None, NOT_COUNTED)
"""A decision that belongs to no version of a registry."""


@dataclass(slots=True)
class Plan:
    """How to decide about spans that have certain attribute keys.

    Attributes:
        keys: The deciding keys.
        read_values: Returns the key under which a decision is cached: the values of the deciding keys, without those
            that hold JSON. The function returns ``None`` if decisions cannot be cached.
        decisions: The cached decisions; plans with the same deciding keys share them.
        keys_before_json: The model keys that come before the first one that holds JSON. A decision is cached only if
            one of them matched, because JSON is not part of the cache key. ``None`` if no key holds JSON.
        has_registry_keys: Whether the span already has ``model_registry.*`` attributes, from the application or from
            enrichment at the start.
    """

    keys: ModelKeys
    read_values: Callable[[Mapping[str, Any]], Any]
    decisions: dict[Any, Decision]
    keys_before_json: frozenset[str] | None
    has_registry_keys: bool


class AdmissionPolicy:
    """Decides which new keys a cache of size N admits: the first N, none of the next 4N, then the cache is reset.

    Clearing a full cache thrashes if more than ``size`` keys recur in turn. Never clearing it leaves it full of names
    that do not return.
    """

    def __init__(self, size: int, reset: Callable[[], None]) -> None:
        self._size = size
        self._reset = reset
        self._turns = itertools.count()  # thread-safe, without a lock

    def admit(self) -> bool:
        """Return whether to cache one more key. It takes one turn, and may reset the cache first."""
        turn = next(self._turns) % (RESET_FACTOR * self._size)
        if turn == 0:
            self._reset()
        return turn < self._size


class PlanCache:
    """Plans by attribute keys, decisions by values. It is safe to use from any number of threads.

    Args:
        conventions: The conventions to try, in that order.
    """

    def __init__(self, conventions: Iterable[Convention]) -> None:
        self._conventions = tuple(conventions)
        self._plans: dict[tuple[str, ...], Plan] = {}  # cleared in place: ``find`` is bound to it
        self._decisions: dict[tuple[ModelKeys, bool], dict[Any, Decision]] = {}
        self._plan_policy = AdmissionPolicy(MAX_PLANS, self._forget_plans)
        self._decision_policy = AdmissionPolicy(MAX_DECISIONS, self._forget_decisions)
        self.find: Callable[[tuple[str, ...]], Plan | None] = self._plans.get
        """Returns the plan for a tuple of attribute keys. It is ``dict.get`` itself: that saves a call per span."""

    def add(self, attribute_keys: tuple[str, ...]) -> Plan:
        """Return a new plan for attribute keys, and cache it if the policy admits it."""
        # Ask first: ``admit`` may clear the dict that ``_share_decisions`` adds to.
        is_admitted = _keys_are_cacheable(attribute_keys) and self._plan_policy.admit()
        keys = select_keys(frozenset(attribute_keys), self._conventions)
        has_registry_keys = any(map(is_in_namespace, attribute_keys))
        plan = Plan(keys, _read_nothing, {}, _find_keys_before_json(keys), has_registry_keys)
        plain_keys = _list_plain_keys(keys)
        if plain_keys:
            plan.decisions = self._share_decisions(keys, has_registry_keys)
            plan.read_values = itemgetter(*plain_keys)
        if is_admitted:
            self._plans[attribute_keys] = plan
        return plan

    def _share_decisions(self, keys: ModelKeys, has_registry_keys: bool) -> dict[Any, Decision]:  # noqa: FBT001
        """Return the decisions of all plans with these keys; a dict of its own if there are too many such dicts."""
        if len(self._decisions) >= MAX_PLANS:
            return self._decisions.get((keys, has_registry_keys), {})
        return self._decisions.setdefault((keys, has_registry_keys), {})

    def remember(self, plan: Plan, attributes: Mapping[str, Any], matched_key: str | None, decision: Decision) -> None:
        """Cache a decision, in the place of an outdated one or if the policy admits it.

        Args:
            plan: The span's plan.
            attributes: The span's attributes.
            matched_key: The key whose value matched; ``None`` if none did.
            decision: The decision.
        """
        if plan.keys_before_json is not None and matched_key not in plan.keys_before_json:
            return
        values = plan.read_values(attributes)
        if _values_are_cacheable(values) and (values in plan.decisions or self._decision_policy.admit()):
            plan.decisions[values] = decision

    def sizes(self) -> tuple[int, int]:
        """Return the numbers of cached plans and of cached decisions."""
        return len(self._plans), sum(map(len, list(self._decisions.values())))

    def _forget_plans(self) -> None:
        self._plans.clear()
        self._decisions.clear()

    def _forget_decisions(self) -> None:
        for plan in list(self._plans.values()):  # a plan added during ``_forget_plans`` has a dict of its own
            plan.decisions.clear()
        for decisions in list(self._decisions.values()):
            decisions.clear()


def _find_keys_before_json(keys: ModelKeys) -> frozenset[str] | None:
    json_rows = [row for row in keys.conventions if row.member is not None]
    if not json_rows:
        return None
    before = itertools.takewhile(lambda row: row is not json_rows[0], keys.conventions)
    return frozenset(row.key for row in before)


def _list_plain_keys(keys: ModelKeys) -> list[str]:
    """Return the deciding keys that hold plain values; none if an instrumentation scope decides too."""
    if any(row.scope is not None for row in keys.conventions):
        return []
    model_keys = [row.key for row in keys.conventions if row.member is None]
    return [*model_keys, *keys.providers, *(key for key, _ in keys.kinds)] if model_keys else []


def _read_nothing(_attributes: Mapping[str, Any]) -> None:
    return None


def _values_are_cacheable(values: Any, depth: int = 2) -> bool:
    """Return whether values are a short string, or a short tuple of them, nested at most ``depth`` levels."""
    if isinstance(values, tuple):
        few = len(values) <= MAX_TUPLE_ITEMS
        return depth > 0 and few and all(_values_are_cacheable(value, depth - 1) for value in values)
    return isinstance(values, str) and len(values) <= MAX_NAME


def _keys_are_cacheable(keys: tuple[str, ...]) -> bool:
    """Return whether attribute keys are text, few enough, and together short enough."""
    are_text = len(keys) <= MAX_TUPLE_ITEMS and all(isinstance(key, str) for key in keys)
    return are_text and sum(map(len, keys)) <= MAX_KEY_CHARACTERS
