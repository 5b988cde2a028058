"""Spans, made and ended under one processor: what enrichment costs them."""

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
from benchmarks.models import MODEL, deprecated_of, entries, registry_of
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
"""Names that spans have in turn: more than the processor remembers."""
RANDOM_NAMES: Final = 100_000
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
    """Return spans whose attributes are known when they start."""

    def loop(tracer: Tracer, context: Context | None) -> Callable[[int], None]:
        start = tracer.start_span

        def make(number: int) -> None:
            for _ in range(number):
                start("chat", context, attributes=attributes).end()

        return make

    return loop


def _late(tracer: Tracer, context: Context | None) -> Callable[[int], None]:
    """Return spans whose model is set after they have started."""
    start = tracer.start_span

    def make(number: int) -> None:
        for _ in range(number):
            span = start("chat", context, attributes=LATE)
            span.set_attribute(MODEL_KEY, MODEL)
            span.end()

    return make


def _named(names: Callable[[], Iterator[str]]) -> Callable[[Tracer, Context | None], Callable[[int], None]]:
    """Return spans whose model, given when they start, is ever another one."""

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
"""Spans that name a model at their start, later, not at all, and that name one of many models."""

PROCESSORS: Final[Mapping[str, Callable[[int], SpanProcessor]]] = {
    "empty": lambda _models: Empty(),
    "ours": lambda models: ModelRegistrySpanProcessor(registry_of(entries(models)), meter_provider=meters()),
    "deprecated": lambda models: ModelRegistrySpanProcessor(deprecated_of(models), meter_provider=meters()),
    "baggage": lambda _models: BaggageSpanProcessor(ALLOW_ALL_BAGGAGE_KEYS),
}


SAMPLERS: Final[Mapping[str, Callable[[], Sampler]]] = {
    "default": lambda: DEFAULT_ON,
    "ratio": lambda: ParentBasedTraceIdRatio(1),
    "ours": lambda: ModelRegistrySampler(1),
}
"""Samplers that keep everything: OpenTelemetry's default, its ``parentbased_traceidratio``, and ours."""


def meters() -> MeterProvider:
    """Return a meter provider whose reader asks when it is told to: a periodic one would once a minute."""
    return MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


class Spans(NamedTuple):
    """Spans to be made: plain values, so that another process can be told.

    Attributes:
        processor: Of ``PROCESSORS``.
        kind: Of ``KINDS``.
        keys: Baggage keys that their context has.
        models: Entries of the registry.
        sampler: Of ``SAMPLERS``.
    """

    processor: str
    kind: str
    keys: int = 0
    models: int = FEW
    sampler: str = "default"

    def prepared(self) -> Callable[[int], None]:
        """Return what makes and ends so many of them."""
        provider = TracerProvider(sampler=SAMPLERS[self.sampler](), shutdown_on_exit=False)
        provider.add_span_processor(PROCESSORS[self.processor](self.models))
        return KINDS[self.kind](provider.get_tracer("benchmarks"), _context(self.keys))


def _context(keys: int) -> Context | None:
    """Return a context with so many keys of baggage."""
    context = Context() if keys else None
    for i in range(keys):
        context = baggage.set_baggage(f"key-{i}", f"value-{i}", context)
    return context


def _compare(sizes: Sizes, spans: Mapping[str, Spans], ratio: Callable[[Mapping[str, float]], float]) -> Comparison:
    def candidate(make: Callable[[int], None]) -> Callable[[], float]:
        return lambda: seconds(lambda: make(sizes.spans)) / sizes.spans * 1e6

    return Comparison({name: candidate(which.prepared()) for name, which in spans.items()}, ratio, spans, sizes.turns)


def whole(kind: str) -> Callable[[Sizes], Comparison]:
    """Return the comparison: a span with the processor, against one with an empty processor."""
    spans = {name: Spans(name, kind) for name in ("ours", "empty")}
    return lambda sizes: _compare(sizes, spans, lambda cost: cost["ours"] / cost["empty"])


def added(kind: str) -> Callable[[Sizes], Comparison]:
    """Return the comparison: what the processor adds to a span, against what the baggage processor adds."""
    spans = {name: Spans(name, kind, keys=BAGGAGE_KEYS) for name in ("empty", "ours", "baggage")}
    return lambda sizes: _compare(
        sizes, spans, lambda cost: (cost["ours"] - cost["empty"]) / (cost["baggage"] - cost["empty"])
    )


def deprecated(sizes: Sizes) -> Comparison:
    """Return the comparison: a span of a deprecated model, which gets a warning too, against an empty processor."""
    spans = {"ours": Spans("deprecated", "start"), "empty": Spans("empty", "start")}
    return _compare(sizes, spans, lambda cost: cost["ours"] / cost["empty"])


def sampled(sizes: Sizes) -> Comparison:
    """Return the comparison: a span under our sampler, against one under OpenTelemetry's that it is like."""
    spans = {"ours": Spans("empty", "other", sampler="ours"), "otel": Spans("empty", "other", sampler="ratio")}
    return _compare(sizes, spans, lambda cost: cost["ours"] / cost["otel"])


def many_models(sizes: Sizes) -> Comparison:
    """Return the comparison: a span with many models in the registry, against one with few."""
    spans = {"many": Spans("ours", "start", models=sizes.models), "few": Spans("ours", "start")}
    return _compare(sizes, spans, lambda cost: cost["many"] / cost["few"])
