"""A global tracer provider that the application sets after the plugin was installed."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from spanforge.model_registry._core.process import ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTER: Final = "_set_tracer_provider"
"""The function in ``opentelemetry.trace`` through which each global tracer provider is set."""


class LateProvider(ProcessState):
    """Calls a function once, when a global tracer provider is set that accepts span processors.

    OpenTelemetry has no hook for this. So its private function is wrapped, once per process, and only if the plugin
    was installed before there was such a provider. Without the private function, nothing is called.
    """

    def __init__(self) -> None:
        self._is_watching = False
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Wait no longer."""
        self._install: Callable[[Any], None] | None = None

    def set_aside(self) -> Callable[[], None]:
        """Wait no longer, and return the function that waits again. OpenTelemetry's function stays wrapped."""
        install = self._install
        self.reset()

        def restore() -> None:
            self._install = install

        return restore

    def wait(self, install: Callable[[Any], None]) -> None:
        """Call a function with the provider as soon as it is set. It must not raise. It replaces an earlier one."""
        self._install = install
        set_provider = getattr(trace, _SETTER, None)
        if self._is_watching or set_provider is None:
            return
        self._is_watching = True

        @functools.wraps(set_provider)
        def set_and_install(*arguments: Any, **options: Any) -> None:
            set_provider(*arguments, **options)
            self._check()

        setattr(trace, _SETTER, set_and_install)

    def _check(self) -> None:
        """Call the function if the global provider accepts span processors."""
        install = self._install
        if install is None:
            return
        provider = trace.get_tracer_provider()
        if hasattr(provider, "add_span_processor"):
            self._install = None
            install(provider)


late_provider: Final = LateProvider()
