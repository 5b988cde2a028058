"""``ModelRegistrySpanProcessor``: owner, risk tier and status on every span that calls a model."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.conventions import (
    CONVENTIONS,
    NOT_CALLS,
    PROVIDER_KEYS,
    further,
    resolve_attributes,
)
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import deliver_soon
from spanforge.model_registry._core.process import ProcessState, WarnOnce
from spanforge.model_registry._core.settings import (
    MAX_KEYS,
    MODEL_ATTRIBUTES,
    SPAN_ATTRIBUTES,
    UNREGISTERED_POLICY,
    Setting,
)
from spanforge.model_registry._core.values import MAX_NAME
from spanforge.model_registry._core.watch import follow_settings
from spanforge.model_registry.otel._counters import tallies
from spanforge.model_registry.otel._metrics import observe
from spanforge.model_registry.otel._span_access import UNCOUNTED, Additions, Answer, LateWriter, Plan, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.resolution import Resolution
    from spanforge.model_registry._core.settings import Unregistered

_T = TypeVar("_T")

MAX_LOGGED: Final = 100
"""Log lines of this process about models that are retired, deprecated or not registered."""
MAX_UNREGISTERED: Final = 100
"""Names of models that nobody registered that are kept."""
_MAX_SHAPES: Final = 1_024
"""Sets of attribute keys that a processor remembers."""
_MAX_KEYS: Final = 128
"""Keys in a set that is remembered; the SDK's limit on a span's attributes, unless it is told another."""
_MAX_KEYS_LENGTH: Final = 8_192
"""Characters that they may have together."""
_MAX_ANSWERS: Final = 1_024
"""Combinations of names that a processor remembers what was decided for."""
_MAX_VALUES: Final = len(CONVENTIONS) + len(PROVIDER_KEYS) + len(NOT_CALLS) + MAX_KEYS
"""Values that may decide about a span."""
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

    What is not given here comes from the environment: see ``settings``. The process-wide registry follows the files
    that are given by setting from now on.

    Args:
        registry: The registry to ask; ``None``: the one that is process-wide now.
        span_attributes: Short names of the attributes that spans get: ``owner``, ``status``, … and, only when named
            here, ``matched_by``, ``purpose``, ``deployment_date``, ``decommission_date``; or changes to the default,
            such as ``"+purpose,-version"``.
        model_attributes: Further attribute keys that hold a model's name, tried after those that are known.
        unregistered: ``warn``: a span whose model nobody registered says so, and so does the log. ``ignore``: it gets
            nothing but the removal of keys of the namespace that somebody else has put on it.
        meter_provider: Who asks for the metrics; ``None``: OpenTelemetry's global one.

    Raises:
        InvalidValueError: An argument has a value that is not allowed (also a ``ValueError``).
    """

    def __init__(
        self,
        registry: ModelRegistry | None = None,
        *,
        span_attributes: Iterable[str] | None = None,
        model_attributes: Iterable[str] | None = None,
        unregistered: Unregistered | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._names = frozenset(_chosen(SPAN_ATTRIBUTES, span_attributes))
        self._ignores = _chosen(UNREGISTERED_POLICY, unregistered) == "ignore"
        self._conventions = further(_chosen(MODEL_ATTRIBUTES, model_attributes))
        keys = dict.fromkeys(row.key for row in self._conventions)
        self._decisive = (*keys, *PROVIDER_KEYS, *NOT_CALLS)
        self._decisive_keys = frozenset(self._decisive)
        super().__init__(frozenset(keys))
        if registry is None:
            follow_settings()
        self._registry = get_default_registry() if registry is None else registry
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._same: dict[tuple[frozenset[str], bool], _Plan] = {}
        self._shape_turns, self._answer_turns = _Turns(_MAX_SHAPES), _Turns(_MAX_ANSWERS)
        observe(self._registry, meter_provider)
        processors[self] = None
        _tell_status()

    def _started(self, span: Span) -> None:
        """Have lifecycle events delivered that were held until there was a tracer provider."""
        super()._started(span)
        if deliver_soon():
            self._watches_starts = True

    def _answer(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Answer:
        shape = tuple(attributes)
        plan = self._plans.get(shape) or self._plan(shape)
        if plan.names is None:
            return self._resolve(plan, attributes, span)
        values = plan.names(attributes)
        if plan.scoped:
            values = values, _scope(span)
        try:
            answer = plan.answers.get(values)
        except TypeError:  # a name that is a list or an object
            return self._resolve(plan, attributes, span)
        if answer is None or answer.version is not self._registry._version:  # noqa: SLF001 - one package
            deliver_soon()  # an operation that was interrupted may have left its event in the new state
            stale = answer is not None
            answer = self._resolve(plan, attributes, span)
            fit = answer.version is not None and _are_small(values)
            if fit and (stale or self._answer_turns.remember(self._forget_answers)):
                plan.answers[values] = answer
        return answer

    def _forget_answers(self) -> None:
        """Forget all answers."""
        for plan in [*self._same.values(), *self._plans.values()]:  # two threads may have made a plan each
            plan.answers.clear()

    def _resolve(self, plan: _Plan, attributes: Mapping[str, Any], span: ReadableSpan) -> Answer:
        version: object = self._registry._version  # noqa: SLF001 - read before the entries, see ModelRegistry
        index = self._registry._index  # noqa: SLF001
        found = resolve_attributes(index, attributes, _scope(span), self._conventions)
        if found is None:
            return Answer(None if plan.parsed else version, None, UNCOUNTED)
        resolution, key, is_call = found
        entry = resolution.entry
        if plan.parsed and (key is None or key in _PARSED):
            version = None  # the text of the JSON decided: nothing to remember
        ours: dict[str, Any] = {}
        if entry is None:
            _note(resolution.candidate)
        if entry is not None or not self._ignores:
            _log(resolution)
            facts = {"status": resolution.status, "warnings": resolution.warnings, "matched_by": key}
            ours = span_attributes(entry, self._names, **facts)
        count = tallies.of(entry, is_call=is_call, is_enriched=bool(ours)).count
        if not ours and not plan.forged:
            return Answer(version, None, count)
        longest = max(map(_length, ours.values()), default=0)
        return Answer(version, Additions(ours, longest, plan.forged), count)

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        """Return what to do with spans that have these keys; those that differ in other keys only share it."""
        decisive, forged, short = self._decisive_keys.intersection(shape), any(map(is_ours, shape)), _is_short(shape)
        plan = self._same.get((decisive, forged))
        remember = (short or plan is None) and self._shape_turns.remember(self._forget_shapes)
        if plan is None:
            direct = [key for key in self._decisive if key in decisive and key not in _PARSED]
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


_PARSED: Final = frozenset(row.key for row in CONVENTIONS if row.member is not None)
_SCOPED: Final = frozenset(row.key for row in CONVENTIONS if row.scope is not None)

_lines: Final = WarnOnce(MAX_LOGGED)
processors: Final[WeakKeyDictionary[ModelRegistrySpanProcessor, None]] = WeakKeyDictionary()
"""Those that were made in this process."""
unregistered_names: Final[dict[str, None]] = {}
"""Names that nobody registered, as they were first seen in this process."""


class _Seen(ProcessState):
    """Forgets processors and names when the process starts again."""

    def reset(self) -> None:
        """Forget them."""
        processors.clear()
        unregistered_names.clear()


_Seen()


def _chosen(setting: Setting[_T], given: object) -> _T:
    """Return the value of an argument, which must be good, or of its setting."""
    return setting.read() if given is None else setting.parse(given, setting.name)


def _tell_status() -> None:
    """Log, for those who look for it, how it stands with the plugin: once for each processor, when it is made."""
    if logs.is_debugging():
        from spanforge.model_registry.otel._status import status  # noqa: PLC0415 - it looks at what is made here

        with suppress(Exception):  # the application starts
            logs.debug("model registry: %s", "; ".join(str(status()).splitlines()))


def _note(name: str) -> None:
    """Keep the name of a model that nobody registered, for ``status``."""
    if len(unregistered_names) < MAX_UNREGISTERED:
        unregistered_names.setdefault(name[:MAX_NAME])


def _log(resolution: Resolution) -> None:
    """Log a model's warning, once a process."""
    for warning in resolution.warnings:
        owner = "nobody" if resolution.entry is None else resolution.entry.owner
        _lines.warn(warning, "%s (owner: %s)", warning, owner)


def _scope(span: ReadableSpan) -> str | None:
    scope = span.instrumentation_scope
    return None if scope is None else scope.name


def _length(value: str | tuple[str, ...]) -> int:
    return len(value) if isinstance(value, str) else max(map(len, value))


def _are_small(values: Any, depth: int = 2) -> bool:
    """Tell whether the values that decide may be kept: a few texts, each no longer than names are."""
    if isinstance(values, tuple):
        return depth > 0 and len(values) <= _MAX_VALUES and all(_are_small(value, depth - 1) for value in values)
    return values is None or (isinstance(values, str) and len(values) <= MAX_NAME)


def _is_short(shape: tuple[str, ...]) -> bool:
    """Tell whether attribute keys may be kept: texts, not too many of them, and not too long together."""
    texts = len(shape) <= _MAX_KEYS and all(isinstance(key, str) for key in shape)
    return texts and sum(map(len, shape)) <= _MAX_KEYS_LENGTH
