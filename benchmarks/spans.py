"""Cost of enrichment for spans that are made and ended with one processor."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, ParentBasedTraceIdRatio

from benchmarks.comparison import Comparison
from benchmarks.harness import seconds
from benchmarks.models import MODEL, deprecated_of, entries, registry_of, with_globs
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer
    from opentelemetry.util.types import AttributeValue

    from benchmarks.comparison import Sizes

MODEL_KEY: Final = "gen_ai.request.model"
LATE: Final[dict[str, AttributeValue]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.temperature": 0.5,
    "server.address": "api.openai.com",
    "server.port": 443,
}
LLM: Final[dict[str, AttributeValue]] = {**LATE, MODEL_KEY: MODEL}
OTHER: Final[dict[str, AttributeValue]] = {
    "http.request.method": "GET",
    "http.response.status_code": 200,
    "server.address": "example.com",
    "server.port": 443,
    "url.path": "/orders",
    "url.scheme": "https",
}
BAGGAGE_KEYS: Final = 8
IN_TURN: Final = 5_000
"""Model names in rotation: fewer than the processor caches."""
RANDOM_NAMES: Final = 100_000
GLOBS: Final = 2_000
FEW: Final = 10
"""Models of a small registry."""


class Empty(SpanProcessor):
    """A processor whose methods do nothing."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def _on_ending(self, span: Span) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Do nothing."""


def _known(attributes: Mapping[str, AttributeValue]) -> Callable[[Tracer, Context | None], Callable[[int], None]]:
    """Return a maker of spans that have their attributes at the start."""

    def loop(tracer: Tracer, context: Context | None) -> Callable[[int], None]:
        start = tracer.start_span

        def make(number: int) -> None:
            for _ in range(number):
                start("chat", context, attributes=attributes).end()

        return make

    return loop


def _late(tracer: Tracer, context: Context | None) -> Callable[[int], None]:
    """Return a maker of spans whose model is set after the start."""
    start = tracer.start_span

    def make(number: int) -> None:
        for _ in range(number):
            span = start("chat", context, attributes=LATE)
            span.set_attribute(MODEL_KEY, MODEL)
            span.end()

    return make


def _named(names: Callable[[], Iterator[str]]) -> Callable[[Tracer, Context | None], Callable[[int], None]]:
    """Return a maker of spans that each name the next model at the start."""

    def loop(tracer: Tracer, context: Context | None) -> Callable[[int], None]:
        start, given = tracer.start_span, names()

        def make(number: int) -> None:
            for name in itertools.islice(given, number):
                start("chat", context, attributes={**LATE, MODEL_KEY: name}).end()

        return make

    return loop


def _in_turn() -> Iterator[str]:
    return itertools.cycle([f"model-{i}" for i in range(IN_TURN)])


def _never_seen() -> Iterator[str]:
    return (f"model-{i}" for i in itertools.count())


def _at_random() -> Iterator[str]:
    return iter(lambda: f"model-{random.randrange(RANDOM_NAMES)}", "")  # noqa: S311 - no secret


KINDS: Final = {
    "start": _known(LLM),
    "late": _late,
    "other": _known(OTHER),
    "turn": _named(_in_turn),
    "new": _named(_never_seen),
    "random": _named(_at_random),
}
"""Makers of spans that name a model at the start, later or never, or that name one of many models."""

PROCESSORS: Final[Mapping[str, Callable[[int], SpanProcessor]]] = {
    "empty": lambda _models: Empty(),
    "ours": lambda models: ModelRegistrySpanProcessor(registry_of(entries(models)), meter_provider=meters()),
    "globs": lambda models: ModelRegistrySpanProcessor(registry_of(with_globs(models)), meter_provider=meters()),
    "deprecated": lambda models: ModelRegistrySpanProcessor(deprecated_of(models), meter_provider=meters()),
    "baggage": lambda _models: BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS),
}


SAMPLERS: Final[Mapping[str, Callable[[], Sampler]]] = {
    "default": lambda: DEFAULT_ON,
    "ratio": lambda: ParentBasedTraceIdRatio(1),
    "ours": lambda: ModelRegistrySampler(1),
}
"""Samplers that keep all spans: OpenTelemetry's default, its ``parentbased_traceidratio`` and ours."""


def meters() -> MeterProvider:
    """Return a meter provider that collects only on demand; a periodic reader would collect once a minute."""
    return MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


class Spans(NamedTuple):
    """A description of spans to make, in plain values that can be passed to another process.

    Attributes:
        processor: A key of ``PROCESSORS``.
        kind: A key of ``KINDS``.
        keys: The number of baggage keys in the context.
        models: The number of entries in the registry.
        sampler: A key of ``SAMPLERS``.
    """

    processor: str
    kind: str
    keys: int = 0
    models: int = FEW
    sampler: str = "default"

    def prepared(self) -> Callable[[int], None]:
        """Return a function that makes and ends the given number of spans."""
        provider = TracerProvider(sampler=SAMPLERS[self.sampler](), shutdown_on_exit=False)
        provider.add_span_processor(PROCESSORS[self.processor](self.models))
        return KINDS[self.kind](provider.get_tracer("benchmarks"), make_context(self.keys))


def make_context(keys: int) -> Context | None:
    """Return a context with the given number of baggage keys."""
    context = Context() if keys else None
    for i in range(keys):
        context = baggage.set_baggage(f"key-{i}", f"value-{i}", context)
    return context


def _compare(sizes: Sizes, spans: Mapping[str, Spans], ratio: Callable[[Mapping[str, float]], float]) -> Comparison:
    def candidate(make: Callable[[int], None]) -> Callable[[], float]:
        return lambda: seconds(lambda: make(sizes.spans)) / sizes.spans * 1e6

    return Comparison({name: candidate(which.prepared()) for name, which in spans.items()}, ratio, spans, sizes.turns)


def whole(kind: str) -> Callable[[Sizes], Comparison]:
    """Return a function that compares spans with our processor and with an empty one."""
    spans = {name: Spans(name, kind) for name in ("ours", "empty")}
    return lambda sizes: _compare(sizes, spans, lambda cost: cost["ours"] / cost["empty"])


def added(kind: str) -> Callable[[Sizes], Comparison]:
    """Return a function that compares the time added by our processor and by the baggage processor."""
    spans = {name: Spans(name, kind, keys=BAGGAGE_KEYS) for name in ("empty", "ours", "baggage")}
    return lambda sizes: _compare(
        sizes, spans, lambda cost: (cost["ours"] - cost["empty"]) / (cost["baggage"] - cost["empty"])
    )


def deprecated(sizes: Sizes) -> Comparison:
    """Compare spans of a deprecated model, which also get a warning, with spans with an empty processor."""
    spans = {"ours": Spans("deprecated", "start"), "empty": Spans("empty", "start")}
    return _compare(sizes, spans, lambda cost: cost["ours"] / cost["empty"])


def many_globs(sizes: Sizes) -> Comparison:
    """Compare spans of unknown models with 2,000 globs in the registry and with none."""
    spans = {"globs": Spans("globs", "new", models=GLOBS), "none": Spans("ours", "new")}
    return _compare(sizes, spans, lambda cost: cost["globs"] / cost["none"])


def very_many_globs(sizes: Sizes) -> Comparison:
    """Compare spans of unknown models with very many globs in the registry and with none."""
    spans = {"globs": Spans("globs", "new", models=sizes.globs), "none": Spans("ours", "new")}
    return _compare(sizes, spans, lambda cost: cost["globs"] / cost["none"])


def sampled(sizes: Sizes) -> Comparison:
    """Compare spans under our sampler with spans under OpenTelemetry's corresponding sampler."""
    spans = {"ours": Spans("empty", "other", sampler="ours"), "otel": Spans("empty", "other", sampler="ratio")}
    return _compare(sizes, spans, lambda cost: cost["ours"] / cost["otel"])


def many_models(sizes: Sizes) -> Comparison:
    """Compare spans with many models in the registry and with few."""
    spans = {"many": Spans("ours", "start", models=sizes.models), "few": Spans("ours", "start")}
    return _compare(sizes, spans, lambda cost: cost["many"] / cost["few"])
