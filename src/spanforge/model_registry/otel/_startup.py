"""The report of a zero-code start: what is active, and the likely cause if no span names a model."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.attributes import SCOPE_NAME, __version__
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.interruptions import SuppressFailures
from spanforge.model_registry._core.process import ProcessState
from spanforge.model_registry._core.registry_addresses import join_sources
from spanforge.model_registry.otel._counters import span_counters
from spanforge.model_registry.otel._llm_instrumentations import find_cause
from spanforge.model_registry.watch import find_watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import Span

SILENCE_SECONDS: Final = 60.0
"""The time after a start within which a span should name a model."""


class StartReport(ProcessState):
    """Logs two lines per process: one about the start, and one if no span names a model within a minute or until exit.

    A daemon thread waits for the minute, because a check in the hooks of spans would cost time on every span. In a
    process that forks, its children make the spans: they report, and it does not.
    """

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Forget the start."""
        self._cancel()
        self._has_begun = False
        self._is_announced = True  # there is nothing to announce
        self._is_waiting = False  # for a span that names a model
        self._has_spans = False
        self._has_forked = False  # its children report

    def set_aside(self) -> Callable[[], None]:
        """Report nothing more in this process, because it runs tests."""
        atexit.unregister(self.report_at_exit)
        self.end()
        self._has_begun = True
        return self.end

    def begin(self) -> None:
        """Report a start of the plugin, once per process."""
        if self._has_begun or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return
        self._has_begun, self._is_waiting, self._is_announced = True, True, False
        self._announce()
        self._wait()

    def end(self) -> None:
        """Report nothing more, because the plugin is switched off."""
        self._cancel()
        self._is_waiting, self._is_announced = False, True

    def note_span(self, span: Span) -> bool:
        """Note that a span was started; ``False`` if it is the library's own."""
        if getattr(span.instrumentation_scope, "name", None) == SCOPE_NAME:
            return False
        self._has_spans = True
        self._announce()
        return True

    def _announce(self) -> None:
        """Log the line about the start, if the application's logging shows it and it was not logged yet."""
        if self._is_announced or self._has_forked or not logs.is_informing():
            return
        self._is_announced = True
        registry = get_default_registry()
        watcher = find_watcher(registry)
        files = "none" if watcher is None else join_sources(watcher.files)
        text = "model registry: version %s is active; models: %d; registry files: %s"
        logs.info(text, __version__, len(registry), files)

    def _wait(self) -> None:
        self._timer = threading.Timer(SILENCE_SECONDS, self._report_silence, ["within a minute"])
        self._timer.name = "model-registry-start"
        self._timer.daemon = True
        with suppress(RuntimeError):  # too many threads, or the interpreter is ending: the report at exit remains
            self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _report_silence(self, when: str) -> None:
        self._announce()
        if not self._is_waiting or self._has_forked or _has_named_model():
            return
        self._is_waiting = False
        with SuppressFailures():  # metadata of other packages may be broken
            cause = find_cause(has_spans=self._has_spans)
            log = logs.warn if cause.is_fault else logs.info
            log("model registry: no span named a model %s; likely cause: %s", when, cause.text)

    def report_at_exit(self) -> None:
        """Log the line about silence, if it was not logged yet."""
        self._cancel()
        self._report_silence("until exit")

    def before_fork(self) -> None:
        """End the wait if a span named a model. The child counts from zero."""
        if self._is_waiting and _has_named_model():
            self._is_waiting = False

    def after_fork_in_parent(self) -> None:
        """Leave the report to the child. Later children report too, so they inherit what is left to report."""
        self._cancel()
        self._has_forked = True

    def after_fork_in_child(self) -> None:
        """Wait again, for the child's own spans."""
        self._timer = None
        self._has_spans = self._has_forked = False
        if self._is_waiting:
            self._wait()


def _has_named_model() -> bool:
    return any(span_counters.values().values())


start_report: Final = StartReport()
atexit.register(start_report.report_at_exit)
