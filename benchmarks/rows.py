"""The benchmarks: a row each. A name that stands on several rows runs them all."""

from __future__ import annotations

from typing import Final

from benchmarks import collector, evidence, imports, registry, spans, threads
from benchmarks.comparison import Benchmark

BENCHMARKS: Final = (
    Benchmark("span-llm", "LLM span, model at start: whole span / empty", "<= 1.12", "µs a span", spans.whole("start")),
    Benchmark("span-llm", "LLM span, model set later: whole span / empty", "<= 1.12", "µs a span", spans.whole("late")),
    Benchmark("baggage", "what enrichment adds / what baggage adds", "<= 0.15", "µs a span", spans.added("start")),
    Benchmark("baggage", "the same, model set later", "<= 0.15", "µs a span", spans.added("late")),
    Benchmark("span-other", "span without a model / empty", "<= 1.02", "µs a span", spans.whole("other")),
    Benchmark(
        "names", "LLM spans with 5,000 names in turn: whole span / empty", "<= 1.6", "µs a span", spans.whole("turn")
    ),
    Benchmark(
        "names", "LLM spans with names never seen before: whole span / empty", "<= 1.4", "µs a span", spans.whole("new")
    ),
    Benchmark(
        "deprecated",
        "LLM span of a deprecated model, all default attributes: whole span / empty",
        "<= 1.12",
        "µs a span",
        spans.deprecated,
    ),
    Benchmark("models", "LLM span, 100,000 models / 10", "<= 1.02", "µs a span", spans.many_models),
    Benchmark(
        "sampler",
        "span under the sampler `model_registry` / under `parentbased_traceidratio`",
        "<= 1.03",
        "µs a span",
        spans.sampled,
    ),
    Benchmark(
        "threads",
        "8 threads ending spans, one registering 1,000 a second: throughput / empty",
        ">= 0.82",
        "spans a second",
        threads.one_name,
    ),
    Benchmark(
        "threads",
        "the same, with 100,000 random names: throughput / empty",
        ">= 0.70",
        "spans a second",
        threads.random_names,
    ),
    Benchmark("register", "`register` at 100,000 models / at 1,000", "<= 1.2", "µs", registry.register),
    Benchmark(
        "save", "`save` of 100,000 models / `json.dumps` of plain dicts and fsync", "<= 0.25", "ms", registry.save
    ),
    Benchmark("load", "`load` of 100,000 models / bare `json.loads`", "<= 1.0", "ms", registry.load),
    Benchmark(
        "import",
        "`import spanforge.model_registry` / `import opentelemetry.sdk.trace`",
        "<= 0.9",
        "ms",
        imports.comparison,
    ),
    Benchmark(
        "collector",
        "the Collector, 5,000 models: what enrichment adds / at 10",
        "<= 1.3",
        "µs a span",
        collector.many_models,
        collector.unavailable,
    ),
    Benchmark(
        "collector",
        "the Collector, 1,000 models: what enrichment adds / a statement a model",
        "<= 0.1",
        "µs a span",
        collector.statements,
        collector.unavailable,
    ),
    Benchmark(
        "evidence",
        "evidence about 2,000,000 spans / only decoding them with msgspec, typed",
        "<= 1.5",
        "s",
        evidence.against("typed"),
        evidence.unavailable,
    ),
    Benchmark(
        "evidence",
        "the same / decoding them into dicts and lists",
        "<= 1.5",
        "s",
        evidence.against("untyped"),
        evidence.unavailable,
    ),
)
NAMES: Final = tuple(dict.fromkeys(row.name for row in BENCHMARKS))
