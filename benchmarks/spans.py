"""Spans, made and ended under one processor: what enrichment costs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.processor.baggage import ALLOW_ALL_BAGGAGE_KEYS, BaggageSpanProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, ParentBasedTraceIdRatio

from benchmarks.contest import Contest
from benchmarks.harness import seconds
from benchmarks.models import MODEL, entries, registry_of
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer
    from opentelemetry.util.types import AttributeValue

    from benchmarks.contest import Sizes

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


KINDS: Final = {"start": _known(LLM), "late": _late, "other": _known(OTHER)}
"""Spans that name a model at their start, that name it later, that name none."""

PROCESSORS: Final[Mapping[str, Callable[[int], SpanProcessor]]] = {
    "empty": lambda _models: Empty(),
    "ours": lambda models: ModelRegistrySpanProcessor(registry_of(entries(models)), meter_provider=meters()),
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


def _contest(sizes: Sizes, spans: Mapping[str, Spans], ratio: Callable[[Mapping[str, float]], float]) -> Contest:
    def contender(make: Callable[[int], None]) -> Callable[[], float]:
        return lambda: seconds(lambda: make(sizes.spans)) / sizes.spans * 1e6

    return Contest({name: contender(which.prepared()) for name, which in spans.items()}, ratio, spans, sizes.turns)


def whole(kind: str) -> Callable[[Sizes], Contest]:
    """Return the contest: a span with the processor, against one with an empty processor."""
    spans = {name: Spans(name, kind) for name in ("ours", "empty")}
    return lambda sizes: _contest(sizes, spans, lambda cost: cost["ours"] / cost["empty"])


def added(kind: str) -> Callable[[Sizes], Contest]:
    """Return the contest: what the processor adds to a span, against what the baggage processor adds."""
    spans = {name: Spans(name, kind, keys=BAGGAGE_KEYS) for name in PROCESSORS}
    return lambda sizes: _contest(
        sizes, spans, lambda cost: (cost["ours"] - cost["empty"]) / (cost["baggage"] - cost["empty"])
    )


def sampled(sizes: Sizes) -> Contest:
    """Return the contest: a span under our sampler, against one under OpenTelemetry's that it is like."""
    spans = {"ours": Spans("empty", "other", sampler="ours"), "otel": Spans("empty", "other", sampler="ratio")}
    return _contest(sizes, spans, lambda cost: cost["ours"] / cost["otel"])


def many_models(sizes: Sizes) -> Contest:
    """Return the contest: a span with many models in the registry, against one with few."""
    spans = {"many": Spans("ours", "start", models=sizes.models), "few": Spans("ours", "start")}
    return _contest(sizes, spans, lambda cost: cost["many"] / cost["few"])
