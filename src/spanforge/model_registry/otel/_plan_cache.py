"""Plan cache: bounded memory of the kinds of spans that a processor met, and of what was decided for their names.

A *plan* depends on a span's attribute keys alone, so it outlives every change of the registry. A *decision* depends on
the values that name the model and on one state of the registry.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.conventions import select_keys
from spanforge.model_registry._core.values import MAX_NAME
from spanforge.model_registry.otel._span_access import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.conventions import Convention, ModelKeys
    from spanforge.model_registry.otel._span_access import SpanChange

MAX_PLANS: Final = 1_024
"""Tuples of attribute keys that are remembered."""
MAX_DECISIONS: Final = 1_024
"""Combinations of names that a decision is remembered for."""
MAX_KEYS: Final = 128
"""Keys in a tuple that is remembered; the SDK's own default limit on a span's attributes."""
MAX_KEYS_LENGTH: Final = 8_192
"""Characters in such a tuple."""
RESET_FACTOR: Final = 5
"""The memory is reset after so many times its size of new keys: names come from the network, and go."""


@dataclass(slots=True)
class Decision:
    """What to do with spans that name a certain model, while the registry has a certain state.

    Attributes:
        state: The registry's state.
        change: What the spans get; ``None``: nothing.
        count: Counts one span a step; ``NOT_COUNTED`` if the spans name no model.
    """

    state: object
    change: SpanChange | None
    count: Iterator[int]


NOT_COUNTED: Final[Iterator[int]] = itertools.repeat(0)
NO_DECISION: Final = Decision(object(), None, NOT_COUNTED)
"""A decision that belongs to no state of a registry."""


@dataclass(slots=True)
class Plan:
    """What is known of spans from their attribute keys.

    Attributes:
        keys: The keys that decide.
        read_values: Returns from the attributes the values that decide; ``None`` if no decision can be remembered.
        decisions: Those values to the decision.
        has_foreign_keys: Whether somebody else set keys of the library's namespace.
    """

    keys: ModelKeys
    read_values: Callable[[Mapping[str, Any]], Any]
    decisions: dict[Any, Decision]
    has_foreign_keys: bool


class BoundedMemory:
    """Decides what to remember: the first ``size`` new keys, none of the next ones, then a reset.

    When more keys than there is room for come in turn, most of those that are remembered are met again: to forget
    whenever it is full would be of no use. And never to forget would be lost to keys that never come again.
    """

    def __init__(self, size: int, reset: Callable[[], None]) -> None:
        self._size = size
        self._reset = reset
        self._turns = itertools.count()

    def has_room(self) -> bool:
        """Check whether to remember one more key, after a reset if it is time for one."""
        turn = next(self._turns) % (RESET_FACTOR * self._size)
        if turn == 0:
            self._reset()
        return turn < self._size


class PlanCache:
    """Plans by attribute keys, decisions by values. Any number of threads may use it at once.

    Args:
        conventions: The conventions that decide which model a span names.
    """

    def __init__(self, conventions: Iterable[Convention]) -> None:
        self._conventions = tuple(conventions)
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._decisions: dict[tuple[ModelKeys, bool], dict[Any, Decision]] = {}
        self._plan_memory = BoundedMemory(MAX_PLANS, self._forget_plans)
        self._decision_memory = BoundedMemory(MAX_DECISIONS, self._forget_decisions)
        self.find: Callable[[tuple[str, ...]], Plan | None] = self._plans.get
        """Returns the plan for a tuple of attribute keys, if there is one: a method of the dict, because it is hot."""

    def make(self, attribute_keys: tuple[str, ...]) -> Plan:
        """Return a new plan for attribute keys, and remember it if there is room."""
        is_kept = _are_small(attribute_keys) and self._plan_memory.has_room()
        keys = select_keys(frozenset(attribute_keys), self._conventions)
        has_foreign_keys = any(map(is_ours, attribute_keys))
        decisions = self._decisions_of((keys, has_foreign_keys))
        plan = Plan(keys, _no_values, {}, has_foreign_keys)
        if decisions is not None and keys.conventions and not any(map(_reads_more, keys.conventions)):
            plan.decisions = decisions
            plan.read_values = itemgetter(*(row.key for row in keys.conventions), *keys.providers, *dict(keys.kinds))
        if is_kept:
            self._plans[attribute_keys] = plan
        return plan

    def _decisions_of(self, kind: tuple[ModelKeys, bool]) -> dict[Any, Decision] | None:
        """Return the decisions that all plans of a kind share; ``None`` if there is no room for another kind."""
        if kind not in self._decisions and len(self._decisions) >= MAX_PLANS:
            return None
        return self._decisions.setdefault(kind, {})

    def remember(self, plan: Plan, values: Any, decision: Decision) -> None:
        """Remember a decision in the place of an older one, or if there is room."""
        if values is None or (values not in plan.decisions and not self._decision_memory.has_room()):
            return
        if _is_small(values):
            plan.decisions[values] = decision

    def sizes(self) -> tuple[int, int]:
        """Return the numbers of plans and of decisions that are remembered."""
        return len(self._plans), sum(map(len, list(self._decisions.values())))

    def _forget_plans(self) -> None:
        self._plans.clear()
        self._decisions.clear()

    def _forget_decisions(self) -> None:
        for plan in list(self._plans.values()):  # one made while plans were forgotten has decisions of its own
            plan.decisions.clear()
        for decisions in list(self._decisions.values()):
            decisions.clear()


def _reads_more(row: Convention) -> bool:
    """Check whether a convention reads more than the attribute's value: the span's scope, or text inside JSON."""
    return row.scope is not None or row.member is not None


def _no_values(_attributes: Mapping[str, Any]) -> None:
    return None


def _is_small(values: Any, depth: int = 2) -> bool:
    """Check whether values may be kept: a few texts, none longer than names are."""
    if isinstance(values, tuple):
        return depth > 0 and len(values) <= MAX_KEYS and all(_is_small(value, depth - 1) for value in values)
    return values is None or (isinstance(values, str) and len(values) <= MAX_NAME)


def _are_small(keys: tuple[str, ...]) -> bool:
    """Check whether attribute keys may be kept: texts, not too many of them, and not too long together."""
    are_texts = len(keys) <= MAX_KEYS and all(isinstance(key, str) for key in keys)
    return are_texts and sum(map(len, keys)) <= MAX_KEYS_LENGTH
