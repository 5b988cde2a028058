"""``ModelRegistrySpanProcessor``: owner, risk tier and status on every span that calls a model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry import logs
from spanforge.model_registry.attributes import ON_SPANS, SPAN_NAMES, span_attributes
from spanforge.model_registry.default import get_default_registry
from spanforge.model_registry.events import deliver_soon
from spanforge.model_registry.otel.late_write import Additions, Answer, LateWriter, Plan, is_ours
from spanforge.model_registry.resolution import BY_PRIORITY, MODEL_KEYS, PROVIDER_KEYS, Resolution, resolve_attributes
from spanforge.model_registry.values import MAX_NAME, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry.registry import ModelRegistry

MAX_LOGGED: Final = 100
"""Log lines of this process about models that are retired, deprecated or not registered."""
_MAX_SHAPES: Final = 1_024
"""Sets of attribute keys that a processor remembers."""
_MAX_KEYS: Final = 128
"""Keys in a set that is remembered; the SDK's limit on a span's attributes, unless it is told another."""
_MAX_KEYS_LENGTH: Final = 8_192
"""Characters that they may have together."""
_MAX_ANSWERS: Final = 1_024
"""Combinations of names that a processor remembers what was decided for."""
_PATIENCE: Final = 5
"""After how many times what it remembers a processor forgets all: names come from the network, and go."""


@dataclass(slots=True)
class _Plan(Plan):
    """What is known of spans that have certain attribute keys, and what decides about them.

    Attributes:
        names: Takes the values that hold names as they are; ``None``: there are none.
        scoped: Whether the instrumentation scope decides as well.
        parsed: Whether a value is JSON to be looked into when the others do not match.
        forged: Whether a key of our namespace is among them.
    """

    names: Callable[[Mapping[str, Any]], Any] | None
    scoped: bool
    parsed: bool
    forged: bool


class ModelRegistrySpanProcessor(LateWriter):
    """Puts ``model_registry.*`` on every recorded span that names a model, as the registry is when the span ends.

    Add it to a tracer provider, before or after the exporter's processor: ``provider.add_span_processor(...)``. Spans
    that name no model pass untouched. It never raises into the application and never blocks.

    Args:
        registry: The registry to ask; ``None``: the one that is process-wide now.
        attributes: Short names of the attributes that spans get: ``owner``, ``status``, … and, only when named here,
            ``matched_by``, ``purpose``, ``deployment_date``, ``decommission_date``.

    Raises:
        InvalidEntryError: ``attributes`` names something that spans cannot get.
    """

    _keys = MODEL_KEYS

    def __init__(self, registry: ModelRegistry | None = None, *, attributes: Iterable[str] = ON_SPANS) -> None:
        super().__init__()
        self._registry = get_default_registry() if registry is None else registry
        self._names = frozenset(one_of(name, SPAN_NAMES, "attributes") for name in attributes)
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._same: dict[tuple[frozenset[str], bool], _Plan] = {}
        self._shape_turns, self._answer_turns = _Turns(_MAX_SHAPES), _Turns(_MAX_ANSWERS)

    def _started(self, span: Span) -> None:
        """Have lifecycle events delivered that were held until there was a tracer provider."""
        super()._started(span)
        if deliver_soon():
            self._watches_starts = True

    def _additions(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Additions | None:
        shape = tuple(attributes)
        plan = self._plans.get(shape) or self._plan(shape)
        if plan.names is None:
            return self._resolve(plan, attributes, span).additions
        values = plan.names(attributes)
        if plan.scoped:
            values = values, _scope(span)
        try:
            answer = plan.answers.get(values)
        except TypeError:  # a name that is a list or an object
            return self._resolve(plan, attributes, span).additions
        if answer is None or answer.version is not self._registry._version:  # noqa: SLF001 - one package
            stale = answer is not None
            answer = self._resolve(plan, attributes, span)
            fit = answer.version is not None and _are_small(values)
            if fit and (stale or self._answer_turns.remember(self._forget_answers)):
                plan.answers[values] = answer
        return answer.additions

    def _forget_answers(self) -> None:
        """Forget all answers."""
        for plan in [*self._same.values(), *self._plans.values()]:  # two threads may have made a plan each
            plan.answers.clear()

    def _resolve(self, plan: _Plan, attributes: Mapping[str, Any], span: ReadableSpan) -> Answer:
        version: object = self._registry._version  # noqa: SLF001 - read before the entries, see ModelRegistry
        found = resolve_attributes(self._registry._index, attributes, _scope(span))  # noqa: SLF001
        if found is None:
            return Answer(None if plan.parsed else version, None)
        resolution, key = found
        if plan.parsed and (key is None or key in _PARSED):
            version = None  # the text of the JSON decided: nothing to remember
        _log(resolution)
        ours = span_attributes(
            resolution.entry,
            self._names,
            status=resolution.status,
            warnings=resolution.warnings,
            matched_by=key,
        )
        if not ours and not plan.forged:
            return Answer(version, None)
        longest = max(map(_length, ours.values()), default=0)
        return Answer(version, Additions(ours, longest, plan.forged))

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        """Return what to do with spans that have these keys; those that differ in other keys only share it."""
        decisive, forged, short = _DECISIVE_KEYS.intersection(shape), any(map(is_ours, shape)), _is_short(shape)
        plan = self._same.get((decisive, forged))
        remember = (short or plan is None) and self._shape_turns.remember(self._forget_shapes)
        if plan is None:
            direct = [key for key in _DECISIVE if key in decisive and key not in _PARSED]
            names = itemgetter(*direct) if direct else None
            scoped, parsed = not _SCOPED.isdisjoint(decisive), not _PARSED.isdisjoint(decisive)
            plan = _Plan(None if scoped or forged else names, {}, names, scoped, parsed, forged)
        if remember:
            self._same[decisive, forged] = plan
            if short:
                self._plans[shape] = plan
        return plan

    def _forget_shapes(self) -> None:
        """Forget all plans, and the answers with them."""
        self._plans.clear()
        self._same.clear()


class _Turns:
    """Bounds what is remembered: the first so many things, then none of the next ones, then all is forgotten.

    When more things than there is room for come in turn, most of those that are remembered are met again: a memory that
    forgets whenever it is full would be of no use. And one that never forgets would be lost to what never comes again.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._met = itertools.count()

    def remember(self, forget: Callable[[], None]) -> bool:
        """Tell whether to remember a thing that is new, after having forgotten the old ones where it is time to."""
        turn = next(self._met) % (_PATIENCE * self._size)
        if turn == 0:
            forget()
        return turn < self._size


_DECISIVE: Final = (*(row.key for row in BY_PRIORITY), *PROVIDER_KEYS)
_DECISIVE_KEYS: Final = frozenset(_DECISIVE)
_PARSED: Final = frozenset(row.key for row in BY_PRIORITY if row.member is not None)
_SCOPED: Final = frozenset(row.key for row in BY_PRIORITY if row.scope is not None)

_logged: Final[dict[str, object]] = {}
_lines: Final = itertools.count()


def _log(resolution: Resolution) -> None:
    """Log a model's warning, once a process, up to ``MAX_LOGGED``; marked first, for log handlers may open spans."""
    for warning in resolution.warnings:
        mark = object()
        if len(_logged) < MAX_LOGGED and _logged.setdefault(warning, mark) is mark and next(_lines) < MAX_LOGGED:
            owner = "nobody" if resolution.entry is None else resolution.entry.owner
            logs.warn("%s (owner: %s)", warning, owner)


def _scope(span: ReadableSpan) -> str | None:
    scope = span.instrumentation_scope
    return None if scope is None else scope.name


def _length(value: str | tuple[str, ...]) -> int:
    return len(value) if isinstance(value, str) else max(map(len, value))


def _are_small(values: Any, depth: int = 2) -> bool:
    """Tell whether the values that decide may be kept: a few texts, each no longer than names are."""
    if isinstance(values, tuple):
        return depth > 0 and len(values) <= len(_DECISIVE) and all(_are_small(value, depth - 1) for value in values)
    return values is None or (isinstance(values, str) and len(values) <= MAX_NAME)


def _is_short(shape: tuple[str, ...]) -> bool:
    """Tell whether attribute keys may be kept: texts, not too many of them, and not too long together."""
    texts = len(shape) <= _MAX_KEYS and all(isinstance(key, str) for key in shape)
    return texts and sum(map(len, shape)) <= _MAX_KEYS_LENGTH
