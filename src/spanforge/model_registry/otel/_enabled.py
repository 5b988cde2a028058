"""Whether the plugin is on. This module does not need opentelemetry-instrumentation."""

from __future__ import annotations

import functools
import os
from typing import Final

from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.settings import ENABLED

PLUGIN_NAME: Final = "model_registry"
"""The instrumentor's name in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` and in declarative configuration."""
DISABLED_INSTRUMENTATIONS: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
"""OpenTelemetry's variable with the names of instrumentors that are not loaded."""


def is_plugin_disabled() -> bool:
    """Check whether ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names the plugin."""
    names = os.environ.get(DISABLED_INSTRUMENTATIONS, "").split(",")
    return not {"*", PLUGIN_NAME}.isdisjoint(map(str.strip, names))


def is_plugin_enabled(option: object) -> bool:
    """Check whether the plugin is on: by the option, or else the configuration file, or else the environment."""
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
        plugin_options = instrumentation.python.get(PLUGIN_NAME) or {}
        if "enabled" not in plugin_options:
            return None
        return plugin_options["enabled"] or False  # an empty value means off, not the default
    except Exception as error:  # noqa: BLE001 - OpenTelemetry has logged what is wrong with the file
        pass_interruption(error)
        return None


class _EnabledReset(ProcessState):
    """Clears the cache of ``_read_enabled`` when the process is reset."""

    def reset(self) -> None:
        """Read configuration files again."""
        _read_enabled.cache_clear()


_EnabledReset()  # it registers itself
