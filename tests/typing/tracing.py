"""The set-up of an application: the span processor, the sampler and the plugin."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler
from typing_extensions import assert_type

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor, PluginStatus, status
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
from spanforge.model_registry.watch import FileState, FileWatcher, file_states


def set_up(registry: ModelRegistry) -> TracerProvider:
    sampler: Sampler = ParentBased(ModelRegistrySampler(0.1, flagged=True, registry=registry))
    provider = TracerProvider(sampler=sampler)
    processor: SpanProcessor = ModelRegistrySpanProcessor(
        registry, span_attributes=["contact"], unregistered="warn", match="forms", metrics=False
    )
    provider.add_span_processor(processor)
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


provider = set_up(ModelRegistry())
ModelRegistryInstrumentor().instrument(tracer_provider=provider, file=["models"], metrics=True)
assert_type(ModelRegistrySpanProcessor().is_on, bool)
assert_type(ModelRegistrySampler().ratio, float)
assert_type(status(), PluginStatus)
assert_type(status().models.get("active"), int | None)
assert_type([state.error for state in status().files], list[str | None])

watcher = FileWatcher(ModelRegistry(), ["models.yaml"], reload_interval=1_000)
watcher.start()
assert_type(watcher.states(), list[FileState])
assert_type(file_states()[0].age, float)

ModelRegistrySpanProcessor("models.json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ModelRegistrySpanProcessor(unregistered="error")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ModelRegistrySampler("0.1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
FileWatcher(ModelRegistry(), ["m"], 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
