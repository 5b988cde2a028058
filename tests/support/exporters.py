"""Exporters of the SDK to the addresses of a Collector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_spans
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_spans
from opentelemetry.sdk.trace.export import SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

GRPC, HTTP = "GRPC", "HTTP"
PROTOCOLS = (GRPC, HTTP)
TRUSTED, UNTRUSTED = "OTLP", "UNTRUSTED"
EXPORTERS: dict[tuple[str, str], Any] = {
    (GRPC, "traces"): grpc_spans.OTLPSpanExporter,
    (HTTP, "traces"): http_spans.OTLPSpanExporter,
    (GRPC, "logs"): grpc_logs.OTLPLogExporter,
    (HTTP, "logs"): http_logs.OTLPLogExporter,
    (GRPC, "metrics"): grpc_metrics.OTLPMetricExporter,
    (HTTP, "metrics"): http_metrics.OTLPMetricExporter,
}
CHUNK = 512
"""Spans of one export, as the SDK has it."""
SOON = tuple((f"grpc.{which}_reconnect_backoff_ms", 50) for which in ("initial", "min", "max"))


def exporter_to(
    server: Server,
    protocol: str = HTTP,
    signal: str = "traces",
    *,
    senders: str = TRUSTED,
    timeout: float | None = None,
) -> Any:
    """Return an exporter to the address for trusted or untrusted senders; with a timeout it reconnects soon."""
    address = f"http://{server.at[f'OTELCOL_{senders}_{protocol}']}"
    options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    if protocol == HTTP:
        return EXPORTERS[protocol, signal](endpoint=f"{address}/v1/{signal}", **options)
    if timeout is not None:
        options["channel_options"] = SOON
    return EXPORTERS[protocol, signal](endpoint=address, insecure=True, **options)


def send(server: Server, spans: Sequence[ReadableSpan], protocol: str = HTTP, *, senders: str = TRUSTED) -> None:
    """Send spans, all of which have to be accepted."""
    exporter = exporter_to(server, protocol, senders=senders)
    for start in range(0, len(spans), CHUNK):
        assert exporter.export(spans[start : start + CHUNK]) is SpanExportResult.SUCCESS
    exporter.shutdown()
