"""``status``: how it stands with the plugin in this process; what one asks for in a bug report."""

from __future__ import annotations

import os
import platform
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.sdk.version import __version__ as sdk_version

from spanforge.model_registry.attributes import EVENT_FORMS, __version__
from spanforge.model_registry.default import get_default_registry
from spanforge.model_registry.entry import STATUSES
from spanforge.model_registry.events import EventCounts, event_counts, event_forms
from spanforge.model_registry.otel.processor import processors, unregistered_names
from spanforge.model_registry.otel.tallies import tallies
from spanforge.model_registry.settings import SETTINGS
from spanforge.model_registry.watch import FileState, file_states

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(NamedTuple):
    """How it stands with the plugin in this process; as text, a line for each fact.

    Attributes:
        version: Version of the package.
        sdk: Version of opentelemetry-sdk.
        python: Version of Python.
        processors: Span processors that are at work.
        late_writes: How they reach a span whose model is known late: ``_on_ending``, ``on_end``, or ``none seen``.
        tracer_provider: The global tracer provider: the name of its class.
        sampler: Its sampler, described.
        meter_provider: The global meter provider: the name of its class.
        settings: Environment variables of the plugin that are set.
        files: How it stands with the files that are followed.
        models: Models of the process-wide registry, by status.
        event_forms: What lifecycle events go out as.
        events: What became of them, by form.
        calls: Calls of models that were counted.
        spans_enriched: Spans that got attributes.
        unregistered: Names that nobody registered: the first 100 that this process met.
    """

    version: str
    sdk: str
    python: str
    processors: int
    late_writes: str
    tracer_provider: str
    sampler: str
    meter_provider: str
    settings: Mapping[str, str]
    files: tuple[FileState, ...]
    models: Mapping[str, int]
    event_forms: tuple[str, ...]
    events: Mapping[str, EventCounts]
    calls: int
    spans_enriched: int
    unregistered: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{name}: {_shown(value)}" for name, value in self._asdict().items())


def status() -> Status:
    """Return how it stands with the plugin in this process."""
    counts = tallies.values()
    at_work = [processor for processor in list(processors) if processor.is_on]
    models = Counter(entry.status for entry in get_default_registry())
    tracer_provider: Any = trace.get_tracer_provider()
    sampler = getattr(tracer_provider, "sampler", None)
    return Status(
        version=__version__,
        sdk=sdk_version,
        python=platform.python_version(),
        processors=len(at_work),
        late_writes=", ".join(sorted({processor.late_writes for processor in at_work})),
        tracer_provider=type(tracer_provider).__name__,
        sampler="" if sampler is None else sampler.get_description(),
        meter_provider=type(metrics.get_meter_provider()).__name__,
        settings={row.variable: os.environ[row.variable] for row in SETTINGS if row.variable in os.environ},
        files=tuple(file_states()),
        models={state: models[state] for state in STATUSES},
        event_forms=event_forms(),
        events={form: event_counts(form) for form in EVENT_FORMS},
        calls=sum(count for series, count in counts.items() if series.is_call),
        spans_enriched=sum(count for series, count in counts.items() if series.is_enriched),
        unregistered=tuple(unregistered_names),
    )


def _shown(value: Any) -> str:
    """Return a value on one line; texts from the network escaped."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return f"({_shown(value._asdict())})"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, float):
        return f"{value:.1f}"
    return value if isinstance(value, str) and value.isprintable() and value else repr(value)
