"""``ModelRegistryInstrumentor``: the plugin, installed without a change to the application.

It needs opentelemetry-instrumentation (extra ``instrumentor``; also installed with ``opentelemetry-instrument``).
"""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined, unused-ignore] # it has no types
    BaseInstrumentor,
)

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import flush_events, set_event_signals
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.settings import (
    ENABLED,
    MODEL_ATTRIBUTES,
    SPAN_ATTRIBUTES,
    UNREGISTERED_POLICY,
    drop_unknown_options,
)
from spanforge.model_registry.otel._metrics import install_metrics
from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from spanforge.model_registry._core.registry import ModelRegistry

NAME: Final = "model_registry"
"""The instrumentor's name in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` and in declarative configuration."""

_PROCESSOR_SETTINGS: Final = (SPAN_ATTRIBUTES, MODEL_ATTRIBUTES, UNREGISTERED_POLICY)
"""The settings that are arguments of the span processor."""
_COMMON_ARGUMENTS: Final = frozenset(
    {"skip_dep_check", "raise_exception_on_conflict", "logger_provider", "event_logger_provider"}
)
"""Arguments that OpenTelemetry passes to every instrumentor and that this one ignores."""
_REPLACE_FLAGS: Final = frozenset({"replace_default_processor"})
"""Options of ``add_span_processor``, true by default: the new processor replaces the ones that the provider has."""

_warnings: Final = WarnOnce(100)


def _keep_processors_options(add_span_processor: Callable[..., None]) -> dict[str, bool]:
    """Return the options of the method with which the provider keeps the processors that it has.

    Phoenix's provider drops its exporter's processor unless ``replace_default_processor`` is false.
    """
    try:
        parameters = inspect.signature(add_span_processor).parameters
    except (TypeError, ValueError):  # not written in Python
        return {}
    return dict.fromkeys(_REPLACE_FLAGS & parameters.keys(), False)


@dataclass(init=False)
class Options:
    """The instrumentor's options in declarative configuration; ``settings`` describes them.

    An unknown option is logged and ignored. OpenTelemetry would ignore all options if this class refused one.
    """

    file: str | list[str] | None = None
    reload_interval: int | None = None
    span_attributes: str | list[str] | None = None
    model_attributes: str | list[str] | None = None
    unregistered: str | None = None
    events: str | list[str] | None = None

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
    """Adds the span processor to a tracer provider and updates the process-wide registry from its files.

    ``opentelemetry-instrument`` and declarative configuration call ``instrument``. In code, it takes every setting
    except the sampler's as an option. It also takes ``tracer_provider`` and ``meter_provider``; the default is
    OpenTelemetry's global provider. It may be called again with other options or for another provider. Errors are
    logged and not raised.
    """

    configuration: type[Options] = Options

    _installations: Final[WeakKeyDictionary[Any, _Installation]] = WeakKeyDictionary()
    """By tracer provider."""
    _watcher: FileWatcher | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: spans of any library are enriched."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Install the plugin, unless the setting ``enabled`` is off."""
        options = {name: value for name, value in options.items() if name not in _COMMON_ARGUMENTS}
        try:
            if not _is_plugin_enabled(options.pop(ENABLED.name, None)):
                return
            if self.is_instrumented_by_opentelemetry:
                # The base class would ignore a second call, which may have other options or another provider.
                self._instrument(**options)
            else:
                super().instrument(**options)
        except Exception as error:  # noqa: BLE001 - the application starts without the plugin
            logs.warn("model registry: not installed, no span is enriched: %r", error)

    def _instrument(self, **options: Any) -> None:
        provider = options.pop("tracer_provider", None) or trace.get_tracer_provider()
        meter_provider = options.pop("meter_provider", None)
        plugin_options = drop_unknown_options(options)
        if "events" in plugin_options:
            set_event_signals(plugin_options.pop("events"))
        is_first_call = not self.is_instrumented_by_opentelemetry
        if is_first_call or plugin_options:
            self._watcher = follow_settings(plugin_options.get("file"), plugin_options.get("reload_interval"))
        if hasattr(provider, "add_span_processor"):
            self._install(provider, meter_provider, plugin_options)
        else:
            _warnings.warn(
                type(provider),
                "model registry: no spans are enriched yet: the tracer provider is a %s, not one of opentelemetry-sdk. "
                "opentelemetry-distro sets one up; an application that does so itself adds "
                "spanforge.model_registry.otel.ModelRegistrySpanProcessor() to it",
                type(provider).__name__,
            )
        flush_events()

    def _install(self, provider: Any, meter_provider: Any, plugin_options: dict[str, Any]) -> None:
        """Keep, switch on or replace the processor of a provider; add one if the provider has none."""
        registry = get_default_registry()
        install_metrics(registry, meter_provider)
        current = self._installations.get(provider)
        if current is not None and self.is_instrumented_by_opentelemetry and not plugin_options:
            return  # opentelemetry-instrument calls again after declarative configuration, without its options
        settings: dict[str, Any] = {
            setting.name: setting.read(plugin_options.get(setting.name)) for setting in _PROCESSOR_SETTINGS
        }
        if current is not None and (current.registry, current.settings) == (registry, settings):
            current.processor.switch(on=True)
        else:
            processor = ModelRegistrySpanProcessor(registry, meter_provider=meter_provider, **settings)
            self._replace_processor(provider, current, _Installation(processor, registry, settings))

    def _replace_processor(self, provider: Any, old: _Installation | None, new: _Installation) -> None:
        """Add a processor to a provider, and switch off the old one, because a provider cannot remove it."""
        provider.add_span_processor(new.processor, **_keep_processors_options(provider.add_span_processor))
        if old is not None:
            old.processor.switch(on=False)
        elif self._installations:
            logs.info("model registry: spans of another tracer provider are enriched too")
        self._installations[provider] = new

    def _uninstrument(self, **_options: Any) -> None:
        for installation in list(self._installations.values()):
            installation.processor.switch(on=False)
        if self._watcher is not None:
            self._watcher.stop()


def _is_plugin_enabled(option: object) -> bool:
    """Return the setting ``enabled``: the option, or else the configuration file's, or else the environment's."""
    path = os.environ.get("OTEL_CONFIG_FILE")
    if path and option is None:
        option = _read_enabled(path)
    return ENABLED.read(option)


@functools.cache
def _read_enabled(path: str) -> object:
    """Return the option ``enabled`` of a declarative configuration file; ``None`` if the file does not have it.

    OpenTelemetry passes no such option to ``instrument``, and ``opentelemetry-instrument`` does not read the file.
    Reading it is slow, so the result is cached.
    """
    try:
        from opentelemetry.configuration import load_config_file  # noqa: PLC0415 - only if there is such a file

        instrumentation = load_config_file(path).instrumentation_development
        if not instrumentation or not instrumentation.python:
            return None
        plugin_options = instrumentation.python.get(NAME) or {}
        if "enabled" not in plugin_options:
            return None
        return plugin_options["enabled"] or False  # an empty value means off, not the default
    except Exception:  # noqa: BLE001 - OpenTelemetry has logged what is wrong with the file
        return None
