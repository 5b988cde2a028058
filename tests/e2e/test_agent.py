"""An agent before the gateway: it keeps what it took, and it keeps trusted and untrusted senders apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from conftest import Backend, Server

pytestmark = pytest.mark.e2e

STATUS = "model_registry.status"


def spans(service: str, number: int) -> Sequence[ReadableSpan]:
    """Return spans of calls whose sender says that the model is retired."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for _ in range(number):
        attributes = {"gen_ai.request.model": "gpt-4o", STATUS: "retired"}
        provider.get_tracer("app").start_span("chat", attributes=attributes).end()
    provider.shutdown()
    return kept.get_finished_spans()


def exporters(agent: Server, senders: str) -> list[SpanExporter]:
    """Return exporters to an agent's ports for trusted (``OTLP``) or other senders (``UNTRUSTED``)."""
    return [
        OverGrpc(endpoint=f"http://{agent.at[f'OTELCOL_{senders}_GRPC']}", insecure=True),
        OverHttp(endpoint=f"http://{agent.at[f'OTELCOL_{senders}_HTTP']}/v1/traces"),
    ]


def statuses(backend: Backend, service: str, number: int) -> list[str | None]:
    """Return the status on each span of a service, once so many have arrived."""
    tags = [{tag["key"]: tag["value"] for tag in span["tags"]} for span in backend.spans(service, number)]
    return [tag.get(STATUS) for tag in tags]


@pytest.mark.parametrize("restart", ["stop", "kill"])
def test_what_the_agent_took_arrives(
    own_backend: Backend, run_server: Callable[..., Server], tmp_path: Path, restart: str
) -> None:
    """What came while the gateway was down survives the agent's end, and still only trusted senders are believed."""
    gateway = own_backend.collector
    agent = run_server(
        "agent",
        OTELCOL_STORAGE=str(tmp_path / "queue"),
        GATEWAY_OTLP_ENDPOINT=gateway.at["OTELCOL_OTLP_GRPC"],
        GATEWAY_UNTRUSTED_ENDPOINT=gateway.at["OTELCOL_UNTRUSTED_GRPC"],
    )
    gateway.stop()
    for service, senders in (("trusted", "OTLP"), ("untrusted", "UNTRUSTED")):
        for exporter in exporters(agent, senders):
            assert exporter.export(spans(service, 500)) is SpanExportResult.SUCCESS
            exporter.shutdown()
    getattr(agent, restart)()
    gateway.start()
    agent.start()
    assert statuses(own_backend, "trusted", 1_000) == ["retired"] * 1_000
    assert statuses(own_backend, "untrusted", 1_000) == [None] * 1_000
