"""What must not happen: an error that reaches the application, memory that grows, a log that floods, a deadlock."""

from __future__ import annotations

import gc
import json
import logging
import threading
import tracemalloc
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from support.asked_registry import AskedRegistry

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import CONVENTIONS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REQUEST = "gen_ai.request.model"
LIBRARY = logging.getLogger("spanforge.model_registry")


@pytest.fixture
def quiet_sdk(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the SDK from logging what it thinks of odd values."""
    caplog.set_level(logging.CRITICAL, "opentelemetry")


# Names that are no names


@pytest.mark.usefixtures("quiet_sdk")
@pytest.mark.parametrize("kept_in", ["the SDK", "a dict"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        0,
        7,
        1.5,
        float("nan"),
        True,
        False,
        None,
        b"\xff",
        (),
        [],
        ["gpt-4o"],
        ["gpt-4o", None],
        [["gpt-4o"]],
        [1] * 10_000,
        {"model": "gpt-4o"},
        {},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_that_are_no_names(pipeline: Any, registry: ModelRegistry, lines: Any, value: Any, kept_in: str) -> None:
    """A value that is not a text, or empty, names no model, and the name in another attribute still counts."""
    if kept_in == "a dict":

        def attributes(given: dict[str, Any]) -> dict[str, Any]:
            span = ReadableSpan("call", attributes=given)
            ours.on_end(span)
            return dict(span._attributes or {})

        ours = ModelRegistrySpanProcessor(registry)
        assert attributes({REQUEST: value}) == {REQUEST: value}
    else:
        pipes = pipeline()
        attributes = lambda given: pipes.run(given).attributes  # noqa: E731
        assert not [key for key in attributes({REQUEST: value}) if key.startswith("model_registry.")]
    for _ in range(2):
        both = attributes({REQUEST: value, "llm.model_name": "gpt-4o"})
        assert both["model_registry.owner"] == "ml-platform"
    assert lines() == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt\n4o\x00\x1b[31m\u202e", r"gpt\n4o\x00\x1b[31m\u202e"),
        ("a" * 2**20, "a" * 256 + "…"),
        ("\ud800", r"\ud800"),
        (" ", " "),
        ("gpt-4O", "gpt-4O"),
        ("gpt-4o ", "gpt-4o "),
        ("../../etc/passwd", "../../etc/passwd"),
        ("%s {0} {name}", "%s {0} {name}"),
        ("模型", "模型"),
    ],
    ids=["control characters", "1 MB", "lone surrogate", "space", "other case", "trailing space", "path", "%", "CJK"],
)
def test_hostile_names(pipeline: Any, lines: Any, name: str, shown: str) -> None:
    """A name that is strange or huge is not registered, stays as it is, and gets a short warning on one line."""
    pipes = pipeline()
    for _ in range(2):
        span = pipes.run({REQUEST: name})
        assert span.others == {REQUEST: name}
        assert span.ours == {"status": "unregistered", "warnings": (f"model '{shown}' is not registered",)}
    assert lines() == [f"model registry: model '{shown}' is not registered (owner: nobody)"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gpt-4o",
        "[]",
        '["model"]',
        "{}",
        '{"model": ""}',
        '{"model": null}',
        '{"model": 4}',
        '{"model": ["gpt-4o"]}',
        '{"Model": "gpt-4o"}',
        '{"model": "gpt-4o"',
        '{"request": {"model": "gpt-4o"}}',
        '"model"',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"model": "' + "a" * 2**20 + '"}',
        "\ud800",
        "\x00",
        "NaN",
    ],
    ids=lambda text: ascii(text)[:24],
)
def test_parameters_without_a_model(pipeline: Any, lines: Any, text: str) -> None:
    """JSON parameters that are broken, huge, deep, or without a model that is a text, name none."""
    pipes = pipeline()
    for _ in range(2):
        assert pipes.run({"llm.invocation_parameters": text}).attributes == {"llm.invocation_parameters": text}
        span = pipes.run({"llm.invocation_parameters": text, "embedding.model_name": "gpt-4o"})
        assert span.ours["owner"] == "ml-platform"
    assert lines() == []


def test_names_that_are_members_of_an_enumeration(pipeline: Any, fields: dict[str, Any]) -> None:
    """A member of a ``str`` enumeration is the text that it is exported as, with a provider and in warnings too."""

    class Model(str, Enum):
        GPT = "gpt-4o"
        SECRET = "claude-9"

    class Provider(str, Enum):
        OPENAI = "openai"

    registry = ModelRegistry(auto_emit=False)
    registry.register(**fields | {"model_id": "openai/gpt-4o"})
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    span = pipes.run({REQUEST: Model.GPT, "gen_ai.system": Provider.OPENAI})
    assert span.ours["status"] == "active"
    span = pipes.run({REQUEST: Model.SECRET})
    assert span.ours["warnings"] == ("model 'claude-9' is not registered",)


def test_keys_that_are_no_texts(registry: ModelRegistry) -> None:
    """Keys of a mapping that somebody else made need not be texts; the span is enriched all the same."""
    span = ReadableSpan("call", attributes={REQUEST: "gpt-4o", 7: "x", None: "y", ("a",): "z"})  # type: ignore[dict-item]
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert (span._attributes or {})["model_registry.owner"] == "ml-platform"
    assert (span._attributes or {})[7] == "x"  # type: ignore[index]


# Caches


def test_changes_are_seen_by_the_next_span(
    pipeline: Any, registry: ModelRegistry, fields: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever is remembered about a name is forgotten with the next change of the registry."""
    pipes = pipeline()
    status = lambda: [pipes.run({REQUEST: "o1"}).ours.get("status") for _ in range(2)]  # noqa: E731
    owner = lambda: [pipes.run({REQUEST: "o1"}).ours.get("owner") for _ in range(2)]  # noqa: E731
    assert status() == ["unregistered"] * 2
    registry.register(**fields | {"model_id": "o1"})
    assert status() == ["active"] * 2
    registry.register(**fields | {"model_id": "o1", "owner": "support"}, replace=True)
    assert owner() == ["support"] * 2
    registry.save(tmp_path / "models.json")
    registry.deprecate("o1")
    assert status() == ["deprecated"] * 2
    registry.load(tmp_path / "models.json")
    assert status() == ["active"] * 2
    registry.retire("o1")
    assert status() == ["retired"] * 2
    registry.clear()
    assert status() == ["unregistered"] * 2
    registry.register(**fields | {"model_id": "any", "owner": "glob"}, aliases=["o*"])
    assert owner() == ["glob"] * 2
    registry.register(**fields | {"model_id": "alias", "owner": "alias"}, aliases=["o1"])
    assert owner() == ["alias"] * 2


class _Overtaken(AskedRegistry):
    """A registry whose content is replaced just after it was asked."""

    def load_when_asked(self, path: Path) -> None:
        self.path: Path | None = path

    def asked(self) -> None:
        path = getattr(self, "path", None)
        if path is not None:
            self.path = None
            self.load(path)


def test_a_change_while_a_name_is_looked_up(pipeline: Any, registry: ModelRegistry, tmp_path: Path) -> None:
    """An answer that a change has overtaken is not remembered as the answer after it."""
    registry.save(tmp_path / "models.json")
    overtaken = _Overtaken(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(overtaken))
    overtaken.load_when_asked(tmp_path / "models.json")
    statuses = [pipes.run(late={REQUEST: "gpt-4o"}).ours["status"] for _ in range(3)]
    assert statuses == ["unregistered", "active", "active"]


def test_spans_during_changes(pipeline: Any, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """While a registry changes in other threads, spans show a state that was in force, and the last one afterwards."""
    pipes = pipeline()
    stop = threading.Event()
    owners: set[Any] = set()

    def call() -> None:
        while not stop.is_set():
            pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        registry.register(**fields | {"owner": f"team-{number}"}, replace=True)
    stop.set()
    for thread in threads:
        thread.join()
    owners = {span.ours.get("owner") for span in pipes.exporter.spans}
    assert owners <= {"ml-platform", *(f"team-{number}" for number in range(300))}
    assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "team-299"


@pytest.fixture
def growth() -> Iterator[Callable[[Callable[[int], None], int], int]]:
    """Give a function that returns how many bytes more are in use after calling another so many times."""

    def measure(call: Callable[[int], None], times: int) -> int:
        call(-1)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(times):
            call(number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    yield measure
    tracemalloc.stop()


@pytest.mark.parametrize("key", [REQUEST, "gen_ai.system"])
def test_many_names(pipeline: Any, growth: Any, key: str) -> None:
    """However many names come from the network, the memory they take is bounded."""
    tracer = pipeline(exporting=None).tracer
    call = lambda number: tracer.start_span(  # noqa: E731
        "call", attributes={REQUEST: "claude-9", "model_name": "x"} | {key: f"{number:0200}"}
    ).end()
    assert growth(call, 4_000) < 1_500_000


def test_many_kinds_of_spans(pipeline: Any, growth: Any) -> None:
    """However many different sets of attribute keys there are, the memory they take is bounded."""
    tracer = pipeline(exporting=None).tracer
    call = lambda number: tracer.start_span(  # noqa: E731
        "call", attributes={REQUEST: "gpt-4o"} | {f"{number:050}-{key}": key for key in range(10)}
    ).end()
    assert growth(call, 4_000) < 3_000_000


def test_many_combinations_of_conventions(pipeline: Any, growth: Any) -> None:
    """However many combinations of the keys that name models there are, the memory they take is bounded."""
    tracer = pipeline(exporting=None).tracer
    keys = [row.key for row in CONVENTIONS]
    call = lambda number: tracer.start_span(  # noqa: E731
        "call", attributes={key: "gpt-4o" for bit, key in enumerate(keys) if (number + 2) >> bit & 1}
    ).end()
    assert growth(call, 6_000) < 5_000_000


@pytest.mark.usefixtures("quiet_sdk")
@pytest.mark.parametrize(
    "value",
    [
        lambda number: f"{number}".ljust(100_000),
        lambda number: [f"{number}"] * 10_000,
        lambda number: [number] * 10_000,
        lambda number: f"{number}".encode().ljust(100_000),
    ],
    ids=["text", "list of texts", "list of numbers", "bytes"],
)
def test_big_values_are_not_kept(pipeline: Any, growth: Any, value: Any) -> None:
    """A value that is big, whatever it is, does not stay in memory after its span."""
    tracer = pipeline(exporting=None).tracer
    call = lambda number: tracer.start_span("call", attributes={REQUEST: value(number)}).end()  # noqa: E731
    assert growth(call, 20) < 500_000


def test_big_parameters_are_not_kept(pipeline: Any, growth: Any) -> None:
    """JSON parameters, which hold what users say, do not stay in memory after their span."""
    tracer = pipeline(exporting=None).tracer
    call = lambda number: tracer.start_span(  # noqa: E731
        "call", attributes={"llm.invocation_parameters": json.dumps({"model": "gpt-4o", "user": f"{number}" * 20_000})}
    ).end()
    assert growth(call, 50) < 1_000_000


# Log lines


def test_one_line_a_model(pipeline: Any, registry: ModelRegistry, lines: Any, caplog: Any) -> None:
    """A model that is retired, deprecated or not registered is logged once, as a warning with its owner."""
    registry.register("o1", "O1", "1", "low", "team", "a test", aliases=["o1-*"])
    registry.deprecate("o1")
    registry.retire("gpt-4o")
    pipes = pipeline()
    for _ in range(3):
        for name in ("gpt-4o", "o1", "o1-preview", "o1-mini", "claude-9"):
            pipes.run({REQUEST: name})
            pipes.run(late={REQUEST: name, "more": 1})
    assert lines() == [
        "model registry: model 'gpt-4o' is retired (owner: ml-platform)",
        "model registry: model 'o1' is deprecated (owner: team)",
        "model registry: model 'claude-9' is not registered (owner: nobody)",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_active_models_are_nothing_to_log(pipeline: Any, lines: Any) -> None:
    """Calls of an active model leave no line."""
    pipes = pipeline()
    for _ in range(3):
        pipes.run({REQUEST: "gpt-4o"})
    assert lines() == []


def test_a_hundred_lines(pipeline: Any, lines: Any) -> None:
    """However many models nobody registered, a process logs a hundred lines, of the first ones."""
    pipes = pipeline(exporting=None)
    for number in range(250):
        pipes.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()
    other = pipeline(exporting=None)
    for number in range(250, 300):
        other.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()
    assert lines() == [f"model registry: model 'm{number}' is not registered (owner: nobody)" for number in range(100)]


def test_a_hundred_lines_from_many_threads(pipeline: Any, lines: Any) -> None:
    """Threads share the hundred lines, and no model is logged by two of them."""
    pipes = pipeline(exporting=None)
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for number in range(120):
            pipes.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines()) == len(set(lines())) == 100


class _Calling(logging.Handler):
    """A log handler that calls a model for every line."""

    def __init__(self, pipes: Any, names: Callable[[int], str]) -> None:
        super().__init__()
        self.pipes = pipes
        self.names = names
        self.calls = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.calls += 1
        self.pipes.tracer.start_span("log", attributes={REQUEST: self.names(self.calls)}).end()


@pytest.fixture
def handle() -> Iterator[Callable[[logging.Handler], logging.Handler]]:
    """Give a function that adds a handler to the library's logger."""
    added: list[logging.Handler] = []

    def add(handler: logging.Handler) -> logging.Handler:
        LIBRARY.addHandler(handler)
        added.append(handler)
        return handler

    yield add
    for handler in added:
        LIBRARY.removeHandler(handler)


def test_a_log_handler_that_calls_the_same_model(pipeline: Any, handle: Any) -> None:
    """A log handler may open spans that name the model it is told of: each is enriched, and there is one line."""
    pipes = pipeline()
    handler = handle(_Calling(pipes, lambda _: "claude-9"))
    pipes.run({REQUEST: "claude-9"})
    assert [span.name for span in pipes.exporter.spans] == ["log", "call"]
    assert [span.ours["status"] for span in pipes.exporter.spans] == ["unregistered"] * 2
    assert handler.calls == 1


def test_a_log_handler_that_calls_further_models(pipeline: Any, handle: Any, lines: Any) -> None:
    """A log handler may open spans that name yet other models nobody registered: each model is logged once."""
    pipes = pipeline()
    handler = handle(_Calling(pipes, lambda calls: f"m{calls % 20}"))
    pipes.run({REQUEST: "claude-9"})
    assert handler.calls == len(set(lines())) == 21
    assert len(pipes.exporter.spans) == 22
    assert {span.ours["status"] for span in pipes.exporter.spans} == {"unregistered"}


def test_a_log_handler_that_waits_for_another_thread(pipeline: Any, handle: Any) -> None:
    """A log handler may wait for a thread that ends such a span itself: no lock is held while a line is logged."""
    pipes = pipeline()

    class Waiting(logging.Handler):
        done: list[bool] = []  # noqa: RUF012

        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            thread = threading.Thread(target=pipes.run, args=({REQUEST: "claude-9"},), daemon=True)
            thread.start()
            thread.join(5)
            self.done.append(not thread.is_alive())

    handle(Waiting())
    pipes.run({REQUEST: "claude-9"})
    assert Waiting.done == [True]
    assert [span.ours["status"] for span in pipes.exporter.spans] == ["unregistered"] * 2


# Errors


class _Raising(AskedRegistry):
    """A registry that raises whenever it is asked, once it is told to."""

    error: Exception | None = None

    def asked(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_errors_stay_inside(pipeline: Any, lines: Any, caplog: Any, threads: int | None, first: str) -> None:
    """An error on the way leaves the span as it is; each kind of error is logged once, with its traceback."""
    registry = _Raising(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "a test")
    pipes = pipeline(ModelRegistrySpanProcessor(registry), threads=threads, first=first)
    for error in (ZeroDivisionError("broken"), KeyError("broken"), RecursionError(), TypeError("broken")):
        registry.error = error
        for _ in range(20):
            span = pipes.run({REQUEST: "gpt-4o", "a": 1})
            assert span.attributes == {REQUEST: "gpt-4o", "a": 1}
    names = ["ZeroDivisionError", "KeyError", "RecursionError", "TypeError"]
    assert lines() == [
        f"model registry: a span was not enriched; further {name} errors are not logged" for name in names
    ]
    assert [record.exc_info[0].__name__ for record in caplog.records if record.exc_info] == names
    registry.error = None
    if first == "ours":
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "team"


@pytest.mark.parametrize("hook", ["on_start", "_on_ending", "on_end"])
def test_hooks_that_are_given_nonsense(registry: ModelRegistry, lines: Any, hook: str) -> None:
    """A hook that is called with something that is no span does not raise."""
    ours = ModelRegistrySpanProcessor(registry)
    for nonsense in (None, object(), "span", 7):
        getattr(ours, hook)(nonsense)
        getattr(ours, hook)(nonsense)
    assert len(lines()) <= 1


class _Full(logging.Handler):
    """A log handler that raises, as one does whose disk is full and that does not care."""

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        msg = "no space left on device"
        raise OSError(msg)


@pytest.mark.parametrize("why", ["a model that is not registered", "an error inside"])
def test_a_log_handler_that_raises(pipeline: Any, handle: Any, why: str) -> None:
    """An error of the application's own log handler does not reach the application through its spans."""
    handle(_Full())
    registry = _Raising(auto_emit=False)
    if why == "an error inside":
        registry.error = ZeroDivisionError("broken")
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(2):
        assert pipes.run({REQUEST: "claude-9"}).others == {REQUEST: "claude-9"}


def test_shutdown_and_flush(pipeline: Any) -> None:
    """The processor has nothing to flush, keeps no other from flushing, and survives its provider's shutdown."""
    pipes = pipeline(exporting="batch")
    pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
    assert pipes.provider.force_flush()
    assert pipes.exporter.span.ours["status"] == "active"
    pipes.provider.shutdown()
    pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
