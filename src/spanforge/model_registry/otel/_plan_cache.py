"""Plan cache: bounded memory of the kinds of spans that a processor met, and of what was decided for their names.

A *plan* depends on a span's attribute keys alone, so it outlives every change of the registry. A *decision* depends on
the values that name the model and on one state of the registry.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.values import MAX_NAME
from spanforge.model_registry.otel._span_access import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

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


@dataclass(slots=True)
class Plan:
    """What is known of spans from their attribute keys.

    Attributes:
        read_values: Returns from the attributes the values that decide; ``None`` if nothing can be remembered.
        decisions: Those values to the decision.
        has_json: Whether text inside JSON decides if the other values do not.
        has_foreign_keys: Whether somebody else set keys of the library's namespace.
    """

    read_values: Callable[[Mapping[str, Any]], Any]
    decisions: dict[Any, Decision]
    has_json: bool
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
        deciding_keys: Attribute keys whose values decide.
        json_keys: Those of them that hold JSON: their values are never remembered.
        scoped_keys: Those of them that mean something in one instrumentation scope only.
    """

    def __init__(
        self, deciding_keys: Sequence[str], json_keys: Collection[str] = (), scoped_keys: Collection[str] = ()
    ) -> None:
        self._deciding_keys = deciding_keys
        self._json_keys = frozenset(json_keys)
        self._scoped_keys = frozenset(scoped_keys)
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._decisions: dict[tuple[tuple[str, ...], bool], dict[Any, Decision]] = {}
        self._plan_memory = BoundedMemory(MAX_PLANS, self._forget_plans)
        self._decision_memory = BoundedMemory(MAX_DECISIONS, self._forget_decisions)
        self.find: Callable[[tuple[str, ...]], Plan | None] = self._plans.get
        """Returns the plan for a tuple of attribute keys, if there is one: a method of the dict, because it is hot."""

    def make(self, keys: tuple[str, ...]) -> Plan:
        """Return a new plan for attribute keys, and remember it if there is room."""
        deciding, plain = self._select_keys(keys)
        has_room = _are_small(keys) and self._plan_memory.has_room()
        has_foreign_keys = any(map(is_ours, keys))
        decisions = self._decisions_of((deciding, has_foreign_keys))
        is_remembered = decisions is not None and plain and self._scoped_keys.isdisjoint(deciding)
        plan = Plan(
            read_values=itemgetter(*plain) if is_remembered else _no_values,
            decisions={} if decisions is None else decisions,
            has_json=len(plain) < len(deciding),
            has_foreign_keys=has_foreign_keys,
        )
        if has_room:
            self._plans[keys] = plan
        return plan

    def _select_keys(self, keys: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
        """Return the keys among these whose values decide, and those of them whose values are not JSON."""
        present = frozenset(keys)
        deciding = tuple(key for key in self._deciding_keys if key in present)
        return deciding, [key for key in deciding if key not in self._json_keys]

    def _decisions_of(self, kind: tuple[tuple[str, ...], bool]) -> dict[Any, Decision] | None:
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
