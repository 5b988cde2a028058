"""An agent before the gateway: it keeps what it took, and it keeps trusted and untrusted senders apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource
from support.exporters import PROTOCOLS, TRUSTED, UNTRUSTED, send
from support.otlp_json import tags_of
from support.recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Backend, Server

pytestmark = pytest.mark.e2e

STATUS = "model_registry.status"


def spans(service: str, number: int) -> list[ReadableSpan]:
    """Return spans of calls whose sender says that the model is retired."""
    recorder = Recorder(Resource({"service.name": service}))
    for _ in range(number):
        recorder.call(**{"gen_ai.request.model": "gpt-4o", STATUS: "retired"})
    return recorder.take()


def statuses(backend: Backend, service: str, number: int) -> list[str | None]:
    """Return the status on each span of a service, once so many have arrived."""
    return [tags_of(span["tags"]).get(STATUS) for span in backend.spans(service, number)]


def test_what_the_agent_accepted_arrives(
    own_backend: Backend, run_server: Callable[..., Server], tmp_path: Path
) -> None:
    """Spans that came while the gateway was down survive two ends of the agent; only trusted senders are trusted."""
    gateway = own_backend.collector
    agent = run_server(
        "agent",
        OTELCOL_STORAGE=str(tmp_path / "queue"),
        GATEWAY_OTLP_ENDPOINT=gateway.at["OTELCOL_OTLP_GRPC"],
        GATEWAY_UNTRUSTED_ENDPOINT=gateway.at["OTELCOL_UNTRUSTED_GRPC"],
    )
    gateway.stop()
    for end in (agent.stop, agent.kill):
        for service, senders in (("trusted", TRUSTED), ("untrusted", UNTRUSTED)):
            for protocol in PROTOCOLS:
                send(agent, spans(service, 250), protocol, senders=senders)
        end()
        agent.start()
    gateway.start()
    assert statuses(own_backend, "trusted", 1_000) == ["retired"] * 1_000
    assert statuses(own_backend, "untrusted", 1_000) == [None] * 1_000
