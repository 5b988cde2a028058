"""Bounded caches. Plans are cached by attribute keys, decisions by the values of the deciding keys.

*Deciding keys* are the attribute keys whose values decide which model a span names and whether it is a call. They are
the keys of model names, of the provider, and of the kind of span. A *plan* depends on a span's attribute keys alone, so
it outlives every change of the registry. A *decision* also depends on values, and on one state of the registry.
"""

from __future__ import annotations

import itertools
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.conventions import select_keys
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.span_models import read_span_facts
from spanforge.model_registry._core.values import MAX_NAME
from spanforge.model_registry.otel._span_access import is_in_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.conventions import Convention, ModelKeys
    from spanforge.model_registry._core.span_models import SpanFacts
    from spanforge.model_registry.otel._span_access import SpanChange

MAX_PLANS: Final = 1_024
"""The limit of cached plans. Applications have a few dozen combinations of keys."""
MAX_DECISIONS: Final = 8_192
"""The limit of cached decisions. A new decision takes ten times as long, because it parses the forms of a name."""
MAX_FACTS: Final = 64
"""The limit of cached facts of a plan: providers times kinds of spans. Applications have a few of both."""
MAX_TUPLE_ITEMS: Final = 128
"""The limit of keys in a cached key tuple: the SDK's own default limit on a span's attributes."""
MAX_KEY_CHARACTERS: Final = 8_192
"""The limit of characters in a cached key tuple, so that long keys do not fill the memory."""
RESET_FACTOR: Final = 5
"""A cache of size N is reset at every 5N-th new key. Names come from the network, so caches are bounded."""


class Decision(msgspec.Struct, eq=False, gc=False):
    """The change and the counter for spans with the same values of their deciding keys.

    Attributes:
        version: The version of the registry's state that it belongs to; the state itself would keep old entries alive.
        change: The change to make; ``None``: the spans are not changed.
        ticks: ``next()`` counts one span; ``NOT_COUNTED`` if the spans name no model.
    """

    version: object
    change: SpanChange | None
    ticks: Iterator[int]


NOT_COUNTED: Final[Iterator[int]] = itertools.repeat(0)
NO_DECISION: Final = Decision(object(), None, NOT_COUNTED)
"""A decision that belongs to no version of a registry."""


class Plan(msgspec.Struct, eq=False):
    """How to decide about spans that have certain attribute keys.

    Attributes:
        keys: The deciding keys.
        read_values: Returns the key of a cached decision: the values of the deciding keys, without those that hold
            JSON. If it always returns ``None``, decisions are cached only if no key may name a model.
        decisions: The cached decisions; plans with the same deciding keys share them.
        keys_before_json: The model keys that come before the first one that holds JSON. A decision is cached only if
            one of them matched, because JSON is not part of the cache key. ``None`` if no key holds JSON.
        has_registry_keys: Whether the span already has ``model_registry.*`` attributes, from the application or from
            enrichment at the start.
        name_count: The number of values of model keys. The values that follow them are few, and so are their facts.
        facts: The cached facts by these other values; ``None`` if they are read anew, because names decide too.
        by_scope: The plans of the instrumentation scopes that decide too; ``None``: the scope does not matter.
    """

    keys: ModelKeys
    read_values: Callable[[Mapping[str, Any]], Any]
    decisions: dict[Any, Decision]
    keys_before_json: frozenset[str] | None
    has_registry_keys: bool
    name_count: int = 0
    facts: dict[Any, SpanFacts] | None = None
    by_scope: dict[str | None, Plan] | None = None

    def for_scope(self, scope: str | None) -> Plan:
        """Return the plan of an instrumentation scope, if the scope decides too."""
        by_scope = self.by_scope
        return self if by_scope is None else by_scope.get(scope) or by_scope[None]

    def find_facts(self, attributes: Mapping[str, Any], values: Any) -> SpanFacts | None:
        """Return the facts that a span states beside its model; ``None`` if its names decide too.

        Args:
            attributes: The span's attributes.
            values: The values of the deciding keys, as ``read_values`` returns them.
        """
        if self.facts is None:
            return None
        other_values = values[self.name_count :]
        try:
            facts = self.facts.get(other_values)
        except Exception as error:  # noqa: BLE001 - an unhashable value, such as a list, or a broken one
            pass_interruption(error)
            return None
        if facts is None:
            facts = read_span_facts(attributes, self.keys.conventions, self.keys)
            if len(self.facts) < MAX_FACTS and _values_are_cacheable(other_values):
                self.facts[other_values] = facts
        return facts


class AdmissionPolicy:
    """Decides which new keys a cache of size N admits: the first N, none of the next 4N, then the cache is reset.

    Clearing a full cache thrashes if more than ``size`` keys recur in turn. Never clearing it leaves it full of names
    that do not return.
    """

    def __init__(self, size: int, reset: Callable[[], None]) -> None:
        self._size = size
        self._cycle = RESET_FACTOR * size
        self._reset = reset
        self._turns = itertools.count()  # thread-safe, without a lock

    def admit(self) -> bool:
        """Check whether to cache a new key; this may reset the cache. Each call counts as one new key."""
        turn = next(self._turns) % self._cycle
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
        # Call ``admit`` before ``_share_decisions``: it may clear the dict that ``_share_decisions`` fills.
        is_admitted = _keys_are_cacheable(attribute_keys) and self._plan_policy.admit()
        keys = select_keys(frozenset(attribute_keys), self._conventions)
        has_registry_keys = any(map(is_in_namespace, attribute_keys))
        plan = self._make_plan(keys.for_scope(None), has_registry_keys)
        scopes = {row.scope for row in keys.conventions if row.scope is not None}
        if scopes:
            plans = {scope: self._make_plan(keys.for_scope(scope), has_registry_keys) for scope in scopes}
            plan = msgspec.structs.replace(plan, by_scope={None: plan, **plans})
        if is_admitted:
            self._plans[attribute_keys] = plan
        return plan

    def _make_plan(self, keys: ModelKeys, has_registry_keys: bool) -> Plan:  # noqa: FBT001
        """Return a plan for keys in one instrumentation scope."""
        model_keys = [row.key for row in keys.conventions if row.member is None]
        keys_before_json = _find_keys_before_json(keys)
        if not model_keys:  # all names are in JSON
            return Plan(keys, _read_nothing, {}, keys_before_json, has_registry_keys)
        plain_keys = [*model_keys, *keys.providers, *keys.kinds]
        plan = Plan(
            keys,
            itemgetter(*plain_keys),
            self._share_decisions(keys, has_registry_keys),
            keys_before_json,
            has_registry_keys,
        )
        if len(plain_keys) > 1 and all(row.calls_have is None for row in keys.conventions):
            plan.name_count, plan.facts = len(model_keys), {}
        return plan

    def _share_decisions(self, keys: ModelKeys, has_registry_keys: bool) -> dict[Any, Decision]:  # noqa: FBT001
        """Return the decisions of all plans with these keys; a new, unshared dict if the limit is reached."""
        if len(self._decisions) >= MAX_PLANS:
            return self._decisions.get((keys, has_registry_keys), {})
        return self._decisions.setdefault((keys, has_registry_keys), {})

    def remember(self, plan: Plan, values: Any, matched_key: str | None, decision: Decision) -> None:
        """Cache a decision, if it replaces an outdated one or if the policy admits it.

        Args:
            plan: The span's plan.
            values: The values of the deciding keys, as the plan's ``read_values`` returns them.
            matched_key: The key whose value matched; ``None`` if none did.
            decision: The decision.
        """
        if plan.keys_before_json is not None and matched_key not in plan.keys_before_json:
            return
        decisions = plan.decisions
        if plan.read_values is _read_nothing:
            if not plan.keys.conventions:  # no value can name a model
                decisions[None] = decision
            return
        try:
            is_cached = values in decisions
        except Exception as error:  # noqa: BLE001 - an unhashable value, such as a list, or a broken one
            pass_interruption(error)
            return
        if is_cached or (self._decision_policy.admit() and _values_are_cacheable(values)):
            decisions[values] = decision

    def sizes(self) -> tuple[int, int]:
        """Return the numbers of cached plans and of cached decisions."""
        return len(self._plans), sum(map(len, list(self._decisions.values())))

    def _forget_plans(self) -> None:
        self._plans.clear()
        self._decisions.clear()

    def _forget_decisions(self) -> None:
        for plan in list(self._plans.values()):  # a plan added during ``_forget_plans`` has an unshared dict
            for each in (plan, *(plan.by_scope or {}).values()):
                each.decisions.clear()
        for decisions in list(self._decisions.values()):
            decisions.clear()


def _find_keys_before_json(keys: ModelKeys) -> frozenset[str] | None:
    """Return the model keys before the first one that holds JSON; ``None`` if no key holds JSON."""
    keys_before: list[str] = []
    for row in keys.conventions:
        if row.member is not None:
            return frozenset(keys_before)
        keys_before.append(row.key)
    return None


def _read_nothing(_attributes: Mapping[str, Any]) -> None:
    return None


def _values_are_cacheable(values: Any, depth: int = 2) -> bool:
    """Check whether values are a short string, or a short tuple of them, nested at most ``depth`` levels.

    A string of a class with its own comparison could equal another model's name.
    """
    if isinstance(values, str):
        return type(values).__eq__ is str.__eq__ and str.__len__(values) <= MAX_NAME
    if not isinstance(values, tuple) or depth == 0 or len(values) > MAX_TUPLE_ITEMS:
        return False
    for value in values:
        is_short = len(value) <= MAX_NAME if type(value) is str else _values_are_cacheable(value, depth - 1)
        if not is_short:
            return False
    return True


def _keys_are_cacheable(keys: tuple[str, ...]) -> bool:
    """Check whether attribute keys are text, few enough, and together short enough."""
    if len(keys) > MAX_TUPLE_ITEMS:
        return False
    are_text = all(isinstance(key, str) and type(key).__eq__ is str.__eq__ for key in keys)
    return are_text and sum(map(str.__len__, keys)) <= MAX_KEY_CHARACTERS
