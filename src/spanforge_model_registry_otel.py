"""The entry points for OpenTelemetry: the names of environment variables, the instrumentor, and the sampler.

``opentelemetry-instrument`` loads this module without catching errors, and offers each ``OTEL_*`` name in it as an
option. So the module has no other such names, imports nothing until an entry point is used, and never raises errors.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

    from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor, Options

OTEL_PYTHON_MODEL_REGISTRY_CACHE = "OTEL_PYTHON_MODEL_REGISTRY_CACHE"
OTEL_PYTHON_MODEL_REGISTRY_CALENDAR = "OTEL_PYTHON_MODEL_REGISTRY_CALENDAR"
OTEL_PYTHON_MODEL_REGISTRY_CERTIFICATE = "OTEL_PYTHON_MODEL_REGISTRY_CERTIFICATE"
OTEL_PYTHON_MODEL_REGISTRY_ENABLED = "OTEL_PYTHON_MODEL_REGISTRY_ENABLED"
OTEL_PYTHON_MODEL_REGISTRY_EVENTS = "OTEL_PYTHON_MODEL_REGISTRY_EVENTS"
OTEL_PYTHON_MODEL_REGISTRY_FILE = "OTEL_PYTHON_MODEL_REGISTRY_FILE"
OTEL_PYTHON_MODEL_REGISTRY_HEADERS = "OTEL_PYTHON_MODEL_REGISTRY_HEADERS"
OTEL_PYTHON_MODEL_REGISTRY_MATCH = "OTEL_PYTHON_MODEL_REGISTRY_MATCH"
OTEL_PYTHON_MODEL_REGISTRY_MAX_FILE_SIZE = "OTEL_PYTHON_MODEL_REGISTRY_MAX_FILE_SIZE"
OTEL_PYTHON_MODEL_REGISTRY_METRICS = "OTEL_PYTHON_MODEL_REGISTRY_METRICS"
OTEL_PYTHON_MODEL_REGISTRY_MODEL_ATTRIBUTES = "OTEL_PYTHON_MODEL_REGISTRY_MODEL_ATTRIBUTES"
OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL = "OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL"
OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED = "OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED"
OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTES = "OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTES"
OTEL_PYTHON_MODEL_REGISTRY_TRUSTED_KEYS = "OTEL_PYTHON_MODEL_REGISTRY_TRUSTED_KEYS"
OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED = "OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED"


class _Nothing:
    """An instrumentor that does nothing, for one that cannot be loaded. The reason was logged before."""

    is_instrumented_by_opentelemetry = False

    def instrument(self, **_options: object) -> None:
        """Do nothing."""

    def uninstrument(self, **_options: object) -> None:
        """Do nothing."""


class _Entry:
    """The entry point of the instrumentor, with the interface of the class: a call, and ``configuration``."""

    def __init__(self) -> None:
        self._failed = False

    def __call__(self) -> ModelRegistryInstrumentor | _Nothing:
        """Return the instrumentor, or one that does nothing."""
        kind = self._load()
        return _Nothing() if kind is None else kind()

    @property
    def configuration(self) -> type[Options] | None:
        """The dataclass of the options in declarative configuration."""
        kind = self._load()
        return None if kind is None else kind.configuration

    def _load(self) -> type[ModelRegistryInstrumentor] | None:
        if not self._failed:
            try:
                from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
            except Exception as error:  # noqa: BLE001 - the application must start without the plugin
                self._failed = True
                _explain(error, "model registry: the plugin was not installed, so no span is enriched")
            else:
                return ModelRegistryInstrumentor
        return None


def _explain(error: Exception, effect: str) -> None:
    """Log in one line why a module cannot be loaded. Often, another package has the module's name."""
    import contextlib
    import logging
    import os
    import sys

    with contextlib.suppress(Exception):  # log handlers are the application's
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        folder = os.path.dirname(os.path.abspath(__file__))
        for name in ("spanforge", "spanforge.model_registry"):
            loaded, expected = getattr(sys.modules.get(name), "__file__", None), os.path.join(folder, *name.split("."))
            if loaded is not None and os.path.dirname(os.path.abspath(loaded)) != expected:
                reason = f"{name} is loaded from {loaded}, not from {expected}: install both packages into one folder"
        logging.getLogger(name).warning("%s: %s", effect, reason)


def sampler(argument: str | None = None) -> Sampler:
    """Return the sampler ``model_registry``, or OpenTelemetry's default sampler if it cannot be loaded.

    Args:
        argument: The value of ``OTEL_TRACES_SAMPLER_ARG``; declarative configuration passes nothing.
    """
    try:
        from spanforge.model_registry.otel._sampler import from_environment

        return from_environment(argument)
    except Exception as error:  # noqa: BLE001 - as above
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON

        _explain(error, "model registry: the sampler was not loaded, so OpenTelemetry's default sampler is used")
        return DEFAULT_ON


instrumentor = _Entry()
