"""Nothing with a registry event is lost, and nothing is refused silently: a real Collector, and real misfortune."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import threading
import urllib.error
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult
from support.exporters import GRPC, PROTOCOLS, exporter_to
from support.otlp_json import items_of
from support.recording import Recorder
from support.servers import (
    ALL_AT_ONCE,
    RETRY_SOON,
    USUAL_GARBAGE_COLLECTION,
    NotStartedError,
    archive_settings,
    spans_in,
)
from support.waiting import poll, wait_until

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

pytestmark = pytest.mark.e2e

_logger = logging.getLogger(__name__)

SERVICE: Final = "durable"
OPERATIONS: Final = 4_000
IN_ONE_TRACE: Final = 500
BATCH: Final = 50
USUAL_LIMIT: Final = "yaml:receivers::otlp::protocols::grpc::max_recv_msg_size_mib: 4"
"""The message size of most backends; our configuration of Jaeger has a larger one."""
ACCEPTED: Final = ("OK", "")
RETRY: Final = {"GRPC": "UNAVAILABLE", "HTTP": "503"}
"""Protocol to the code that tells a sender to try again."""


class Application(Recorder):
    """An application with a registry, whose spans stay in memory."""

    def __init__(self) -> None:
        super().__init__(Resource({"service.name": SERVICE}))
        self._registry = ModelRegistry(tracer_provider=self.provider)
        self._tracer = self.provider.get_tracer(SERVICE)
        self._numbers = itertools.count()
        self._model_id = ""

    def _operate(self, number: int) -> None:
        if number % 2:
            self._registry.deprecate(self._model_id, reason="old")
        else:
            self._model_id = f"model-{next(self._numbers)}"
            self._registry.register(self._model_id, "Model", "1", "high", "ml-platform", "answers customers")

    def in_one_trace(self, number: int, **attributes: Any) -> list[ReadableSpan]:
        """Return the spans of operations that happen below one span, each with an event."""
        root = self._tracer.start_span("review models")
        with trace.use_span(root):
            for one in range(number):
                with self._tracer.start_as_current_span("review a model", attributes=attributes):
                    self._operate(one)
        return self.take()

    def alone(self, number: int) -> list[ReadableSpan]:
        """Return the spans that operations make where there is none: each is a trace."""
        for one in range(number):
            self._operate(one)
        return self.take()

    def plain(self, number: int, **attributes: Any) -> list[ReadableSpan]:
        """Return spans without events: each is a trace."""
        for _ in range(number):
            self.call("plain", **attributes)
        return self.take()


@pytest.fixture(scope="module")
def recorder() -> Application:
    """Give an application with a registry."""
    return Application()


@pytest.fixture(scope="module")
def operations(recorder: Application) -> list[ReadableSpan]:
    """Give 4,000 spans with a registry event: half of them in large traces, half of them alone."""
    spans = recorder.alone(OPERATIONS // 2)
    while len(spans) < OPERATIONS:
        spans += recorder.in_one_trace(IN_ONE_TRACE)
    assert len(ids_of(spans)) == len(spans) == OPERATIONS
    assert all(event.name.startswith("model_registry.") for span in spans for event in span.events)
    assert {len(span.events) for span in spans} == {1}
    return spans


def ids_of(spans: Sequence[ReadableSpan]) -> set[str]:
    """Return the ids of spans as they are written."""
    return {format(span.context.span_id, "016x") for span in spans if span.context is not None}


class Site(NamedTuple):
    """A Collector and a Jaeger, and what they have."""

    collector: Server
    jaeger: Server
    folder: Path

    def size(self) -> int:
        """Return the size of the file that the Collector is writing to."""
        try:
            return self.folder.joinpath("spans.jsonl").stat().st_size
        except FileNotFoundError:  # while it is rotated
            return 0

    def send(self, protocol: str, spans: Sequence[ReadableSpan]) -> tuple[str, str]:
        """Send an export once; return the code and the message of the answer."""
        request = encode_spans(spans)
        if protocol == GRPC:
            with grpc.insecure_channel(self.collector.at["OTELCOL_OTLP_GRPC"]) as channel:
                try:
                    TraceServiceStub(channel).Export(request, timeout=30)
                except grpc.RpcError as error:
                    return error.code().name, error.details()
            return ACCEPTED
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            self.collector.ask("OTELCOL_OTLP_HTTP", "/v1/traces", request.SerializeToString(), **headers)
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code), Status.FromString(error.read()).message
        return ACCEPTED

    def refuses(self, spans_by_protocol: dict[str, list[ReadableSpan]], message: str, tries: int = 1) -> None:
        """Check that senders are told to try again, as often as they try, and that the refused spans are counted."""
        for protocol, spans in spans_by_protocol.items():
            assert [self.send(protocol, spans) for _ in range(tries)] == [(RETRY[protocol], message)] * tries
            refused = self.collector.metric("otelcol_receiver_refused_spans", transport=protocol.lower())
            assert refused >= tries * len(spans)

    def takes(self, spans_by_protocol: dict[str, list[ReadableSpan]]) -> None:
        """Wait until retries are accepted."""
        for protocol, spans in spans_by_protocol.items():
            wait_until(lambda: self.send(protocol, spans) == ACCEPTED)  # noqa: B023

    def stops_and_said(self, *parts: str) -> bool:
        """Stop the Collector, and check that a line of its log has these parts."""
        return any(all(part in line for part in parts) for line in self.collector.stop().splitlines())

    def is_drained(self) -> bool:
        """Check whether nothing waits for Jaeger any more."""
        return self.collector.metric("otelcol_exporter_queue_size") == 0

    def in_jaeger(self, *, name: str = "") -> Counter[str]:
        """Return how often Jaeger has each span, of a name or with a registry event."""
        return Counter(
            span["spanID"]
            for span in spans_in(self.jaeger, SERVICE)
            if (span["operationName"] == name if name else '"model_registry.' in json.dumps(span["logs"]))
        )

    def archived(self) -> Counter[str]:
        """Return how often the archive has each span with a registry event, in all its files."""
        files = sorted(self.folder.glob("spans*.jsonl"))
        exports = [export for file in files for export in objects(file.read_text("utf-8", errors="replace"))]
        return Counter(span["spanId"] for _, _, span in items_of(exports) if span.get("events"))


START: Final = '{"resourceSpans":'


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the whole objects of an archive; a kill may leave the start of one, or one without its newline."""
    for piece in re.split(f"(?={re.escape(START)})", text):
        if piece.startswith(START):
            try:
                found, end = json.JSONDecoder().raw_decode(piece)
            except ValueError:
                assert "\n" not in piece, "half an object is written on"
                continue
            yield found
            piece = piece[end:]  # noqa: PLW2901
        assert START.startswith(piece.strip("\n")), "the archive has something else between objects"


def test_what_a_kill_leaves_in_an_archive_can_be_read() -> None:
    """Wherever a write is cut off, the objects before and after it are found."""
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": '\n{"resourceSpans":ü'}]}]}]})
    line = line.replace(": ", ":")
    for cut in range(len(line) + 1):
        text = f"{line}\n{line[:cut]}"
        assert len(list(objects(text))) == (2 if cut == len(line) else 1)
        assert len(list(objects(f"{text}{line}\n"))) == (3 if cut == len(line) else 2)


@pytest.fixture
def site(run_server: Callable[..., Server], tmp_path: Path) -> Callable[..., Site]:
    """Give what starts a Jaeger, and a Collector that keeps what it has in a folder of the test."""

    def start(**settings: str) -> Site:
        jaeger = run_server("jaeger", USUAL_LIMIT)
        defaults = {"JAEGER_OTLP_ENDPOINT": jaeger.at["JAEGER_OTLP_GRPC"], **archive_settings(tmp_path), **ALL_AT_ONCE}
        return Site(run_server("otelcol", *RETRY_SOON, **{**defaults, **settings}), jaeger, tmp_path)

    return start


class Sender(threading.Thread):
    """Sends spans by the real exporter, in batches, and each again until the Collector has accepted it."""

    def __init__(self, protocol: str, collector: Server, spans: Sequence[ReadableSpan], timeout: float) -> None:
        super().__init__(daemon=True)
        self.exporter = exporter_to(collector, protocol, timeout=timeout)
        self.batches = [spans[start : start + BATCH] for start in range(0, len(spans), BATCH)]
        self.accepted = 0
        self.given_up = threading.Event()

    def run(self) -> None:
        for batch in self.batches:
            while self.exporter.export(batch) is not SpanExportResult.SUCCESS:
                if self.given_up.wait(0.05):
                    return
            self.accepted += 1
        self.exporter.shutdown()


class Misfortune(NamedTuple):
    """What happens while spans are sent: whether Jaeger is down, and how the Collector ends before it starts again."""

    backend_is_down: bool
    ends: tuple[str, ...] = ()


MISFORTUNES: Final = {
    "backend down": Misfortune(backend_is_down=True),
    "Collector killed": Misfortune(backend_is_down=False, ends=("kill",) * 5),
    "Collector killed and stopped, backend down": Misfortune(backend_is_down=True, ends=("kill", "stop") * 3),
}


@pytest.mark.parametrize("name", MISFORTUNES)
def test_no_event_is_lost(
    site: Callable[..., Site], operations: list[ReadableSpan], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """All 4,000 spans with registry events are in the archive and in Jaeger, whatever happens while they are sent."""
    misfortune = MISFORTUNES[name]
    here = site(OTELCOL_ARCHIVE_MEGABYTES="1")
    if misfortune.backend_is_down:
        here.jaeger.stop()
    timeout = 1 if misfortune.ends else 30
    senders = [
        Sender(protocol, here.collector, operations[start::2], timeout) for start, protocol in enumerate(PROTOCOLS)
    ]
    try:
        for sender in senders:
            sender.start()
        for number, end in enumerate(misfortune.ends, 1):
            share = number * OPERATIONS // BATCH // (len(misfortune.ends) + 1)
            wait_until(lambda: sum(sender.accepted for sender in senders) >= share, interval=0.001)  # noqa: B023
            size = here.size()
            wait_until(lambda: here.size() != size, interval=0)  # noqa: B023, in the middle of an export
            getattr(here.collector, end)()
            assert any(sender.accepted < len(sender.batches) for sender in senders)
            here.collector.start()
        wait_until(lambda: not any(sender.is_alive() for sender in senders))
    finally:
        for sender in senders:
            sender.given_up.set()
    assert sum(sender.accepted for sender in senders) == OPERATIONS // BATCH
    failed = [record for record in caplog.records if record.name.startswith("opentelemetry.exporter.otlp")]
    assert bool(failed) == bool(misfortune.ends)
    if misfortune.backend_is_down:
        assert not here.is_drained()
        here.jaeger.start()
    wait_until(here.is_drained)
    expected = ids_of(operations)
    archived = here.archived()
    assert archived.keys() == expected
    shown = poll(here.in_jaeger, lambda shown: shown.keys() == expected, interval=0.3)
    assert shown.keys() == expected
    repeats = {where: has.total() - OPERATIONS for where, has in (("archive", archived), ("Jaeger", shown))}
    _logger.info("%s: repeats %s", name, repeats)
    assert repeats["archive"] <= len(misfortune.ends) * len(senders) * BATCH  # what was under way when it ended
    assert misfortune.ends or not any(repeats.values())
    assert len(list(here.folder.glob("spans*.jsonl"))) > 2, "the archive was to be rotated, too"


def test_large_spans_wait(site: Callable[..., Site], recorder: Application) -> None:
    """What has waited for Jaeger is sent in messages of a size that it takes, however large the spans are."""
    number = 500
    here = site()
    here.jaeger.stop()
    prompt = {"gen_ai.prompt": "x" * 12_000}
    spans = {"": recorder.in_one_trace(number, **prompt), "plain": recorder.plain(number, **prompt)}
    for start in range(0, number, BATCH):
        for kind in spans.values():
            assert here.send(GRPC, kind[start : start + BATCH]) == ACCEPTED
    here.jaeger.start()
    names = [f"otelcol_exporter_{what}_spans" for what in ("sent", "send_failed")]
    branches = ("otlp_grpc/flagged", "otlp_grpc/sampled")
    wait_until(
        lambda: sum(here.collector.metric(name, exporter=one) for name in names for one in branches) == 2 * number
    )
    assert here.collector.metric("otelcol_exporter_send_failed_spans") == 0
    for name, kind in spans.items():
        assert here.in_jaeger(name=name) == Counter(ids_of(kind))


def test_short_of_memory(site: Callable[..., Site], recorder: Application) -> None:
    """When memory is short, senders are told to try again, it is logged and counted, and their retries arrive."""
    here = site(
        OTELCOL_MEMORY_MIB="90",
        OTELCOL_MEMORY_SPIKE_MIB="1",
        OTELCOL_DECISION_WAIT="5s",
        OTELCOL_SAMPLING_PERCENTAGE="0",
        **USUAL_GARBAGE_COLLECTION,
    )
    message = "data refused due to high memory usage"
    answers = (here.send(GRPC, recorder.plain(1, text="x" * 3_000_000)) for _ in range(500))
    assert next(answer for answer in answers if answer != ACCEPTED) == (RETRY[GRPC], message)
    events = {protocol: recorder.alone(10) for protocol in PROTOCOLS}
    here.refuses(events, message)
    assert here.collector.metric("otelcol_processor_memory_limiter_refused_spans") == 1 + 20
    here.takes(events)
    expected = Counter(ids_of([*events["GRPC"], *events["HTTP"]]))
    wait_until(lambda: here.in_jaeger() == expected)
    assert here.archived() == expected
    assert here.stops_and_said("\twarn\t", "\tMemory usage is above soft limit. Refusing data.\t")


def test_full_queue(site: Callable[..., Site], recorder: Application) -> None:
    """Senders of events are told that the queue is full, and their retries arrive; the loss of others is counted."""
    size, tries = 5, 3
    message = "sending queue is full"
    here = site(OTELCOL_QUEUE_SIZE=str(size))
    here.jaeger.stop()
    events = [recorder.alone(2) for _ in range(size)]
    refused = {protocol: recorder.alone(2) for protocol in PROTOCOLS}
    plain = recorder.plain(50)
    for spans in events:
        assert here.send(GRPC, spans) == ACCEPTED
    here.refuses(refused, message, tries)
    full = "otelcol_exporter_enqueue_failed_spans"
    assert here.collector.metric(full, exporter="otlp_grpc/flagged") == 2 * tries * 2
    assert here.send(GRPC, plain) == ACCEPTED
    wait_until(lambda: here.collector.metric(full, exporter="otlp_grpc/sampled") == len(plain) - size)
    here.jaeger.start()
    here.takes(refused)
    wait_until(here.is_drained)
    expected = ids_of([span for spans in [*events, *refused.values()] for span in spans])
    wait_until(lambda: here.in_jaeger() == Counter(expected))
    wait_until(lambda: here.in_jaeger(name="plain").total() == size)
    archived = here.archived()
    assert archived.keys() == expected
    for spans in refused.values():  # the archive had taken what the queue refused
        assert all(archived[one] > tries for one in ids_of(spans))
    lines = here.collector.stop().splitlines()
    for exporter, rejected in {"otlp_grpc/flagged": 2, "otlp_grpc/sampled": 1}.items():
        told = ("Exporting failed. Rejecting data.", exporter, message, f'"rejected_items": {rejected}}}')
        assert any(all(part in line for part in told) for line in lines)
    assert any("tail_sampling" in line and "Error sending spans to destination" in line for line in lines)


def test_archive_that_cannot_be_there(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """An archive whose folder cannot be made is an error at start."""
    tmp_path.joinpath("file").touch()
    settings = {**archive_settings(tmp_path), "OTELCOL_ARCHIVE_SPANS": str(tmp_path / "file" / "spans.jsonl")}
    message = r'failed to start "file/archive_spans" exporter: mkdir \S+/file: not a directory'
    with pytest.raises(NotStartedError, match=message):
        run_server("otelcol", tries=1, **settings)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_full_disk(site: Callable[..., Site], recorder: Application, tmp_path: Path) -> None:
    """When the archive cannot be written, senders are told to try again, it is logged and counted, and retries work."""
    archive = tmp_path / "spans.jsonl"
    archive.symlink_to("/dev/full")
    here = site()
    message = f"write {archive}: no space left on device"
    events = {protocol: recorder.alone(2) for protocol in PROTOCOLS}
    expected = Counter(ids_of([*events["GRPC"], *events["HTTP"]]))
    here.refuses(events, message)
    wait_until(lambda: here.in_jaeger() == expected)  # it takes what the archive refuses
    assert here.collector.metric("otelcol_exporter_send_failed_spans", exporter="file/archive_spans") == 4
    assert here.stops_and_said("\terror\t", "Exporting failed. Rejecting data.", "file/archive_spans", message)
    archive.unlink()
    here.collector.start()
    here.takes(events)
    assert here.archived() == expected
    wait_until(here.is_drained)
    assert here.in_jaeger() == expected  # it shows equal spans once


def test_too_many_traces_at_once(site: Callable[..., Site], recorder: Application) -> None:
    """Traces that do not fit into tail sampling are counted, and spans with events arrive all the same."""
    kept, number = 10, 200
    here = site(OTELCOL_TRACES_IN_MEMORY=str(kept), OTELCOL_DECISION_WAIT="2s")
    plain, events = recorder.plain(number), recorder.alone(number)
    for spans in (events, plain):
        assert here.send(GRPC, spans) == ACCEPTED
    pushed_out = "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early"
    wait_until(lambda: here.collector.metric(pushed_out) == 2 * number - kept)
    expected = Counter(ids_of(events))
    wait_until(lambda: here.in_jaeger() == expected)
    wait_until(lambda: here.in_jaeger(name="plain").total() == kept)
    assert here.archived() == expected
    assert "tail_sampling" not in here.collector.stop()  # it is counted, not logged


def test_second_collector_with_the_same_queue(
    site: Callable[..., Site], run_server: Callable[..., Server], recorder: Application, tmp_path: Path
) -> None:
    """A second Collector does not start with the folder of another one's queue, and the first one goes on."""
    here = site()
    with pytest.raises(
        NotStartedError, match=r'failed to start "otlp_grpc/(flagged|sampled|untrusted)" exporter: timeout'
    ):
        run_server("otelcol", tries=1, OTELCOL_STORAGE=str(tmp_path / "queue"))
    events = recorder.alone(10)
    assert here.send(GRPC, events) == ACCEPTED
    wait_until(lambda: here.in_jaeger() == Counter(ids_of(events)))
