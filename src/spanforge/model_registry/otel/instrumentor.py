"""``ModelRegistryInstrumentor``: the plugin, installed from outside the application.

It needs the package opentelemetry-instrumentation, which comes with the extra ``instrumentor`` and with
``opentelemetry-instrument``.
"""

from __future__ import annotations

import functools
import inspect
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined, unused-ignore] # it has no types
    BaseInstrumentor,
)

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import choose_event_signals, flush_events
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.settings import (
    ENABLED,
    MODEL_ATTRIBUTES,
    SPAN_ATTRIBUTES,
    UNREGISTERED_POLICY,
    drop_unknown_options,
)
from spanforge.model_registry.otel._metrics import observe
from spanforge.model_registry.otel._processor import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

NAME: Final = "model_registry"
"""The instrumentor's name: in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS``, and in declarative configuration."""

_FOR_PROCESSORS: Final = (SPAN_ATTRIBUTES, MODEL_ATTRIBUTES, UNREGISTERED_POLICY)
_NOT_OURS: Final = frozenset(
    {"skip_dep_check", "raise_exception_on_conflict", "logger_provider", "event_logger_provider"}
)
"""Arguments that are given to every instrumentor alike."""
_REPLACING: Final = frozenset({"replace_default_processor"})
"""Options of ``add_span_processor``, true by default, with which a processor comes in the place of another."""

_warnings: Final = WarnOnce(100)


def _keep_others(add: Callable[..., None]) -> dict[str, bool]:
    """Return the options with which a provider keeps its other processors: Phoenix's drops its exporter's."""
    try:
        known_options = inspect.signature(add).parameters.keys()
    except (TypeError, ValueError):  # not written in Python
        return {}
    return dict.fromkeys(_REPLACING & known_options, False)


@dataclass(init=False)
class Options:
    """The instrumentor's options in declarative configuration; ``settings`` describes them.

    An option that does not exist is logged and left out: OpenTelemetry would leave out all of them.
    """

    file: str | list[str] | None = None
    reload_interval: int | None = None
    span_attributes: str | list[str] | None = None
    model_attributes: str | list[str] | None = None
    unregistered: str | None = None
    events: str | list[str] | None = None

    def __init__(self, **options: Any) -> None:
        accepted = drop_unknown_options(options)
        for each in fields(self):
            setattr(self, each.name, accepted.get(each.name))


class ModelRegistryInstrumentor(BaseInstrumentor):  # type: ignore[no-any-unimported, misc, unused-ignore]
    """Adds the span processor to a tracer provider, and has the process-wide registry follow its files.

    ``opentelemetry-instrument`` and declarative configuration call it. In code, ``instrument`` takes every setting but
    the sampler's as an option, and ``tracer_provider`` and ``meter_provider``: OpenTelemetry's global ones, if not
    given. It may be called again, with other options or for another provider. Whatever goes wrong is logged, in one
    line each, and nothing is raised.
    """

    configuration: type[Options] = Options

    _processors: Final[WeakKeyDictionary[Any, tuple[ModelRegistrySpanProcessor, tuple[Any, ...]]]] = WeakKeyDictionary()
    _watcher: FileWatcher | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: spans of any library are enriched."""
        return ()

    def instrument(self, **options: Any) -> None:
        """Install the plugin, unless a setting keeps it out."""
        options = {name: value for name, value in options.items() if name not in _NOT_OURS}
        try:
            if not _is_plugin_enabled(options.pop(ENABLED.name, None)):
                return
            if self.is_instrumented_by_opentelemetry:
                self._instrument(**options)
            else:
                super().instrument(**options)
        except Exception as error:  # noqa: BLE001 - the application starts without us
            logs.warn("model registry: not installed, no span is enriched: %r", error)

    def _instrument(self, **options: Any) -> None:
        provider = options.pop("tracer_provider", None) or trace.get_tracer_provider()
        meters = options.pop("meter_provider", None)
        accepted = drop_unknown_options(options)
        if "events" in accepted:
            choose_event_signals(accepted.pop("events"))
        if accepted or not self.is_instrumented_by_opentelemetry:
            self._watcher = follow_settings(accepted.get("file"), accepted.get("reload_interval"))
        if hasattr(provider, "add_span_processor"):
            self._add(provider, meters, accepted)
        else:
            _warnings.warn(
                type(provider),
                "model registry: no spans are enriched yet: the tracer provider is a %s, not one of opentelemetry-sdk. "
                "opentelemetry-distro sets one up; an application that does so itself adds "
                "spanforge.model_registry.otel.ModelRegistrySpanProcessor() to it",
                type(provider).__name__,
            )
        flush_events()

    def _add(self, provider: Any, meters: Any, options: dict[str, Any]) -> None:
        """Add one processor to a provider, or switch on the one that it has if the options are the same."""
        registry = get_default_registry()
        observe(registry, meters)
        processor, made = self._processors.get(provider, (None, None))
        if processor is not None and self.is_instrumented_by_opentelemetry and not options:
            return  # opentelemetry-instrument calls again after declarative configuration, without its options
        chosen: dict[str, Any] = {setting.name: setting.read(options.get(setting.name)) for setting in _FOR_PROCESSORS}
        if processor is None or made != (registry, chosen):
            before, processor = processor, ModelRegistrySpanProcessor(registry, meter_provider=meters, **chosen)
            provider.add_span_processor(processor, **_keep_others(provider.add_span_processor))
            if before is not None:
                before.switch(on=False)
            elif self._processors:
                logs.info("model registry: a further tracer provider's spans are enriched too")
            self._processors[provider] = processor, (registry, chosen)
        processor.switch(on=True)

    def _uninstrument(self, **_options: Any) -> None:
        for processor, _ in list(self._processors.values()):
            processor.switch(on=False)
        if self._watcher is not None:
            self._watcher.stop()


def _is_plugin_enabled(option: object) -> bool:
    path = os.environ.get("OTEL_CONFIG_FILE")
    return ENABLED.read(_read_enabled(path) if path and option is None else option)


@functools.cache
def _read_enabled(path: str) -> object:
    """Return the option ``enabled`` of a declarative configuration file; ``None`` if it is not there.

    OpenTelemetry does not pass it on, ``opentelemetry-instrument`` does not look at it, and reading the file is slow.
    """
    try:
        from opentelemetry.configuration import load_config_file  # noqa: PLC0415 - only if there is such a file

        instrumentation = load_config_file(path).instrumentation_development
        options = (instrumentation.python if instrumentation else None) or {}
        own_options = options.get(NAME) or {}
        return (own_options["enabled"] or False) if "enabled" in own_options else None
    except Exception:  # noqa: BLE001 - OpenTelemetry has logged what is wrong with the file
        return None
