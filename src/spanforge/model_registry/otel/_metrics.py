"""Observable instruments ``model_registry.*``: values are computed at collection time, not per span."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from spanforge.model_registry._core.attributes import PREFIX, SCOPE_NAME, SIGNALS, __version__
from spanforge.model_registry._core.emission import event_counts
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.process import ByIdentity, ProcessState, WarnOnce, live_keys
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry.otel import _file_metrics as files
from spanforge.model_registry.otel._counters import reasons, span_counters
from spanforge.model_registry.otel._info import MAX_INFO, Labels, describe_models
from spanforge.model_registry.otel._sunsets import find_shutdowns, find_sunsets, select_earliest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.metrics import CallbackOptions, MeterProvider

    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry.otel._sunsets import Shutdown, Sunset

_PROVIDER_KEY: Final = "gen_ai.provider.name"  # OpenTelemetry's
_OVERFLOW: Final[Labels] = {"otel.metric.overflow": True}
"""The specification's overflow attribute: it marks the series of all measurements beyond a cardinality limit."""

_warnings: Final = WarnOnce(100)


class Metric(NamedTuple):
    """One row of ``METRICS``.

    Attributes:
        name: Short name; the metric is ``model_registry.<name>``.
        kind: ``counter`` or ``gauge``.
        unit: The unit, as a UCUM code.
        attributes: Keys of the attributes.
        description: Description of the instrument.
        read: Returns the current values.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    attributes: tuple[str, ...]
    description: str
    read: Callable[[], Iterable[Observation]]


class _Inventory(NamedTuple):
    """The models of one registry state, counted. A new state gets a new inventory.

    Attributes:
        version: The version of the registry state.
        models: Number of models, by status and risk tier.
        sunsets: Sunset dates and entries of deprecated models, earliest first.
        shutdowns: Providers' shutdown dates, entries and providers of models that are not retired, earliest first.
        info: The attributes of ``model_registry.info``.
    """

    version: object
    models: Counter[tuple[str, str]]
    sunsets: Sequence[Sunset]
    shutdowns: Sequence[Shutdown]
    info: Sequence[Labels]


_inventories: Final[WeakKeyDictionary[ModelRegistry, _Inventory]] = WeakKeyDictionary()
# Not a ``WeakSet``: only ``live_keys`` iterates safely while another thread adds a registry.
_reported_registries: Final[WeakKeyDictionary[ModelRegistry, None]] = WeakKeyDictionary()
_meter_providers: Final[ByIdentity[bool]] = ByIdentity()


class _MetricsReset(ProcessState):
    """Removes all registries from the metrics when the process is reset."""

    goes_on = True  # the meter providers too: OpenTelemetry removes no instrument, and must not get it twice

    def reset(self) -> None:
        """Remove all registries."""
        _reported_registries.clear()


_MetricsReset()  # it registers itself


def install_metrics(registry: ModelRegistry, meter_provider: MeterProvider | None = None) -> None:
    """Include a registry in the metrics and create the instruments on a meter provider, once. Never raises.

    Args:
        registry: The registry.
        meter_provider: The provider of the instruments; ``None``: OpenTelemetry's global one, also if it is set later.
    """
    _reported_registries[registry] = None
    try:
        provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
        # Two threads may both get past this check: the SDK then still reports each value once.
        if _meter_providers.get(provider):
            reasons.no_metrics = ""
            return
        _meter_providers.put(provider, True)
        meter = provider.get_meter(SCOPE_NAME, __version__)
        create_by_kind = {"counter": meter.create_observable_counter, "gauge": meter.create_observable_gauge}
        for metric in METRICS:
            create_by_kind[metric.kind](PREFIX + metric.name, [_make_callback(metric)], metric.unit, metric.description)
        reasons.no_metrics = ""
    except Exception as error:  # noqa: BLE001 - spans are enriched without metrics too
        pass_interruption(error)
        reasons.no_metrics = repr(error)
        _warnings.warn(type(error), "model registry: metrics are not available: %r", error)


def _make_callback(metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_options: CallbackOptions) -> Iterable[Observation]:
        try:
            return list(metric.read())
        except Exception as error:  # noqa: BLE001 - OpenTelemetry would log it at each collection
            text, name = "model registry: metric %s is not available: %r", PREFIX + metric.name
            _warnings.warn((name, type(error)), text, name, error)
            return ()

    return callback


def _take_inventory(registry: ModelRegistry) -> _Inventory:
    """Return the inventory of a registry. It is computed again only if the registry has changed."""
    state = registry._state  # noqa: SLF001 - same package
    inventory = _inventories.get(registry)
    if inventory is None or inventory.version is not state.version:
        entries = state.index.entries.values()
        models: Counter[tuple[str, str]] = Counter((entry.status, entry.risk_tier) for entry in entries)
        shutdowns = [] if state.calendar is None else find_shutdowns(entries, state.calendar)
        dates = select_earliest(find_sunsets(entries)), select_earliest(shutdowns)
        inventory = _Inventory(state.version, models, *dates, describe_models(entries))
        _inventories[registry] = inventory
    return inventory


def _read_models() -> Iterable[Observation]:
    models: Counter[tuple[str, str]] = Counter()
    for registry in live_keys(_reported_registries):
        models.update(_take_inventory(registry).models)
    # Zeros are reported too: a backend would keep the last value of a series that disappears.
    for status in STATUSES:
        for risk_tier in RISK_TIERS:
            attributes = {f"{PREFIX}status": status, f"{PREFIX}risk_tier": risk_tier}
            yield Observation(models[status, risk_tier], attributes)


def _read_calls() -> Iterable[Observation]:
    calls: Counter[tuple[str | None, ...]] = Counter()
    for series, count in span_counters.values().items():
        if series.kind == "call":
            calls[series.status, series.model_id, series.risk_tier, series.owner] += count
    for (status, model_id, risk_tier, owner), count in calls.items():
        values = {"model_id": model_id, "status": status, "risk_tier": risk_tier, "owner": owner}
        attributes = {PREFIX + name: value for name, value in values.items() if value}
        # A series over the limit has no values.
        yield Observation(count, attributes or _OVERFLOW)


def _read_agent_spans() -> Iterable[Observation]:
    spans: Counter[str | None] = Counter()
    for series, count in span_counters.values().items():
        if series.kind == "agent":
            spans[series.model_id or series.status] += count
    for name, count in spans.items():
        yield Observation(count, {PREFIX + "model_id": name} if name else _OVERFLOW)


def _read_substitutions() -> Iterable[Observation]:
    calls: Counter[tuple[str | None, str | None, str]] = Counter()
    for series, count in span_counters.values().items():
        if series.is_substitution and series.kind == "call":
            if series.requested_model_id is None and series.status:  # an unregistered model answered
                calls[series.model_id, None, UNREGISTERED] += count
            else:
                calls[series.requested_model_id, series.model_id, series.status] += count
    for (requested, model_id, status), count in calls.items():
        values = {"requested_model_id": requested, "model_id": model_id, "status": status}
        attributes = {PREFIX + name: value for name, value in values.items() if value}
        yield Observation(count, attributes or _OVERFLOW)


def _read_sunsets() -> Iterable[Observation]:
    now = time.time_ns() // 1_000
    sunsets = (sunset for registry in live_keys(_reported_registries) for sunset in _take_inventory(registry).sunsets)
    for date, entry in select_earliest(sunsets):
        attributes = {
            f"{PREFIX}model_id": entry.model_id,
            f"{PREFIX}risk_tier": entry.risk_tier,
            f"{PREFIX}owner": entry.owner,
        }
        yield Observation((date - now) / 1e6, attributes)


def _read_provider_sunsets() -> Iterable[Observation]:
    now = time.time_ns() // 1_000
    rows = (row for registry in live_keys(_reported_registries) for row in _take_inventory(registry).shutdowns)
    for date, entry, provider in select_earliest(rows):
        attributes = {
            f"{PREFIX}model_id": entry.model_id,
            f"{PREFIX}risk_tier": entry.risk_tier,
            f"{PREFIX}owner": entry.owner,
            _PROVIDER_KEY: provider,
        }
        yield Observation((date - now) / 1e6, attributes)


def _read_info() -> Iterable[Observation]:
    models = (model for registry in live_keys(_reported_registries) for model in _take_inventory(registry).info)
    return (Observation(1, attributes) for attributes in islice(models, MAX_INFO))


def _read_dropped_events() -> Iterable[Observation]:
    for signal in SIGNALS:
        counts = event_counts(signal)
        yield Observation(counts.dropped + counts.failed, {f"{PREFIX}event_signal": signal})


def _prefix_keys(*names: str) -> tuple[str, ...]:
    return tuple(PREFIX + name for name in names)


METRICS: Final = (
    Metric(
        "calls",
        "counter",
        "{call}",
        _prefix_keys("model_id", "status", "risk_tier", "owner"),
        "Spans that call a model and ended in this process",
        _read_calls,
    ),
    Metric(
        "agent_spans",
        "counter",
        "{span}",
        _prefix_keys("model_id"),
        "Spans of agents and workflows that name a model; they are not calls",
        _read_agent_spans,
    ),
    Metric(
        "substitutions",
        "counter",
        "{call}",
        _prefix_keys("requested_model_id", "model_id", "status"),
        "Calls that were answered by a model other than the requested one",
        _read_substitutions,
    ),
    Metric("models", "gauge", "{model}", _prefix_keys("status", "risk_tier"), "Models in the registry", _read_models),
    Metric(
        "sunset",
        "gauge",
        "s",
        _prefix_keys("model_id", "risk_tier", "owner"),
        "Time until the sunset date of a deprecated model; negative after it",
        _read_sunsets,
    ),
    Metric(
        "provider_sunset",
        "gauge",
        "s",
        (*_prefix_keys("model_id", "risk_tier", "owner"), _PROVIDER_KEY),
        "Time until the provider stops serving a model that is not retired; negative after it",
        _read_provider_sunsets,
    ),
    Metric(
        "info",
        "gauge",
        "{model}",
        _prefix_keys("model_id", "owner", "contact", "successor"),
        "Always 1, for each model in the registry; joins owner, contact and successor to other metrics",
        _read_info,
    ),
    Metric(
        "file.info",
        "gauge",
        "{file}",
        ("file.path", *_prefix_keys("file.digest")),
        "Always 1, for each registry file or calendar file that was valid; the digest of its last valid content",
        files.read_file_info,
    ),
    Metric(
        "file.in_use",
        "gauge",
        "s",
        ("file.path", *_prefix_keys("file.digest")),
        "Time since this process first reported the version of the file that it uses",
        files.read_file_uses,
    ),
    Metric(
        "file.age",
        "gauge",
        "s",
        ("file.path",),
        "Time since the last check after which the current content of a registry file or a calendar file was in use",
        files.read_file_ages,
    ),
    Metric(
        "file.failures",
        "counter",
        "{failure}",
        ("file.path",),
        "Times that a registry file or a calendar file became invalid",
        files.read_file_failures,
    ),
    Metric(
        "events.dropped",
        "counter",
        "{event}",
        _prefix_keys("event_signal"),
        "Lifecycle events that were lost",
        _read_dropped_events,
    ),
)
"""Every metric, in the order of the documentation."""
