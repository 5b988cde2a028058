"""The metrics ``model_registry.*``: observed when a reader asks for them, so that no span pays for them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import Observation

from spanforge.model_registry._core.attributes import PREFIX, SCHEMA_URL, SCOPE_NAME, SIGNALS, __version__
from spanforge.model_registry._core.emission import event_counts
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.process import ProcessState, WarnOnce, live_keys
from spanforge.model_registry._core.timestamps import to_micros
from spanforge.model_registry.otel._counters import span_counters
from spanforge.model_registry.watch import file_states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.util.types import AttributeValue

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.registry import ModelRegistry

MAX_SUNSETS: Final = 1_000
"""Deprecated models whose sunset is observed: those whose date comes first."""
_OVERFLOW: Final[dict[str, AttributeValue]] = {"otel.metric.overflow": True}
"""What OpenTelemetry's specification has for measurements beyond a limit on the number of series."""

_warnings: Final = WarnOnce(100)


class Metric(NamedTuple):
    """One row of ``METRICS``.

    Attributes:
        name: Short name; the metric is ``model_registry.<name>``.
        kind: ``counter`` or ``gauge``.
        unit: In the notation of UCUM.
        attributes: Keys of the attributes.
        note: What it counts or measures.
        observe: Returns the values of now.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    attributes: tuple[str, ...]
    note: str
    observe: Callable[[], Iterable[Observation]]


class _Inventory(NamedTuple):
    """Counts and dates of a registry in one state."""

    state: object
    models: Counter[tuple[str, str]]
    sunsets: Sequence[tuple[int, ModelRegistryEntry]]


_inventories: Final[WeakKeyDictionary[ModelRegistry, _Inventory]] = WeakKeyDictionary()
_registries: Final[WeakKeyDictionary[ModelRegistry, None]] = WeakKeyDictionary()
_observed: Final[WeakSet[Any]] = WeakSet()


class _ObservedRegistries(ProcessState):
    """Forgets which registries are observed when the process starts again."""

    def reset(self) -> None:
        """Observe no registry."""
        _registries.clear()


_ObservedRegistries()


def observe(registry: ModelRegistry, meter_provider: MeterProvider | None = None) -> None:
    """Have the metrics include a registry, and a meter provider ask for them. Never raises.

    Args:
        registry: The registry whose models count.
        meter_provider: The provider that asks for them; ``None``: OpenTelemetry's global one, also if it is set later.
    """
    _registries[registry] = None
    try:
        provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
        if provider in _observed:
            return
        _observed.add(provider)
        meter = provider.get_meter(SCOPE_NAME, __version__, SCHEMA_URL)
        make = {"counter": meter.create_observable_counter, "gauge": meter.create_observable_gauge}
        for metric in METRICS:
            make[metric.kind](PREFIX + metric.name, [_callback(metric)], metric.unit, metric.note)
    except Exception as error:  # noqa: BLE001 - the application's spans go on without metrics
        _warnings.warn(type(error), "model registry: no metrics: %r", error)


def _callback(metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(_options: CallbackOptions) -> Iterable[Observation]:
        try:
            return list(metric.observe())
        except Exception as error:  # noqa: BLE001 - OpenTelemetry would log it each time
            _warnings.warn(
                (metric.name, type(error)), "model registry: metric %s%s not observed: %r", PREFIX, metric.name, error
            )
            return ()

    return callback


def _take_inventory(registry: ModelRegistry) -> _Inventory:
    state = registry._state  # noqa: SLF001 - one package
    inventory = _inventories.get(registry)
    if inventory is None or inventory.state is not state:
        entries = registry.list_all()
        dates = ((entry.metadata.get("sunset_date"), entry) for entry in entries if entry.status == "deprecated")
        sunsets = [(to_micros(date), entry) for date, entry in dates if date is not None]
        sunsets.sort(key=lambda sunset: sunset[0])
        models: Counter[tuple[str, str]] = Counter((entry.status, entry.risk_tier) for entry in entries)
        inventory = _inventories[registry] = _Inventory(state, models, sunsets[:MAX_SUNSETS])
    return inventory


def _models() -> Iterable[Observation]:
    total: Counter[tuple[str, str]] = Counter()
    for registry in live_keys(_registries):
        total.update(_take_inventory(registry).models)
    for status in STATUSES:  # those that have no model any more as well: else a backend goes on with the last value
        for tier in RISK_TIERS:
            yield Observation(total[status, tier], {f"{PREFIX}status": status, f"{PREFIX}risk_tier": tier})


def _calls() -> Iterable[Observation]:
    total: Counter[tuple[str | None, ...]] = Counter()
    for series, count in span_counters.values().items():
        if series.is_call:
            total[series[:4]] += count
    for (status, model_id, risk_tier, owner), count in total.items():
        facts = {"model_id": model_id, "status": status, "risk_tier": risk_tier, "owner": owner}
        attributes = {PREFIX + name: value for name, value in facts.items() if value}
        yield Observation(count, attributes or _OVERFLOW)


def _file_age() -> Iterable[Observation]:
    return (Observation(file.age, {"file.path": file.path}) for file in file_states())


def _file_failures() -> Iterable[Observation]:
    return (Observation(file.failures, {"file.path": file.path}) for file in file_states())


def _sunset() -> Iterable[Observation]:
    now = time.time_ns() // 1_000
    sunsets = (sunset for registry in live_keys(_registries) for sunset in _take_inventory(registry).sunsets)
    for date, entry in sorted(sunsets, key=lambda sunset: sunset[0])[:MAX_SUNSETS]:
        facts = {"model_id": entry.model_id, "risk_tier": entry.risk_tier, "owner": entry.owner}
        yield Observation((date - now) / 1e6, {PREFIX + name: value for name, value in facts.items()})


def _events_dropped() -> Iterable[Observation]:
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
        "Spans that ended in this process and call a model",
        _calls,
    ),
    Metric("models", "gauge", "{model}", _prefix_keys("status", "risk_tier"), "Models in the registry", _models),
    Metric(
        "sunset",
        "gauge",
        "s",
        _prefix_keys("model_id", "risk_tier", "owner"),
        "Time until the sunset date of a deprecated model; negative after it",
        _sunset,
    ),
    Metric(
        "file.age",
        "gauge",
        "s",
        ("file.path",),
        "Time since a registry file was last seen to be in force as it is",
        _file_age,
    ),
    Metric(
        "file.failures", "counter", "{failure}", ("file.path",), "How often a registry file became bad", _file_failures
    ),
    Metric(
        "events.dropped",
        "counter",
        "{event}",
        _prefix_keys("event_signal"),
        "Lifecycle events that were lost, by signal",
        _events_dropped,
    ),
)
"""Every metric, in the order of the documentation."""
