"""``ModelRegistryInstrumentor``: the plugin, installed without a change to the application.

It needs opentelemetry-instrumentation (extra ``instrumentor``; also installed with ``opentelemetry-instrument``).
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined, unused-ignore] # it has no types
    BaseInstrumentor,
)

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.calendar_watch import stop_calendar
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import flush_events, set_event_signals
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.process import ByIdentity, WarnOnce
from spanforge.model_registry._core.setting_names import drop_unknown_options, warn_about_unknown_variables
from spanforge.model_registry._core.settings import (
    ENABLED,
    HAS_METRICS,
    MATCH,
    MODEL_ATTRIBUTES,
    SPAN_ATTRIBUTES,
    UNREGISTERED_POLICY,
)
from spanforge.model_registry.otel._counters import reasons
from spanforge.model_registry.otel._enabled import is_plugin_enabled
from spanforge.model_registry.otel._late_provider import late_provider
from spanforge.model_registry.otel._metrics import install_metrics
from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.otel._startup import start_report
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from spanforge.model_registry._core.registry import ModelRegistry

__all__ = ["ModelRegistryInstrumentor", "Options"]

_PROCESSOR_SETTINGS: Final = (SPAN_ATTRIBUTES, MODEL_ATTRIBUTES, UNREGISTERED_POLICY, MATCH, HAS_METRICS)
"""The settings that are arguments of the span processor."""
_COMMON_ARGUMENTS: Final = frozenset(
    {"skip_dep_check", "raise_exception_on_conflict", "logger_provider", "event_logger_provider"}
)
"""Arguments that OpenTelemetry and applications pass to every instrumentor. This one ignores them.

The logger providers too: a registry emits its events through its own providers or the global ones.
"""
_REPLACE_FLAG: Final = "replace_default_processor"
"""An option of ``add_span_processor`` of Phoenix's provider. If it is true, the new processor replaces the others."""

_warnings: Final = WarnOnce(100)


def _find_append_options(add_span_processor: Callable[..., None]) -> dict[str, bool]:
    """Return the options with which ``add_span_processor`` keeps the provider's other processors.

    By default, Phoenix's provider drops its exporter's processor.
    """
    try:
        parameters = inspect.signature(add_span_processor).parameters
    except (TypeError, ValueError):  # not written in Python
        return {}
    if _REPLACE_FLAG in parameters:
        return {_REPLACE_FLAG: False}
    return {}


@dataclass(init=False)
class Options:
    """The instrumentor's options in declarative configuration.

    ``enabled`` is not among them, because the package reads it from the file itself.

    An unknown option is logged and ignored. OpenTelemetry would ignore all options if this class refused one.
    """

    file: str | list[str] | None = None
    reload_interval: int | None = None
    calendar: str | None = None
    span_attributes: str | list[str] | None = None
    model_attributes: str | list[str] | None = None
    unregistered: str | None = None
    match: str | None = None
    events: str | list[str] | None = None
    metrics: bool | None = None

    def __init__(self, **options: Any) -> None:
        known_options = drop_unknown_options(options)
        for option in fields(self):
            setattr(self, option.name, known_options.get(option.name))


class _Installation(NamedTuple):
    """The span processor that was added to a tracer provider.

    Attributes:
        processor: The span processor.
        registry: Its registry.
        settings: Its settings.
    """

    processor: ModelRegistrySpanProcessor
    registry: ModelRegistry
    settings: dict[str, Any]


class ModelRegistryInstrumentor(BaseInstrumentor):  # type: ignore[no-any-unimported, misc, unused-ignore]
    """Adds the span processor to a tracer provider and updates the process-wide registry from registry files.

    ``opentelemetry-instrument`` and declarative configuration call ``instrument``. In code, its options are those of
    ``Options``, ``enabled``, ``tracer_provider`` and ``meter_provider``. The default provider is OpenTelemetry's global
    one, also if it is set later. ``instrument`` may be called again with other options or for another
    provider. Errors are logged and not raised.

    ``logger_provider`` is accepted and ignored. A registry emits lifecycle events through its own providers,
    ``ModelRegistry(logger_provider=...)``, or else through the global ones. The process-wide registry exists before
    ``instrument`` is called, and uses the global ones.
    """

    configuration: type[Options] = Options

    _installations: Final[ByIdentity[_Installation]] = ByIdentity()
    """By tracer provider."""
    _watcher: FileWatcher | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return an empty collection, because spans of any library are enriched."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Install the plugin, unless the setting ``enabled`` is off."""
        options = {name: value for name, value in options.items() if name not in _COMMON_ARGUMENTS}
        try:
            warn_about_unknown_variables()
            if not is_plugin_enabled(options.pop(ENABLED.name, None)):
                reasons.no_enrichment = "the setting enabled is false"
                return
            if self.is_instrumented_by_opentelemetry:
                # The base class would ignore a second call, which may have other options or another provider.
                self._instrument(**options)
            else:
                super().instrument(**options)
        except Exception as error:  # noqa: BLE001 - the application starts without the plugin
            pass_interruption(error)
            reasons.no_enrichment = repr(error)
            logs.warn("model registry: the plugin was not installed, so no span is enriched: %r", error)

    def _instrument(self, **options: Any) -> None:
        provider = options.pop("tracer_provider", None) or trace.get_tracer_provider()
        meter_provider = options.pop("meter_provider", None)
        plugin_options = drop_unknown_options(options)
        if "events" in plugin_options:
            set_event_signals(plugin_options.pop("events"))
        is_first_call = not self.is_instrumented_by_opentelemetry
        if is_first_call or plugin_options:
            self._watcher = follow_settings(*map(plugin_options.get, ("file", "reload_interval", "calendar")))
        if hasattr(provider, "add_span_processor"):
            self._install(provider, meter_provider, plugin_options)
            start_report.begin()
            late_provider.reset()
        else:
            reasons.no_enrichment = f"the tracer provider is a {type(provider).__name__}"
            _warnings.warn(
                type(provider),
                "model registry: no spans are enriched yet: the tracer provider is a %s, not one of opentelemetry-sdk. "
                "Install opentelemetry-distro, or add ModelRegistrySpanProcessor() to your own tracer provider.",
                type(provider).__name__,
            )
            if provider is trace.get_tracer_provider():
                late_provider.wait(functools.partial(self._install_late, meter_provider, plugin_options))
        flush_events()

    def _install_late(self, meter_provider: Any, plugin_options: dict[str, Any], provider: Any) -> None:
        """Add the span processor to a global provider that was set after ``instrument`` was called."""
        try:
            self._install(provider, meter_provider, plugin_options)
            start_report.begin()
            flush_events()
        except Exception as error:  # noqa: BLE001 - the application goes on without the plugin
            pass_interruption(error)
            reasons.no_enrichment = repr(error)
            logs.warn("model registry: the plugin was not installed, so no span is enriched: %r", error)

    def _install(self, provider: Any, meter_provider: Any, plugin_options: dict[str, Any]) -> None:
        """Keep, switch on or replace the processor of a provider; add one if the provider has none."""
        registry = get_default_registry()
        current = self._installations.get(provider)
        # opentelemetry-instrument calls again after declarative configuration, without its options.
        keeps = current is not None and self.is_instrumented_by_opentelemetry and not plugin_options
        settings: dict[str, Any] = (
            current.settings
            if current is not None and keeps
            else {setting.name: setting.read(plugin_options.get(setting.name)) for setting in _PROCESSOR_SETTINGS}
        )
        if settings[HAS_METRICS.name]:
            # A new processor installs the metrics too. A processor that is kept does not, and the registry or the meter
            # provider may be another one.
            install_metrics(registry, meter_provider)
        if keeps:
            return
        if current is not None and (current.registry, current.settings) == (registry, settings):
            current.processor.switch(on=True)
        else:
            processor = ModelRegistrySpanProcessor(registry, meter_provider=meter_provider, **settings)
            self._replace_processor(provider, current, _Installation(processor, registry, settings))

    def _replace_processor(self, provider: Any, old: _Installation | None, new: _Installation) -> None:
        """Add a processor to a provider, and switch off the old one, because a provider cannot remove it."""
        provider.add_span_processor(new.processor, **_find_append_options(provider.add_span_processor))
        if old is not None:
            old.processor.switch(on=False)
        elif self._installations.values():
            logs.info("model registry: spans of another tracer provider are enriched too")
        self._installations.put(provider, new)

    def _uninstrument(self, **_options: Any) -> None:
        for installation in self._installations.values():
            installation.processor.switch(on=False)
        reasons.no_enrichment = "uninstrument() was called"
        late_provider.reset()
        start_report.end()
        if self._watcher is not None:
            self._watcher.stop()
        stop_calendar(get_default_registry())
