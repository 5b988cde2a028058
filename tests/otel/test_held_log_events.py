"""Log records that are held until there is a logger provider, and forks. Each test runs in its own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.scripts import COMMON

if TYPE_CHECKING:
    from collections.abc import Callable

PRELUDE = """
os.environ["OTEL_PYTHON_MODEL_REGISTRY_EVENTS"] = "span,log"
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from spanforge.model_registry import flush_events
from spanforge.model_registry._core import delivery, emission

class Keeping(LogRecordProcessor):
    def __init__(self):
        self.records = []
    def on_emit(self, log_record):
        self.records.append(log_record.log_record)
    def shutdown(self):
        pass
    def force_flush(self, timeout_millis=30_000):
        return True

keeping = Keeping()

def trace_them():
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor())
    trace.set_tracer_provider(provider)
    return provider

def log_them():
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(keeping)
    _logs.set_logger_provider(provider)
    return provider

class Delivering:  # a thread that is in the middle of a delivery until its end, and delivers nothing
    def __init__(self):
        self.locked, self.done = threading.Event(), threading.Event()
        emission.add_registry(self, Delivering.find_deliveries)
        self.thread = threading.Thread(target=flush_events)
        self.thread.start()
        assert self.locked.wait(20)
    def find_deliveries(self):
        if threading.current_thread() is self.thread:
            self.locked.set()
            self.done.wait(20)
            sys.exit()
        return ()
    def end(self):
        self.done.set()
        self.thread.join()

def watch_threads():
    started = []
    start = threading.Thread.start
    threading.Thread.start = lambda self: (started.append(self.name), start(self))
    return started

def span():
    trace.get_tracer("app").start_span("request").end()

def arrived():
    return [record.attributes["model_registry.model_id"] for record in keeping.records]

"""


@pytest.fixture
def run(script: Any) -> Callable[[str], str]:
    """Give a function that runs a script after the prelude in another process."""
    return lambda text: script(COMMON + PRELUDE + text, PYTHONWARNINGS="ignore")


@pytest.fixture
def run_to_exit(run_script: Any) -> Callable[[str], list[str]]:
    """Give a function that runs a script after the prelude and returns the lines that it logs."""

    def run(text: str) -> list[str]:
        result = run_script(COMMON + PRELUDE + text)
        assert result.returncode == 0
        return [line for line in result.stderr.splitlines() if "does not let a processor" not in line]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("by", ["operation", "flush_events", "span", "instrumentor"])
def test_held_records_are_delivered(run: Any, by: str) -> None:
    """Held records are delivered, with time and link, by the next operation, a flush, a span, or the instrumentor."""
    run(f"""
parent = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(0)))
before = time.time_ns()
with trace.use_span(parent):
    register(3)
register(1, 3)
after = time.time_ns()
while time.time_ns() == after:
    pass
assert event_counts("log") == EventCounts(0, 4, 0, 0), event_counts("log")
log_them()
by = {by!r}
if by in ("span", "instrumentor"):
    trace_them()
else:  # without the processor, which would see the operation's span
    trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
if by == "operation":
    register(1, 4)
    assert arrived() == ["m0", "m1", "m2", "m3", "m4"], arrived()
elif by == "flush_events":
    with trace.get_tracer("app").start_as_current_span("request"):
        assert flush_events() == 8
elif by == "span":
    span()
    settle()
else:
    from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
    ModelRegistryInstrumentor().instrument()
assert arrived()[:4] == ["m0", "m1", "m2", "m3"], arrived()
assert all(before <= record.timestamp <= after for record in keeping.records[:4])
assert [(record.trace_id, record.span_id) for record in keeping.records[:4]] == [(7, 8)] * 3 + [(0, 0)]
assert event_counts("log").held == event_counts("span").held == 0
""")


@pytest.mark.slow
def test_spans_look_for_a_logger_provider_once_a_second(run: Any) -> None:
    """Without a logger provider, spans look for one once a second until no event is held."""
    run("""
clock = [100.0]
delivery.time.monotonic = lambda: clock[0]
register(2)
trace_them()
span()
settle()
assert event_counts("span").held == 0 and event_counts("log").held == 2
span()  # looks, and finds none
log_them()
clock[0] += emission.PROVIDER_RETRY_SECONDS / 2
span()
settle()
assert arrived() == []
clock[0] += emission.PROVIDER_RETRY_SECONDS
span()
settle()
assert arrived() == ["m0", "m1"]
started = watch_threads()
clock[0] += 100
span()
assert not emission.deliver_soon()
assert started == []
""")


@pytest.mark.slow
def test_blocked_log_processor_delays_no_span(run: Any) -> None:
    """A log processor that blocks on held records delays no span, and no second thread is started for them."""
    run("""
gate, reached = threading.Event(), threading.Event()
class Slow(Keeping):
    def on_emit(self, log_record):
        reached.set()
        gate.wait(20)
        super().on_emit(log_record)
keeping = Slow()
clock = [100.0]
delivery.time.monotonic = lambda: clock[0]
register(3)
log_them()
trace_them()
started = watch_threads()
for _ in range(3):
    span()
    clock[0] += 2 * emission.PROVIDER_RETRY_SECONDS
    assert reached.wait(20)
assert started == ["model-registry-events"], started
assert flush_events() == 0
assert arrived() == []
gate.set()
settle()
assert arrived() == ["m0", "m1", "m2"]
""")


@pytest.mark.slow
def test_events_stay_held_if_no_thread_can_start(run: Any) -> None:
    """If no thread can be started, spans start and events stay held."""
    run("""
def start(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
register(2)
log_them()
trace_them()
start, threading.Thread.start = threading.Thread.start, start
span()
assert emission.deliver_soon()
assert event_counts("log") == event_counts("span") == EventCounts(0, 2, 0, 0), event_counts()
threading.Thread.start = start
span()
settle()
assert arrived() == ["m0", "m1"]
""")


@pytest.mark.parametrize(
    ("setup", "missing"),
    [
        ("", ["tracer", "logger"]),
        ("trace_them(); span(); settle()", ["logger"]),
        ("log_them(); flush_events()", ["tracer"]),
    ],
)
def test_exit_reports_missing_providers(run_to_exit: Any, setup: str, missing: list[str]) -> None:
    """At exit, a line for each signal reports the events that were not delivered and the missing provider."""
    text = "model registry: 3 lifecycle events were not delivered: no {} provider was set"
    assert run_to_exit(f"register(3)\n{setup}\n") == [text.format(name) for name in missing]


@pytest.mark.slow
def test_exit_reports_providers_without_a_flush(run_to_exit: Any) -> None:
    """At exit, providers that were set after the last delivery are not reported as missing."""
    lines = run_to_exit("register(3)\nlog_them()\ntrace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))\n")
    text = "model registry: 3 lifecycle events were not delivered: call flush_events() after setting the {} provider"
    assert lines == [text.format(name) for name in ("tracer", "logger")]


@pytest.mark.slow
def test_threads_deliver_each_record_once(run: Any) -> None:
    """If many threads operate and flush at once, each record is delivered once."""
    run("""
register(500)
trace_them()
log_them()
barrier = threading.Barrier(8)
def work(number):
    barrier.wait()
    flush_events()
    span()
    register(20, 1_000 + 20 * number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
run_all(threads)
settle()
assert event_counts("log") == event_counts("span") == EventCounts(660, 0, 0, 0), event_counts("log")
expected = [f"m{number}" for number in (*range(500), *range(1_000, 1_160))]
assert sorted(arrived()) == sorted(expected)
""")


@pytest.mark.slow
def test_forked_child_delivers_held_events(run: Any) -> None:
    """A child delivers the parent's held events, even if another thread of the parent was delivering them."""
    run("""
register(2)
delivering = Delivering()
child = os.fork()
if not child:
    assert event_counts("log") == event_counts("span") == EventCounts(0, 2, 0, 0)
log_them()
trace_them()
if not child:
    assert flush_events() == 4
    assert arrived() == ["m0", "m1"]
    assert event_counts("log") == event_counts("span") == EventCounts(2, 0, 0, 0)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert flush_events() == 0
delivering.end()
assert flush_events() == 4
assert arrived() == ["m0", "m1"]
""")


@pytest.mark.slow
def test_log_processor_may_fork(run: Any) -> None:
    """A child that is forked during a delivery delivers the other records, and can deliver again."""
    run("""
children = []
class Forking(Keeping):
    def on_emit(self, log_record):
        super().on_emit(log_record)
        if not children:
            children.append(os.fork())
keeping = Forking()
register(3)
log_them()
trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
register(1, 3)
assert arrived() == ["m0", "m1", "m2", "m3"], arrived()
assert emission._state.delivery_guard.is_free()
if not children[0]:
    os._exit(0)
assert os.waitpid(children[0], 0)[1] == 0
""")


@pytest.mark.slow
def test_signal_handler_may_register_at_any_line(run: Any) -> None:
    """A signal handler may register models and read the counts at any line, and the counts are exact."""
    run("""
interrupted = set()
def handler(frame, event, _):
    if frame.f_code.co_filename not in (delivery.__file__, emission.__file__):
        return None
    place = 1_000 * (1 + (frame.f_code.co_filename == emission.__file__)) + frame.f_lineno
    if event == "line" and place not in interrupted:
        interrupted.add(place)
        register(1, place)
        event_counts()
    return handler
def traced(call, *arguments):
    sys.settrace(handler)
    call(*arguments)
    sys.settrace(None)
traced(register, 1)
log_them()
trace_them()
traced(register, 1, 1)
with trace.get_tracer("app").start_as_current_span("request"):
    traced(register, 1, 2)
traced(event_counts)
settle()
assert len(interrupted) > 50
expected = 3 + len(interrupted)
assert sorted(arrived()) == sorted(f"m{number}" for number in (0, 1, 2, *interrupted))
assert event_counts("log") == event_counts("span") == EventCounts(expected, 0, 0, 0), (expected, event_counts())
""")


@pytest.mark.slow
def test_concurrent_log_processor_may_register(run: Any) -> None:
    """A log processor in another thread may register models while records wait for it."""
    run("""
from opentelemetry.sdk._logs._internal import ConcurrentMultiLogRecordProcessor
class Busy(Keeping):
    def on_emit(self, log_record):
        super().on_emit(log_record)
        if log_record.log_record.attributes["model_registry.model_id"] in ("m0", "m1"):
            register(1, 100 + len(self.records))
keeping = Busy()
register(1)
provider = LoggerProvider(
    shutdown_on_exit=False, multi_log_record_processor=ConcurrentMultiLogRecordProcessor(max_workers=4)
)
provider.add_log_record_processor(keeping)
_logs.set_logger_provider(provider)
trace_them()
assert flush_events() == 2
register(1, 1)
assert arrived() == ["m0", "m101", "m1", "m103"], arrived()
assert event_counts("log") == EventCounts(4, 0, 0, 0), event_counts("log")
""")


@pytest.mark.slow
def test_events_stay_held_if_the_provider_cannot_be_loaded(run: Any) -> None:
    """If the logger provider cannot be loaded, events stay held and nothing raises."""
    run("""
import logging
logging.getLogger("opentelemetry.util._providers").disabled = True  # it tells of each attempt
register(2)
trace_them()
os.environ["OTEL_PYTHON_LOGGER_PROVIDER"] = "nonsense"
assert emission.deliver_soon()
span()
settle()
assert flush_events() == 0
assert event_counts("span") == EventCounts(2, 0, 0, 0), event_counts("span")
assert event_counts("log") == EventCounts(0, 2, 0, 0), event_counts("log")
del os.environ["OTEL_PYTHON_LOGGER_PROVIDER"]
log_them()
assert flush_events() == 2
assert arrived() == ["m0", "m1"]
""")


@pytest.mark.slow
def test_log_processor_may_register(run: Any) -> None:
    """A log processor that registers models during a delivery neither blocks nor receives a record twice."""
    run("""
class Busy(Keeping):
    def on_emit(self, log_record):
        super().on_emit(log_record)
        if len(self.records) < 5:
            span()
            register(1, 100 + len(self.records))
trace_them()
keeping = Busy()
register(3)
log_them()
assert flush_events() == 3
settle()
assert sorted(arrived()) == sorted(["m0", "m1", "m2", "m101", "m102", "m103", "m104"]), arrived()
assert event_counts("log") == event_counts("span") == EventCounts(7, 0, 0, 0), event_counts()
""")
