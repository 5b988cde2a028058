"""``status``: the plugin's state in this process; include it in bug reports."""

from __future__ import annotations

import os
import platform
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.sdk.version import __version__ as sdk_version

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import SIGNALS, __version__
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import event_counts, get_event_signals
from spanforge.model_registry._core.interruptions import SuppressFailures, pass_interruption
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.name_conflicts import list_nearest
from spanforge.model_registry._core.process import live_keys
from spanforge.model_registry._core.settings import SETTINGS
from spanforge.model_registry.otel._counters import (
    NO_PROCESSOR,
    processors,
    reasons,
    span_counters,
    unregistered_names,
)
from spanforge.model_registry.otel._enabled import DISABLED_INSTRUMENTATIONS, is_plugin_disabled
from spanforge.model_registry.watch import FileState, file_states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spanforge.model_registry._core.events import EventCounts
    from spanforge.model_registry.otel._counters import EnrichingProcessor, Series


MAX_NEAREST_NAMES: Final = 20
"""The limit of unregistered names for which the nearest ids are shown."""


class PluginStatus(NamedTuple):
    """The plugin's state in this process; ``str()`` returns one line per field.

    Attributes:
        version: Version of the package.
        sdk: Version of opentelemetry-sdk.
        python: Version of Python.
        processors: Number of span processors that are switched on.
        enrichment: ``on``, or ``off`` and the reason.
        late_writes: The methods that add the attributes of models set late: ``_on_ending``, ``on_end``, or ``none`` if
            there are no processors.
        tracer_provider: The class of the global tracer provider.
        sampler: The description of its sampler; ``none`` if it has none.
        meter_provider: The class of the global meter provider.
        metrics: ``on``, or ``off`` and the reason.
        settings: Environment variables of the plugin that are set.
        files: State of the registry files that are followed.
        models: Number of models in the process-wide registry, by status.
        event_signals: Signals of lifecycle events.
        events: Number of lifecycle events that were emitted, held and lost, by signal.
        calls: Number of calls.
        agent_spans: Number of spans of agents and workflows that name a model; they are not calls.
        substitutions: Number of calls that another model answered than the one that was requested.
        spans_enriched: Number of spans that got attributes, including those of unregistered models.
        unregistered: The first 100 unregistered model names on spans of this process.
        nearest: The ids in the process-wide registry that are most like the first 20 of these names.
    """

    version: str
    sdk: str
    python: str
    processors: int
    enrichment: str
    late_writes: str
    tracer_provider: str
    sampler: str
    meter_provider: str
    metrics: str
    settings: Mapping[str, str]
    files: tuple[FileState, ...]
    models: Mapping[str, int]
    event_signals: tuple[str, ...]
    events: Mapping[str, EventCounts]
    calls: int
    agent_spans: int
    substitutions: int
    spans_enriched: int
    unregistered: tuple[str, ...]
    nearest: Mapping[str, tuple[str, ...]]

    def __str__(self) -> str:
        return "\n".join(f"{name}: {_format_field(value)}" for name, value in self._asdict().items())


def status() -> PluginStatus:
    """Return the plugin's state in this process. Never raises."""
    counts = span_counters.values()
    active_processors = [processor for processor in live_keys(processors.live) if processor.is_on]
    tracer_provider, tracer_provider_class = _describe_provider(trace.get_tracer_provider)
    return PluginStatus(
        version=__version__,
        sdk=sdk_version,
        python=platform.python_version(),
        processors=len(active_processors),
        enrichment="on" if active_processors else f"off: {_explain_no_enrichment()}",
        late_writes=_join_late_writes(active_processors),
        tracer_provider=tracer_provider_class,
        sampler=_describe_sampler(tracer_provider),
        meter_provider=_describe_provider(metrics.get_meter_provider)[1],
        metrics=f"off: {reasons.no_metrics}" if reasons.no_metrics else "on",
        settings=_read_variables(),
        files=tuple(file_states()),
        models=_count_models(),
        event_signals=get_event_signals(),
        events={signal: event_counts(signal) for signal in SIGNALS},
        calls=_count(counts, lambda series: series.kind == "call"),
        agent_spans=_count(counts, lambda series: series.kind == "agent"),
        substitutions=_count(counts, lambda series: series.is_substitution and series.kind == "call"),
        spans_enriched=_count(counts, lambda series: series.is_enriched),
        unregistered=unregistered_names.names(),
        nearest=_find_nearest(unregistered_names.names()),
    )


def log_status() -> None:
    """Log the plugin's state, at level DEBUG: once for each processor, when it is made."""
    if logs.is_debugging():
        with SuppressFailures():  # a failed status must not stop the application
            logs.debug("model registry: %s", "; ".join(str(status()).splitlines()))


def _explain_no_enrichment() -> str:
    """Return the reason why spans are not enriched; with the variable, if one keeps the plugin from being loaded."""
    reason = reasons.no_enrichment
    if reason == NO_PROCESSOR and is_plugin_disabled():
        return f"{reason}, because {DISABLED_INSTRUMENTATIONS} names model_registry"
    return reason


def _count(counts: Mapping[Series, int], belongs: Callable[[Series], bool]) -> int:
    """Return the number of spans whose series belongs to a group."""
    return sum(count for series, count in counts.items() if belongs(series))


def _join_late_writes(active_processors: Iterable[EnrichingProcessor]) -> str:
    hooks = {processor.late_writes for processor in active_processors}
    return ", ".join(sorted(hooks)) or "none"


def _read_variables() -> dict[str, str]:
    """Return the plugin's environment variables that are set, without secrets."""
    variables = {}
    for setting in SETTINGS:
        text = os.environ.get(setting.variable)
        if text is not None:
            variables[setting.variable] = setting.hide(text)
    return variables


def _count_models() -> dict[str, int]:
    """Return the number of models in the process-wide registry, by status."""
    counts = Counter(entry.status for entry in get_default_registry())
    return {status: counts[status] for status in STATUSES}


def _find_nearest(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the ids that are most like the first names; names without such ids are left out."""
    model_ids = get_default_registry()._state.index.entries  # noqa: SLF001 - same package
    nearest = {name: list_nearest(model_ids, name) for name in islice(names, MAX_NEAREST_NAMES)}
    return {name: model_ids for name, model_ids in nearest.items() if model_ids}


def _describe_provider(get_provider: Callable[[], Any]) -> tuple[Any, str]:
    """Return a global provider and the name of its class; ``None`` and the error if it cannot be loaded."""
    try:
        provider = get_provider()
    except Exception as error:  # noqa: BLE001 - the configured provider may fail to load
        pass_interruption(error)
        return None, f"cannot be loaded: {error!r}"
    return provider, f"{type(provider).__module__}.{type(provider).__qualname__}"


def _describe_sampler(tracer_provider: Any) -> str:
    """Return the description of a provider's sampler."""
    try:
        sampler = getattr(tracer_provider, "sampler", None)
        if sampler is None:
            return "none"
        return str(sampler.get_description())
    except Exception as error:  # noqa: BLE001 - third-party code
        pass_interruption(error)
        return f"cannot be described: {error!r}"


def _format_field(value: Any) -> str:
    """Format a field on one line. Strings inside collections are quoted; unprintable characters are escaped."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    return _format_item(value)


def _format_item(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):  # the age of a file
        return f"{value:.1f} s"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_format_item(item)}" for key, item in value.items()) or "none"
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return f"({_format_item(value._asdict())})"
    if isinstance(value, tuple):
        return ", ".join(map(_format_item, value)) or "none"
    return repr(value)
