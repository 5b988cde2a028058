"""``ModelRegistrySpanProcessor`` adds owner, risk tier and status to every span that names a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry._core import settings
from spanforge.model_registry._core.conventions import COMMON_MODEL_KEY, with_extra_keys
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import deliver_soon, get_event_signals
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.process import ProcessState, WarnOnce, live_keys
from spanforge.model_registry._core.setting_names import warn_about_unknown_variables
from spanforge.model_registry.otel import _status
from spanforge.model_registry.otel._counters import processors, reasons, span_counters
from spanforge.model_registry.otel._enricher import Enricher
from spanforge.model_registry.otel._log_lines import log_shutdown, log_warnings
from spanforge.model_registry.otel._marks import UNMARKED, Mark, mark_reading, read_mark
from spanforge.model_registry.otel._metrics import install_metrics
from spanforge.model_registry.otel._plan_cache import NO_DECISION, NOT_COUNTED, Decision, PlanCache
from spanforge.model_registry.otel._span_access import (
    SpanChange,
    is_swappable,
    make_on_end,
    make_on_ending,
    put_mark,
    read_scope_name,
    supports_on_ending,
    write_while_recording,
)
from spanforge.model_registry.otel._startup import start_report
from spanforge.model_registry.watch import follow_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.setting_parsers import Unregistered
    from spanforge.model_registry.otel._plan_cache import Plan

_LATE_MODELS_MAY_BE_MISSED: Final = "spans whose model is set after their start may not be enriched"

_warnings: Final = WarnOnce(100)


class ModelRegistrySpanProcessor(SpanProcessor):
    """Adds ``model_registry.*`` attributes to every recorded span that names a model.

    The values are the registry's when the span ends. Spans that name no model are not changed. The processor never
    raises into the application, and an exception of the application's signal handler passes through it. It blocks only
    if handlers of its log lines block. Add it to a tracer provider, before or after the exporter's processor:
    ``provider.add_span_processor(...)``.

    An argument that is not given comes from the environment. Without ``registry``, the process-wide registry starts to
    follow the files of the setting ``file``.

    Args:
        registry: The registry of the models; ``None``: the registry that is process-wide at this moment.
        span_attributes: Short names of the attributes that spans get, such as ``owner`` and ``status``; or changes to
            the default, such as ``"+purpose,-version"``. The README's table lists the names and marks the opt-in ones.
        model_attributes: Additional attribute keys that hold model names. They are tried after the known keys.
        unregistered: ``warn``: mark spans of models that are not registered, and log a warning. ``ignore``: add nothing
            to them; only remove ``model_registry.*`` attributes that they already have.
        match: ``forms``: names also match by their forms. ``exact``: by ids, aliases and globs only.
        metrics: Whether to create the plugin's metrics.
        meter_provider: The provider of the metrics; ``None``: OpenTelemetry's global one.

    Raises:
        InvalidValueError: An argument has a value that is not allowed (also a ``ValueError``).
    """

    def __init__(  # noqa: PLR0913 - keyword arguments, one per setting
        self,
        registry: ModelRegistry | None = None,
        *,
        span_attributes: Iterable[str] | None = None,
        model_attributes: Iterable[str] | None = None,
        unregistered: Unregistered | None = None,
        match: MatchMode | None = None,
        metrics: bool | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        attribute_names = frozenset(settings.SPAN_ATTRIBUTES.choose(span_attributes))
        conventions = with_extra_keys(settings.MODEL_ATTRIBUTES.choose(model_attributes))
        self._ignores_unregistered = settings.UNREGISTERED_POLICY.choose(unregistered) == "ignore"
        self._enricher = Enricher(
            attribute_names, ignores_unregistered=self._ignores_unregistered, mode=settings.MATCH.choose(match)
        )
        self._plan_cache = PlanCache(conventions)
        self._find_plan = self._plan_cache.find
        self._model_keys = frozenset(row.key for row in conventions)
        self.switch(on=True)
        warn_about_unknown_variables()
        get_event_signals()  # logs a line if the setting is wrong; otherwise, the first event would
        if registry is None:
            follow_settings()
        self._registry = get_default_registry() if registry is None else registry
        self._prepare_hooks()
        if settings.HAS_METRICS.choose(metrics):
            install_metrics(self._registry, meter_provider)
        elif reasons.no_metrics:
            reasons.no_metrics = "the setting metrics is false"
        processors.live[self] = None
        if len(processors.live) > 1:
            mark_reading.is_required = True
        _status.log_status()

    def _prepare_hooks(self) -> None:
        """Set the state of the hooks."""
        self._token = object()  # identifies this processor in the marks of spans
        self._no_model_mark: Mark = Mark(seen_by=(self._token,))
        self._known_version: object = None  # the version of the registry's state at the last uncached decision
        self._needs_on_start = True  # lifecycle events may wait for a provider, or spans are enriched at their start
        self._enriches_at_start = not supports_on_ending()
        self._saw_on_ending = False  # a provider of this processor calls ``_on_ending``
        self._on_end_was_needed = False  # ``on_end`` met a span that ``_on_ending`` did not reach
        if self._enriches_at_start:
            text = "model registry: this opentelemetry-sdk does not let a processor change an ending span: %s"
            _warnings.warn("hook", text, _LATE_MODELS_MAY_BE_MISSED)

    def switch(self, *, on: bool) -> None:
        """Switch the processor on or off, because a tracer provider cannot remove a processor.

        While it is off, each span costs as much as a span that names no model.
        """
        self._active_keys: frozenset[str] = self._model_keys if on else frozenset()
        self._common_key = COMMON_MODEL_KEY if on else None

    @property
    def is_on(self) -> bool:
        """Whether the processor is switched on and enriches spans."""
        return bool(self._active_keys)

    @property
    def late_writes(self) -> str:
        """The method that adds the attributes of models set late: ``_on_ending`` or ``on_end``."""
        return "on_end" if self._enriches_at_start or self._on_end_was_needed else "_on_ending"

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Deliver held lifecycle events. With opentelemetry-sdk 1.38 and 1.39, also enrich the span."""
        if self._needs_on_start:
            try:
                self._handle_start(span)
            except Exception as error:  # noqa: BLE001 - enrichment must not break the application
                try:
                    self._log_failure(error)
                except RecursionError as further:
                    if further is error:  # see ``make_on_ending``
                        raise

    def _handle_start(self, span: Span) -> None:
        self._needs_on_start = deliver_soon()
        is_noted = start_report.note_span(span)
        if self._enriches_at_start or not is_noted:  # read after the lines above: another thread may just have set both
            self._needs_on_start = True
        # Containers can differ per span: one that is swappable is still enriched in ``_on_ending``.
        if self._enriches_at_start and not is_swappable(span):
            self._enrich_recording_span(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the processor buffers no spans
        """Return ``True``, because the processor keeps no spans."""
        return True

    def _handle_span(  # noqa: PLR0913 - positional arguments, because the hot path calls it
        self,
        span: Any,
        container: Any,
        attributes: Mapping[str, Any],
        mark: Mark,
        refuses_writes: bool,  # noqa: FBT001
        has_ended: bool,  # noqa: FBT001
    ) -> SpanChange | None:
        """Decide about a span that names a model, count it once, and return the change for the hook to write.

        Args:
            span: The span.
            container: The container of its attributes.
            attributes: Its attributes.
            mark: What this library's processors did with it; ``UNMARKED`` if the hook did not read its mark.
            refuses_writes: Whether the span refuses ``set_attribute``, because it is frozen or has ended.
            has_ended: Whether ``on_end`` calls, and not ``_on_ending``.

        Returns:
            The change; ``None`` if there is nothing to write, or if it is written already.
        """
        # Two variables hold functions, because CPython 3.11 is slow to call an attribute that is not a method.
        find_plan = self._find_plan
        keys = tuple(attributes)
        plan = find_plan(keys) or self._plan_cache.add(keys)
        if plan.by_scope is not None:
            plan = plan.for_scope(read_scope_name(span))
        if plan.has_registry_keys:
            mark = read_mark(container)
        if mark is not UNMARKED and (mark.is_final or self._token in mark.seen_by):
            return None
        read_values = plan.read_values
        values = read_values(attributes)
        try:
            decision = plan.decisions.get(values, NO_DECISION)
        except Exception as error:  # noqa: BLE001 - an unhashable value, such as a list, or a broken one
            pass_interruption(error)
            decision = NO_DECISION
        if decision.version is not self._registry._state.version:  # noqa: SLF001 - same package
            decision = self._decide(plan, attributes, values)
        if has_ended:
            is_counted = mark.is_counted or self._was_counted_on_ending(mark)
            self._on_end_was_needed = self._on_end_was_needed or not is_counted
        else:
            is_counted = mark.is_counted
            self._saw_on_ending = True
        if not is_counted:
            next(decision.ticks)
        if decision.change is not None and refuses_writes:
            return decision.change
        self._write_and_mark(span, container, mark, decision, has_ended=has_ended)
        return None

    # The hooks are closures over ``_handle_span``, to save a lookup per span. Overriding it has no effect on them.
    if TYPE_CHECKING:

        def _on_ending(self, span: Span) -> None: ...

        def on_end(self, span: ReadableSpan) -> None:
            """Enrich a span if the SDK did not call ``_on_ending`` for it."""

    else:
        _on_ending = make_on_ending(_handle_span)
        on_end = make_on_end(_handle_span)

    def _decide(self, plan: Plan, attributes: Mapping[str, Any], values: Any) -> Decision:
        """Return the decision for a span from the registry, and cache it; log the model's warnings.

        Args:
            plan: The span's plan.
            attributes: The span's attributes.
            values: The values of its deciding keys.
        """
        state = self._registry._state  # noqa: SLF001 - same package
        if state.version is not self._known_version:
            self._known_version = state.version
            if deliver_soon():  # an operation that was interrupted may have left an event in the new state
                self._needs_on_start = True
        index = state.index
        facts = plan.find_facts(attributes, values)
        enrichment = self._enricher.enrich(attributes, plan.keys, index, facts, state.calendar)
        if enrichment is None:
            decision = Decision(state.version, None, NOT_COUNTED)
            self._plan_cache.remember(plan, values, None, decision)
            return decision
        match, added = enrichment.match, enrichment.attributes
        ignores_unregistered = self._ignores_unregistered
        if match.resolution.warnings:
            log_warnings(match, self._registry, index, ignores_unregistered=ignores_unregistered)
        if enrichment.shutdown is not None:
            log_shutdown(match.resolution.entry, enrichment.shutdown, ignores_unregistered=ignores_unregistered)
        counter = span_counters.counter_for(match, is_enriched=bool(added))
        needs_change = bool(added) or plan.has_registry_keys
        change = SpanChange(added, plan.has_registry_keys) if needs_change else None
        decision = Decision(state.version, change, counter.ticks)
        self._plan_cache.remember(plan, values, match.key, decision)
        return decision

    def _was_counted_on_ending(self, mark: Mark) -> bool:
        """Check whether ``_on_ending`` counted an ended span whose mark does not show it.

        It did if a provider calls ``_on_ending``: another processor then replaced the container, and the mark with it.
        If the processor is in two providers and one of them makes no such call, the spans of that one are not counted.
        """
        return self._saw_on_ending and not self._enriches_at_start and not mark.is_pending

    def _write_and_mark(self, span: Any, container: Any, mark: Mark, decision: Decision, *, has_ended: bool) -> None:
        """Write the change while the span records, then mark the span as seen, and as counted if it names a model."""
        if decision.change is not None:
            write_while_recording(span, decision.change)
        is_counted = mark.is_counted or decision.ticks is not NOT_COUNTED
        if not has_ended:
            mark = replace(mark, is_counted=is_counted, seen_by=(*mark.seen_by, self._token), is_pending=False)
            put_mark(span, container, mark)
        elif is_counted:
            put_mark(span, container, replace(mark, is_counted=True))

    def _enrich_from_start(self, span: Span, container: object) -> None:
        """Switch to enrichment at the start, because the span's container is unknown. Enrich it if it still records."""
        is_recording = span.is_recording()  # called first: an object that is no span raises before the mode changes
        if not self._enriches_at_start:
            self._enriches_at_start = True  # before the next line: see ``_handle_start``
            self._needs_on_start = True
            kind = type(container)
            _warnings.warn(kind, "model registry: span attributes are kept in %s: %s", kind, _LATE_MODELS_MAY_BE_MISSED)
        if is_recording:
            self._enrich_recording_span(span)

    def _enrich_recording_span(self, span: Span) -> None:
        """Enrich a span that still records; ``on_end`` counts it."""
        attributes = span.attributes or {}
        if self._active_keys.isdisjoint(attributes):
            return
        keys = tuple(attributes)
        plan = (self._find_plan(keys) or self._plan_cache.add(keys)).for_scope(read_scope_name(span))
        change = self._decide(plan, attributes, plan.read_values(attributes)).change
        if change is not None:
            write_while_recording(span, change)

    def _log_failure(self, error: Exception) -> None:
        """Log an error of a hook, one line per kind; raise an error of the application's signal handler again."""
        pass_interruption(error)
        start_report.end()
        text = "model registry: a span was not enriched; further %s errors are not logged"
        _warnings.warn(type(error), text, type(error).__name__, error=error)


class _Children(ProcessState):
    """The span processors that forked children inherit."""

    def after_fork_in_child(self) -> None:
        """Note the first span of the child too."""
        for processor in live_keys(processors.live):
            if isinstance(processor, ModelRegistrySpanProcessor):
                processor._needs_on_start = True  # noqa: SLF001 - same module


_Children()  # it registers itself
