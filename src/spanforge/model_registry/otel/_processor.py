"""``ModelRegistrySpanProcessor``: owner, risk tier and status on every span that calls a model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.conventions import with_extra_keys
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import deliver_soon
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.settings import MODEL_ATTRIBUTES, SPAN_ATTRIBUTES, UNREGISTERED_POLICY, Setting
from spanforge.model_registry.otel import _status
from spanforge.model_registry.otel._counters import processors, span_counters, unregistered_names
from spanforge.model_registry.otel._enricher import Enricher
from spanforge.model_registry.otel._metrics import observe
from spanforge.model_registry.otel._plan_cache import NO_DECISION, NOT_COUNTED, Decision, PlanCache
from spanforge.model_registry.otel._span_access import (
    UNMARKED,
    Mark,
    SpanChange,
    hears_endings,
    is_swappable,
    on_end_hook,
    on_ending_hook,
    put_mark,
    write_late,
    write_publicly,
)
from spanforge.model_registry.watch import follow_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.resolution import Resolution
    from spanforge.model_registry._core.settings import Unregistered
    from spanforge.model_registry.otel._plan_cache import Plan

_T = TypeVar("_T")

MAX_LOGGED: Final = 100
"""Log lines of this process about models that are retired, deprecated or not registered."""

_MISSED: Final = "models set after span start may not be enriched"

_model_warnings: Final = WarnOnce(MAX_LOGGED)
_warnings: Final = WarnOnce(100)


class ModelRegistrySpanProcessor(SpanProcessor):
    """Puts ``model_registry.*`` on every recorded span that names a model, as the registry is when the span ends.

    Add it to a tracer provider, before or after the exporter's processor: ``provider.add_span_processor(...)``. Spans
    that name no model pass untouched. It never raises into the application and never blocks.

    Arguments that are not given come from the environment: see ``settings``. The process-wide registry follows the
    files of the setting ``file`` from now on.

    Args:
        registry: The registry to ask; ``None``: the one that is process-wide now.
        span_attributes: Short names of the attributes that spans get, such as ``owner`` and ``status``; or changes to
            the default, such as ``"+purpose,-version"``. The table of attributes in the README lists them all, and
            which of them spans get only if they are named here.
        model_attributes: Further attribute keys that hold a model's name, tried after those that are known.
        unregistered: ``warn``: mark spans of models that are not registered, and log a warning. ``ignore``: leave them
            alone, apart from removing keys of the namespace that somebody else set.
        meter_provider: The provider of the metrics; ``None``: OpenTelemetry's global one.

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
        names = frozenset(_choose(SPAN_ATTRIBUTES, span_attributes))
        self._ignores_unregistered = _choose(UNREGISTERED_POLICY, unregistered) == "ignore"
        self._enricher = Enricher(names, ignores_unregistered=self._ignores_unregistered)
        conventions = with_extra_keys(_choose(MODEL_ATTRIBUTES, model_attributes))
        self._plans = PlanCache(conventions)
        self._find_plan = self._plans.find
        self._model_keys = self.keys = frozenset(row.key for row in conventions)
        if registry is None:
            follow_settings()
        self._registry = get_default_registry() if registry is None else registry
        self._delivered_state: object = None
        self._token = object()
        self.nameless_mark = Mark(seen_by=(self._token,))
        self._watches_starts = True
        self._writes_early = not hears_endings()
        self._hears_endings = self._missed_endings = False
        if self._writes_early:
            _warnings.warn("hook", "model registry: opentelemetry-sdk < 1.40 has no OnEnding hook: %s", _MISSED)
        observe(self._registry, meter_provider)
        processors.by_age[self] = None
        _log_status()

    def switch(self, *, on: bool) -> None:
        """Switch the processor on or off: a provider offers no way to remove one."""
        self.keys = self._model_keys if on else frozenset()

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return bool(self.keys)

    @property
    def late_writes(self) -> str:
        """The hook in which it reaches a span whose model is set late, as far as seen: ``_on_ending`` or ``on_end``."""
        return "on_end" if self._writes_early or self._missed_endings else "_on_ending"

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Deliver lifecycle events that waited for a tracer provider; enrich early if the SDK leaves no later time."""
        if self._watches_starts:
            try:
                self._start(span)
            except Exception as error:  # noqa: BLE001 - the application's spans go on without us
                _log_failure(error)

    def _start(self, span: Span) -> None:
        self._watches_starts = deliver_soon() or self._writes_early
        if self._writes_early and not is_swappable(span):
            self._write_early(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        """Return ``True``: all work is done when a span has ended."""
        return True

    def _process(  # noqa: PLR0913 - see ``on_ending_hook``
        self,
        span: Any,
        container: Any,
        attributes: Mapping[str, Any] | None,
        is_frozen: bool,  # noqa: FBT001
        mark: Mark,
        ended: bool,  # noqa: FBT001
    ) -> None:
        """Enrich and count a span that names a model, unless that is done."""
        try:
            if attributes is None:
                self._miss_ending(span, container)
                return
            if ended and self.keys.isdisjoint(attributes):
                return
            if mark is not UNMARKED and (mark.enriched or self._token in mark.seen_by):
                return
            decision = self._decide(attributes, span)
            change = decision.change
            if change is not None and (is_frozen or not span.is_recording()):
                write_late(span, container, attributes, change)
            else:
                self._leave(span, container, mark, decision, ended=ended)
            if not ended:
                self._hears_endings = True
            elif self._was_counted(mark):
                return
            if not mark.counted:
                next(decision.count)
        except Exception as error:  # noqa: BLE001 - the application's spans go on without us
            _log_failure(error)

    _on_ending = on_ending_hook(_process)
    on_end = on_end_hook(_process)

    def _decide(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Decision:
        """Return the decision for a span, from memory if there was one like it and the registry is as it was."""
        keys = tuple(attributes)
        plan = self._find_plan(keys) or self._plans.make(keys)
        values = plan.read_values(attributes)
        try:
            decision = plan.decisions.get(values, NO_DECISION)
        except TypeError:  # a name that is a list or an object: there is nothing to remember it by
            decision, values = NO_DECISION, None
        if decision.state is self._registry._state:  # noqa: SLF001 - same package
            return decision
        decision = self._look_up(plan, attributes, span)
        self._plans.remember(plan, values, decision)
        return decision

    def _look_up(self, plan: Plan, attributes: Mapping[str, Any], span: ReadableSpan) -> Decision:
        """Return what to do with a span, from the registry, and log the model's warnings."""
        state = self._registry._state  # noqa: SLF001 - same package
        if state is not self._delivered_state:
            self._delivered_state = state
            deliver_soon()  # an operation that was interrupted may have left its event in the new state
        enrichment = self._enricher.enrich(attributes, plan.keys, _scope_of(span), state.index)
        if enrichment is None:
            return Decision(state, None, NOT_COUNTED)
        self._report(enrichment.resolution)
        enriched = bool(enrichment.attributes)
        counter = span_counters.of(enrichment.resolution.entry, is_call=enrichment.is_call, is_enriched=enriched)
        change = None
        if enriched or plan.has_foreign_keys:
            change = SpanChange(enrichment.attributes, plan.has_foreign_keys)
        return Decision(state, change, counter.count)

    def _report(self, resolution: Resolution) -> None:
        """Log a model's warnings, once a process, and keep a name that is not registered for ``status``."""
        entry = resolution.entry
        if entry is None:
            unregistered_names.add(resolution.candidate)
            if self._ignores_unregistered:
                return
        for warning in resolution.warnings:
            owner = "nobody" if entry is None else entry.owner
            _model_warnings.warn(warning, "model registry: %s (owner: %s)", warning, owner)

    def _leave(self, span: Any, container: Any, mark: Mark, decision: Decision, *, ended: bool) -> None:
        """Mark a span that gets nothing late as seen, and as counted if it names a model; write if it still records."""
        if decision.change is not None:
            write_publicly(span, decision.change)
        counted = mark.counted or decision.count is not NOT_COUNTED
        if not ended:
            put_mark(span, container, replace(mark, counted=counted, seen_by=(*mark.seen_by, self._token)))
        elif counted:
            put_mark(span, container, replace(mark, counted=True))

    def _was_counted(self, mark: Mark) -> bool:
        """Check whether a span that has ended, and whose mark does not say so, was counted while it was ending.

        If this processor hears endings, it counted every span then that named a model. A span whose mark is gone is one
        whose attributes somebody replaced since.
        """
        was_counted = self._hears_endings and not self._writes_early and mark.named
        self._missed_endings = self._missed_endings or not was_counted
        return was_counted

    def _miss_ending(self, span: Span, container: object) -> None:
        """Serve an ending span whose attributes cannot be replaced: from now on, write when spans start, too."""
        is_recording = span.is_recording()
        if not self._writes_early:
            self._writes_early = self._watches_starts = True
            kind = type(container)
            _warnings.warn(kind, "model registry: span attributes are kept in %s: %s", kind, _MISSED)
        if is_recording:
            self._write_early(span)

    def _write_early(self, span: Span) -> None:
        """Add the enrichment of a span that still records, by the public API; it is counted when it has ended."""
        attributes = span.attributes or {}
        if not self.keys.isdisjoint(attributes):
            change = self._decide(attributes, span).change
            if change is not None:
                write_publicly(span, change)


def _scope_of(span: ReadableSpan) -> str | None:
    scope = span.instrumentation_scope
    return None if scope is None else scope.name


def _choose(setting: Setting[_T], argument: object) -> _T:
    """Return the value of an argument, which must be valid, or of its setting."""
    return setting.read() if argument is None else setting.parse(argument, setting.name)


def _log_failure(error: Exception) -> None:
    kind = type(error)
    text = "model registry: span not enriched (further %s not logged)"
    _warnings.warn(kind, text, kind.__name__, error=error)


def _log_status() -> None:
    """Log the plugin's state, at level DEBUG: once for each processor, when it is made."""
    if logs.is_debugging():
        with suppress(Exception):  # the application starts
            logs.debug("model registry: %s", "; ".join(str(_status.status()).splitlines()))
