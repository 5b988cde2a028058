"""Spans that other processors damage: the application gets the same errors with the plugin as without."""

from __future__ import annotations

import copy
import logging
import pickle
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from support.recording import EndedSpans
from support.spans import HAS_ENDING_HOOK, REQUEST

from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry import ModelRegistry

HOOKS = ("on_start", *(("_on_ending",) if HAS_ENDING_HOOK else ()), "on_end")


class Raising:
    """A mapping that is broken."""

    def __init__(self, error: type[BaseException] = ZeroDivisionError) -> None:
        self.error = error

    def fail(self, *_: object) -> Any:
        raise self.error

    __iter__ = __len__ = __getitem__ = __contains__ = keys = items = get = __bool__ = fail


class Endless(dict[str, Any]):
    """A mapping whose keys change whenever they are read."""

    turn = 0

    def __iter__(self) -> Iterator[str]:
        self.turn += 1
        return iter([f"key-{self.turn}", REQUEST])

    def __getitem__(self, key: str) -> Any:
        return "gpt-4o" if key == REQUEST else self.turn


CONTAINERS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "a dict": lambda: {REQUEST: "gpt-4o"},
    "a list": lambda: [(REQUEST, "gpt-4o")],
    "a number": lambda: 7,
    "a view": lambda: MappingProxyType({REQUEST: "gpt-4o"}),
    "odd keys": lambda: {7: "x", None: "y", REQUEST: "gpt-4o"},
    "raising": Raising,
    "changing": Endless,
}


class Damaging(SpanProcessor):
    """Replaces the attributes of the first span in one of the hooks."""

    def __init__(self, hook: str, make: Callable[[], Any]) -> None:
        self.hook, self.make = hook, make

    def damage(self, hook: str, span: Any) -> None:
        if hook == self.hook and span.name == "chat":
            span._attributes = self.make()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        self.damage("on_start", span)

    def _on_ending(self, span: Span) -> None:
        self.damage("_on_ending", span)

    def on_end(self, span: ReadableSpan) -> None:
        self.damage("on_end", span)


def run(processors: list[SpanProcessor]) -> tuple[str | None, int]:
    """Run a span and return the error that the application gets, and the number of spans that ended after it."""
    provider, ended = TracerProvider(shutdown_on_exit=False), EndedSpans()
    for processor in (*processors, ended):
        provider.add_span_processor(processor)
    tracer, error = provider.get_tracer("app"), None
    try:
        with tracer.start_as_current_span("chat", attributes={REQUEST: "gpt-4o"}) as span:
            span.set_attribute("gen_ai.response.model", "gpt-4o")
    except BaseException as raised:  # noqa: BLE001 - compared
        error = repr(raised)
    tracer.start_span("next", attributes={REQUEST: "gpt-4o"}).end()
    return error, len(ended.spans)


@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_damaged_spans_are_as_without_the_plugin(
    registry: ModelRegistry,
    caplog: pytest.LogCaptureFixture,
    container: str,
    hook: str,
    is_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The application gets the same errors and exports as many spans as with a processor that does nothing."""
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    damaging = Damaging(hook, CONTAINERS[container])
    ours = ModelRegistrySpanProcessor(registry, metrics=False)
    expected = run([damaging, SpanProcessor()])
    assert run([ours, damaging] if is_first else [damaging, ours]) == expected


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exits_of_the_application_pass(registry: ModelRegistry, kind: type[BaseException]) -> None:
    """A request to end the process is the application's own, wherever it is raised: it passes, and spans go on."""
    ours = ModelRegistrySpanProcessor(registry, metrics=False)
    error, ended = run([Damaging(HOOKS[-2], lambda: Raising(kind)), ours])
    assert error == repr(kind())
    assert ended == 1
    assert run([ours])[0] is None


def test_deep_and_copied_spans(registry: ModelRegistry) -> None:
    """A thousand nested spans are all enriched, and their attributes can be copied and pickled."""
    provider, ended = TracerProvider(shutdown_on_exit=False), EndedSpans()
    registry.register("gpt-4o", "N", "1", "low", "ml-platform", "a test")
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False))
    provider.add_span_processor(ended)
    tracer = provider.get_tracer("app")
    spans = []
    for _ in range(1_000):
        manager = tracer.start_as_current_span("chat", attributes={REQUEST: "gpt-4o"})
        spans.append((manager, manager.__enter__()))
    for manager, _ in reversed(spans):
        manager.__exit__(None, None, None)
    assert len(ended.spans) == 1_000
    for span in ended.spans:
        attributes = dict(span.attributes or {})
        assert attributes["model_registry.owner"] == "ml-platform"
        for copied in (copy.copy(attributes), copy.deepcopy(attributes), pickle.loads(pickle.dumps(attributes))):
            assert copied == attributes
