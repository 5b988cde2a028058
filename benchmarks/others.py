"""The processors that users have already: what each costs, alone and with the OTLP exporter.

``make bench ARGS=others`` runs this module in the environment of ``requirements/matrix-frameworks.txt``. Each candidate
is set up as its documentation shows, in a tracer provider of its own. The figure is the processor time of the whole
process, with the exporter's thread, for each LLM span from its start to its export.

- *alone*: processors that export get an exporter that drops all spans.
- *end to end*: the real OTLP exporter, over HTTP, to a receiver in another process on loopback. The receiver counts the
  spans, so that none is lost unnoticed.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.request import urlopen

ROOT: Final = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from opentelemetry.sdk.trace import TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult  # noqa: E402

from benchmarks.harness import Interval, interleaved, median_interval  # noqa: E402
from benchmarks.spans import BAGGAGE_KEYS, LLM, MODEL_KEY, Empty, make_context  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

PAGE: Final = ROOT / "docs" / "performance-results.md"
SPANS: Final = 1_500
"""Spans of one turn: fewer than the 2,048 that the batch span processor holds, so that it drops none."""
FLOOD: Final = 300_000
"""The different names of a flood."""
_PROTOBUF: Final = "http/protobuf"


class Dropping(SpanExporter):
    """An exporter that drops all spans."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Report success."""
        del spans
        return SpanExportResult.SUCCESS


class Counting(logging.Handler):
    """A handler of log records that counts them."""

    lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        del record
        self.lines += 1


Provider = Any
"""A tracer provider of the SDK, or a wrapper with the same methods."""


def _plain(*processors: Any) -> Provider:
    provider = TracerProvider(shutdown_on_exit=False)
    for each in processors:
        provider.add_span_processor(each)
    return provider


def _make_ours() -> Any:
    from benchmarks.models import entries, registry_of  # noqa: PLC0415 - only for this candidate
    from spanforge.model_registry.otel import ModelRegistrySpanProcessor  # noqa: PLC0415

    return ModelRegistrySpanProcessor(registry_of(entries(10)))


def _make_baggage() -> Any:
    from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor  # noqa: PLC0415

    return BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS)


def _with_sdk(make: Callable[[], Any]) -> Callable[[SpanExporter], Provider]:
    return lambda exporter: _plain(make(), BatchSpanProcessor(exporter))


def _make_traceloop(exporter: SpanExporter) -> Provider:
    from traceloop.sdk import Traceloop  # noqa: PLC0415

    return _plain(Traceloop.get_default_span_processor(exporter=exporter))


def _make_phoenix(exporter: SpanExporter) -> Provider:
    from phoenix import otel as phoenix  # noqa: PLC0415

    provider = phoenix.TracerProvider(verbose=False, shutdown_on_exit=False)
    provider.add_span_processor(phoenix.BatchSpanProcessor(exporter), replace_default_processor=True)
    return provider


def _make_langfuse(exporter: SpanExporter) -> Provider:
    from langfuse._client.span_processor import LangfuseSpanProcessor  # noqa: PLC0415

    keys = {"public_key": "pk-none", "secret_key": "none"}
    return _plain(LangfuseSpanProcessor(**keys, base_url="http://127.0.0.1:1", span_exporter=exporter))


def _make_logfire(exporter: SpanExporter, *first: Any) -> Provider:
    import logfire  # noqa: PLC0415

    own = logfire.configure(
        local=True,
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=[*first, BatchSpanProcessor(exporter)],
    )
    return own.config.get_tracer_provider()


def _add_ours(make: Callable[[SpanExporter], Provider]) -> Callable[[SpanExporter], Provider]:
    """Return a maker of another candidate's provider, to which users have added this package's processor."""

    def make_both(exporter: SpanExporter) -> Provider:
        ours = _make_ours()
        if make is _make_logfire:  # as docs/recipes.md shows it
            return _make_logfire(exporter, ours)
        provider = make(exporter)
        if hasattr(provider, "_default_processor"):
            provider.add_span_processor(ours, replace_default_processor=False)
        else:
            provider.add_span_processor(ours)
        return provider

    return make_both


ALONE: Final[Mapping[str, Callable[[SpanExporter], Provider]]] = {
    "empty processor": lambda _: _plain(Empty()),
    "this package": lambda _: _plain(_make_ours()),
    "baggage, 8 keys": lambda _: _plain(_make_baggage()),
    "SDK's batch processor": lambda exporter: _plain(BatchSpanProcessor(exporter)),
    "traceloop-sdk": _make_traceloop,
    "arize-phoenix-otel (OpenInference)": _make_phoenix,
    "langfuse": _make_langfuse,
    "logfire": _make_logfire,
}
"""The makers of providers with one processor, by name."""
END_TO_END: Final[Mapping[str, Callable[[SpanExporter], Provider]]] = {
    "SDK's batch processor": ALONE["SDK's batch processor"],
    "empty processor": _with_sdk(Empty),
    "this package": _with_sdk(_make_ours),
    "baggage, 8 keys": _with_sdk(_make_baggage),
    **{name: ALONE[name] for name in list(ALONE)[4:]},
    **{f"{name}, with this package": _add_ours(ALONE[name]) for name in list(ALONE)[4:]},
}
"""The makers of providers that export; processors that do not are beside the SDK's batch processor."""


class Kind(NamedTuple):
    """A kind of measurement.

    Attributes:
        title: Its title.
        makers: The candidates.
        has_exporter: Whether the spans are exported.
        is_flood: Whether each span names a model that no span named before.
        base: The candidate to which the others are compared.
    """

    title: str
    makers: Mapping[str, Callable[[SpanExporter], Provider]]
    has_exporter: bool
    is_flood: bool
    base: str


_SDK: Final = "SDK's batch processor"
KINDS: Final[Mapping[str, Kind]] = {
    "alone": Kind("LLM span, alone", ALONE, has_exporter=False, is_flood=False, base="empty processor"),
    "alone-flood": Kind("flood of names, alone", ALONE, has_exporter=False, is_flood=True, base="empty processor"),
    "exported": Kind("LLM span, end to end", END_TO_END, has_exporter=True, is_flood=False, base=_SDK),
    "exported-flood": Kind("flood of names, end to end", END_TO_END, has_exporter=True, is_flood=True, base=_SDK),
}
"""The measurements. In a flood, each span names a model that no entry matches and no span named before."""


class Row(NamedTuple):
    """The result of one candidate: microseconds per span, and their ratio to those of the base."""

    name: str
    cost: float
    ratio: Interval


def _make_names(prefix: str) -> Iterable[str]:
    return (f"{prefix}-{number}" for number in range(10**9))


def make_spans(name: str, provider: Provider, *, is_flood: bool) -> Callable[[int], None]:
    """Return the function that makes and ends spans."""
    start = provider.get_tracer("benchmarks").start_span
    context = make_context(BAGGAGE_KEYS) if name.startswith("baggage") else None
    names = iter(_make_names(name))

    def make(number: int) -> None:
        for _ in range(number):
            start("chat", context, attributes=LLM).end()

    def flood(number: int) -> None:
        for _ in range(number):
            start("chat", context, attributes={**LLM, MODEL_KEY: next(names)}).end()

    return flood if is_flood else make


def _make_candidate(name: str, kind: Kind, address: str | None, spans: int) -> Callable[[], float]:
    """Return the function that makes a turn's spans, and returns the microseconds of processor time for each."""
    if address is None:
        exporter: SpanExporter = Dropping()
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        exporter = OTLPSpanExporter(endpoint=f"{address}/v1/traces")
    provider = kind.makers[name](exporter)
    make = make_spans(name, provider, is_flood=kind.is_flood)

    def run() -> float:
        gc.collect()
        start = time.process_time()
        make(spans)
        provider.force_flush()
        return (time.process_time() - start) / spans * 1e6

    return run


def measure(kind: Kind, rounds: int, spans: int, address: str | None) -> list[Row]:
    """Return the results of all candidates of a kind, measured in turn."""
    candidates = {name: _make_candidate(name, kind, address, spans) for name in kind.makers}
    before = 0 if address is None else count_received(address)
    found = interleaved(candidates, rounds)
    if address is not None:
        made, received = (rounds + 1) * spans * len(candidates), count_received(address) - before
        if made != received:
            msg = f"{made:,} spans were made, and {received:,} were received"
            raise ValueError(msg)
    return [
        Row(
            name,
            median_interval([figures[name] for figures in found]).median,
            median_interval([figures[name] / figures[kind.base] for figures in found]),
        )
        for name in candidates
    ]


def count_received(address: str) -> int:
    """Return the number of spans that the receiver has."""
    with urlopen(address) as answer:  # noqa: S310 - it is on loopback
        return int(answer.read())


RECEIVER: Final = """
import gzip, http.server, sys
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
received = 0
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, content):
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_GET(self):
        self.answer(str(received).encode())
    def do_POST(self):
        global received
        body = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(body)
        received += sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
        self.answer(b"")
    def log_message(self, *values):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""The program of the receiver."""


def format_table(kind: Kind, rows: Iterable[Row]) -> str:
    """Return results as a table of the documentation."""
    lines = [f"| {kind.title} | µs per span | / {kind.base} | 95% interval |", "| --- | --- | --- | --- |"]
    for row in rows:
        low, median, high = row.ratio
        lines.append(f"| {row.name} | {row.cost:.1f} | {median:.2f} | {low:.2f} to {high:.2f} |")
    return "\n".join(lines)


def describe_flood(counting: Counting) -> str:
    """Return a sentence about this package in a flood: the lines that it logs, and the memory that it takes."""
    make = make_spans("flood", _plain(_make_ours()), is_flood=True)
    make(FLOOD // 10)
    before = read_memory()
    make(FLOOD - FLOOD // 10)
    grown = read_memory() - before
    return (
        f"A flood of {FLOOD:,} further names, with this package alone: from the first tenth to the end, memory grew by "
        f"{grown:.1f} MB. The process logged {counting.lines} lines in all."
    )


def read_memory() -> float:
    """Return the megabytes that the process has in memory."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write(text: str) -> None:
    """Write the tables into the documentation."""
    before, _, rest = PAGE.read_text("utf-8").partition("<!-- bench others -->\n")
    PAGE.write_text(f"{before}<!-- bench others -->\n{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}", "utf-8")


def main(given: list[str]) -> int:
    """Measure all kinds, and print their tables."""
    parser = argparse.ArgumentParser(prog="bench others", description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(KINDS), help=", ".join(KINDS))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--quick", action="store_true", help="check that everything runs, with few spans")
    parser.add_argument("--write", action="store_true", help="write the results into docs/performance-results.md")
    arguments = parser.parse_args(given)
    spans, rounds = (20, 1) if arguments.quick else (SPANS, arguments.rounds)
    os.environ.update(OTEL_BSP_SCHEDULE_DELAY="600000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="512")
    counting = Counting()
    logging.getLogger("spanforge").addHandler(counting)
    names = ("opentelemetry-sdk", "traceloop-sdk", "arize-phoenix-otel", "langfuse", "logfire")
    parts = [", ".join(f"{name} {version(name)}" for name in names) + f"; {rounds} rounds of {spans:,} spans."]
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True) as receiver:
        try:
            address = f"http://127.0.0.1:{receiver.stdout.readline().strip()}" if receiver.stdout else ""
            for key in arguments.kinds:
                print(f"others: {key} ...", file=sys.stderr, flush=True)
                kind = KINDS[key]
                parts.append(format_table(kind, measure(kind, rounds, spans, address if kind.has_exporter else None)))
        finally:
            receiver.terminate()
    if not arguments.quick:
        parts.append(describe_flood(counting))
    text = "\n\n".join(parts)
    print(text)
    if arguments.write:
        write(text)
    return 0


def start(given: list[str]) -> int:
    """Run this module in the environment that has the other packages; make it if there is none."""
    sys.path.append(str(ROOT / "tools"))
    from environments import make_environment  # noqa: PLC0415 - a tool

    python = make_environment("matrix-frameworks", "matrix/frameworks")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run([python, __file__, *given], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
