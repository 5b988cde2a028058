"""Fuzz target of spans: any texts as values of the attributes of conventions, through the real span processor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.fuzz.limits import decode, expect
from support.fuzz.names import ENTRIES, make_registry

from spanforge.model_registry._core.conventions import CONVENTIONS, DECIDING_KEYS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from pathlib import Path

    from support.fuzz.limits import Target

KEYS = (*sorted(DECIDING_KEYS), "model_registry.owner", "x")
"""The attribute keys, selected by the first byte of a line."""
SCOPES = ("tests", *sorted({row.scope for row in CONVENTIONS if row.scope is not None}))
"""The instrumentation scopes, selected by the first byte of an input."""


class Records(logging.Handler):
    """Keeps the records of errors that the processor kept from the application."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.errors.append(record)


def read_attributes(data: bytes) -> dict[str, Any]:
    """Return a span's attributes: in each line, a byte for the key, and the text."""
    lines = [line for line in data.split(b"\n") if line]
    return {KEYS[line[0] % len(KEYS)]: decode(line[1:]) for line in lines}


def fuzz_spans(_folder: Path) -> Target:
    """Check that a span keeps its attributes, and gets the same ones whether they are set early or late."""
    exporter, records, registry = InMemorySpanExporter(), Records(), make_registry(*ENTRIES)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, metrics=False))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    logger = logging.getLogger("spanforge.model_registry")
    logger.addHandler(records)
    logger.propagate = False
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it warns of texts that are not UTF-8
    tracers = [provider.get_tracer(scope) for scope in SCOPES]

    def end_spans(tracer: Any, attributes: dict[str, Any]) -> list[dict[str, Any]]:
        exporter.clear()
        tracer.start_span("early", attributes=attributes).end()
        late = tracer.start_span("late")
        late.set_attributes(attributes)
        late.end()
        return [dict(span.attributes or {}) for span in exporter.get_finished_spans()]

    def run(data: bytes) -> None:
        tracer, attributes = tracers[data[0] % len(tracers) if data else 0], read_attributes(data[1:])
        early, late = end_spans(tracer, attributes)
        expect(not records.errors, f"the processor failed: {records.errors[:1]}")
        expect(early == late, "a span whose attributes are set late differs")
        own = {key: value for key, value in early.items() if not key.startswith("model_registry.")}
        expect(own.items() <= attributes.items(), "the span's own attributes changed")
        expect("model_registry.owner" not in attributes or len(attributes) > len(own), "a forged owner stays")

    return run
