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
from spanforge.model_registry.otel.late_write import Additions, LateWriter, is_ours
from spanforge.model_registry.resolution import BY_PRIORITY, MODEL_KEYS, PROVIDER_KEYS, Resolution, resolve_attributes
from spanforge.model_registry.values import MAX_NAME, one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry.registry import ModelRegistry

MAX_LOGGED: Final = 100
"""Log lines of this process about models that are retired, deprecated or not registered."""
_MAX_SHAPES: Final = 1_024
_MAX_ANSWERS: Final = 512


@dataclass(slots=True)
class _Answer:
    """What spans with certain names get, while the registry is as it was."""

    version: object
    additions: Additions | None


@dataclass(slots=True)
class _Plan:
    """What is to be done with spans that have certain attribute keys.

    Attributes:
        read: Takes from the attributes the values that decide.
        scoped: Whether the instrumentation scope decides as well.
        parsed: Whether a value is JSON to be looked into when the others do not match.
        forged: Whether a key of our namespace is among them.
        answers: What was decided for which values.
    """

    read: Callable[[Mapping[str, Any]], Any] | None
    scoped: bool
    parsed: bool
    forged: bool
    answers: dict[Any, _Answer]


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
        self._same: dict[tuple[tuple[str, ...], bool], _Plan] = {}

    def _started(self, span: Span) -> None:
        """Have lifecycle events delivered that were held until there was a tracer provider."""
        super()._started(span)
        if deliver_soon():
            self._watches_starts = True

    def _additions(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Additions | None:
        shape = tuple(attributes)
        plan = self._plans.get(shape) or self._plan(shape)
        if plan.read is None:
            return self._resolve(plan, attributes, span).additions
        values = plan.read(attributes)
        if plan.scoped:
            values = values, _scope(span)
        try:
            answer = plan.answers.get(values)
        except TypeError:  # a name that is a list or an object
            return self._resolve(plan, attributes, span).additions
        if answer is None or answer.version is not self._registry._version:  # noqa: SLF001 - one package
            answer = self._resolve(plan, attributes, span)
            if answer.version is not None and _are_small(values):
                if len(plan.answers) >= _MAX_ANSWERS:
                    plan.answers.clear()
                plan.answers[values] = answer
        return answer.additions

    def _resolve(self, plan: _Plan, attributes: Mapping[str, Any], span: ReadableSpan) -> _Answer:
        version: object = self._registry._version  # noqa: SLF001 - read before the entries, see ModelRegistry
        found = resolve_attributes(self._registry._index, attributes, _scope(span))  # noqa: SLF001
        if found is None:
            return _Answer(None if plan.parsed else version, None)
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
        longest = max((len(text) for value in ours.values() for text in _texts(value)), default=0)
        return _Answer(version, Additions(ours, longest, plan.forged))

    def _plan(self, shape: tuple[str, ...]) -> _Plan:
        """Return what to do with spans that have these keys; those that differ in other keys only share it."""
        if len(self._plans) >= _MAX_SHAPES:
            self._plans.clear()
            self._same.clear()
        keys = tuple(key for key in _DECISIVE if key in shape)
        forged = any(map(is_ours, shape))
        plan = self._same.get((keys, forged))
        if plan is None:
            direct = [key for key in keys if key not in _PARSED]
            plan = _Plan(
                read=itemgetter(*direct) if direct else None,
                scoped=any(key in _SCOPED for key in keys),
                parsed=len(direct) < len(keys),
                forged=forged,
                answers={},
            )
            self._same[keys, forged] = plan
        self._plans[shape] = plan
        return plan


_DECISIVE: Final = (*(row.key for row in BY_PRIORITY), *PROVIDER_KEYS)
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


def _texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _are_small(values: Any, depth: int = 2) -> bool:
    """Tell whether the values that decide may be kept: a few texts, each no longer than names are."""
    if isinstance(values, tuple):
        return depth > 0 and len(values) <= len(_DECISIVE) and all(_are_small(value, depth - 1) for value in values)
    return values is None or (isinstance(values, str) and len(values) <= MAX_NAME)
