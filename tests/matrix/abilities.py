"""Tries what an opentelemetry-sdk lets the processor do, and writes the answers as JSON: run in the SDK's environment.

Usage: OTEL_PYTHON_MODEL_REGISTRY_EVENTS=log abilities.py FILE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

sys.path.append(str(Path(__file__).parents[1]))

from support.spans import StartsAndEnds

from spanforge.model_registry import ModelRegistry, event_counts
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

MODEL = {"gen_ai.request.model": "gpt-4o"}
OWNER = "model_registry.owner"
CALL = """
from opentelemetry import trace
trace.get_tracer("app").start_span("chat", attributes={"gen_ai.request.model": "gpt-4o"}).end()
"""
REGISTER = """
from spanforge.model_registry import register_model
register_model("gpt-4o", "GPT-4o", "1", "high", "team", "test")
"""
IN_MEMORY: Any = vars(log_export).get("InMemoryLogRecordExporter") or vars(log_export)["InMemoryLogExporter"]
"""An exporter that keeps records; the newer name first."""


class Copies(SpanExporter):
    """Copies the attributes of each span as they are when it is exported."""

    def __init__(self) -> None:
        self.attributes: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.attributes += [dict(span.attributes or {}) for span in spans]
        return SpanExportResult.SUCCESS


def exported(
    registry: ModelRegistry,
    start: dict[str, str],
    late: dict[str, str],
    *,
    exporter_first: bool = False,
    wrapped: bool = False,
) -> dict[str, Any]:
    """Return the exported attributes of a span with these attributes."""
    copies, provider = Copies(), TracerProvider(shutdown_on_exit=False)
    ours: SpanProcessor = ModelRegistrySpanProcessor(registry)
    order = [StartsAndEnds(ours) if wrapped else ours, SimpleSpanProcessor(copies)]
    for processor in reversed(order) if exporter_first else order:
        provider.add_span_processor(processor)
    span = provider.get_tracer("app").start_span("chat", attributes=start)
    span.set_attributes(late)
    span.end()
    return copies.attributes[0]


def log_records(*, taken: bool) -> tuple[list[str | None], int]:
    """Return the names of the records of an event, and how many were counted as dropped."""
    exporter, provider = IN_MEMORY(), LoggerProvider(shutdown_on_exit=False)
    if taken:
        provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(exporter))
    registry = ModelRegistry(logger_provider=provider)
    before = event_counts("log").dropped
    registry.register("m", "M", "1", "low", "team", "test")
    records: list[Any] = list(exporter.get_finished_logs())
    return [getattr(each, "log_record", each).event_name for each in records], event_counts("log").dropped - before


def instrumented(code: str, **settings: str) -> str:
    """Return the telemetry of an application under ``opentelemetry-instrument`` with these settings."""
    settings |= {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    settings["OTEL_PYTHON_MODEL_REGISTRY_EVENTS"] = "span"
    program = Path(sys.executable).with_name("opentelemetry-instrument")
    command = [program, sys.executable, "-c", code]
    return subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, text=True).stdout


def renews_instance_id() -> bool:
    """Check whether a child after ``fork`` has its own identity in its telemetry."""
    provider = TracerProvider(resource=Resource.create(), shutdown_on_exit=False)
    before = provider.resource.attributes.get("service.instance.id")
    child = os.fork()
    if not child:
        os._exit(provider.resource.attributes.get("service.instance.id") not in {None, before})
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def main(file: str) -> None:
    """Try everything."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "high", "team", "test")
    forged = {**MODEL, OWNER: "forged", "model_registry.approved": "yes"}
    names, _ = log_records(taken=True)
    models = Path(file).with_name("models.json")
    registry.save(models)
    installed = instrumented(CALL, OTEL_PYTHON_MODEL_REGISTRY_FILE=str(models))
    sampled = instrumented(REGISTER, OTEL_TRACES_SAMPLER="model_registry", OTEL_TRACES_SAMPLER_ARG="0")
    forgeable = exported(registry, {}, forged), exported(registry, {}, forged, exporter_first=True)
    kept = [attributes[OWNER] == "forged" or "model_registry.approved" in attributes for attributes in forgeable]
    before, after = "processor before the exporter's", "processor after the exporter's"
    found = {
        "[zero-code start](zero-code.md) under `opentelemetry-instrument`": f'"{OWNER}": "team"' in installed,
        "sampler by `OTEL_TRACES_SAMPLER`": '"model_registry.registered"' in sampled,
        f"model set at the start, {before}": OWNER in exported(registry, MODEL, {}),
        f"model set at the start, {after}": OWNER in exported(registry, MODEL, {}, exporter_first=True),
        f"model set late, {before}": OWNER in exported(registry, {}, MODEL),
        f"model set late, {after}": OWNER in exported(registry, {}, MODEL, exporter_first=True),
        f"model set late, {before}, wrapped by another processor": OWNER in exported(registry, {}, MODEL, wrapped=True),
        f"foreign `model_registry.*` removed, {before}": not kept[0],
        f"foreign `model_registry.*` removed, {after}": not kept[1],
        "events as log records": names == ["model_registry.registered"],
        "events as log records are counted as dropped if there is no log processor": log_records(taken=False)[1] == 1,
        "`service.instance.id` is renewed after `fork`": renews_instance_id(),
    }
    Path(file).write_text(json.dumps({"version": version("opentelemetry-sdk"), "abilities": found}), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
