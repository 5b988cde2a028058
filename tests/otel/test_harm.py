"""Hostile spans, bounded memory and logs, and errors: none of them harms the application."""

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
from support.asked_registry import AskedRegistry, FailingRegistry
from support.log_lines import not_registered
from support.spans import PARAMETERS, REQUEST, FullDisk
from support.threads import run_in_threads

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core.conventions import CONVENTIONS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor, _plan_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


NO_NAMES: list[Any] = [
    *("", 0, 7, 1.5, float("nan"), True, False, None, b"\xff", (), [], {}, {"model": "gpt-4o"}),
    *(["gpt-4o"], ["gpt-4o", None], [["gpt-4o"]], [1] * 10_000),
]
"""Values of a model key that name no model."""
HOSTILE_NAMES = {
    "control characters": ("gpt\n4o\x00\x1b[31m\u202e", r"gpt\n4o\x00\x1b[31m\u202e"),
    "1 MB": ("a" * 2**20, "a" * 256 + "…"),
    "lone surrogate": ("\ud800", r"\ud800"),
    "quotes": ("x' is retired, ask root; model 'y\\", r"x\' is retired, ask root; model \'y\\"),
    **{name: (name, name) for name in (" ", "GPT-5", "gpt-5 ", "../../etc/passwd", "%s {0} {name}", "模型")},
}
"""Names, and how a log line shows each."""
NO_MODEL_PARAMETERS = [
    *("", "gpt-4o", "[]", '["model"]', "{}", '{"model": ""}', '{"model": null}', '{"model": 4}'),
    *('{"model": ["gpt-4o"]}', '{"Model": "gpt-4o"}', '{"model": "gpt-4o"', '{"request": {"model": "gpt-4o"}}'),
    *('"model"', "[" * 100_000, '{"a":' * 100_000, '{"model": "' + "a" * 2**20 + '"}', "\ud800", "\x00", "NaN"),
]
"""Texts of a key of JSON that name no model."""


@pytest.fixture
def quiet_sdk(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the SDK from logging warnings about odd values."""
    caplog.set_level(logging.CRITICAL, "opentelemetry")


@pytest.mark.usefixtures("quiet_sdk")
@pytest.mark.parametrize("kept_in", ["the SDK", "a dict"])
@pytest.mark.parametrize("value", NO_NAMES, ids=lambda value: repr(value)[:20])
def test_value_that_is_no_name(pipeline: Any, registry: ModelRegistry, lines: Any, value: Any, kept_in: str) -> None:
    """A value that is empty or no text names no model, and another key of the span may name one."""
    ours = ModelRegistrySpanProcessor(registry)
    pipes = pipeline(ours)

    def enrich(given: dict[str, Any]) -> dict[str, Any]:
        if kept_in == "the SDK":
            attributes: dict[str, Any] = pipes.run(given).attributes
            return attributes
        span = ReadableSpan("call", attributes=given)
        ours.on_end(span)
        return dict(span.attributes or {})

    alone = enrich({REQUEST: value})
    assert not [key for key in alone if key.startswith("model_registry.")]
    assert kept_in == "the SDK" or alone == {REQUEST: value}
    for _ in range(2):
        assert enrich({REQUEST: value, "llm.model_name": "gpt-4o"})["model_registry.owner"] == "ml-platform"
    assert lines() == []


@pytest.mark.parametrize("case", HOSTILE_NAMES)
def test_hostile_name_is_unregistered(pipeline: Any, lines: Any, case: str) -> None:
    """A strange or huge name is unregistered, stays on the span, and gets a short warning on one line."""
    name, shown = HOSTILE_NAMES[case]
    pipes = pipeline()
    for _ in range(2):
        span = pipes.run({REQUEST: name})
        assert span.others == {REQUEST: name}
        assert span.ours == {"status": "unregistered", "warnings": (f"model '{shown}' is not registered",)}
    assert lines() == [not_registered(shown)]


@pytest.mark.parametrize("text", NO_MODEL_PARAMETERS, ids=lambda text: ascii(text)[:24])
def test_parameters_that_name_no_model(pipeline: Any, lines: Any, text: str) -> None:
    """JSON parameters that are broken, huge, deep, or without a textual model name no model."""
    pipes = pipeline()
    for _ in range(2):
        assert pipes.run({PARAMETERS: text}).attributes == {PARAMETERS: text}
        assert pipes.run({PARAMETERS: text, "embedding.model_name": "gpt-4o"}).ours["owner"] == "ml-platform"
    assert lines() == []


def test_enum_members_are_names(pipeline: Any, fields: dict[str, Any]) -> None:
    """A member of a ``str`` enumeration is its text, as a name, as a provider and in warnings."""

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


def test_keys_that_are_no_text(registry: ModelRegistry) -> None:
    """A span is enriched if other keys of its mapping are no text."""
    span = ReadableSpan("call", attributes={REQUEST: "gpt-4o", 7: "x", None: "y", ("a",): "z"})  # type: ignore[dict-item]
    ModelRegistrySpanProcessor(registry).on_end(span)
    assert (span.attributes or {})["model_registry.owner"] == "ml-platform"
    assert (span.attributes or {})[7] == "x"  # type: ignore[index]


def test_next_span_shows_a_change(pipeline: Any, registry: Any, fields: Any, tmp_path: Path) -> None:
    """After each kind of change, the next spans show the registry's new state."""
    pipes = pipeline()

    def shows(name: str, value: str) -> bool:
        return [pipes.run({REQUEST: "o1"}).ours.get(name) for _ in range(2)] == [value] * 2

    assert shows("status", "unregistered")
    registry.register(**fields | {"model_id": "o1"})
    assert shows("status", "active")
    registry.register(**fields | {"model_id": "o1", "owner": "support"}, replace=True)
    assert shows("owner", "support")
    registry.save(tmp_path / "models.json")
    registry.deprecate("o1")
    assert shows("status", "deprecated")
    registry.load(tmp_path / "models.json")
    assert shows("status", "active")
    registry.retire("o1")
    assert shows("status", "retired")
    registry.clear()
    assert shows("status", "unregistered")
    registry.register(**fields | {"model_id": "any", "owner": "glob"}, aliases=["o*"])
    assert shows("owner", "glob")
    registry.register(**fields | {"model_id": "alias", "owner": "alias"}, aliases=["o1"])
    assert shows("owner", "alias")


class _Overtaken(AskedRegistry):
    """A registry whose content is replaced right after its index is read."""

    def load_when_asked(self, path: Path) -> None:
        self.path: Path | None = path

    def asked(self) -> None:
        path = getattr(self, "path", None)
        if path is not None:
            self.path = None
            self.load(path)


def test_outdated_resolution_is_not_cached(pipeline: Any, registry: ModelRegistry, tmp_path: Path) -> None:
    """A resolution that a change has overtaken is not cached."""
    registry.save(tmp_path / "models.json")
    overtaken = _Overtaken(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(overtaken))
    overtaken.load_when_asked(tmp_path / "models.json")
    statuses = [pipes.run(late={REQUEST: "gpt-4o"}).ours["status"] for _ in range(3)]
    assert statuses == ["unregistered", "active", "active"]


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


MANY_SPANS: dict[str, tuple[Callable[[int], dict[str, Any]], int, int]] = {
    "names": (lambda number: {"model_name": "x", REQUEST: f"{number:0200}"}, 1_000, 550_000),
    "providers": (
        lambda number: {REQUEST: "claude-9", "model_name": "x", "gen_ai.system": f"{number:0200}"},
        1_000,
        550_000,
    ),
    "sets of keys": (
        lambda number: {REQUEST: "gpt-4o"} | {f"{number:050}-{key}": key for key in range(10)},
        1_000,
        800_000,
    ),
    "sets of model keys": (
        lambda number: {row.key: "gpt-4o" for bit, row in enumerate(CONVENTIONS) if (number + 2) >> bit & 1},
        1_500,
        1_300_000,
    ),
    "big texts": (lambda number: {REQUEST: f"{number}".ljust(100_000)}, 20, 500_000),
    "lists of texts": (lambda number: {REQUEST: [f"{number}"] * 10_000}, 20, 500_000),
    "lists of numbers": (lambda number: {REQUEST: [number] * 10_000}, 20, 500_000),
    "bytes": (lambda number: {REQUEST: f"{number}".encode().ljust(100_000)}, 20, 500_000),
    "big parameters": (
        lambda number: {PARAMETERS: json.dumps({"model": "gpt-4o", "user": f"{number}" * 20_000})},
        50,
        1_000_000,
    ),
}
"""Attributes of the span of each number, how many spans, and the limit of bytes that they may leave in memory."""


@pytest.mark.slow
@pytest.mark.usefixtures("quiet_sdk")
@pytest.mark.parametrize("case", MANY_SPANS)
def test_memory_is_bounded(pipeline: Any, growth: Any, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Many different or big values and keys from the network leave a bounded number of bytes in memory."""
    for limit_name in ("MAX_DECISIONS", "MAX_PLANS"):
        monkeypatch.setattr(_plan_cache, limit_name, 256)  # the real limits take 40,000 spans to reach
    attributes, times, limit = MANY_SPANS[case]
    tracer = pipeline(exporting=None).tracer
    assert growth(lambda number: tracer.start_span("call", attributes=attributes(number)).end(), times) < limit


def test_one_line_per_flagged_model(pipeline: Any, registry: ModelRegistry, lines: Any, caplog: Any) -> None:
    """A model that is retired, deprecated or unregistered is logged once, with its owner; an active one is not."""
    registry.register("o1", "O1", "1", "low", "team", "a test", aliases=["o1-*"])
    registry.deprecate("o1")
    registry.retire("gpt-4o")
    registry.register("active", "A", "1", "low", "team", "a test")
    pipes = pipeline()
    for _ in range(3):
        for name in ("active", "gpt-4o", "o1", "o1-preview", "o1-mini", "claude-9"):
            pipes.run({REQUEST: name})
            pipes.run(late={REQUEST: name, "more": 1})
    assert lines() == [
        "model registry: model 'gpt-4o' is retired (owner: ml-platform, contact: some contact)",
        "model registry: model 'o1' is deprecated (owner: team)",
        not_registered("claude-9"),
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_limit_of_log_lines(pipeline: Any, lines: Any, registry: ModelRegistry) -> None:
    """A process logs at most 100 lines about names without an entry, and after them still one per retired model."""
    retired = [f"old{number}" for number in range(150)]
    for model_id in retired:
        registry.register(model_id, "Old", "1", "low", "team", "a test")
        registry.retire(model_id)
    first, other = pipeline(exporting=None), pipeline(exporting=None)
    for number in range(250):
        first.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()
    for name in (*(f"m{number}" for number in range(250, 300)), *retired, *retired):
        other.tracer.start_span("call", attributes={REQUEST: name}).end()
    about_retired = [f"model registry: model '{model_id}' is retired (owner: team)" for model_id in retired]
    assert lines() == [*(not_registered(f"m{number}") for number in range(100)), *about_retired]


@pytest.mark.parametrize("status", ["deprecated", "retired"])
def test_texts_of_an_entry_are_escaped_and_cut_off(
    pipeline: Any, lines: Any, registry: ModelRegistry, status: str
) -> None:
    """Owner, contact, successor and id have no line breaks or control characters in warnings and log lines."""
    start = "a\nmodel registry: \x1b[31m\u202eb\x00"
    hostile = start + "x" * 4_000
    shown = r"a\nmodel registry: \x1b[31m\u202eb\x00" + "x" * (256 - len(start)) + "…"
    registry.register(hostile, "Old", "1", "low", hostile, "a test", metadata={"contact": hostile})
    registry.deprecate(hostile, reason=hostile, successor=hostile)
    if status == "retired":
        registry.retire(hostile, reason=hostile)
    span = pipeline().run({REQUEST: hostile})
    assert span.ours["warnings"] == (f"model '{shown}' is {status}", f"use '{shown}' instead")
    assert span.ours["successor"] == hostile
    whom = f"owner: {shown}, contact: {shown}"
    about_id, about_status = lines()
    assert "contains U+000A CONTROL CHARACTER, which is invisible" in about_id
    assert about_id.isprintable()
    assert about_status == f"model registry: model '{shown}' is {status} ({whom}); use '{shown}' instead"


@pytest.mark.parametrize(
    ("is_default", "advice"),
    [
        (True, "set OTEL_PYTHON_MODEL_REGISTRY_FILE, or call register_model"),
        (False, "register or load models in the registry of the span processor"),
    ],
)
def test_one_line_about_an_empty_registry(
    pipeline: Any,
    lines: Any,
    is_default: bool,  # noqa: FBT001 - a parameter of the test
    advice: str,
) -> None:
    """If no models are registered, one line says so and what to do, instead of one line per name."""
    registry = get_default_registry() if is_default else ModelRegistry(auto_emit=False)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for name in ("gpt-4o", "claude-9", "gpt-4o"):
        span = pipes.run({REQUEST: name})
        assert span.ours == {"status": "unregistered", "warnings": (f"model '{name}' is not registered",)}
    text = f"model registry: no models are registered, so every model shows as unregistered; {advice}"
    assert lines() == [text]
    registry.register("other", "O", "1", "low", "team", "a test")
    pipes.run({REQUEST: "claude-9"})
    assert lines() == [text, not_registered("claude-9")]


def test_threads_share_the_limit_of_lines(pipeline: Any, lines: Any) -> None:
    """Threads share the limit of 100 lines, and each model is logged once."""
    pipes = pipeline(exporting=None)
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        for number in range(120):
            pipes.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()

    run_in_threads(*[work] * 8)
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


def test_log_handler_may_call_the_same_model(pipeline: Any, log_to: Any) -> None:
    """A log handler may call the logged model: each span is enriched, and there is one line."""
    pipes = pipeline()
    handler = log_to(_Calling(pipes, lambda _: "claude-9"))
    pipes.run({REQUEST: "claude-9"})
    assert [span.name for span in pipes.exporter.spans] == ["log", "call"]
    assert [span.ours["status"] for span in pipes.exporter.spans] == ["unregistered"] * 2
    assert handler.calls == 1


def test_log_handler_may_call_other_models(pipeline: Any, log_to: Any, lines: Any) -> None:
    """A log handler may call other unregistered models: each model is logged once."""
    pipes = pipeline()
    handler = log_to(_Calling(pipes, lambda calls: f"m{calls % 20}"))
    pipes.run({REQUEST: "claude-9"})
    assert handler.calls == len(set(lines())) == 21
    assert len(pipes.exporter.spans) == 22
    assert {span.ours["status"] for span in pipes.exporter.spans} == {"unregistered"}


def test_log_handler_may_wait_for_another_thread(pipeline: Any, log_to: Any) -> None:
    """A log handler may wait for a thread that ends such a span, because no lock is held while a line is logged."""
    pipes = pipeline()

    class Waiting(logging.Handler):
        done: list[bool] = []  # noqa: RUF012

        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
            thread = threading.Thread(target=pipes.run, args=({REQUEST: "claude-9"},), daemon=True)
            thread.start()
            thread.join(5)
            self.done.append(not thread.is_alive())

    log_to(Waiting())
    pipes.run({REQUEST: "claude-9"})
    assert Waiting.done == [True]
    assert [span.ours["status"] for span in pipes.exporter.spans] == ["unregistered"] * 2


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_errors_are_not_raised(pipeline: Any, lines: Any, caplog: Any, threads: int | None, first: str) -> None:
    """An error leaves the span as it is; each kind of error is logged once, with its traceback."""
    registry = FailingRegistry(auto_emit=False)
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
def test_hook_that_gets_no_span(registry: ModelRegistry, lines: Any, hook: str) -> None:
    """A hook that gets no span does not raise."""
    ours = ModelRegistrySpanProcessor(registry)
    for nonsense in (None, object(), "span", 7):
        getattr(ours, hook)(nonsense)
        getattr(ours, hook)(nonsense)
    assert len(lines()) <= 1


@pytest.mark.parametrize("error", [None, ZeroDivisionError("broken")], ids=["unregistered model", "error inside"])
def test_log_handler_that_raises(pipeline: Any, log_to: Any, error: Exception | None) -> None:
    """An error of the application's log handler is not raised by a span."""
    log_to(FullDisk())
    registry = FailingRegistry(auto_emit=False)
    registry.error = error
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    for _ in range(2):
        assert pipes.run({REQUEST: "claude-9"}).others == {REQUEST: "claude-9"}


def test_shutdown_and_flush(pipeline: Any) -> None:
    """The processor does not delay a flush of others, and survives its provider's shutdown."""
    pipes = pipeline(exporting="batch")
    pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
    assert pipes.provider.force_flush()
    assert pipes.exporter.span.ours["status"] == "active"
    pipes.provider.shutdown()
    pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
