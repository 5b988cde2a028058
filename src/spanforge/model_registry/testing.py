"""Tests of applications: a registry for each test, and the lifecycle events and spans of the test.

In pytest, ``pytest_plugins = ["spanforge.model_registry.testing"]`` adds the fixture ``model_registry``. Other test
frameworks use the context manager ``isolate_registry``. This module does not import pytest.

PYTEST_DONT_REWRITE: the assertions of this module have messages of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX, SCOPE_NAME
from spanforge.model_registry._core.calendar_watch import stop_calendar
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.emission import record_events, stop_exit_report
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.process import ByIdentity, set_process_aside
from spanforge.model_registry._core.registry_sources import find_files
from spanforge.model_registry._core.state import replace_file_entries, set_entries_aside
from spanforge.model_registry._core.storage import find_shared_id, read_source
from spanforge.model_registry._core.values import check_one_of, quote
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import find_watcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest
    from opentelemetry.sdk.trace import ReadableSpan

    from spanforge.model_registry._core.events import LifecycleEvent
    from spanforge.model_registry._core.registry import ModelRegistry

_T = TypeVar("_T")

__all__ = ["IsolatedRegistry", "isolate_registry"]

MAX_ASSERTION_LINES: Final = 20
"""The limit of events or spans in the message of a failed assertion, because a screen has about as many lines."""

_FIXTURES: Final = "spanforge.model_registry._pytest_plugin"
"""The module that imports pytest."""
_ASK_FOR_SPANS: Final = "; is the client's instrumentation active, and does it use this tracer provider?"
_EVENT_NAMES: Final = tuple(row.event for row in OPERATIONS.values())
_SHORT_NAMES: Final = tuple(row.name for row in ATTRIBUTES if row.source != "all metadata")


class _SpanKeeper(SpanProcessor):
    """Keeps the spans that an exporter would get."""

    spans: list[ReadableSpan] | None = None
    """The spans of the test that runs; ``None`` if no test runs."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a sampled span of the application. The library's own spans only carry lifecycle events."""
        scope, context = span.instrumentation_scope, span.get_span_context()
        is_own = scope is not None and scope.name == SCOPE_NAME
        if self.spans is not None and not is_own and context is not None and context.trace_flags.sampled:
            self.spans.append(span)


class _Pipeline:
    """The span processor, and a keeper of spans after it. A tracer provider removes no processor, so it keeps both."""

    def __init__(self, provider: TracerProvider, registry: ModelRegistry) -> None:
        self.registry = registry
        self.processor = ModelRegistrySpanProcessor(registry, metrics=False)
        self.keeper = _SpanKeeper()
        provider.add_span_processor(self.processor)
        provider.add_span_processor(self.keeper)
        self.processor.switch(on=False)

    @contextlib.contextmanager
    def keep_spans(self) -> Iterator[list[ReadableSpan]]:
        """Enrich and keep the spans of a test. A test within the test has its own list."""
        was_on, before = self.processor.is_on, self.keeper.spans
        spans: list[ReadableSpan] = []
        self.keeper.spans = spans
        self.processor.switch(on=True)
        try:
            yield spans
        finally:
            self.keeper.spans = before
            self.processor.switch(on=was_on)


_pipelines: Final[ByIdentity[_Pipeline]] = ByIdentity()
"""By tracer provider: each test uses the processors of the one before."""


def _find_pipeline(provider: TracerProvider, registry: ModelRegistry) -> _Pipeline:
    pipeline = _pipelines.get(provider)
    if pipeline is None or pipeline.registry is not registry:
        pipeline = _Pipeline(provider, registry)
        _pipelines.put(provider, pipeline)
    return pipeline


@dataclass(eq=False)
class IsolatedRegistry:
    """The process-wide registry during a test, and the events and spans of the test.

    Attributes:
        registry: The process-wide registry.
        tracer_provider: The provider whose spans are enriched and kept.
        events: The lifecycle events of all registries since the start of the test.
        spans: The ended, sampled spans of ``tracer_provider``, without those that only carry a lifecycle event.
    """

    registry: ModelRegistry
    tracer_provider: TracerProvider
    events: list[LifecycleEvent] = field(default_factory=list)
    spans: list[ReadableSpan] = field(default_factory=list)

    def load_files(self, *files: str | os.PathLike[str]) -> None:
        """Put registry files in force, as the setting ``file`` does. Changes of the files are not loaded.

        Args:
            files: The paths of files, and folders and globs of them.

        Raises:
            RegistryFileError: A file cannot be read or is not valid, or two files have the same model.
        """
        read = [read_source(path) for path in find_files(os.fspath(file) for file in files)]
        shared = find_shared_id((source.path, entries) for entries, source in read)
        if shared is not None:
            raise RegistryFileError(shared[2], f"has model {quote(shared[0])}, which is also in {shared[1]}")
        entries = [entry for entries, _ in read for entry in entries]
        replace_file_entries(self.registry, entries, [source for _, source in read])

    def assert_event(self, name: str, /, **attributes: object) -> LifecycleEvent:
        """Return the last event with this name and these attributes, or fail with a list of the events.

        Args:
            name: The name, such as ``model_registry.deprecated``.
            attributes: Attributes by their short names, such as ``model_id`` and ``reason``.

        Raises:
            AssertionError: There is no such event.
            InvalidValueError: No event can have this name, or an attribute of this name (also a ``ValueError``).
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        check_one_of(name, _EVENT_NAMES, "name")
        found = [_Found(event.name, event.attributes(), event) for event in self.events]
        return _select_last("event", name, attributes, found)

    def assert_span(self, name: str | None = None, /, **attributes: object) -> ReadableSpan:
        """Return the last span with this name and these ``model_registry.*`` attributes, or fail and list the spans.

        Args:
            name: The name; ``None`` for any.
            attributes: Attributes by their short names, such as ``owner`` and ``status``; ``None`` if the span must
                not have it.

        Raises:
            AssertionError: There is no such span.
            InvalidValueError: No span can have an attribute of this name (also a ``ValueError``).
        """
        __tracebackhide__ = True
        found = [_Found(span.name, span.attributes or {}, span) for span in self.spans]
        return _select_last("span", name, attributes, found)


class _Found(Generic[_T]):
    """An event or a span of the test."""

    def __init__(self, name: str, attributes: Mapping[str, Any], value: _T) -> None:
        self.name = name
        self.attributes = attributes
        self.value = value

    def matches(self, name: str | None, wanted: Mapping[str, object]) -> bool:
        """Check the name and the attributes."""
        return name in (None, self.name) and all(self.read(key) == value for key, value in wanted.items())

    def read(self, short_name: str) -> object:
        """Return an attribute of the library; ``None`` if it has none."""
        return self.attributes.get(PREFIX + short_name)


def _select_last(kind: str, name: str | None, attributes: Mapping[str, object], found: list[_Found[_T]]) -> _T:
    __tracebackhide__ = True
    for short_name in attributes:
        if not short_name.startswith("metadata."):
            check_one_of(short_name, _SHORT_NAMES, "attribute")
    wanted = {key: tuple(value) if isinstance(value, list) else value for key, value in attributes.items()}
    matching = [each.value for each in found if each.matches(name, wanted)]
    if not matching:
        raise AssertionError(_describe_miss(kind, name, wanted, found))
    return matching[-1]


def _describe_miss(kind: str, name: str | None, wanted: Mapping[str, object], found: list[_Found[Any]]) -> str:
    """Return the message of a failed assertion: what the test wants, and what there is, in the same words."""
    text = " ".join(filter(None, [f"no {kind}", name, f"with {_show(wanted)}" if wanted else ""]))
    if not found:
        return f"{text}; the test has no {kind}s{_ASK_FOR_SPANS if kind == 'span' else ''}"
    keys = wanted or ("model_id",)
    lines = [f"  {each.name}: {_show({key: each.read(key) for key in keys})}" for each in found[-MAX_ASSERTION_LINES:]]
    return "\n".join([f"{text}; the test has {len(found)}:", *lines])


def _show(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in values.items())


@contextlib.contextmanager
def isolate_registry(
    *, keep_models: bool = False, tracer_provider: TracerProvider | None = None
) -> Iterator[IsolatedRegistry]:
    """Empty the process-wide registry for a test, and collect the events and spans of the test.

    At the end, the library's state in the process is as before: entries, followed files, counts, and warnings that are
    logged once. The process then reports no lost events when it ends. Use it for one test at a time in a process.

    Args:
        keep_models: ``True`` to start with the models that are registered, such as those of modules that are imported
            already.
        tracer_provider: The provider whose spans to enrich and keep, such as the global one. ``None``: a new one.

    Raises:
        InvalidValueError: The provider is not one of opentelemetry-sdk (also a ``ValueError``).
    """
    if tracer_provider is not None and not hasattr(tracer_provider, "add_span_processor"):
        rule = "a TracerProvider of opentelemetry-sdk; call trace.set_tracer_provider() before the tests"
        raise InvalidValueError.must_be("tracer_provider", tracer_provider, rule)
    provider = tracer_provider or TracerProvider(shutdown_on_exit=False)
    registry = get_default_registry()
    stop_exit_report()
    with contextlib.ExitStack() as stack:
        if tracer_provider is None:
            stack.callback(provider.shutdown)
        stack.callback(set_process_aside())
        stack.callback(set_entries_aside(registry, keeps_entries=keep_models, tracer_provider=provider))
        stack.callback(_stop_following, registry)
        stack.enter_context(_quiet_logger())
        spans = stack.enter_context(_find_pipeline(provider, registry).keep_spans())
        isolated = IsolatedRegistry(registry, provider, spans=spans)
        record_events(isolated.events.append)
        yield isolated


@contextlib.contextmanager
def _quiet_logger() -> Iterator[None]:
    """Add a handler to the library's logger, because Python prints warnings of loggers that have none.

    Handlers of the root logger, such as pytest's ``caplog``, still get the warnings.
    """
    logger, handler = logging.getLogger(SCOPE_NAME), logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _stop_following(registry: ModelRegistry) -> None:
    """Stop following the files of the test, before the entries of the test are replaced."""
    watcher = find_watcher(registry)
    if watcher is not None:
        watcher.stop()
    stop_calendar(registry)


def pytest_configure(config: pytest.Config) -> None:
    """Add the fixture ``model_registry`` to a run of pytest, and report no lost events at its end."""
    stop_exit_report()
    config.pluginmanager.import_plugin(_FIXTURES)
