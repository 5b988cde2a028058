"""Operations that a signal handler interrupts by an exception, at every opcode of the library."""

from __future__ import annotations

import dis
import functools
import linecache
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.telemetry import Keeping, exported_events, loggers_with, models_of, tracers_with
from support.waiting import PATIENCE

import spanforge.model_registry
from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, Resolution, event_counts, flush_events
from spanforge.model_registry._core import emission
from spanforge.model_registry._core.attributes import SIGNALS
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry._core.layers import compute_entries
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    from opentelemetry.sdk.trace import TracerProvider

    Place = tuple[CodeType, int]

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11),
    reason="only CPython 3.11 can raise at each opcode: 3.10 crashes, 3.12 and 3.13 skip some",
)

LIBRARY = str(Path(spanforge.model_registry.__file__).parent)
PROVIDER_HAS_IT = {"emit_on_span", "_emit_on_current_span", "_emit_on_root_span", "emit_log_record", "claim"}
"""Functions that pass an event to a provider: an event that is interrupted there may count as failed."""
CHANGING = {"state.py", "guard.py", "delivery.py", "emission.py", "layers.py", "overlay.py", "resolution.py"}
"""Modules with the steps of a change: each operation is interrupted at each of their opcodes."""
ASSIGNMENTS = {"self._state = new_state", "self._last_timestamp = timestamp"}
"""The one assignment of a change, and that of the clock."""
NAMES = ("a", "b", "c", "new", "alias", "alias b", "glob-1", "glob-b", "added", "added-1", "file", "file-1")
ASKED = [*((name, None) for name in NAMES), *((name, "p") for name in ("new", "a", "added-1"))]
CHANGES_NOTHING = ("LOAD_", "PUSH_NULL", "PRECALL", "KW_NAMES", "COPY", "SWAP", "BUILD_", "IS_OP", "POP_JUMP", "NOP")
"""Starts of the names of opcodes that only work on the stack of their frame: other code cannot tell that they ran."""


class Interruption(BaseException):
    """The exception of the signal handler."""


@functools.cache
def list_places(code: CodeType) -> frozenset[int]:
    """Return the opcodes of a function before which something may have changed, even if only the handler in force."""
    handlers = {place for each in dis._parse_exception_table(code) for place in (each.start, each.end)}  # type: ignore[attr-defined]
    places, before = set(), ""
    for each in dis.get_instructions(code):
        if each.is_jump_target or each.offset in handlers or not before.startswith(CHANGES_NOTHING):
            places.add(each.offset)
        before = each.opname
    return frozenset(places)


class Interrupter:
    """Raises once, at the first opcode of the library's that no run before was interrupted at.

    If nothing has changed before an opcode, it is left out: an interruption of the opcode before it is the same. A
    frame whose opcodes are all known is not looked at again: each run makes the same calls in the same order.
    """

    pure: set[Place] = set()  # noqa: RUF012 - one for all
    """Opcodes of functions that only compute: to be interrupted there by one operation is enough."""

    def __init__(self, seen: set[Place] | None = None) -> None:
        self.seen = set() if seen is None else seen
        self.known: set[Place] = set()
        self.place: Place | None = None

    def run(self, call: Callable[[], object]) -> bool:
        """Call a function, and return whether the call was interrupted; ``place`` is where."""
        self.place = None
        self.calls: Counter[CodeType] = Counter()
        before = sys.gettrace()
        sys.settrace(self._trace_call)
        try:
            call()
        except Interruption:
            return True
        finally:
            sys.settrace(before)
        return False

    def _trace_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(LIBRARY):
            return None
        self.calls[code] += 1
        number = self.calls[code]
        if (code, number) in self.known:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        seen = self.seen if Path(code.co_filename).name in CHANGING else self.pure
        places = list_places(code)

        def trace_opcode(frame: FrameType, event: str, _argument: Any) -> Any:
            place = code, frame.f_lasti
            if event == "return":
                self.known.add((code, number))
            elif event == "opcode" and frame.f_lasti in places and place not in seen:
                seen.add(place)
                self.place = place
                raise Interruption
            return trace_opcode

        return trace_opcode


class Stage:
    """A registry with models in it, and where its events arrive."""

    file: Path

    def __init__(self, kind: type[ModelRegistry], **providers: Any) -> None:
        reset_process()
        set_event_signals("span,log")
        self.other_thread = ThreadPoolExecutor(1)
        self.exporter, self.keeping = InMemorySpanExporter(), Keeping()
        given = {"tracer_provider": tracers_with(self.exporter), "logger_provider": loggers_with(self.keeping)}
        self.registry = kind(auto_emit=True, **given | providers)
        for model_id in "abc":
            self.register(model_id, aliases=["alias", f"alias {model_id}", f"glob-{model_id}", "glob-?"])
        if kind is LayeredRegistry:
            replace_file_entries(self.registry, [entry("b"), entry("file", "file-*")])
            self.registry.deprecate("b", reason="old")
        self.registry.deprecate("c")
        self.start = dict(vars(self.registry))
        self.known: list[tuple[list[ModelRegistryEntry], list[Resolution]]] = []
        self.rewind()

    def rewind(self) -> None:
        """Return to the start, whose state is immutable."""
        reset_process()
        set_event_signals("span,log")
        vars(self.registry).update(self.start)
        self.exporter.clear()
        self.keeping.kept.clear()

    def interruptions(self, interrupter: Interrupter, call: Callable[[], object]) -> Iterator[None]:
        """Yield after each interruption of a call that begins at the start, until it is interrupted no more."""
        self.rewind()
        while interrupter.run(call):
            yield
            self.rewind()

    def register(self, model_id: str, **more: Any) -> None:
        self.registry.register(model_id, "N", "1", "low", "team", "test", **more)

    def snapshot(self) -> Any:
        """Return all entries of both layers as plain data, and check the index against them."""
        state = self.registry._state
        entries = self.registry.list_all()
        assert [self.registry.resolve(name, provider=provider) for name, provider in ASKED] == self.fresh(entries)
        assert [state.index.entries[one.model_id] for one in entries] == entries
        layers = [None if layer is None else dict(layer.items()) for layer in state.layers]
        layers[2] = {key: value for key, value in (layers[2] or {}).items() if value}
        return [one.to_dict() for one in entries], layers

    def fresh(self, entries: list[ModelRegistryEntry]) -> list[Resolution]:
        """Return the lookups of a new index of these entries. Equal entries share the result."""
        for known, resolutions in self.known:
            if known == entries:
                return resolutions
        index = ModelIndex(entries)
        self.known.append((entries, [index.resolve([name], provider) for name, provider in ASKED]))
        return self.known[-1][1]

    def arrived(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return event and model of each span event, and of each log record."""
        events, records = exported_events(self.exporter), self.keeping.records
        spans = zip((one.name for one in events), models_of(events), strict=True)
        return list(spans), list(zip(self.keeping.names(), models_of(records), strict=True))


def entry(model_id: str, *aliases: str, **more: Any) -> ModelRegistryEntry:
    return ModelRegistryEntry(model_id, "F", "1", "low", "file", "test", metadata={"aliases": list(aliases)}, **more)


OPERATIONS: dict[str, tuple[Callable[[Stage], object], tuple[str, str] | None]] = {
    "register": (
        lambda stage: stage.register("new", aliases=["added", "added-*"], provider="p", actor="me"),
        ("model_registry.registered", "new"),
    ),
    "replace": (
        lambda stage: stage.register("a", aliases=["added", "added-*"], replace=True),
        ("model_registry.registered", "a"),
    ),
    "deprecate": (
        lambda stage: stage.registry.deprecate("a", reason="old", successor="b"),
        ("model_registry.deprecated", "a"),
    ),
    "retire": (lambda stage: stage.registry.retire("b", reason="unused"), ("model_registry.retired", "b")),
    "load": (lambda stage: stage.registry.load(stage.file), None),
    "clear": (lambda stage: stage.registry.clear(), None),
    "replace the files' entries": (
        lambda stage: replace_file_entries(stage.registry, [entry("a", "added", "added-*"), entry("b")]),
        None,
    ),
}


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock: times differ by one microsecond per operation."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_000_000_000)


@pytest.fixture
def loaded(tmp_path: Path) -> Path:
    """Return a file to load."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("added", "N", "1", "low", "team", "test", aliases=["added-*"])
    registry.register("a", "N", "1", "low", "other", "test")
    registry.save(tmp_path / "models.json")
    return tmp_path / "models.json"


def check_next_operation(stage: Stage) -> None:
    """Another thread can operate, and its time is later than any before."""
    times = [record["at"] for one in stage.registry for record in one.metadata.get("history", ())]
    stage.other_thread.submit(stage.register, "next").result(PATIENCE)  # TimeoutError: the lock is not free
    latest = stage.registry.require("next").metadata["history"][-1]["at"]
    assert latest > max(times, default="")


def check_events(stage: Stage, interrupter: Interrupter, happened: list[tuple[str, str]]) -> None:
    """Each operation's event arrived once in each signal, or counts as failed because a provider had it."""
    assert interrupter.place is not None
    for signal, arrived in zip(SIGNALS, stage.arrived(), strict=True):
        assert arrived.count(("model_registry.registered", "next")) == 1, interrupter.place
        told = [one for one in arrived if one[1] != "next"]
        if told != happened:
            assert told == [], interrupter.place
            assert event_counts(signal).failed == 1, interrupter.place
            assert interrupter.place[0].co_name in PROVIDER_HAS_IT, interrupter.place


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was just opened
@pytest.mark.parametrize("name", OPERATIONS)
def test_interrupted_at_every_opcode(name: str, loaded: Path) -> None:
    """Either the old or the new state remains, and its event is emitted once or counts as failed.

    A registry of one layer runs the code of a registry of two: it is interrupted where only one layer leads.
    """
    operate, event = OPERATIONS[name]
    seen: set[Place] = set()
    outcomes = []
    for kind in (LayeredRegistry, ModelRegistry):
        stage = Stage(kind)
        stage.file = loaded
        old = stage.snapshot()
        operate(stage)
        new = stage.snapshot()
        assert old != new
        interrupter = Interrupter(seen)
        for _ in stage.interruptions(interrupter, lambda: operate(stage)):  # noqa: B023
            left = stage.snapshot()
            assert left in (old, new), interrupter.place
            outcomes.append(left == new)
            check_next_operation(stage)
            flush_events()
            check_events(stage, interrupter, [event] if event is not None and left == new else [])
            assert flush_events() == 0
        assert stage.snapshot() == new
    assert set(outcomes) == {True, False}
    assert len(outcomes) > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", ["register", "deprecate", "retire"])
def test_interrupted_while_there_is_no_provider(name: str) -> None:
    """The event of an operation that happened is held once, and no other event is held."""
    operate, _ = OPERATIONS[name]
    interrupter, stage = Interrupter(), Stage(ModelRegistry, tracer_provider=None, logger_provider=None)
    before = stage.snapshot()
    for _ in stage.interruptions(interrupter, lambda: operate(stage)):
        happened = stage.snapshot() != before
        check_next_operation(stage)
        for signal in SIGNALS:
            assert event_counts(signal) == (0, happened + 1, 0, 0), (signal, interrupter.place)
    assert len(interrupter.seen) > 100


@pytest.mark.slow
def test_interrupted_delivery_of_held_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupted flush the next one delivers the remaining events, and none twice."""
    interrupter, places = Interrupter(), 0
    stage = Stage(ModelRegistry, tracer_provider=None, logger_provider=None)
    provider = tracers_with(stage.exporter)
    while True:
        stage.rewind()
        for model_id in "xyz":
            stage.register(model_id)
        with monkeypatch.context() as patch:
            patch.setattr(trace, "get_tracer_provider", lambda: provider)
            interrupted = interrupter.run(flush_events)
            flush_events()
        told = [model_id for _, model_id in stage.arrived()[0]]
        assert event_counts("span").held == 0
        if not interrupted:
            break
        places += 1
        assert interrupter.place is not None
        if told != ["x", "y", "z"]:
            assert told == ["y", "z"], interrupter.place
            assert event_counts("span").failed == 1, interrupter.place
            assert interrupter.place[0].co_name in PROVIDER_HAS_IT, interrupter.place
    assert told == ["x", "y", "z"]
    assert places > 100


@pytest.fixture
def left_over(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    """Return a registry in which an operation was interrupted after its state was published."""

    def interrupt(_delivery: object) -> None:
        raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(emission, "send_delivery", interrupt)
        with pytest.raises(Interruption):
            registry.register("m", "N", "1", "low", "team", "test")
    return registry


def test_next_operation_delivers_what_is_left_over(left_over: ModelRegistry, exporter: InMemorySpanExporter) -> None:
    """The events go out in the order of the operations."""
    left_over.register("n", "N", "1", "low", "team", "test")
    assert models_of(exported_events(exporter)) == ["m", "n"]


def test_flush_delivers_what_is_left_over(left_over: ModelRegistry, exporter: InMemorySpanExporter) -> None:
    """``flush_events`` counts and delivers it, once."""
    assert len(left_over) == 1
    assert (flush_events(), flush_events()) == (1, 0)
    assert len(exporter.get_finished_spans()) == 1


def test_next_span_delivers_what_is_left_over(
    left_over: ModelRegistry, exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    """A span that names a model has it delivered, from another thread."""
    provider.add_span_processor(ModelRegistrySpanProcessor(left_over))
    with provider.get_tracer("app").start_as_current_span("chat", attributes={"gen_ai.request.model": "m"}):
        pass
    for thread in threading.enumerate():
        if thread.name == "model-registry-events":
            thread.join(10)
    assert {span.name for span in exporter.get_finished_spans()} == {"chat", "model_registry.register"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ModelRegistry, LayeredRegistry])
@pytest.mark.parametrize("name", ["register", "replace", "deprecate", "retire"])
def test_handler_that_operates_in_the_midst(name: str, kind: type[ModelRegistry]) -> None:
    """A signal handler may register a model at every line; both operations happen and emit one event each."""
    operate, event = OPERATIONS[name]
    stage, lines = Stage(kind), set()
    for _ in range(3):
        stage.rewind()
        handled = []

        def trace_line(frame: FrameType, kind: str, _argument: Any, handled: list[str] = handled) -> Any:
            if Path(frame.f_code.co_filename).name not in CHANGING:
                return trace_line if frame.f_code.co_filename.startswith(LIBRARY) else None
            place = frame.f_code.co_filename, frame.f_lineno
            # Python runs no signal handler between a comparison and the assignment that follows it
            is_assigning = linecache.getline(*place).strip() in ASSIGNMENTS
            if kind == "line" and place not in lines and not is_assigning:
                lines.add(place)
                handled.append(f"handler {len(lines)}")
                stage.register(handled[-1])
            return trace_line

        before = sys.gettrace()
        sys.settrace(trace_line)
        try:
            operate(stage)
        finally:
            sys.settrace(before)
        assert set(handled) <= {one.model_id for one in stage.registry}
        stage.snapshot()
        assert compute_entries(stage.registry._state.layers) == stage.registry.list_all()
        times = [one.metadata["history"][-1]["at"] for one in stage.registry if one.model_id in (*handled, event[1])]  # type: ignore[index]
        assert len(set(times)) == len(handled) + 1
        for arrived in stage.arrived():
            expected = [event, *(("model_registry.registered", model_id) for model_id in handled)]
            assert Counter(arrived) == Counter(expected)
    assert len(lines) > 50
    assert event_counts("log").failed == 0
