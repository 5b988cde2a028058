"""Exceptions and values of the application that meet the hooks: timeouts, odd strings, and a full stack."""

from __future__ import annotations

import functools
import gc
import inspect
import itertools
import os
import random
import signal
import sys
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from support.alarms import wait_for_log_call
from support.asked_registry import AskedRegistry, CountingRegistry
from support.spans import HAS_ENDING_HOOK, PARAMETERS, REQUEST
from support.telemetry import NO_RESOURCE

from spanforge import model_registry
from spanforge.model_registry._core import logs
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from spanforge.model_registry import ModelRegistry

    Handler = Callable[..., None]

PACKAGE = os.path.dirname(model_registry.__file__)
ATTEMPTS = 400
"""Timeouts that hit a loop of spans at random."""


class JobTimeout(Exception):  # noqa: N818 - what a job runner calls it
    """The exception of the application's signal handler."""


class StackTimeout(JobTimeout, RecursionError):  # noqa: N818 - likewise
    """An exception of a class that the hooks raise themselves, with a full stack."""


class ValueTimeout(JobTimeout, UnicodeError, AttributeError):  # noqa: N818 - likewise
    """An exception of classes that are part of usual work: dates, JSON, and spans of other SDKs."""


def handle(_number: int, _frame: FrameType | None) -> None:
    raise JobTimeout


def handle_any(*_: object) -> None:
    raise JobTimeout


def handle_with(_text: str, _number: int, _frame: FrameType | None) -> None:
    raise JobTimeout


def handle_without(number: int, frame: FrameType | None) -> None:
    del number, frame  # as linters suggest for arguments that are not used
    raise JobTimeout


class Limit:
    """An object whose methods are handlers."""

    def handle(self, number: int, frame: FrameType | None) -> None:
        del number
        self.raise_later(frame)

    def handle_without(self, *arguments: object) -> None:
        del arguments
        raise JobTimeout

    def raise_later(self, _frame: FrameType | None) -> None:
        raise JobTimeout

    __call__ = handle


def handle_full_stack(_number: int, _frame: FrameType | None) -> None:
    raise StackTimeout


HANDLERS = {
    "function": handle,
    "recursion error": handle_full_stack,
    "any arguments": handle_any,
    "partial": functools.partial(handle_with, "a job"),
    "method": Limit().handle,
    "object": Limit(),
    "deleted arguments": handle_without,
    "partial of a method with deleted arguments": functools.partial(Limit().handle_without, "a job"),
}


@pytest.fixture
def on_alarm() -> Iterator[Callable[[Handler], None]]:
    """Give what sets the handler of SIGALRM for a test."""
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Interrupted(AskedRegistry):
    """A registry whose readers get a signal, once it is armed."""

    is_armed = False

    def asked(self) -> None:
        if self.is_armed:
            signal.raise_signal(signal.SIGALRM)


@pytest.fixture
def interrupted() -> Interrupted:
    """Give a registry of one retired model that is interrupted when it is read."""
    registry = Interrupted(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    registry.retire("gpt-4o")
    return registry


@pytest.mark.parametrize("kind", HANDLERS)
def test_timeout_passes_through_the_hooks(
    pipeline: Any, interrupted: Interrupted, on_alarm: Any, lines: Any, kind: str
) -> None:
    """A span hook and the sampler pass an exception of a signal handler, and log nothing."""
    on_alarm(HANDLERS[kind])
    pipes = pipeline(ModelRegistrySpanProcessor(interrupted))
    interrupted.is_armed = True
    with pytest.raises(JobTimeout):
        pipes.run({REQUEST: "gpt-4o"})
    sampler = ModelRegistrySampler(0, flagged=True, registry=interrupted)
    with pytest.raises(JobTimeout):
        sampler.should_sample(None, 1, "chat", attributes={REQUEST: "gpt-4o"})
    assert lines() == []


@pytest.mark.parametrize(
    ("provider", "function"),
    [
        ("trace.get_tracer_provider", status),
        ("metrics.get_meter_provider", status),
        ("metrics.get_meter_provider", ModelRegistrySpanProcessor),
    ],
)
def test_timeout_in_a_global_provider(
    on_alarm: Any, monkeypatch: pytest.MonkeyPatch, provider: str, function: Callable[[], object]
) -> None:
    """``status`` and the creation of a processor pass it too, while OpenTelemetry loads a global provider."""
    on_alarm(handle)
    monkeypatch.setattr(f"opentelemetry.{provider}", lambda: signal.raise_signal(signal.SIGALRM))
    with pytest.raises(JobTimeout):
        function()


def test_timeout_in_a_log_call(on_alarm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's logger passes it too, unless a handler of log lines keeps it, as those of ``logging`` do."""
    on_alarm(handle)
    monkeypatch.setattr("logging.Logger.isEnabledFor", lambda *_: signal.raise_signal(signal.SIGALRM))
    with pytest.raises(JobTimeout):
        logs.warn("a line")


class SignalAtLine:
    """Raises a signal before one of the lines of the library that a function runs."""

    def __init__(self) -> None:
        self.left = 0

    def run(self, line: int, function: Callable[[], object]) -> bool:
        """Run a function with a signal before a line, counted from 0, and return whether there was such a line."""
        self.left, before = line, sys.gettrace()
        sys.settrace(self._trace_call)
        try:
            function()
        finally:
            sys.settrace(before)
        return self.left < 0

    def _trace_call(self, frame: FrameType, _event: str, _value: object) -> Any:
        return self._trace_line if PACKAGE in frame.f_code.co_filename else None

    def _trace_line(self, _frame: FrameType, event: str, _value: object) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == -1:
                signal.raise_signal(signal.SIGALRM)
        return self._trace_line


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JobTimeout, StackTimeout, ValueTimeout])
@pytest.mark.parametrize("key", [REQUEST, PARAMETERS])
def test_timeout_before_any_line(on_alarm: Any, registry: ModelRegistry, key: str, kind: type[JobTimeout]) -> None:
    """A timeout before any line that a span's end runs reaches the application, also one of a usual class."""

    def raise_timeout(_number: int, _frame: FrameType | None) -> None:
        raise kind

    on_alarm(raise_timeout)
    at_line = SignalAtLine()
    for line in itertools.count():
        # New ones for each line, because a cache leads past others.
        provider = TracerProvider(resource=NO_RESOURCE, shutdown_on_exit=False)
        provider.add_span_processor(ModelRegistrySpanProcessor(registry, unregistered="ignore", metrics=False))
        name = f"acme/chat-{line}-2026-01-{line % 40:02}"
        value = f'{{"model": "{name}"}}' if key == PARAMETERS else f'"{name}"'
        span = provider.get_tracer("test").start_span("chat", attributes={key: value})
        try:
            if not at_line.run(line, span.end):
                break
        except kind:
            continue
        pytest.fail(f"the timeout before line {line} was swallowed")
    assert line > 40  # at least: with the oldest SDK, the span is enriched at its start


@pytest.mark.slow
@pytest.mark.parametrize("names", ["one", "new", "in JSON"])
def test_no_timeout_is_swallowed(
    on_alarm: Any, registry: ModelRegistry, request: pytest.FixtureRequest, names: str
) -> None:
    """Timeouts that hit a loop of spans at random all end it, wherever they hit."""
    raised = 0

    def count(_number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if wait_for_log_call(frame):
            return
        raised += 1
        raise JobTimeout

    on_alarm(count)
    gc.disable()  # Python itself keeps exceptions that hit a callback of the garbage collector
    request.addfinalizer(gc.enable)
    provider = TracerProvider()
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, unregistered="ignore"))
    tracer, chosen, caught = provider.get_tracer("test"), random.Random(1), 0

    def run_spans(number: int) -> None:
        signal.setitimer(signal.ITIMER_REAL, chosen.uniform(20e-6, 2e-3))
        turn = 0
        while raised == number:
            turn += 1
            name = {"one": "gpt-4o", "new": f"model-{number}-{turn}"}.get(names)
            attributes = {PARAMETERS: f'{{"model": "gpt-4o", "n": {turn}}}'} if name is None else {REQUEST: name}
            tracer.start_span("chat", attributes=attributes).end()

    for number in range(ATTEMPTS):
        try:
            run_spans(number)
        except JobTimeout:  # noqa: PERF203 - each has its own
            caught += 1
    assert caught == raised == ATTEMPTS


class Odd(str):
    """A string whose comparisons and hash are not those of a string."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash("gpt-4o")


class Raising(Odd):
    """A string that cannot be compared."""

    __slots__ = ()
    __hash__ = Odd.__hash__

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError


class EqualToAll(Odd):
    """A string that equals everything."""

    __slots__ = ()
    __hash__ = Odd.__hash__

    def __eq__(self, other: object) -> bool:
        return True


class Unhashable(Odd):
    """A string without a hash."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise ZeroDivisionError


@pytest.mark.parametrize("odd", [Odd, Raising, EqualToAll, Unhashable])
@pytest.mark.parametrize("extra", [{}, {"gen_ai.provider.name": "openai"}], ids=["name", "name and provider"])
def test_odd_strings_poison_no_cache(pipeline: Any, registry: ModelRegistry, odd: type[str], extra: Any) -> None:
    """A name with comparisons of its own changes no other span, as a value, or as the name of a span."""
    registry.register("other", "Other", "1", "low", "team", "a test")
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(2):
        for value in ("other", "gpt-4o"):
            pipes.run({REQUEST: odd(value), **extra})
            pipes.run({REQUEST: "gpt-4o", "gen_ai.provider.name": odd("openai")})
            for name in ("gpt-4o", "other"):
                assert pipes.run({REQUEST: name, **extra}).ours["model_id"] == name
    sampler = ModelRegistrySampler(1, registry=registry)
    assert sampler.should_sample(None, 1, odd("chat"), attributes={REQUEST: odd("gpt-4o")}).decision.is_sampled()


@pytest.mark.parametrize("odd", [Odd, EqualToAll])
def test_odd_keys_poison_no_cache(pipeline: Any, registry: ModelRegistry, odd: type[str]) -> None:
    """An attribute key with comparisons of its own changes no other span."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(2):
        pipes.run({odd("a"): "b"})
        pipes.run({odd(REQUEST): "gpt-4o"})
        assert pipes.run({REQUEST: "gpt-4o"}).ours["model_id"] == "gpt-4o"
        assert pipes.run({"a": "gpt-4o"}).ours == {}


@pytest.mark.skipif(not HAS_ENDING_HOOK, reason="this SDK has models enriched at their start, without a cache")
def test_members_of_enumerations_are_cached(pipeline: Any) -> None:
    """A name that is a member of a ``str`` enumeration compares like a string, so its decision is cached."""

    class Model(str, Enum):
        """Models of an application."""

        CHAT = "gpt-4o"

    registry = CountingRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    before = registry.times
    for _ in range(5):
        assert pipes.run({REQUEST: Model.CHAT}).ours["owner"] == "team"
    assert registry.times == before + 1


class Empty(SpanProcessor):
    """A processor that does nothing."""


def count_needed_frames(processor: SpanProcessor, attributes: dict[str, Any]) -> int:
    """Return the least number of free frames of the stack with which a span can end."""
    provider = TracerProvider()
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    before, depth = sys.getrecursionlimit(), len(inspect.stack(0))
    for free in range(1, 100):
        span = tracer.start_span("chat", attributes=attributes)
        try:
            sys.setrecursionlimit(depth + free)
            span.end()
        except RecursionError:
            continue
        finally:
            sys.setrecursionlimit(before)
        return free
    return 0


@pytest.mark.parametrize("name", ["gpt-4o", "unknown-model"])
def test_a_full_stack(registry: ModelRegistry, name: str) -> None:
    """A span ends with as few free frames as with an empty processor."""
    attributes = {REQUEST: name}
    needed = count_needed_frames(Empty(), attributes)
    assert count_needed_frames(ModelRegistrySpanProcessor(registry), attributes) == needed > 0
