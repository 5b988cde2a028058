"""What a new process with this environment would have: settings, registry files, and the plugin's entry points."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.setting_names import list_unknown_variables
from spanforge.model_registry._core.settings import FILE, SETTINGS
from spanforge.model_registry.otel import status
from spanforge.model_registry.otel._enabled import DISABLED_INSTRUMENTATIONS, is_plugin_disabled, is_plugin_enabled
from spanforge.model_registry.watch import follow_settings

if TYPE_CHECKING:
    from spanforge.model_registry._core.settings import Setting
    from spanforge.model_registry.otel._status import PluginStatus

_MODULE: Final = "spanforge_model_registry_otel"
"""The module of all entry points of this package."""
_ENTRY_POINTS: Final = {
    "opentelemetry_instrumentor": "the plugin, for opentelemetry-instrument",
    "opentelemetry_environment_variables": "the settings, for opentelemetry-instrument",
    "opentelemetry_traces_sampler": "the sampler, for OTEL_TRACES_SAMPLER",
    "opentelemetry_sampler": "the sampler, for declarative configuration",
}
"""The groups of entry points that the package has, with what they are for."""
_DISTROS: Final = "opentelemetry_distro"
"""The group of entry points of OpenTelemetry's distributions. Each needs opentelemetry-instrumentation."""


class SettingFact(NamedTuple):
    """A setting.

    Attributes:
        name: Its name.
        variable: Its environment variable.
        text: The text in force; empty if there is none.
        value: Its value.
        source: ``environment`` or ``default``.
        problem: The reason why the text in the environment is not in force; ``None`` if there is none.
    """

    name: str
    variable: str
    text: str
    value: object
    source: str
    problem: str | None


class EnvironmentFacts(NamedTuple):
    """What a new process with this environment would have.

    Attributes:
        status: The plugin's state in this process, after it has read the files of the settings.
        settings: The settings.
        unknown: The variables that are meant to be settings but are none, with what to write instead.
        switched_off: The reasons why ``opentelemetry-instrument`` would not activate the plugin.
        missing: The entry points that are not installed, with what they are for.
    """

    status: PluginStatus
    settings: tuple[SettingFact, ...]
    unknown: tuple[tuple[str, str], ...]
    switched_off: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]

    @property
    def problems(self) -> list[str]:
        """The faults of settings and files."""
        settings = [each.problem for each in self.settings if each.problem is not None]
        unknown = [f"{name} is unknown and ignored; {advice}" for name, advice in self.unknown]
        files = dict.fromkeys(file.error for file in self.status.files if file.error is not None)
        return [*settings, *unknown, *files]


def gather_environment() -> EnvironmentFacts:
    """Return the facts of a new process with this environment. The registry files are read."""
    with _without_log():
        follow_settings(reload_interval=0)
        switched_off = tuple(_list_switches())
        state = status()
    settings = tuple(map(_read_setting, SETTINGS))
    return EnvironmentFacts(state, settings, tuple(list_unknown_variables()), switched_off, tuple(_list_missing()))


@contextmanager
def _without_log() -> Iterator[None]:
    """Keep the library from logging the faults that the command shows."""
    logger = logging.getLogger("spanforge.model_registry")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _read_setting(setting: Setting[object]) -> SettingFact:
    name, variable = setting.name, setting.variable
    text = os.environ.get(variable, "")
    problem = None
    if text.strip():
        try:
            value, shown = setting.parse(text, variable), setting.hide(text)
            if setting.has_secrets:
                value = shown
            elif isinstance(value, tuple):
                value = tuple(map(setting.hide, value))
            return SettingFact(name, variable, shown, value, "environment", None)
        except InvalidValueError as error:
            problem = str(error)
    return SettingFact(name, variable, setting.shown, setting.default, "default", problem)


def _list_switches() -> Iterator[str]:
    """Yield the reasons why the plugin would not be activated."""
    if not is_plugin_enabled(None):
        yield "the setting enabled is false"
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield "OTEL_SDK_DISABLED is true"
    if is_plugin_disabled():
        yield f"{DISABLED_INSTRUMENTATIONS} names it"
    if not entry_points(group=_DISTROS):
        yield "opentelemetry-distro is not installed, so no span is enriched without code"


def _list_missing() -> Iterator[tuple[str, str]]:
    for group, purpose in _ENTRY_POINTS.items():
        if not any(each.module == _MODULE for each in entry_points(group=group)):
            yield group, purpose


def has_registry_file() -> bool:
    """Check whether the settings name a registry file."""
    return bool(FILE.read())
